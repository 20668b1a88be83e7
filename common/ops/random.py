"""Dropout whose mask follows from a seed alone, so that a run that was cut off goes on exactly."""

import tensorflow as tf

from . import replicas


def dropout_mask(
    shape: tf.Tensor | list,
    rate: float,
    seed: tf.Tensor,
    axis: int = 0,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Zeros with probability `rate`, else 1 / (1 - rate); the same ones in every dtype.

    `seed`: int32 [2]; `axis`: that of the batch's rows.
    """
    drawn = replicas.rows(lambda shape: tf.random.stateless_uniform(shape, seed), shape, axis)
    return tf.where(drawn < rate, tf.zeros([], dtype), 1 / (1 - rate))


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
