"""What a `KStateCell` drops and holds."""

import tensorflow as tf

from ..ops.gates import State
from ..ops.masks import Masks
from ..ops.random import dropout_mask, fold, hits


class Dropping:
    """Draws the masks of a cell that has these rates and `zoneout`: see `KStateCell`."""

    adjustable = ("dropout", "recurrent_dropout", "state_dropout", "weight_dropout")

    def drops(self, training: bool) -> bool:
        """Whether a step draws any mask."""
        rates = (getattr(self, name) for name in Dropping.adjustable)
        return bool(training and any((*rates, *self.zoneout)))

    def input_mask(self, shape: tf.Tensor | list, seed: tf.Tensor) -> tf.Tensor:
        """A dropout mask for inputs of that shape, scaled to keep their mean."""
        return dropout_mask(shape, self.dropout, fold(seed, 1), dtype=self.wide_dtype)

    def candidate_mask(self, shape: tf.Tensor | list, seed: tf.Tensor) -> tf.Tensor:
        """A dropout mask for candidates of that shape, likewise."""
        rate, dtype = self.recurrent_dropout, self.wide_dtype
        return dropout_mask(shape, rate, fold(seed, 2), axis=-2, dtype=dtype)

    def masks(self, shape: tf.Tensor | list, training: bool, seed: tf.Tensor | None) -> Masks:
        """Dropout and zoneout of one step [B, H] or of several [T, B, H], as `shape` says."""
        found, dtype = {}, self.wide_dtype
        if training and self.recurrent_dropout:
            found["candidate"] = self.candidate_mask(shape, seed)
        if training and self.state_dropout:
            rate, seeds = self.state_dropout, [fold(seed, 3)]
            if self.state_masks == "per_gate":
                seeds = [fold(*seeds, gate) for gate in range(4)]
            of_gates = [dropout_mask(shape[-2:], rate, one, dtype=dtype) for one in seeds]
            found["recurrent"] = tf.concat([tf.broadcast_to(a, shape) for a in of_gates], -1)
        if training and self.weight_dropout:
            size, rate = self.recurrent_kernel.shape, self.weight_dropout
            found["kernel"] = dropout_mask(size, rate, fold(seed, 4), axis=None, dtype=dtype)
        if any(self.zoneout):
            held = (
                tf.cast(hits(shape, z, fold(seed, n), -2), dtype)
                if training
                else tf.fill(shape, tf.constant(z, dtype))
                for n, z in enumerate(self.zoneout, 5)
            )
            found["held"] = State(*reversed(list(held)))
        return Masks(**found)

    def drop(self, inputs: tf.Tensor, training: bool, seed: tf.Tensor) -> tuple[tf.Tensor, Masks]:
        """Inputs [B, D] after dropout, and the other masks of the step."""
        masks = self.masks([tf.shape(inputs)[0], self.units], training, seed)
        if training and self.dropout:
            inputs *= tf.cast(self.input_mask(tf.shape(inputs), seed), inputs.dtype)
        return inputs, masks
