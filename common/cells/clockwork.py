"""A step in which groups of units run at different speeds."""

from collections.abc import Callable, Sequence
from typing import Unpack

import keras
import numpy as np
import tensorflow as tf

from .arguments import RecurrentArguments
from .base import tick
from .checks import whole_number
from .hoisted import HoistedCell, Tensors, projected


def _whole_numbers(name: str, value: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list of whole numbers; received {value!r}")
    return tuple(whole_number(name, one) for one in value)


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class ClockworkCell(HoistedCell):
    """One step of the Clockwork RNN (Koutnik et al. 2014; Goodfellow et al. 2016, section 10.9.3).

        h_t[g] = tanh(W x_t + (M * U) h_{t-1} + b)[g]      if t mod T_g = 0, t = 0, 1, ...
        h_t[g] = h_{t-1}[g]                                otherwise

    The H units are in groups g of equal size (the first ones larger by one where H does not
    divide), group g of period T_g. M lets a unit read the units of its own group and of slower
    ones: block-upper-triangular in the paper's layout, where a row is the unit that reads.

    Weights: `kernel` W [D, H], `recurrent_kernel` U [H, H] (from, to), `bias` b [H]. States: h [B,
    H] and t mod T_g [B, number of groups].

    Args:
        units: H.
        periods: T_g, any whole numbers, in the order of the groups (up to 256 in 16 bits).
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b.

    Raises:
        ValueError: units below 1; periods that are no whole numbers of at least 1, or more of them
            than units.

    Example:
        ```python
        cell = ClockworkCell(8, periods=(1, 2, 4))
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {**HoistedCell.checks, "periods": _whole_numbers}

    def __init__(
        self,
        units: int,
        periods: tuple[int, ...] = (1, 2, 4, 8),
        **kwargs: Unpack[RecurrentArguments],
    ):
        super().__init__(units, **kwargs)
        self.take(periods=periods)
        if not 1 <= len(self.periods) <= units:
            raise ValueError(
                f"periods must be 1 to {units} numbers, one for each group of the {units} units;"
                f" received {periods!r}"
            )
        self.group = np.concatenate(
            [
                np.full(len(part), g)
                for g, part in enumerate(np.array_split(np.arange(units), len(self.periods)))
            ]
        )
        self.state_size, self.n_counters = [units, len(self.periods)], 1
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.kernel = self.add_kernel("kernel", input_shape[-1])
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel")
        self.bias = self.add_bias("bias")

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b."""
        return [projected(below[0], self.kernel, self.bias)], []

    def matrices(self) -> Tensors:
        """M * U."""
        period = np.array(self.periods)[self.group]
        kernel = tf.convert_to_tensor(self.recurrent_kernel)
        return [kernel * tf.constant(period[:, None] >= period[None, :], kernel.dtype)]  # from, to

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h [B, H] and t mod T_g."""
        h, clock = states
        new = tf.tanh(products[0](h))
        h = tf.where(tf.gather(clock, self.group, axis=1) == 0, new, h)
        return [h, tick(clock, self.periods)]

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "periods": list(self.periods)}
