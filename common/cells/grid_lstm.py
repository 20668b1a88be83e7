"""A grid of LSTM transforms, along time and along depth."""

from typing import Unpack

import keras
import tensorflow as tf

from .arguments import RecurrentArguments
from .base import RecurrentCell, biased
from .checks import flag, whole_number


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class GridLSTMCell(RecurrentCell):
    """One step of a two-dimensional Grid LSTM of L levels.

    (Kalchbrenner et al. 2016, "Grid long short-term memory", sections 3.1-3.2.)

        h_d^0, m_d^0 = W x_t                  the input enters along depth
        H            = [h_t^l ; h_d^{l-1}]    level l: from the step before and the level below
        h_t^l, m_t^l = T(H, m_t^l)            the transform along time
        h_d^l, m_d^l = T'(H, m_d^{l-1})       the transform along depth
        T: i, f, g, o = V H + b,  m' = sigmoid(f) m + sigmoid(i) tanh(g),  h' = tanh(sigmoid(o) m')

    The output is h_d^L.

    Weights: `input_kernel` W [D, 2H]; for level l = 0, 1, ..., or one for all where `tied`:
    `time_kernel_l`, `depth_kernel_l` V [2H, 4H], `time_bias_l`, `depth_bias_l` b [4H], gates in the
    order i f g o, biases of f initially 1. States: h_t and m_t [B, H] of each level.

    Args:
        units: H.
        depth: L.
        tied: the levels share their weights.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b.

    Raises:
        ValueError: units or depth below 1; `tied` neither True nor False.

    Example:
        ```python
        cell = GridLSTMCell(8, depth=2, tied=True)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {**RecurrentCell.checks, "depth": whole_number, "tied": flag}

    def __init__(
        self, units: int, depth: int = 2, tied: bool = False, **kwargs: Unpack[RecurrentArguments]
    ):
        super().__init__(units, **kwargs)
        self.take(depth=depth, tied=tied)
        self.state_size = [units, units] * depth
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.input_kernel = self.add_kernel("input_kernel", input_shape[-1], 2)
        self.levels = [
            [
                (
                    self.add_recurrent_kernel(f"{along}_kernel_{n}", 4, n_states=2),
                    self.add_bias(f"{along}_bias_{n}", 4, ones=1),
                )
                for along in ("time", "depth")
            ]
            for n in range(1 if self.tied else self.depth)
        ]

    def call(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h along depth of the last level [B, H] and the new states."""
        h_depth, m_depth = tf.split(inputs @ self.input_kernel, 2, -1)
        new_states = []
        for n in range(self.depth):
            along_time, along_depth = self.levels[0 if self.tied else n]
            h_time, m_time = states[2 * n : 2 * n + 2]
            both = tf.concat([h_time, h_depth], -1)
            new_states += _transform(both, m_time, *along_time)
            h_depth, m_depth = _transform(both, m_depth, *along_depth)
        return h_depth, new_states


def _transform(h: tf.Tensor, m: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None):
    """The new hidden and memory vector [B, H], of hidden vectors [B, 2H] and a memory vector."""
    i, f, g, o = tf.split(biased(h @ kernel, bias), 4, -1)
    m = tf.sigmoid(f) * m + tf.sigmoid(i) * tf.tanh(g)
    return [tf.tanh(tf.sigmoid(o) * m), m]
