"""Dropout whose mask follows from a seed alone, so that a run that was cut off goes on exactly."""

import tensorflow as tf

from . import replicas


def whole_seed(number: int) -> tf.Tensor:
    """The seed int32 [2] of a whole number, another one for each of less than 2^62."""
    return tf.constant([number % 2**31, number // 2**31 % 2**31], tf.int32)


def hits(shape: tf.Tensor | list, rate: float, seed: tf.Tensor, axis: int | None = 0) -> tf.Tensor:
    """True with probability `rate`.

    `seed`: int32 [2]; `axis`: that of the batch's rows, None for what all rows share.
    """

    def draw(shape: tf.Tensor | list) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, seed)

    return (draw(shape) if axis is None else replicas.rows(draw, shape, axis)) < rate


def dropout_mask(
    shape: tf.Tensor | list,
    rate: float,
    seed: tf.Tensor,
    axis: int | None = 0,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Zeros with probability `rate`, else 1 / (1 - rate); the same ones in every dtype.

    `seed`, `axis`: as for `hits`.
    """
    return tf.where(hits(shape, rate, seed, axis), tf.zeros([], dtype), 1 / (1 - rate))


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """x, each element dropped with probability `rate` (Srivastava et al. 2014).

    x itself for a rate of 0.
    """
    return x * tf.cast(dropout_mask(tf.shape(x), rate, seed), x.dtype) if rate else x


def fold(seed: tf.Tensor, *numbers: int) -> tf.Tensor:
    """A seed of its own for each purpose: `seed` with the numbers folded in, one by one."""
    for number in numbers:
        seed = tf.random.experimental.stateless_fold_in(seed, number)
    return seed
