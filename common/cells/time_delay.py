"""A step with a second recurrent edge, of a longer delay."""

from typing import Any

import keras
import tensorflow as tf

from ..choices import one_of
from ..ops.gates import lstm_gates
from .base import RecurrentCell, shift, whole_number

BASES = ("rnn", "lstm")


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class TimeDelayCell(RecurrentCell):
    """One step of a recurrent network with two delays, 1 and d (Lin et al. 1996; Goodfellow et al.
    2016, section 10.9.1).

        z_t = W x_t + U h_{t-1} + V h_{t-d} + b
        h_t = tanh(z_t)                                    base "rnn"
        h_t, c_t = LSTM gates of z_t and c_{t-1}           base "lstm"

    Weights, n = 1 ("rnn") or 4 ("lstm", Keras' order i f c o): `kernel` W [D, nH],
    `recurrent_kernel` U [H, nH], `delayed_kernel` V [H, nH], `bias` b [nH], that of the LSTM's
    forget gate initially 1. States: the past d states h, flat [B, d * H], oldest first; with "lstm"
    c [B, H].

    Args:
        units: H.
        delay: d, at least 2.
        base: "rnn" or "lstm".
        The rest as for `RecurrentCell`.
    """

    arguments = ("delay", "base")

    def __init__(self, units: int, delay: int = 5, base: str = "rnn", **kwargs: Any):
        super().__init__(units, **kwargs)
        self.delay, self.base = whole_number("delay", delay, 2), one_of("base", base, BASES)
        self.state_size = [delay * units] + [units] * (base == "lstm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        n_blocks = 4 if self.base == "lstm" else 1
        self.kernel = self.add_kernel("kernel", input_shape[-1], n_blocks)
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel", n_blocks)
        self.delayed_kernel = self.add_recurrent_kernel("delayed_kernel", n_blocks)
        self.bias = self.add_bias("bias", n_blocks, ones=1 if self.base == "lstm" else None)

    def call(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h [B, H] and the new states."""
        history, *c = states
        delayed, latest = history[:, : self.units], history[:, -self.units :]
        z = (
            inputs @ self.kernel
            + latest @ self.recurrent_kernel
            + delayed @ self.delayed_kernel
            + self.bias
        )
        h, *c = lstm_gates(z, *c) if c else [tf.tanh(z)]
        return h, [shift(history, h), *c]
