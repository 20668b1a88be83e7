"""What the comparators' cells share: initialisers, zero states, configuration, and a clock."""

from collections.abc import Callable
from typing import Any, Unpack

import keras
import tensorflow as tf

from .arguments import Initializer, LayerArguments
from .checks import flag, whole_number
from .settings import Settings


class RecurrentCell(Settings, keras.layers.Layer):
    """A step for `keras.layers.RNN`: inputs [B, D], states -> output [B, H], new states.

    A subclass sets `state_size`, creates its weights in `build` and calls `take` and `settle` for
    its own constructor's arguments. Zero states stand for the time before the sequence.

    Args:
        units: H.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
        use_bias: whether there are biases b; a gate that is not the LSTM's or GRU's keeps its own.
    """

    # how many of the states, the last ones, are numbers that the cell keeps beside its units
    n_counters = 0
    checks = {"units": whole_number, "use_bias": flag}

    def __init__(
        self,
        units: int,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        use_bias: bool = True,
        **kwargs: Unpack[LayerArguments],
    ):
        super().__init__(**kwargs)
        self.take(
            units=units,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            use_bias=use_bias,
        )
        self.output_size = self.units
        self.settle()

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As of any layer; inputs may be whole numbers or bools."""
        return super().__call__(as_floats(inputs, self.compute_dtype), *args, **kwargs)

    def add_kernel(self, name: str, n_inputs: int, n_blocks: int = 1) -> keras.Variable:
        """A weight [n_inputs, n_blocks * H] on inputs."""
        return self.add_weight(
            name=name,
            shape=(n_inputs, n_blocks * self.units),
            initializer=fresh(self.kernel_initializer),
        )

    def add_recurrent_kernel(
        self, name: str, n_blocks: int = 1, n_states: int = 1
    ) -> keras.Variable:
        """A weight [n_states * H, n_blocks * H] on states."""
        shape = (n_states * self.units, n_blocks * self.units)
        return self.add_weight(
            name=name, shape=shape, initializer=fresh(self.recurrent_initializer)
        )

    def add_bias(
        self, name: str, n_blocks: int = 1, ones: int | None = None
    ) -> keras.Variable | None:
        """A weight [n_blocks * H], one in the block `ones` (that of the forget gate).

        Elsewhere it begins as `bias_initializer` says. None without `use_bias`.
        """
        if not self.use_bias:
            return None
        initial = (
            fresh(self.bias_initializer)
            if ones is None
            else with_block(self.bias_initializer, self.units, ones, 1.0)
        )
        return self.add_weight(name=name, shape=(n_blocks * self.units,), initializer=initial)

    def get_initial_state(self, batch_size: int | tf.Tensor | None = None) -> list[tf.Tensor]:
        """Zero states."""
        return [tf.zeros([batch_size, size], self.compute_dtype) for size in self.state_size]

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), **self.taken()}


def as_floats(a: Any, dtype: str) -> Any:
    """A tensor as it is, whole numbers and bools in this dtype, in which they can be scaled."""
    given = getattr(a, "dtype", None)
    return a if given is None or keras.backend.is_float_dtype(given) else keras.ops.cast(a, dtype)


def biased(z: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """z + b, or z where there is no bias."""
    return z if bias is None else z + bias


def shift(history: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """The past n states, flat [B, n * H] with the oldest first, one step later.

    `new` [B, H] comes in, the oldest goes.
    """
    return tf.concat([history[:, new.shape[-1] :], new], -1)


def tick(clock: tf.Tensor, periods: tuple[int, ...]) -> tf.Tensor:
    """The next step's t mod period, of this step's [B, n]: small numbers, exact in 16 bits too."""
    after = clock + 1
    return tf.where(after >= tf.constant(periods, clock.dtype), tf.zeros_like(after), after)


def fresh(initializer: Callable) -> Callable:
    """The initializer with a seed of its own unless it was given one.

    Keras' initializers repeat their numbers for each weight. One of a user's class stays as it is.
    """
    whole = type(initializer).__module__.startswith("keras.")  # others' may lack a whole config
    own = isinstance(initializer, keras.initializers.Initializer) and whole
    return initializer.clone() if own else initializer


def with_block(initializer: Callable, units: int, block: int, value: float) -> Callable:
    """The initializer of a bias [n * units] that is `value` in one block.

    Elsewhere it is as `initializer` says.
    """

    def initial(shape: tuple[int, ...], dtype: str | None = None):
        drawn = fresh(initializer)(shape, dtype=dtype)
        return tf.where(tf.range(shape[0]) // units == block, tf.cast(value, drawn.dtype), drawn)

    return initial
