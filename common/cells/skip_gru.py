"""Skip RNN's form of the GRU."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from .hoisted import Tensors
from .skip_lstm import UpdateSkippingCell


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class SkipGRUCell(UpdateSkippingCell):
    """One step of the Skip GRU.

    `SkipLSTMCell`, where S is the GRU of Cho et al. (2014) and w acts on h:

        z, r = sigmoid(W_zr x_t + U_zr h + b_zr)
        h'   = z h + (1 - z) tanh(W_h x_t + U_h (r h) + b_h)

    Weights: `kernel` [D, 3H], `recurrent_kernel` [H, 3H], `bias` [3H] as
    `keras.layers.GRU(reset_after=False)` lays them out (z r h); `update_kernel` [H, 1],
    `update_bias` [1] (initially 1), `initial_state_0` [H] (initially 0). States: h and the three
    counters.

    Args:
        units: H.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there is `bias`; `update_bias` is there in any case.

    Raises:
        ValueError: units below 1.

    Example:
        ```python
        layer = UpdateSkippingRNN(SkipGRUCell(8), update_cost=1e-3)
        h = layer(keras.random.normal([2, 5, 4]))  # [2, 8]
        ```
    """

    n_updated = 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.kernel = self.add_kernel("kernel", input_shape[-1], 3)
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel", 3)
        self.bias = self.add_bias("bias", 3)
        super().build(input_shape)

    def matrices(self) -> Tensors:
        """U_zr, U_h and w."""
        recurrent_kernel, update_kernel = super().matrices()
        return [*tf.split(recurrent_kernel, [2 * self.units, self.units], -1), update_kernel]

    def update(self, states: Tensors, products: Sequence[Callable]) -> Tensors:
        """The GRU."""
        (h,), (of_gates, of_candidate) = states, products
        z, r = tf.split(tf.sigmoid(of_gates(h)), 2, -1)
        return [z * h + (1 - z) * tf.tanh(of_candidate(r * h))]
