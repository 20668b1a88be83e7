"""A plain recurrent network, and one whose transition is a network of several layers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import ACTIVATIONS, one_of
from .arguments import RecurrentArguments
from .base import biased
from .checks import flag, whole_number
from .hoisted import HoistedCell, Tensors, projected


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class DeepRNNCell(HoistedCell):
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
        **HoistedCell.checks,
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
        self.layers = []
        for n in range(self.depth):
            whole = n == 0 or self.shortcut
            self.layers.append(
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

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b of each level; nothing is added to what h gives to levels above the first."""
        made = []
        for kernel, _, bias, _ in self.layers:
            if kernel is not None:
                made.append(projected(below[0], kernel, bias))
            else:
                made.append(biased(tf.zeros_like(made[0]), _wide(bias, made[0])))
        n_shortcuts = sum(shortcut is not None for *_, shortcut in self.layers)
        return [tf.concat([made[0]] + [tf.zeros_like(made[0])] * n_shortcuts, -1), *made[1:]], []

    def matrices(self) -> Tensors:
        """The first U beside all S, which multiply h; the other U."""
        first, *kernels = (tf.convert_to_tensor(kernel) for _, kernel, _, _ in self.layers)
        shortcuts = [tf.convert_to_tensor(one) for *_, one in self.layers if one is not None]
        return [tf.concat([first, *shortcuts], -1), *kernels]

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h [B, H]."""
        a, (of_h, *of_levels) = getattr(tf.nn, self.activation), products
        z = of_h(states[0])
        first, *shortcuts = tf.split(z, z.shape[-1] // self.units, -1)
        u = a(first)
        for n, times in enumerate(of_levels):
            z = times(u)
            u = a(z + shortcuts[n] if shortcuts else z)
        return [u]

    def finish(self, before: Tensors, after: Tensors, below: Tensors) -> Tensors:
        """o."""
        if not self.deep_output:
            return after
        z = projected(after[0], self.output_kernel, self.output_bias)
        return [getattr(tf.nn, self.activation)(z)]


def _wide(bias: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor | None:
    return None if bias is None else tf.cast(tf.convert_to_tensor(bias), like.dtype)
