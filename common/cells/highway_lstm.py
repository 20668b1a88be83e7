"""Stacked LSTMs whose cell states are connected from layer to layer."""

from collections.abc import Callable, Sequence
from typing import Unpack

import keras
import tensorflow as tf

from .arguments import RecurrentArguments
from .checks import number, whole_number
from .hoisted import HoistedCell, Level, Tensors, projected


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class HighwayLSTMCell(HoistedCell):
    """One step of a Highway LSTM of L layers.

    (Zhang et al. 2015, "Highway LSTM RNNs for distant speech recognition".)

        i, f, g, o = W^l x^l_t + U^l h^l_{t-1} + b^l        x^1_t = x_t,  x^l_t = h^{l-1}_t
        d     = sigmoid(W_d^l x^l_t + p^l c^l_{t-1} + q^l c^{l-1}_t + b_d^l)    for l > 1
        c^l_t = d c^{l-1}_t + sigmoid(f) c^l_{t-1} + sigmoid(i) tanh(g)
        h^l_t = sigmoid(o) tanh(c^l_t)

    The output is h^L_t. With the depth gates d closed (the idea is Srivastava's, 2015) these are
    stacked LSTMs. Those of Zhang et al. have peepholes and projections, these have not.

    Weights of layer l = 0, 1, ...: `kernel_l` [D or H, 4H], `recurrent_kernel_l` [H, 4H], `bias_l`
    [4H] as `keras.layers.LSTM` lays them out; from l = 1 on `depth_kernel_l` W_d [H, H],
    `depth_peephole_l` p and q [2, H] (initially 0), `depth_bias_l` b_d [H] (initially
    `depth_bias`). States: h and c [B, H] of each layer.

    Args:
        units: H.
        depth: L.
        depth_bias: initial bias of the depth gates; negative values begin near the stacked LSTM.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b; b_d are there in any case.

    Raises:
        ValueError: units or depth below 1; a depth_bias that is no number.

    Example:
        ```python
        cell = HighwayLSTMCell(8, depth=2, depth_bias=-1.0)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {**HoistedCell.checks, "depth": whole_number, "depth_bias": number}

    def __init__(
        self,
        units: int,
        depth: int = 2,
        depth_bias: float = 0.0,
        **kwargs: Unpack[RecurrentArguments],
    ):
        super().__init__(units, **kwargs)
        self.take(depth=depth, depth_bias=depth_bias)
        self.state_size = [units, units] * depth
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.lstms, self.depth_gates = [], []
        for n in range(self.depth):
            kernel = self.add_kernel(f"kernel_{n}", self.units if n else input_shape[-1], 4)
            self.lstms.append(
                (
                    kernel,
                    self.add_recurrent_kernel(f"recurrent_kernel_{n}", 4),
                    self.add_bias(f"bias_{n}", 4, ones=1),
                )
            )
        for n in range(1, self.depth):
            kernel = self.add_kernel(f"depth_kernel_{n}", self.units)
            peephole = self.add_weight(
                name=f"depth_peephole_{n}", shape=(2, self.units), initializer="zeros"
            )
            bias = keras.initializers.Constant(self.depth_bias)
            self.depth_gates.append(
                (
                    kernel,
                    peephole,
                    self.add_weight(name=f"depth_bias_{n}", shape=(self.units,), initializer=bias),
                )
            )

    def levels(self) -> Sequence[Level]:
        """The L layers."""
        gates = [None, *self.depth_gates]
        return [_Layer(lstm, gate) for lstm, gate in zip(self.lstms, gates, strict=True)]


class _Layer(Level):
    """One of the LSTMs: given x alone, or h and c of the one below."""

    n_states = 2

    def __init__(self, lstm: tuple, depth_gate: tuple | None):
        self.lstm, self.depth_gate = lstm, depth_gate

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b; the depth gate's part from below, and c from below."""
        kernel, _, bias = self.lstm
        addends = [projected(below[0], kernel, bias)]
        if self.depth_gate is None:
            return addends, []
        (x, c), (kernel, peephole, bias) = below, self.depth_gate
        z = projected(x, kernel, bias)
        peephole = tf.cast(tf.convert_to_tensor(peephole)[1], z.dtype)
        return addends, [z + peephole * tf.cast(c, z.dtype), c]

    def matrices(self) -> Tensors:
        """U."""
        return [self.lstm[1]]

    def vectors(self) -> Tensors:
        """p."""
        return [] if self.depth_gate is None else [tf.convert_to_tensor(self.depth_gate[1])[0]]

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h and c [B, H]."""
        h, c = states
        i, f, g, o = tf.split(products[0](h), 4, -1)
        new = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        if others:
            (z, below), (peephole,) = others, vectors
            new += tf.sigmoid(z + peephole * c) * below
        return [tf.sigmoid(o) * tf.tanh(new), new]
