"""A step with a second recurrent edge, of a longer delay."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import BASES, one_of
from ..ops.gates import lstm_gates
from .arguments import RecurrentArguments
from .checks import whole_number
from .hoisted import HoistedCell, Tensors, projected


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class TimeDelayCell(HoistedCell):
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
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b.

    Raises:
        ValueError: units below 1, a delay below 2; another base.

    Example:
        ```python
        cell = TimeDelayCell(8, delay=3, base="lstm")
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {
        **HoistedCell.checks,
        "delay": partial(whole_number, minimum=2),
        "base": partial(one_of, choices=BASES),
    }

    def __init__(
        self, units: int, delay: int = 5, base: str = "rnn", **kwargs: Unpack[RecurrentArguments]
    ):
        super().__init__(units, **kwargs)
        self.take(delay=delay, base=base)
        self.state_size = [delay * units] + [units] * (base == "lstm")
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        n_blocks = 4 if self.base == "lstm" else 1
        self.kernel = self.add_kernel("kernel", input_shape[-1], n_blocks)
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel", n_blocks)
        self.delayed_kernel = self.add_recurrent_kernel("delayed_kernel", n_blocks)
        self.bias = self.add_bias("bias", n_blocks, ones=1 if self.base == "lstm" else None)

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b."""
        return [projected(below[0], self.kernel, self.bias)], []

    def matrices(self) -> Tensors:
        """V over U."""
        kernels = self.delayed_kernel, self.recurrent_kernel
        return [tf.concat([tf.convert_to_tensor(kernel) for kernel in kernels], 0)]

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h, and c."""
        h, *c, delayed = states
        z = products[0](tf.concat([delayed, h], -1))
        return lstm_gates(z, *c) if c else [tf.tanh(z)]
