"""Highway layers: deep networks whose layers may pass on what they are given."""

from typing import Unpack

import keras
import tensorflow as tf

from ..cells.arguments import Initializer, LayerArguments
from ..cells.base import fresh
from ..cells.checks import number, whole_number
from ..cells.settings import Settings


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class Highway(Settings, keras.layers.Layer):
    """Highway layer [..., F] -> [..., F]: gates mix the transformed input with the input itself.

    Srivastava et al. 2015; Kim et al. 2016, equation 8.

        t = sigmoid(W_t x + b_t)                    one gate for each block of b units
        y = t * a(W_h x + b_h) + (1 - t) * x        each gate repeated over its block

    With b = 1 each unit has its gate, with b = F the layer has one.

    Weights: `gate` W_t [F, F / b], b_t [F / b]; `transform` W_h [F, F], b_h [F].

    Args:
        units: F.
        block: b, which divides F.
        activation: a.
        gate_bias: initial b_t; the lower, the nearer a stack of many layers begins to the identity.
        kernel_initializer: of both matrices; b_h starts at 0.

    Raises:
        ValueError: sizes below 1, or a block that does not divide the units; inputs of another
            size.

    Example:
        ```python
        layers = [keras.layers.Dense(50, "relu"), *(Highway(50, gate_bias=-6.0) for _ in range(48))]
        scores = keras.Sequential([*layers, keras.layers.Dense(10)])(keras.random.normal([2, 64]))
        ```
    """

    checks = {"units": whole_number, "block": whole_number, "gate_bias": number}

    def __init__(
        self,
        units: int,
        block: int = 1,
        activation: str = "relu",
        gate_bias: float = -2.0,
        kernel_initializer: Initializer = "glorot_uniform",
        **kwargs: Unpack[LayerArguments],
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.take(
            units=units,
            block=block,
            activation=activation,
            gate_bias=gate_bias,
            kernel_initializer=kernel_initializer,
        )
        if self.units % self.block:
            raise ValueError(f"block must divide units, {units}; received {block!r}")
        self.gate = keras.layers.Dense(
            self.units // self.block,
            "sigmoid",
            kernel_initializer=fresh(self.kernel_initializer),
            bias_initializer=keras.initializers.Constant(gate_bias),
            dtype=self.dtype_policy,
            name="gate",
        )
        self.transform = keras.layers.Dense(
            self.units,
            activation,
            kernel_initializer=fresh(self.kernel_initializer),
            dtype=self.dtype_policy,
            name="transform",
        )
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., F]."""
        if input_shape[-1] != self.units:
            raise ValueError(f"inputs must be [..., {self.units}]; received shape {input_shape}")
        self.gate.build(input_shape)
        self.transform.build(input_shape)

    def gates(self, x: tf.Tensor) -> tf.Tensor:
        """t, each repeated over its block: [..., F]."""
        t = self.gate(x)
        return t if self.block == 1 else tf.repeat(t, self.block, -1)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[..., F] -> [..., F]."""
        t = self.gates(x)
        return t * self.transform(x) + (1 - t) * x

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), **self.taken()}
