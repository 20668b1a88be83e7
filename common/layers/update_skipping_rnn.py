"""Skip RNN over whole sequences: counts the updates and charges for them."""

from typing import Unpack

import keras
import tensorflow as tf

from ..cells.arguments import RNNArguments
from ..cells.checks import price
from ..cells.skip_lstm import UpdateSkippingCell, n_updates
from .fast_rnn import FastRNN


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class UpdateSkippingRNN(FastRNN):
    """`FastRNN` over a `SkipLSTMCell` or `SkipGRUCell`, with a cost of updates.

    The cost is a loss of the layer, one of its `losses`:

        loss = update_cost * mean_b( sum_t u_t )   (Campos et al. 2018, eq. 7, cost per sample)

    `Model.fit` adds it to the task's loss by itself; elsewhere add `layer.losses` right after the
    call, inside the same function.

    Args:
        cell: the cell.
        update_cost: price of one update of one sequence.
        jit_compile and the rest as for `FastRNN`.

    Raises:
        ValueError: another cell; an update_cost below 0.

    Example:
        ```python
        layer = UpdateSkippingRNN(SkipLSTMCell(8), update_cost=1e-3)
        h = layer(keras.random.normal([2, 5, 4]))  # [2, 8]
        cost = layer.losses[0]
        n_updates, n_steps = layer.metrics_of_call["updates"]
        ```
    """

    adjustable = ("update_cost",)
    checks = {**FastRNN.checks, "update_cost": price}

    def __init__(
        self,
        cell: keras.layers.Layer,
        update_cost: float = 1e-4,
        jit_compile: bool | None = None,
        **kwargs: Unpack[RNNArguments],
    ):
        if not isinstance(cell, UpdateSkippingCell):
            raise ValueError(f"cell must be a SkipLSTMCell or a SkipGRUCell; received {cell!r}")
        super().__init__(cell, jit_compile, **kwargs)
        self.take(update_cost=update_cost)
        self._metrics_of_call = ()
        self.settle()

    @property
    def metrics_of_call(self) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """The share of the steps in which the state was updated, as (sum, weight).

        Of the latest call, to be read as `losses` are.
        """
        return dict(self._metrics_of_call)

    def inner_loop(
        self,
        sequences: tf.Tensor,
        initial_state: list[tf.Tensor],
        mask: tf.Tensor | None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """`FastRNN`'s loop, the count starting anew."""
        self.hold()
        *rest, count = initial_state
        last, outputs, states = super().inner_loop(
            sequences, [*rest, tf.zeros_like(count)], mask, training
        )
        updates = n_updates(states[-1])
        n_steps = tf.size(sequences[:, :, 0]) if mask is None else tf.math.count_nonzero(mask)
        self._metrics_of_call = (
            ("updates", (tf.reduce_sum(updates), tf.cast(n_steps, updates.dtype))),
        )
        # as Keras' losses are, with which it is added up
        n_rows = tf.cast(tf.size(updates), updates.dtype)  # there may be none
        mean = tf.math.divide_no_nan(tf.reduce_sum(updates), n_rows)
        self.add_loss(tf.cast(self.update_cost * mean, keras.config.floatx()))
        return last, outputs, states
