"""Predictions as mixtures over several sampled chains of choices.

A chain is one draw of all distances of a sequence. S chains of a batch are computed side by side,
as B * S rows in which those of an example lie side by side, so that a device that has some of the
examples has all of their chains.
"""

import tensorflow as tf


def repeated(a: tf.Tensor, n_chains: int) -> tf.Tensor:
    """The rows [B, ...] of a batch once for each chain: [B * S, ...]; sparse or ragged ones too."""
    if n_chains == 1:
        return a
    if isinstance(a, tf.SparseTensor):
        chains = tf.sparse.concat(1, [tf.sparse.expand_dims(a, 1)] * n_chains)
        return tf.sparse.reshape(chains, tf.concat([[-1], a.dense_shape[1:]], 0))
    if isinstance(a, tf.RaggedTensor):
        return tf.gather(a, tf.repeat(tf.range(a.nrows()), n_chains))
    return tf.repeat(a, n_chains, axis=0)


def by_chain(a: tf.Tensor, n_chains: int) -> tf.Tensor:
    """[B * S, ...] as [S, B, ...]."""
    rows = tf.reshape(a, tf.concat([[-1, n_chains], tf.shape(a)[1:]], 0))
    return tf.transpose(rows, [1, 0, *range(2, rows.shape.rank)])


def log_mean(log_probs: tf.Tensor) -> tf.Tensor:
    """log 1/S sum_s p_s of log p_s [S, B, ...]: [B, ...].

    Never below the mean of the log p_s (Jensen).
    """
    n_chains = tf.cast(tf.shape(log_probs)[0], log_probs.dtype)
    return tf.reduce_logsumexp(log_probs, 0) - tf.math.log(n_chains)
