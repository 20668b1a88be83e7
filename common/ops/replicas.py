"""Several devices, each with B / R rows of the batch, that train as one would on all B.

What that takes, here and in the code that calls this:

* A loss or a mean on a replica is its part of the whole batch's: the parts add up to it
  (`part_of_mean`, `total`), and so do gradients.
* Random numbers belong to the rows of the batch, not to the device that computes them: a replica
  draws those of the whole batch and keeps its own (`rows`). On one device nothing changes, neither
  the numbers nor the cost.

All of it is the identity outside `tf.distribute.Strategy.run`. The strategies themselves:
`training/strategy.py`.
"""

from collections.abc import Callable

import tensorflow as tf


def count() -> int:
    """R, the replicas that compute together; 1 outside a strategy."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def index() -> int:
    """Which of the replicas this is, from 0.

    0 outside a strategy, and where one program is made for all (a TPU's).
    """
    context = tf.distribute.get_replica_context()
    return int(tf.get_static_value(context.replica_id_in_sync_group) or 0) if context else 0


def total(a: tf.Tensor) -> tf.Tensor:
    """The sum of `a` over the replicas; no gradient flows through it."""
    if count() == 1:
        return a
    return tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, tf.stop_gradient(a)
    )


def part_of_mean(a: tf.Tensor) -> tf.Tensor:
    """This replica's part of the mean over the batch, a scalar.

    `a`: the rows [B / R, ...] of the replica.
    """
    return tf.reduce_mean(a) / count()


def rows(draw: Callable[[list], tf.Tensor], shape: tf.Tensor | list, axis: int = 0) -> tf.Tensor:
    """What `draw(shape)` gives, of the rows of this replica.

    The batch's B rows stand along `axis`.

    Args:
        draw: shape of the whole batch -> tensor of that shape. shape: of this replica's part. axis:
            where the rows are.
    """
    n = count()
    if n == 1:
        return draw(shape)
    shape = tf.unstack(tf.convert_to_tensor(shape))
    n_rows = shape[axis]
    shape[axis] = n * n_rows
    first = n_rows * tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
    return tf.gather(draw(shape), first + tf.range(n_rows), axis=axis)
