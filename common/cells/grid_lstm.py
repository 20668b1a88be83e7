"""A grid of LSTM transforms, along time and along depth."""

from collections.abc import Callable, Sequence
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import one_of
from ..ops.grid import transform
from .arguments import RecurrentArguments
from .checks import flag, whole_number
from .hoisted import HoistedCell, Level, Tensors, projected


def _priority(name: str, value: str | None) -> str | None:
    return None if value is None else one_of(name, value, ("depth",))


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class GridLSTMCell(HoistedCell):
    """One step of a two-dimensional Grid LSTM of L levels.

    (Kalchbrenner et al. 2016, "Grid long short-term memory", sections 3.1-3.2.)

        h_d^0, m_d^0 = W x_t                  the input enters along depth
        H            = [h_t^l ; h_d^{l-1}]    level l: from the step before and the level below
        h_t^l, m_t^l = T(H, m_t^l)            the transform along time
        h_d^l, m_d^l = T'(H, m_d^{l-1})       the transform along depth
        T: i, f, g, o = V H + b,  m' = sigmoid(f) m + sigmoid(i) tanh(g),  h' = tanh(sigmoid(o) m')

    The output is h_d^L. With `priority="depth"` the transform along depth is computed last, of H =
    [the new h_t^l ; h_d^{l-1}].

    Weights: `input_kernel` W [D, 2H]; for level l = 0, 1, ..., or one for all where `tied`:
    `time_kernel_l`, `depth_kernel_l` V [2H, 4H], `time_bias_l`, `depth_bias_l` b [4H], gates in the
    order i f g o, biases of f initially 1. States: h_t and m_t [B, H] of each level.

    Args:
        units: H.
        depth: L.
        tied: the levels share their weights.
        priority: "depth", or None.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b.

    Raises:
        ValueError: units or depth below 1; `tied` neither True nor False; another priority.

    Example:
        ```python
        cell = GridLSTMCell(8, depth=2, tied=True)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {
        **HoistedCell.checks,
        "depth": whole_number,
        "tied": flag,
        "priority": _priority,
    }

    def __init__(
        self,
        units: int,
        depth: int = 2,
        tied: bool = False,
        priority: str | None = None,
        **kwargs: Unpack[RecurrentArguments],
    ):
        super().__init__(units, **kwargs)
        self.take(depth=depth, tied=tied, priority=priority)
        self.state_size = [units, units] * depth
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.input_kernel = self.add_kernel("input_kernel", input_shape[-1], 2)
        self.transforms = [
            [
                (
                    self.add_recurrent_kernel(f"{along}_kernel_{n}", 4, n_states=2),
                    self.add_bias(f"{along}_bias_{n}", 4, ones=1),
                )
                for along in ("time", "depth")
            ]
            for n in range(1 if self.tied else self.depth)
        ]

    def levels(self) -> Sequence[Level]:
        """The L levels, the first with the inputs' way in."""
        levels = []
        for n in range(self.depth):
            weights = self.transforms[0 if self.tied else n]
            levels.append(_Level(*weights, None if n else self.input_kernel, self.priority))
        return levels


class _Level(Level):
    """One level: of x, or of h and m along depth from the level below."""

    n_states = 2

    def __init__(
        self,
        along_time: tuple,
        along_depth: tuple,
        input_kernel: keras.Variable | None,
        priority: str | None,
    ):
        self.along_time, self.along_depth, self.input_kernel = along_time, along_depth, input_kernel
        self.priority = priority

    def entered(self, below: Tensors) -> Tensors:
        """h and m along depth, as they enter."""
        if self.input_kernel is None:
            return below
        return tf.split(projected(below[0], self.input_kernel), 2, -1)

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """What the transform along time takes from below, by the lower half of its V."""
        (kernel, bias), (h, _) = self.along_time, self.entered(below)
        return [projected(h, tf.convert_to_tensor(kernel)[h.shape[-1] :], bias)], []

    def matrices(self) -> Tensors:
        """The upper half of the V along time."""
        kernel = tf.convert_to_tensor(self.along_time[0])
        return [kernel[: kernel.shape[0] // 2]]

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h and m along time [B, H]."""
        h, m = states
        return transform(products[0](h), m)

    def finish(self, before: Tensors, after: Tensors, below: Tensors) -> Tensors:
        """h and m along depth: nothing of them goes on to the next step."""
        (kernel, bias), (h, m) = self.along_depth, self.entered(below)
        h_time = tf.cast((after if self.priority else before)[0], h.dtype)
        z = projected(tf.concat([h_time, h], -1), kernel, bias)
        return transform(z, tf.cast(m, z.dtype))
