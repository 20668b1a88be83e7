"""The LSTM with peepholes, and its variants with one change each."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import VARIANTS, one_of
from .arguments import RecurrentArguments
from .hoisted import HoistedCell, Tensors, projected

_WITHOUT = {"NIG": "i", "NFG": "f", "NOG": "o", "CIFG": "f"}  # the gate that has no weights


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class PeepholeLSTMCell(HoistedCell):
    """One step of the vanilla LSTM or one of its eight variants.

    (Greff et al. 2015, "LSTM: a search space odyssey".)

        i   = sigmoid(W_i x_t + U_i h_{t-1} + p_i c_{t-1} + b_i)
        f   = sigmoid(W_f x_t + U_f h_{t-1} + p_f c_{t-1} + b_f)
        g   = tanh(W_g x_t + U_g h_{t-1} + b_g)
        c_t = f c_{t-1} + i g
        o   = sigmoid(W_o x_t + U_o h_{t-1} + p_o c_t + b_o)
        h_t = o tanh(c_t)

    NIG: i = 1. NFG: f = 1. NOG: o = 1. NIAF: g without its tanh. NOAF: h_t = o c_t. NP: no
    peepholes, the LSTM of Keras. CIFG: f = 1 - i.
    FGR: each of i, f and o also sees the three of the step before.

    Weights, n = 4 blocks in the order i f g o, less that of a gate that is left out: `kernel` W [D,
    nH], `recurrent_kernel` U [H, nH], `bias` b [nH] (that of f initially 1); `peephole` p [n - 1,
    H], initially 0 (none for NP); `gate_kernel` [3H, 3H], from and to i f o (FGR alone).
    States: h and c [B, H]; for FGR the gates i f o [B, 3H].

    Args:
        units: H.
        variant: "vanilla" or one of the above.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b.

    Raises:
        ValueError: units below 1; an unknown variant.

    Example:
        ```python
        cell = PeepholeLSTMCell(8, variant="CIFG")
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {**HoistedCell.checks, "variant": partial(one_of, choices=VARIANTS)}

    def __init__(self, units: int, variant: str = "vanilla", **kwargs: Unpack[RecurrentArguments]):
        super().__init__(units, **kwargs)
        self.take(variant=variant)
        self.blocks = "ifgo".replace(_WITHOUT.get(variant, " "), "")
        self.state_size = [units, units] + [3 * units] * (variant == "FGR")
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        n = len(self.blocks)
        self.kernel = self.add_kernel("kernel", input_shape[-1], n)
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel", n)
        self.bias = self.add_bias(
            "bias", n, ones=self.blocks.index("f") if "f" in self.blocks else None
        )
        if self.variant != "NP":
            self.peephole = self.add_weight(
                name="peephole", shape=(n - 1, self.units), initializer="zeros"
            )
        if self.variant == "FGR":
            self.gate_kernel = self.add_recurrent_kernel("gate_kernel", 3, n_states=3)

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b; for FGR nothing is added to what its gates give to each other."""
        z = projected(below[0], self.kernel, self.bias)
        return [z] + [tf.zeros_like(z[..., : 3 * self.units])] * (self.variant == "FGR"), []

    def matrices(self) -> Tensors:
        """U; for FGR the gates' own too."""
        kernels = [self.recurrent_kernel, *([self.gate_kernel] if self.variant == "FGR" else [])]
        return kernels

    def vectors(self) -> Tensors:
        """p of each gate that sees the state of the cell."""
        return [] if self.variant == "NP" else tf.unstack(tf.convert_to_tensor(self.peephole))

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h and c [B, H]; for FGR i f o [B, 3H]."""
        variant, (h, c, *gates) = self.variant, states
        z = dict(zip(self.blocks, tf.split(products[0](h), len(self.blocks), -1), strict=True))
        if variant == "FGR":
            for name, add in zip("ifo", tf.split(products[1](gates[0]), 3, -1), strict=True):
                z[name] += add
        peephole = dict(zip(self.blocks.replace("g", ""), vectors, strict=bool(vectors)))

        def gate(name: str, c: tf.Tensor):
            """A gate that sees c; 1 where the variant has none."""
            if name not in z:
                return tf.ones_like(c)
            return tf.sigmoid(z[name] + peephole[name] * c if peephole else z[name])

        i = gate("i", c)
        f = 1 - i if variant == "CIFG" else gate("f", c)
        c = f * c + i * (z["g"] if variant == "NIAF" else tf.tanh(z["g"]))
        o = gate("o", c)
        h = o * (c if variant == "NOAF" else tf.tanh(c))
        return [h, c] + ([tf.concat([i, f, o], -1)] if variant == "FGR" else [])
