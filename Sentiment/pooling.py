"""Attention over the steps of a text, and over its sentences, instead of their mean.

Chen et al. 2016, "Neural Sentiment Classification with User and Product Attention", without users
and products.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from common.ops.shapes import expect
from common.ops.softmax import masked_softmax


class AttentionPooling(keras.layers.Layer):
    """States [B, T, H] -> their mean [B, H], weighted by what they hold.

        e_t = v . tanh(W h_t + b)
        a   = softmax of e over the steps in the mask
        s   = sum_t a_t h_t

    Weights: W [H, H], Glorot's; b [H], zero; v [H], normal with deviation 0.1. With v = 0 it is the
    mean.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        """No mask: the steps are summed."""

    def build(self, input_shape: tuple) -> None:
        size = input_shape[-1]
        self.hidden = keras.layers.Dense(size, "tanh", name="hidden")
        self.hidden.build(input_shape)
        self.query = self.add_weight(
            name="query", shape=(size,), initializer=keras.initializers.RandomNormal(0, 0.1)
        )

    def weights_of(self, h: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The weights a of states h [B, T, H]: like `mask`, [B, T] or, for many sums, [B, N, T]."""
        expect("[B, T, H]", h)
        scores = tf.cast(tf.linalg.matvec(self.hidden(h), self.query), tf.float32)
        return masked_softmax(scores if mask.shape.rank == 2 else scores[:, None], mask)

    def call(self, h: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """h [B, T, H]; mask [B, T] bool, or [B, N, T] for sums [B, N, H]; all false: 0."""
        a = tf.cast(self.weights_of(h, mask), h.dtype)
        return a @ h if mask.shape.rank == 3 else tf.einsum("bt,bth->bh", a, h)


class Sentences:
    """Which words of a batch of texts make up a sentence; the last one may lack its full stop.

    Args:
        words: [B, T] int. mask: [B, T] bool, true on real words, which come first. ends: the
            numbers of the words that end a sentence.

    Attributes:
        together: [B, T, T] bool, whether two real words are of one sentence. last: [B, T] bool, the
            last word of each sentence.
    """

    def __init__(self, words: tf.Tensor, mask: tf.Tensor, ends: Sequence[int]):
        ended = tf.zeros_like(mask)
        for word in ends:
            ended |= words == word
        follows = tf.pad(mask[:, 1:], [[0, 0], [0, 1]])
        self.last = mask & (ended | ~follows)
        number = tf.cumsum(tf.cast(self.last, tf.int32), 1, exclusive=True)
        self.together = (number[:, :, None] == number[:, None]) & mask[:, None] & mask[:, :, None]


class HierarchicalPooling(keras.layers.Layer):
    """States [B, T, H] of words -> states of sentences -> one state of the text [B, H].

        s_j = attention over the words of sentence j
        g_j = LSTM over s_1, s_2, ...
        y   = tanh(W attention(g) + b)

    Chen et al. 2016. There the LSTM over words begins anew with each sentence; here it reads on.

    Args:
        sentence_layer: a recurrent layer of `make_layer`. ends: see `Sentences`.
    """

    def __init__(self, sentence_layer: keras.layers.Layer, ends: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.of_words = AttentionPooling(name="of_words")
        self.sentence_layer = sentence_layer
        self.of_sentences = AttentionPooling(name="of_sentences")
        self.output_layer = keras.layers.Dense(sentence_layer.units, "tanh", name="output")
        self.ends = tuple(ends)
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        """No mask: the sentences are summed."""

    def call(self, h: tf.Tensor, words: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """h [B, T, H], words and mask [B, T]."""
        sentences = Sentences(words, mask, self.ends)
        # the state of a sentence stands at its last word; other steps are as if they were not there
        s = self.of_words(h, sentences.together)
        g = self.sentence_layer(s, mask=sentences.last)[0]
        return self.output_layer(self.of_sentences(g, sentences.last))
