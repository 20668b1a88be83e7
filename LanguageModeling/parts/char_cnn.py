"""Word vectors from characters: a convolution, max-pooling, highway layers (Kim et al. 2016)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.cells.base import Initializer
from common.layers.highway import Highway


class CharCNN(keras.layers.Layer):
    """Convolution over characters: spellings [N, C] int -> vectors [N, F].

    Kim et al. 2016, section 2.2. F is the sum of `filters`.

        r_w[p] = sum_j E[c_{p+j}] K_w[j] + b_w,     j = 0 .. w-1,  p = 0 .. C-w
        y      = [tanh max_p r_1[p] ; tanh max_p r_2[p] ; ...]

    Id 0 is padding: its row of E is zero and stays so. Positions after the end of a word take part
    in the maximum with their zeros, as in the code of the paper.

    Weights: E [n_chars, char_size], K_w [w, char_size, filters[w-1]], b_w [filters[w-1]].

    Args:
        n_chars: number of characters, padding included. char_size: dimension of their vectors.
        filters: number of filters of width 1, 2, 3, ... initializer: of E and K; biases start at
            zero.
    """

    def __init__(
        self,
        n_chars: int,
        char_size: int,
        filters: Sequence[int],
        initializer: Initializer,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)

        def zero_first_row(shape: tuple[int, ...], dtype: str | None = None):
            rows = keras.initializers.get(initializer)((shape[0] - 1, shape[1]), dtype)
            return tf.concat([tf.zeros([1, shape[1]], dtype), rows], 0)

        self.char_vectors = keras.layers.Embedding(n_chars, char_size, zero_first_row, name="chars")
        self.convolutions = [
            keras.layers.Conv1D(n, width, kernel_initializer=initializer, name=f"filters_{width}")
            for width, n in enumerate(filters, 1)
        ]

    def call(self, spellings: tf.Tensor) -> tf.Tensor:
        real = tf.cast(spellings != 0, self.compute_dtype)[:, :, None]
        chars = self.char_vectors(spellings) * real  # no gradient reaches the padding row
        # tanh grows, so that of the maximum is the maximum of all.
        return tf.tanh(
            tf.concat(
                [tf.reduce_max(convolution(chars), 1) for convolution in self.convolutions], -1
            )
        )


class WordsFromCharacters(keras.layers.Layer):
    """Words [B, T] int -> vectors [B, T, F] of their spellings: `CharCNN`, then `Highway` layers.

    Args:
        spellings: [V, C] int, the characters of each word, 0 after its end. n_chars: number of
            characters, 0 included.
        char_size, char_filters: see `CharCNN`. highway_layers: their number. initializer: of all
            matrices.
    """

    def __init__(
        self,
        spellings: np.ndarray,
        n_chars: int,
        initializer: Initializer,
        char_size: int = 15,
        char_filters: Sequence[int] = (50, 100, 150, 200, 200, 200, 200),
        highway_layers: int = 2,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        # the widest filter has to fit once
        missing = max(len(char_filters) - spellings.shape[1], 0)
        self.spellings = np.pad(spellings, [(0, 0), (0, missing)])
        self.cnn = CharCNN(n_chars, char_size, char_filters, initializer, name="cnn")
        self.highway = [
            Highway(sum(char_filters), kernel_initializer=initializer, name=f"highway_{i}")
            for i in range(highway_layers)
        ]
        # A word has one vector wherever it stands, and half of a batch of text is repetition: 220
        # ms of processor time instead of 400 at the paper's size. A GPU has the time, and XLA wants
        # to know there how large an array is.
        self.distinct = not tf.config.list_physical_devices("GPU")

    def call(self, words: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(words, [-1])
        distinct, place = tf.unique(flat) if self.distinct else (flat, tf.range(tf.size(flat)))
        x = self.cnn(tf.gather(self.spellings, distinct))
        for layer in self.highway:
            x = layer(x)
        return tf.gather(x, tf.reshape(place, tf.shape(words)))
