"""`keras.layers.RNN` over whole sequences: for cells whose products can be hoisted out of it."""

from typing import Any, Unpack

import keras
import tensorflow as tf

from ..cells.arguments import RNNArguments
from ..cells.checks import flag_or_none
from ..cells.hoisted import HoistedCell, Level
from ..cells.settings import Settings
from ..ops.hoisted import HoistedRecurrence, Inputs
from ..ops.products import wide
from ..ops.sequence_gradient import slow_in_xla
from .call_shapes import mask_of_steps
from .compaction import Compaction


class HoistedRNN(keras.layers.RNN):
    """A layer of Keras whose loop over the steps is a `HoistedRecurrence` of each of its levels.

    A subclass has `jit_compile` and `levels`.
    """

    jit_compile: bool | None

    def levels(self) -> list[Level]:
        """The cell's; none where Keras' own loop is to run it."""
        # what a subclass does in a `call` of its own would be lost here
        known = isinstance(self.cell, HoistedCell) and type(self.cell).call is HoistedCell.call
        same = self.compute_dtype == self.cell.compute_dtype
        return list(self.cell.levels()) if known and same and not self.unroll else []

    def build(self, sequences_shape: tuple, initial_state_shape: list | None = None) -> None:
        """The weights, and whether XLA compiles the recurrences: as for `KStateLSTM`."""
        super().build(sequences_shape, initial_state_shape)
        slower = slow_in_xla(getattr(self.cell, "units", 0))
        self._recurrences = [HoistedRecurrence(one.step, one.delay) for one in self.levels()]
        for one in self._recurrences:
            one.declare(sequences_shape, self.jit_compile, slower)

    def call(
        self,
        sequences: tf.Tensor,
        initial_state: Any = None,
        mask: tf.Tensor | list | None = None,
        training: bool = False,
    ) -> tf.Tensor | tuple[tf.Tensor, ...]:
        """As of `keras.layers.RNN`, which forgets the sequences' own mask beside states."""
        mask = mask_of_steps(mask, sequences)
        return super().call(sequences, initial_state, mask, training)

    def inner_loop(
        self,
        sequences: tf.Tensor,
        initial_state: Any,
        mask: tf.Tensor | None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, Any]:
        """`keras.layers.RNN`'s loop: the last output, all outputs and the final states."""
        levels = self.levels()
        if not levels:
            return super().inner_loop(sequences, initial_state, mask, training)
        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        order = None if mask is None else Compaction(mask)
        if order is not None:
            sequences = order.compact(order.clear(sequences))
        below = [tf.transpose(sequences, [1, 0, 2])]  # [T, B, D]
        given = [tf.cast(a, wide(a.dtype)) for a in tf.nest.flatten(initial_state)]
        left, final = list(self.enter(given)), []
        for level, recurrence in zip(levels, self._recurrences, strict=True):
            past, left = _slots(left[: level.n_states], level.delay), left[level.n_states :]
            addends, others = level.project(below)
            vectors = [tf.cast(a, past[0].dtype) for a in level.vectors()]
            matrices = [tf.convert_to_tensor(u) for u in level.matrices()]
            k = level.delay
            states = recurrence(Inputs(past, list(addends), list(others), matrices, vectors))
            below = level.finish([a[k - 1 : -1] for a in states], [a[k:] for a in states], below)
            final += [
                _flat(a[-n:] if order is None else order.final(a, n, k), n)
                for a, n in zip(states, [k] + [1] * (len(states) - 1), strict=True)
            ]
        if order is not None:  # a row of masked steps alone has not begun
            begun = order.lengths[:, None] > 0
            final = [tf.where(begun, a, b) for a, b in zip(final, given, strict=True)]
        outputs = tf.transpose(below[0], [1, 0, 2])
        if order is not None:
            outputs = order.spread(outputs, hold=not self.zero_output_for_mask)
        return outputs[:, -1], outputs, final

    def enter(self, states: list[tf.Tensor]) -> list[tf.Tensor]:
        """The states that the first step sees."""
        return self.cell.enter(states)


def _slots(states: list[tf.Tensor], delay: int) -> list[tf.Tensor]:
    """A level's states of the past K steps [K, B, N], of which only the first is given as such."""
    first, *others = states
    shape = [tf.shape(first)[0], delay, first.shape[-1] // delay]
    pad = [[delay - 1, 0], [0, 0], [0, 0]]
    first = tf.transpose(tf.reshape(first, shape), [1, 0, 2])
    return [first, *(tf.pad(a[None], pad) for a in others)]


def _flat(states: tf.Tensor, delay: int) -> tf.Tensor:
    """[K, B, N] -> [B, K N]."""
    shape = [tf.shape(states)[1], delay * states.shape[-1]]
    return tf.reshape(tf.transpose(states, [1, 0, 2]), shape)


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FastRNN(Settings, HoistedRNN):
    """`keras.layers.RNN`, faster over a cell that is a `HoistedCell`.

    The products with the inputs are made for all steps at once, and each weight's gradient is one
    product. With a mask it differs in nothing from Keras' loop. Gradients are right to any order.

    Args:
        cell: the cell; another than a `HoistedCell`, or one with a `call` of its own, runs as under
            `keras.layers.RNN`.
        jit_compile: as for `KStateLSTM`.
        The rest as for `keras.layers.RNN`; with `unroll` it runs as there.

    Raises:
        ValueError: a cell without `call` and `state_size`; another jit_compile.

    Example:
        ```python
        h = FastRNN(PeepholeLSTMCell(8))(keras.random.normal([2, 5, 4]))  # [2, 8]
        ```
    """

    checks = {"jit_compile": flag_or_none}

    def __init__(
        self,
        cell: keras.layers.Layer,
        jit_compile: bool | None = None,
        **kwargs: Unpack[RNNArguments],
    ):
        super().__init__(cell, **kwargs)
        self.take(jit_compile=jit_compile)
        self.settle("unroll")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), **self.taken()}
