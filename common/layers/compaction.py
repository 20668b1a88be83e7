"""Masks: what the whole-sequence layers do so that their recurrences need not know about them."""

import tensorflow as tf


class Compaction:
    """Moves the unmasked steps of each sequence to its front, and back.

    The steps behind them compute on padding and reach nothing: so the recurrence need not know
    about masks.

    Args:
        mask: [B, T], true for the steps that count.
    """

    def __init__(self, mask: tf.Tensor):
        mask = tf.cast(mask, tf.bool)
        self.order = tf.argsort(tf.where(mask, 0, 1), axis=1, stable=True)
        # [B, T] where a step's result lies after compaction
        self.latest = tf.cumsum(tf.cast(mask, tf.int32), axis=1) - 1
        self.lengths = self.latest[:, -1] + 1
        self.mask = tf.cast(mask, tf.float32)

    def clear(self, a: tf.Tensor) -> tf.Tensor:
        """[B, T, D], zero at masked steps: a NaN there would reach the gradients of weights."""
        return tf.where(self.mask[..., None] > 0, a, tf.zeros_like(a))

    def compact(self, a: tf.Tensor) -> tf.Tensor:
        """[B, T, ...], the unmasked steps first, in their order."""
        return tf.gather(a, self.order, batch_dims=1)

    def spread(self, a: tf.Tensor, hold: bool) -> tf.Tensor:
        """Results [B, T, ...] back in place.

        A masked step repeats the latest result (`hold`) or is zero.
        """
        spread = tf.gather(a, tf.maximum(self.latest, 0), batch_dims=1)
        keep = self.latest >= 0 if hold else self.mask > 0
        keep = tf.reshape(keep, tf.concat([tf.shape(keep), tf.ones([tf.rank(a) - 2], tf.int32)], 0))
        return tf.where(keep, spread, tf.zeros_like(spread))

    def final(self, states: tf.Tensor, n_slots: int, n_actions: int) -> tf.Tensor:
        """The last `n_slots` states [n_slots, B, H] of [K + T, B, H]."""
        slots = n_actions + self.lengths - n_slots + tf.range(n_slots)[:, None]
        rows = tf.broadcast_to(tf.range(tf.shape(states)[1]), tf.shape(slots))
        return tf.gather_nd(states, tf.stack([slots, rows], -1))
