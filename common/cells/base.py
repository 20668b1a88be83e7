"""What the comparators' cells share: initialisers, zero states, configuration, and a clock."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from .checks import whole_number
from .settings import Settings

# What Keras takes for one: the thing itself, its configuration or its name.
Initializer = Callable | dict | str
Regularizer = Callable | dict | str | None
Constraint = Callable | dict | str | None


class RecurrentCell(Settings, keras.layers.Layer):
    """A step for `keras.layers.RNN`: inputs [B, D], states -> output [B, H], new states.

    A subclass sets `state_size`, creates its weights in `build` and names its own constructor
    arguments in `arguments`. Zero states stand for the time before the sequence.

    Args:
        units: H.
        kernel_initializer, recurrent_initializer, bias_initializer: as for
            `keras.layers.LSTMCell`.
    """

    arguments: tuple[str, ...] = ()
    # the weights have the shapes that the arguments ask for
    _settled = property(lambda self: getattr(self, "built", False))
    setting_names = property(lambda self: ("units", *self.arguments))

    def __init__(
        self,
        units: int,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = self.output_size = whole_number("units", units)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

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

    def add_bias(self, name: str, n_blocks: int = 1, ones: int | None = None) -> keras.Variable:
        """A weight [n_blocks * H], one in the block `ones` (that of the forget gate).

        Elsewhere it begins as `bias_initializer` says.
        """
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
        config = {name: getattr(self, name) for name in ("units", *self.arguments)}
        config = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in config.items()
        }
        for name in ("kernel_initializer", "recurrent_initializer", "bias_initializer"):
            config[name] = keras.initializers.serialize(getattr(self, name))
        return {**super().get_config(), **config}


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

    Keras' initializers repeat their numbers for each weight.
    """
    return (
        initializer.clone()
        if isinstance(initializer, keras.initializers.Initializer)
        else initializer
    )


def with_block(initializer: Callable, units: int, block: int, value: float) -> Callable:
    """The initializer of a bias [n * units] that is `value` in one block.

    Elsewhere it is as `initializer` says.
    """

    def initial(shape: tuple[int, ...], dtype: str | None = None):
        drawn = fresh(initializer)(shape, dtype=dtype)
        return tf.where(tf.range(shape[0]) // units == block, tf.cast(value, drawn.dtype), drawn)

    return initial
