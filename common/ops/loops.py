"""Steps one after the other, as a loop or written out, and what they read and write.

A number of steps that is an int stands for steps that are written out. These count in Python, and
keep what they write in lists, so that there is nothing that only TensorFlow knows.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from . import pfor_patches  # noqa: F401  (what differentiates a buffer row by row is right with it)


def loop(n_steps: tf.Tensor | int, step: Callable, start: tuple) -> tuple:
    """`step(t, *state) -> t + 1, *state` n times from `start`; for an int, n copies of the step."""
    if not isinstance(n_steps, int):
        return tf.while_loop(lambda t, *_: t < n_steps, step, start, parallel_iterations=1)
    for _ in range(n_steps):
        start = step(*start)
    return start


class Slots(list):
    """In place of a `tf.TensorArray` where steps are written out."""

    def write(self, slot: int, value: tf.Tensor) -> "Slots":
        """The same with a value in that slot."""
        self[slot] = value
        return self

    def gather(self, slots: Sequence[int]) -> tf.Tensor:
        """The values in these slots."""
        return tf.stack([self[slot] for slot in slots])

    def stack(self) -> tf.Tensor:
        """All values."""
        return tf.stack(self)


Array = tf.TensorArray | Slots


def empty(n_steps: tf.Tensor | int, dtype: tf.DType, shape: tf.TensorShape | list) -> Array:
    """Where each step writes a value of that shape."""
    if isinstance(n_steps, int):
        return Slots([None] * n_steps)
    return tf.TensorArray(dtype, n_steps, element_shape=shape)


def buffer(a: tf.Tensor, n_steps: tf.Tensor | int) -> Array:
    """A buffer of slots a [N, B, H] that can be read and written."""
    if isinstance(n_steps, int):
        return Slots(tf.unstack(a))
    return tf.TensorArray(
        a.dtype, tf.shape(a)[0], clear_after_read=False, element_shape=a.shape[1:]
    ).unstack(a)


def slots(first: tf.Tensor | int, n: int) -> tf.Tensor | range:
    """The numbers of n slots from `first` [...] on, [..., n]."""
    if isinstance(first, int):
        return range(first, first + n)
    return (first[..., None] if first.shape.rank else first) + tf.range(n)


def written(
    arrays: Sequence[Array], slot: tf.Tensor | int, values: Sequence[tf.Tensor]
) -> list[Array]:
    """The arrays with a value each in that slot."""
    return [a.write(slot, value) for a, value in zip(arrays, values, strict=True)]


def shares_by_source(weights: tf.Tensor) -> tf.Tensor:
    """Each adjoint's share in the gradient of the states it connected to, [K + T, K, B].

    [K + u, k - 1]: the share of step u + k's adjoint in dL/ds_u; zero outside the sequence.

    `weights` [T, K, B]: of the K states in each step's mix, by the step that connects.
    """
    n_actions = weights.shape[1]
    shares = tf.pad(weights, [[n_actions, n_actions], [0, 0], [0, 0]])
    return tf.stack(
        [shares[k : (k - n_actions) or None, k - 1] for k in range(1, n_actions + 1)], 1
    )
