"""A plain recurrent network, and one whose transition is a network of several layers."""

from functools import partial
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import one_of
from .arguments import RecurrentArguments
from .base import RecurrentCell, biased
from .checks import flag, whole_number

ACTIVATIONS = ("tanh", "sigmoid", "relu")


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class DeepRNNCell(RecurrentCell):
    """One step of a recurrent network with a deep transition and a deep output.

    (Pascanu et al. 2014, "How to construct deep recurrent neural networks": DT(S)-RNN, and with
    `deep_output` DOT(S)-RNN.)

        u^1_t = a(W^1 x_t + U^1 h_{t-1} + b^1)
        u^l_t = a(U^l u^{l-1}_t + b^l + [W^l x_t + S^l h_{t-1}])    l = 2 .. L; [] with `shortcut`
        h_t   = u^L_t
        o_t   = h_t,  or with `deep_output` a(V h_t + d)            the output

    The shortcut is that of the authors' program, where input and state enter every level. `depth =
    1` is the plain recurrent network (with a = sigmoid that of Mikolov et al. 2010).

    Weights of level l = 0, 1, ...: `recurrent_kernel_l` U [H, H], `bias_l` b [H]; of the first, and
    with `shortcut` of all, `kernel_l` W [D, H]; with it from l = 1 on `shortcut_kernel_l` S [H, H].
    Then `output_kernel` V [H, H], `output_bias` d [H]. State: h [B, H].

    Args:
        units: H.
        depth: L.
        shortcut: whether input and state enter every level.
        activation: a, "tanh", "sigmoid" (both sources) or "relu".
        deep_output: whether there is a layer between state and output.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.SimpleRNNCell`; the first one's also of V.
        use_bias: whether there are biases.

    Raises:
        ValueError: units or depth below 1; another activation.

    Example:
        ```python
        cell = DeepRNNCell(8, depth=2, activation="sigmoid")
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {
        **RecurrentCell.checks,
        "depth": whole_number,
        "activation": partial(one_of, choices=ACTIVATIONS),
        **dict.fromkeys(("shortcut", "deep_output"), flag),
    }

    def __init__(
        self,
        units: int,
        depth: int = 2,
        shortcut: bool = True,
        activation: str = "tanh",
        deep_output: bool = False,
        **kwargs: Unpack[RecurrentArguments],
    ):
        super().__init__(units, **kwargs)
        self.take(depth=depth, shortcut=shortcut, activation=activation, deep_output=deep_output)
        self.state_size = [units]
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.levels = []
        for n in range(self.depth):
            whole = n == 0 or self.shortcut
            self.levels.append(
                (
                    self.add_kernel(f"kernel_{n}", input_shape[-1]) if whole else None,
                    self.add_recurrent_kernel(f"recurrent_kernel_{n}"),
                    self.add_bias(f"bias_{n}"),
                    self.add_recurrent_kernel(f"shortcut_kernel_{n}") if n and whole else None,
                )
            )
        if self.deep_output:
            self.output_kernel = self.add_kernel("output_kernel", self.units)
            self.output_bias = self.add_bias("output_bias")

    def call(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> o [B, H] and the new state."""
        (h,), a = states, getattr(tf.nn, self.activation)
        u = h
        for kernel, recurrent_kernel, bias, shortcut_kernel in self.levels:
            z = biased(u @ recurrent_kernel, bias)
            z = z if kernel is None else z + inputs @ kernel
            z = z if shortcut_kernel is None else z + h @ shortcut_kernel
            u = a(z)
        if not self.deep_output:
            return u, [u]
        return a(biased(u @ self.output_kernel, self.output_bias)), [u]
