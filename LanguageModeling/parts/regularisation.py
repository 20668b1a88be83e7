"""Dropout with one mask for a window, and penalties on outputs: `--regularisation`."""

import tensorflow as tf

from common.ops.random import dropout, dropout_mask
from common.ops.replicas import part_of_mean
from LanguageModeling.presets import LanguageConfig


def drop(config: LanguageConfig, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """`--dropout` of vectors [B, T, H].

    Anew at each step (Zaremba et al. 2014); but for `--regularisation dropout` with one mask for
    all T (Gal & Ghahramani 2016).
    """
    if config.regularisation == "dropout" or not config.dropout:
        return dropout(x, config.dropout, seed)
    n_rows, _, size = tf.unstack(tf.shape(x))
    return x * dropout_mask([n_rows, 1, size], config.dropout, seed, dtype=x.dtype)


def drop_words(
    x: tf.Tensor, words: tf.Tensor, n_words: int, rate: float, seed: tf.Tensor
) -> tf.Tensor:
    """The vectors x [B, T, H] of words [B, T], without some words wherever they stand in a row.

    x m(w), m(w) = 0 or 1 / (1 - rate): rows of the embedding are dropped (Gal & Ghahramani 2016).
    """
    mask = dropout_mask([tf.shape(words)[0], n_words], rate, seed, dtype=x.dtype)
    return x * tf.gather(mask, words, batch_dims=1)[:, :, None]


def penalty(config: LanguageConfig, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
    """T (a mean x^2 + b mean (h_t - h_{t-1})^2), a and b of `--regularisation awd`; else 0.

    Merity et al. 2018, section 4.3; T because the loss of the task is a sum over the steps.

    Args:
        x, h: outputs of the last layer [B, T, H], after dropout and before.
    """
    loss, n_steps = tf.zeros([]), h.shape[1]
    if config.activation_l2:
        loss += config.activation_l2 * part_of_mean(tf.cast(x, tf.float32) ** 2)
    if config.slowness_l2 and n_steps > 1:
        changes = tf.cast(h[:, 1:] - h[:, :-1], tf.float32)
        loss += config.slowness_l2 * part_of_mean(changes**2)
    return n_steps * loss
