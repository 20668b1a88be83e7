"""Predictions as mixtures over several sampled chains of choices.

A chain is one draw of all distances of a sequence. S chains of a batch are computed side by side,
as S * B rows, chain after chain.
"""

import math

import tensorflow as tf


def repeated(a: tf.Tensor, n_chains: int) -> tf.Tensor:
    """The rows [B, ...] of a batch once for each chain: [S * B, ...]; sparse or ragged ones too."""
    if n_chains == 1:
        return a
    if isinstance(a, tf.SparseTensor):
        return tf.sparse.concat(0, [a] * n_chains)
    a = a if tf.is_tensor(a) else tf.convert_to_tensor(a)
    return tf.tile(a, [n_chains] + [1] * (a.shape.rank - 1))


def log_mean(log_probs: tf.Tensor, n_chains: int) -> tf.Tensor:
    """log 1/S sum_s p_s of log p_s [S * B, ...]: [B, ...].

    Never below the mean of the log p_s (Jensen).
    """
    return tf.reduce_logsumexp(by_chain(log_probs, n_chains), 0) - math.log(n_chains)


def by_chain(a: tf.Tensor, n_chains: int) -> tf.Tensor:
    """[S * B, ...] as [S, B, ...]."""
    return tf.reshape(a, tf.concat([[n_chains, -1], tf.shape(a)[1:]], 0))
