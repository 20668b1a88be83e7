"""What the characters of a word say, as a vector: an LSTM over them, or their capitals alone."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.config import RunConfig
from common.data.text import Vocabulary
from common.layers.make_layer import make_layer, run_layer


class CharLSTM(keras.layers.Layer):
    """Vectors of characters [N, C, D] -> [N, 2H]: the last states of an LSTM each way.

    Lample et al. 2016, "Neural Architectures for Named Entity Recognition", section 4.1. The second
    LSTM reads from the last character to the first. No character: zeros.
    """

    def __init__(self, config: RunConfig, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        plain = {"zoneout": (0.0, 0.0)}  # that of the flags is of --cell
        self.ahead = make_layer(config, units, "lstm", name="ahead", **plain)
        self.back = make_layer(config, units, "lstm", name="back", go_backwards=True, **plain)

    def call(self, x: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        """x [N, C, D]; real [N, C] bool, true on the characters, which come first."""
        return tf.concat(
            [run_layer(one, x, mask=real)[1][0] for one in (self.ahead, self.back)], -1
        )


class WordShape(keras.layers.Layer):
    """Characters [N, C] int -> a vector [N, size] of where a word has capitals.

    Strubell et al. 2017, section 6.2: one vector each for words whose letters are all capitals,
    with a capital first, with one elsewhere, in small letters, and without letters.
    """

    def __init__(self, chars: Vocabulary, size: int = 5, **kwargs: Any):
        super().__init__(**kwargs)
        self.is_upper = np.array([len(one) == 1 and one.isupper() for one in chars.words])
        self.is_letter = np.array([len(one) == 1 and one.isalpha() for one in chars.words])
        self.shapes = keras.layers.Embedding(5, size, name="shapes")

    def kinds(self, chars: tf.Tensor) -> tf.Tensor:
        """Characters [N, C] -> the kind of each word [N], in the order above."""
        upper, letter = tf.gather(self.is_upper, chars), tf.gather(self.is_letter, chars)
        n_upper = tf.reduce_sum(tf.cast(upper, tf.int32), 1)
        n_letters = tf.reduce_sum(tf.cast(letter, tf.int32), 1)
        kind = tf.where(upper[:, 0], 1, tf.where(n_upper > 0, 2, 3))
        kind = tf.where((n_upper == n_letters) & (n_upper > 0), 0, kind)
        return tf.where(n_letters == 0, 4, kind)

    def call(self, chars: tf.Tensor) -> tf.Tensor:
        return self.shapes(self.kinds(chars))
