"""Matrix products over whole sequences.

TensorFlow takes `a @ b` with a [T, B, M] for T products, and its gradient then makes T products for b and adds them up. Here it is one.
"""

import tensorflow as tf


def product(a: tf.Tensor, b: tf.Tensor, transpose_b: bool = False) -> tf.Tensor:
    """a b over the last axis of a: [..., M] and [M, N] -> [..., N], in the dtype of b: products may be narrow, sums are float32."""
    rows = tf.cast(a, b.dtype)
    if a.shape.rank != 2:
        rows = tf.reshape(rows, [-1, a.shape[-1]])
    result = tf.cast(tf.matmul(rows, b, transpose_b=transpose_b), tf.float32 if b.dtype.size < 4 else b.dtype)
    return result if a.shape.rank == 2 else tf.reshape(result, tf.concat([tf.shape(a)[:-1], tf.shape(result)[-1:]], 0))


def weight_gradient(inputs: tf.Tensor, d_outputs: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """sum_t inputs_t^T d_outputs_t of [T, B, M] and [T, B, N] -> [M, N]: the gradient of the weights between them, as one product."""
    a, b = (tf.reshape(tf.cast(x, dtype), [-1, x.shape[-1]]) for x in (inputs, d_outputs))
    return tf.matmul(a, b, transpose_a=True)
