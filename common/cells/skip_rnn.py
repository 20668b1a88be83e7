"""A step with several recurrent matrices that take turns, and additive skip connections."""

from functools import partial
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import one_of
from ..ops.gates import lstm_gates
from .arguments import RecurrentArguments
from .base import RecurrentCell, biased, shift, tick
from .checks import whole_number, whole_number_or_none

BASES = ("rnn", "lstm")


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class SkipRNNCell(RecurrentCell):
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
        **RecurrentCell.checks,
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
        self.state_size = [(skip or 1) * units] + [units] * (base == "lstm") + [2]
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

    def call(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h [B, H] and the new states."""
        history, *c, clock = states
        latest = history[:, -self.units :]
        z = biased(inputs @ self.kernel, self.bias)
        # rows of a batch can be at different t, where steps are masked
        for n, kernel in enumerate(self.recurrent_kernels):
            z += tf.where(clock[:, :1] == n, latest @ kernel, 0)
        h, *c = lstm_gates(z, *c) if c else [tf.nn.relu(z)]
        if self.skip is not None:
            h += tf.where(clock[:, 1:] == 0, history[:, : self.units], 0)
        return h, [shift(history, h), *c, tick(clock, (self.n_matrices, self.skip or 1))]
