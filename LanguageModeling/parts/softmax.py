"""The softmax over words: its likelihood, and one that is tied to the words' vectors."""

from typing import Any

import keras
import tensorflow as tf

from common.ops import softmax as ops
from common.ops.products import product


def log_likelihood(softmax: keras.layers.Layer, x: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """log p(target) [...] in nats under a softmax layer, of inputs [..., H] and targets [...]."""
    kernel, bias = (tf.cast(w, x.dtype) for w in (softmax.kernel, softmax.bias))
    flat = tf.reshape(x, [-1, x.shape[-1]])
    found = ops.log_likelihood(flat, kernel, bias, tf.reshape(targets, [-1]))
    return tf.reshape(found, tf.shape(targets))


class TiedSoftmax(keras.layers.Layer):
    """Vectors [..., H] -> logits [..., V] with the transposed table of an embedding, x E^T + b.

    Press & Wolf 2017, "Using the output embedding to improve language models".

    Weights: b [V]; E [V, H] is the embedding's.
    """

    def __init__(self, embedding: keras.layers.Embedding, **kwargs: Any):
        super().__init__(**kwargs)
        self.embedding = embedding

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(
            name="bias", shape=(self.embedding.input_dim,), initializer="zeros"
        )

    @property
    def kernel(self) -> tf.Tensor:
        """E transposed [H, V]."""
        return tf.transpose(tf.convert_to_tensor(self.embedding.embeddings))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        logits = product(x, tf.cast(self.kernel, self.compute_dtype))  # wide, also of 16 bits
        return logits + tf.cast(tf.convert_to_tensor(self.bias), logits.dtype)
