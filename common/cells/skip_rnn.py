"""A step with several recurrent matrices that take turns, and additive skip connections."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import BASES, one_of
from ..ops.gates import lstm_gates
from .arguments import RecurrentArguments
from .base import tick
from .checks import whole_number, whole_number_or_none
from .hoisted import HoistedCell, Tensors, projected


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class SkipRNNCell(HoistedCell):
    """One step of a recurrent network with skip connections.

    (Mongia, "Recurrent neural networks with skip connections".)

        h_t = ReLU(U_{t mod m} h_{t-1} + W x_t + b)                             base "rnn"
        h_t, c_t = LSTM gates of U_{t mod m} h_{t-1} + W x_t + b and c_{t-1}    base "lstm"
        h_t += h_{t-s}                                                          where t mod s = 0
        for t = 0, 1, ...

    The source's versions: A m = 1 and no skip, B m = 2, C s = 2, D m = 2 and s = 2, "special" m = 4
    and s = 4. It gives the skip for the plain network; that of the LSTM is ours. (Of the same name
    and another kind: Campos' Skip RNN, `SkipLSTMCell`.)

    Weights, n = 1 ("rnn") or 4 ("lstm", Keras' order i f c o): `kernel` W [D, nH],
    `recurrent_kernel_0` ... U_0 ... [H, nH] each, `bias` b [nH], that of the LSTM's forget gate
    initially 1. States: the past s states h, flat [B, s * H], oldest first; with "lstm" c [B, H]; t
    mod m and t mod s, [B, 2].

    Args:
        units: H.
        n_matrices: m.
        skip: s, or None for no skip (up to 256 both in 16 bits).
        base: "rnn" or "lstm".
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b.

    Raises:
        ValueError: units, n_matrices or skip below 1; another base.

    Example:
        ```python
        cell = SkipRNNCell(8, n_matrices=2, skip=2)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {
        **HoistedCell.checks,
        "n_matrices": whole_number,
        "skip": whole_number_or_none,
        "base": partial(one_of, choices=BASES),
    }

    def __init__(
        self,
        units: int,
        n_matrices: int = 1,
        skip: int | None = None,
        base: str = "rnn",
        **kwargs: Unpack[RecurrentArguments],
    ):
        super().__init__(units, **kwargs)
        self.take(n_matrices=n_matrices, skip=skip, base=base)
        self.delay = skip or 1
        self.state_size = [self.delay * units] + [units] * (base == "lstm") + [2]
        self.n_counters = 1
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        n_blocks = 4 if self.base == "lstm" else 1
        self.kernel = self.add_kernel("kernel", input_shape[-1], n_blocks)
        self.recurrent_kernels = [
            self.add_recurrent_kernel(f"recurrent_kernel_{n}", n_blocks)
            for n in range(self.n_matrices)
        ]
        self.bias = self.add_bias("bias", n_blocks, ones=1 if self.base == "lstm" else None)

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b once, and nothing more for the other matrices."""
        z = projected(below[0], self.kernel, self.bias)
        return [z] + [tf.zeros_like(z)] * (self.n_matrices - 1), []

    def matrices(self) -> Tensors:
        """U_0, U_1, ..."""
        return self.recurrent_kernels

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h, c, and the clocks."""
        h, *c, clock = states[: self.n_states]
        skipped = states[-1] if self.delay > 1 else h
        # rows of a batch can be at different t, where steps are masked
        turns = (
            [h]
            if self.n_matrices == 1
            else [tf.where(clock[:, :1] == n, h, 0) for n in range(self.n_matrices)]
        )
        z = tf.add_n([times(turn) for times, turn in zip(products, turns, strict=True)])
        h, *c = lstm_gates(z, *c) if c else [tf.nn.relu(z)]
        if self.skip is not None:
            h += tf.where(clock[:, 1:] == 0, skipped, 0)
        return [h, *c, tick(clock, (self.n_matrices, self.skip or 1))]
