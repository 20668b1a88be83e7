"""Softmax: over a large vocabulary in few passes over the logits [N, V], and under a mask."""

import tensorflow as tf

from .products import product
from .shapes import expect


def log_likelihood(
    h: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """log p(target) under softmax(h S + b), in nats, with a hand-written gradient.

        l = h S + b,   log p(y) = l_y - log sum_v exp l_v
        dlog p(y) / dl = 1_y - exp(l) / sum_v exp l_v

    The exponentials of the forward pass are kept and scaled in the backward pass; nothing else of
    size [N, V] is made but their gradient.

    Args:
        h: [N, H]. kernel: S [H, V], of the dtype of h, in which the products are; sums are in
            float32. bias: b [V]. targets: [N] int32.
    Returns:
        [N] float32.
    """
    expect("[N, H] [H, V] [V] [N]", h, kernel, bias, targets)

    @tf.custom_gradient
    def run(h: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor):
        logits = product(h, kernel) + tf.cast(bias, tf.float32)
        largest = tf.stop_gradient(tf.reduce_max(logits, -1, keepdims=True))
        exponentials = tf.exp(logits - largest)
        total = tf.reduce_sum(exponentials, -1, keepdims=True)
        rows = tf.stack([tf.range(tf.shape(targets)[0]), targets], 1)
        value = tf.gather_nd(logits, rows) - largest[:, 0] - tf.math.log(total[:, 0])

        def gradient(d_value: tf.Tensor):
            d_logits = tf.tensor_scatter_nd_add(
                exponentials * (-d_value[:, None] / total), rows, d_value
            )
            d_bias = tf.cast(tf.reduce_sum(d_logits, 0), bias.dtype)
            d_logits = tf.cast(d_logits, h.dtype)
            return (
                tf.matmul(d_logits, kernel, transpose_b=True),
                tf.matmul(h, d_logits, transpose_a=True),
                d_bias,
            )

        return value, gradient

    return run(h, kernel, bias)


def masked_softmax(logits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis, of the places where `mask` (bool) is true; elsewhere 0.

    Where a row has no place, all of it is 0. The two broadcast against each other.
    """
    lowest = tf.constant(logits.dtype.min, logits.dtype)
    return tf.nn.softmax(tf.where(mask, logits, lowest)) * tf.cast(mask, logits.dtype)
