"""A softmax for each frequent suffix of the history: `--output suffix`."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.data.text import Vocabulary

FILE = "suffixes.txt"  # in the run's folder
MOST_WEIGHTS = 2**31
Suffix = tuple[int, ...]


def find(tokens: np.ndarray, n_words: int, length: int, count: int) -> list[Suffix]:
    """The words, and sequences of 2 to `length` of them more frequent than `count` in a text [N].

    In ascending length. With a sequence all that it contains are found.
    """
    found: list[Suffix] = [(i,) for i in range(n_words)]
    place = tokens.astype(np.int64)  # of the sequence that ends at each token, -1 if it is rare
    for _ in range(length - 1):
        before = np.concatenate([[-1], place[:-1]])
        code = np.where(before >= 0, before * n_words + tokens, -1)
        codes, counts = np.unique(code, return_counts=True)
        codes = codes[(counts > count) & (codes >= 0)]
        if not len(codes):
            break
        at = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
        place = np.where(codes[at] == code, len(found) + at, -1)
        found += [(*found[one // n_words], int(one % n_words)) for one in codes]
    return found


def transitions(suffixes: Sequence[Suffix], n_words: int) -> np.ndarray:
    """The longest suffix after each word, of the longest one before it: [S + 1, V] int32.

    The last row is for no word before. The longest suffix of a history and a word ends in that word
    and begins within the longest one of the history, because each part of a frequent sequence is
    frequent.
    """
    place = {suffix: i for i, suffix in enumerate(suffixes)}
    table = np.empty((len(suffixes) + 1, n_words), np.int32)
    for i, suffix in enumerate([*suffixes, ()]):
        for word in range(n_words):
            longer = (*suffix, word)
            while longer not in place:
                longer = longer[1:]
            table[i, word] = place[longer]
    return table


def encoder(suffixes: Sequence[Suffix]) -> Vocabulary:
    """The suffixes as what a run keeps."""
    return Vocabulary(tuple(",".join(map(str, one)) for one in suffixes))


def decoded(kept: Vocabulary) -> list[Suffix]:
    """The suffixes of `encoder`."""
    return [tuple(map(int, one.split(","))) for one in kept.words]


class SuffixSoftmax(keras.layers.Layer):
    """[h_t ; s_t] [..., H + 1] -> logits U_s(t) h_t [..., V], without a bias.

    Bojanowski et al. 2015, "Alternative structures for character-level RNNs": s(t) is the longest
    frequent suffix of w_1 .. w_t, and each has a whole matrix of its own.

    Args:
        table: what `transitions` returns. initializer: of the matrices U [S, V, H].
    """

    def __init__(self, table: np.ndarray, initializer: Callable, **kwargs: Any):
        super().__init__(**kwargs)
        self.table, self.initializer = table, initializer

    def build(self, input_shape: tuple) -> None:
        shape = (len(self.table) - 1, self.table.shape[1], input_shape[-1] - 1)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.initializer)

    def initial_state(self, batch_size: int | tf.Tensor) -> tf.Tensor:
        """No word before: [B]."""
        return tf.fill([batch_size], len(self.table) - 1)

    def states(self, words: tf.Tensor, before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """s of each word [B, T] and of the last one [B], int32, of the words and s before [B]."""
        flat, width = tf.constant(self.table.ravel()), self.table.shape[1]

        def step(s: tf.Tensor, word: tf.Tensor) -> tf.Tensor:
            return tf.gather(flat, s * width + word)

        each = tf.scan(step, tf.transpose(words), before)
        return tf.transpose(each), each[-1]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        h, s = x[..., :-1], tf.cast(tf.cast(x[..., -1], tf.float32) + 0.5, tf.int32)
        return tf.einsum("...vh,...h->...v", tf.gather(self.kernel, s), h)

    def log_likelihood(self, x: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """log p(target) [...] in nats."""
        logits = tf.cast(self(x), tf.float32)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
