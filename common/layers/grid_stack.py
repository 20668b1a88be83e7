"""A Grid LSTM of one dimension, depth: a feed-forward network with an LSTM's memory."""

from typing import Unpack

import keras
import tensorflow as tf

from ..cells.arguments import RecurrentArguments
from ..cells.base import RecurrentCell
from ..cells.checks import flag, whole_number
from ..ops.grid import grid_block


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class GridStack(RecurrentCell):
    """A one-dimensional Grid LSTM of L levels: inputs [B, D] -> outputs [B, H].

    (Kalchbrenner et al. 2016, "Grid long short-term memory", sections 3.1 and 4.1.)

        h^0, m^0 = W x
        h^l, m^l = T(h^{l-1}, m^{l-1})         the transform of `ops.grid`
        y        = h^L

    Weights: `input_kernel` W [D, 2H]; for level l = 0, 1, ..., or one for all where `tied`:
    `depth_kernel_l` V [H, 4H], `depth_bias_l` b [4H], gates in the order i f g o, biases of f
    initially 1.

    Args:
        units: H.
        depth: L.
        tied: the levels share their weights.
        The rest as for `GridLSTMCell`.

    Raises:
        ValueError: units or depth below 1; `tied` neither True nor False.
    """

    checks = {**RecurrentCell.checks, "depth": whole_number, "tied": flag}

    def __init__(
        self, units: int, depth: int = 2, tied: bool = False, **kwargs: Unpack[RecurrentArguments]
    ):
        super().__init__(units, **kwargs)
        self.take(depth=depth, tied=tied)
        self.state_size = []
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [B, D]."""
        self.input_kernel = self.add_kernel("input_kernel", input_shape[-1], 2)
        self.transforms = [
            (
                self.add_recurrent_kernel(f"depth_kernel_{n}", 4),
                self.add_bias(f"depth_bias_{n}", 4, ones=1),
            )
            for n in range(1 if self.tied else self.depth)
        ]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[B, D] -> [B, H]."""
        h, m = tf.split(inputs @ tf.convert_to_tensor(self.input_kernel), 2, -1)
        for n in range(self.depth):
            weights = self.transforms[0 if self.tied else n]
            weights = [None if w is None else tf.convert_to_tensor(w) for w in weights]
            (h,), (m,) = grid_block([h], [m], [weights])
        return h
