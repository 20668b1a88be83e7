"""A step of leaky units, each with a time constant of its own."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import keras
import tensorflow as tf

from ..choices import LEAKS, one_of
from .arguments import Initializer, RecurrentArguments
from .base import fresh
from .hoisted import HoistedCell, Tensors, projected


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class LeakyCell(HoistedCell):
    """One step of a recurrent network of leaky units.

    (Mozer 1992; Goodfellow et al. 2016, section 10.9.2.)

        v_t  = tanh(W x_t + U mu_{t-1} + b)
        mu_t = a mu_{t-1} + (1 - a) v_t                    the output

    Each unit has its a in (0, 1): drawn once, uniformly, and fixed; or learned from there, as the
    sigmoid of a weight.

    Weights: `kernel` W [D, H], `recurrent_kernel` U [H, H], `bias` b [H], `leak` [H]: a ("fixed",
    not trainable) or log(a / (1 - a)) ("learned"). State: mu [B, H].

    Args:
        units: H.
        leak: "fixed" or "learned".
        leak_initializer: of a.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b.

    Raises:
        ValueError: units below 1; another leak.

    Example:
        ```python
        cell = LeakyCell(8, leak="learned")
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    checks = {**HoistedCell.checks, "leak": partial(one_of, choices=LEAKS)}

    def __init__(
        self,
        units: int,
        leak: str = "fixed",
        leak_initializer: Initializer | None = None,
        **kwargs: Unpack[RecurrentArguments],
    ):
        super().__init__(units, **kwargs)
        leak_initializer = leak_initializer or keras.initializers.RandomUniform(0.0, 1.0)
        self.take(leak=leak, leak_initializer=leak_initializer)
        self.state_size = [units]
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.kernel = self.add_kernel("kernel", input_shape[-1])
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel")
        self.bias = self.add_bias("bias")
        learned = self.leak == "learned"

        def initial(shape: tuple[int, ...], dtype: str | None = None):
            a = fresh(self.leak_initializer)(shape, dtype=dtype)
            if not learned:
                return a
            a = tf.clip_by_value(a, 1e-3, 1 - 1e-3)
            return tf.math.log(a / (1 - a))

        self.leak_weight = self.add_weight(
            name="leak", shape=(self.units,), initializer=initial, trainable=learned
        )

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b."""
        return [projected(below[0], self.kernel, self.bias)], []

    def matrices(self) -> Tensors:
        """U."""
        return [self.recurrent_kernel]

    def vectors(self) -> Tensors:
        """a."""
        a = tf.convert_to_tensor(self.leak_weight)
        return [tf.sigmoid(a) if self.leak == "learned" else a]

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """mu [B, H]."""
        (mu,), (a,) = states, vectors
        return [a * mu + (1 - a) * tf.tanh(products[0](mu))]
