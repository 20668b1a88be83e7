"""Skip RNN: a step that decides whether the state is updated or copied.

The LSTM's form, and what it shares with the GRU's.
"""

from collections.abc import Callable, Sequence
from typing import Unpack

import keras
import tensorflow as tf

from ..ops.gates import lstm_gates
from ..ops.products import wide
from ..ops.sequence_gradient import custom_gradient
from .arguments import RecurrentArguments
from .base import fresh
from .hoisted import HoistedCell, Tensors, projected


@custom_gradient
def binarise(u: tf.Tensor) -> tf.Tensor:
    """round(u), with the gradient of the identity (straight-through)."""
    return tf.round(u), lambda upstream: upstream


def counted(count: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
    """A count [B, 2], ones and 128s, with u [B, 1] more.

    In small numbers, because 16 bits stop counting at 256.
    """
    ones, carries = tf.split(count, 2, -1)
    ones += u
    carry = tf.stop_gradient(tf.floor(ones / 128))
    return tf.concat([ones - 128 * carry, carries + carry], -1)


def n_updates(count: tf.Tensor) -> tf.Tensor:
    """The number [B] that a count [B, 2] stands for, in float32 at least."""
    count = tf.cast(count, wide(count.dtype))
    return tf.linalg.matvec(count, tf.constant([1.0, 128.0], count.dtype))


class UpdateSkippingCell(HoistedCell):
    """What `SkipLSTMCell` and `SkipGRUCell` share: a step that is taken or left out.

    States: those of S; then u~ of the next step [B, 1], whether the sequence has begun [B, 1], and
    how many updates there were, [B, 2] for `n_updates`. All zeros is the time before the sequence,
    so that the learned s_0 needs no state of its own.

    A subclass has `n_updated`, the number of S's states, and a method `update(states, products) ->
    new states`, h first; du is computed from the last of them.
    """

    n_updated: int

    def __init__(self, units: int, **kwargs: Unpack[RecurrentArguments]):
        super().__init__(units, **kwargs)
        self.state_size, self.n_counters = [units] * self.n_updated + [1, 1, 2], 3

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.initial_states = [
            self.add_weight(name=f"initial_state_{n}", shape=(self.units,), initializer="zeros")
            for n in range(self.n_updated)
        ]
        self.update_kernel = self.add_weight(
            name="update_kernel", shape=(self.units, 1), initializer=fresh(self.kernel_initializer)
        )
        self.update_bias = self.add_weight(name="update_bias", shape=(1,), initializer="ones")

    def enter(self, states: Tensors) -> Tensors:
        """s_0 and u~_1 = 1 where the sequence has not begun."""
        *states, pending, begun, count = states
        states = [
            s + (1 - begun) * tf.cast(tf.convert_to_tensor(initial), s.dtype)
            for s, initial in zip(states, self.initial_states, strict=True)
        ]
        return [*states, pending + 1 - begun, tf.ones_like(begun), count]

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b of S, in as many parts as it has products; b of du."""
        sizes = [u.shape[-1] for u in self.matrices()]
        z = projected(below[0], self.kernel, self.bias)
        bias = tf.cast(tf.convert_to_tensor(self.update_bias), z.dtype)
        return [*tf.split(z, sizes[:-1], -1), tf.zeros_like(z[..., :1]) + bias], []

    def matrices(self) -> Tensors:
        """U of S, and w."""
        return [self.recurrent_kernel, self.update_kernel]

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """The new states: those of S and the three counters."""
        *states, pending, begun, count = states
        *of_update, of_increment = products
        u = binarise(pending)
        states = [
            u * new + (1 - u) * old
            for new, old in zip(self.update(states, of_update), states, strict=True)
        ]
        increment = tf.sigmoid(of_increment(states[-1]))
        pending = u * increment + (1 - u) * (pending + tf.minimum(increment, 1 - pending))
        return [*states, pending, begun, counted(count, u)]


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class SkipLSTMCell(UpdateSkippingCell):
    """One step of the Skip LSTM, which is taken or left out.

    (Campos et al. 2018, "Skip RNN", eq. 2-6.) With S the LSTM, s = (h, c) and w on c:

        u_t      = round(u~_t)                        its gradient is that of u~_t
        s_t      = u_t S(x_t, s_{t-1}) + (1 - u_t) s_{t-1}
        du_t     = sigmoid(w s_t + b)
        u~_{t+1} = u_t du_t + (1 - u_t) (u~_t + min(du_t, 1 - u~_t)),           u~_1 = 1
        s_0      learned

    `UpdateSkippingRNN` runs it over a sequence and charges for the updates.

    Weights: `kernel` [D, 4H], `recurrent_kernel` [H, 4H], `bias` [4H] as `keras.layers.LSTM` lays
    them out; `update_kernel` [H, 1], `update_bias` [1] (initially 1), `initial_state_0`,
    `initial_state_1` [H] (h and c, initially 0). States: h, c and the three counters.

    Args:
        units: H.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there is `bias`; `update_bias` is there in any case.

    Raises:
        ValueError: units below 1.

    Example:
        ```python
        layer = UpdateSkippingRNN(SkipLSTMCell(8), update_cost=1e-3)
        h = layer(keras.random.normal([2, 5, 4]))  # [2, 8]
        ```
    """

    n_updated = 2

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        self.kernel = self.add_kernel("kernel", input_shape[-1], 4)
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel", 4)
        self.bias = self.add_bias("bias", 4, ones=1)
        super().build(input_shape)

    def update(self, states: Tensors, products: Sequence[Callable]) -> Tensors:
        """The LSTM."""
        h, c = states
        return lstm_gates(products[0](h), c)
