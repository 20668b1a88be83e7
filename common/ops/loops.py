"""Steps one after the other, as a loop or written out, and what they read and write."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def loop(n_steps: tf.Tensor | int, step: Callable, start: tuple) -> tuple:
    """`step(t, *state) -> t + 1, *state` n times from `start`; for an int, n copies of the step."""
    if not isinstance(n_steps, int):
        return tf.while_loop(lambda t, *_: t < n_steps, step, start, parallel_iterations=1)
    for _ in range(n_steps):
        start = step(*start)
    return start


def buffer(a: tf.Tensor) -> tf.TensorArray:
    """A buffer of slots a [N, B, H] that can be read and written."""
    return tf.TensorArray(
        a.dtype, tf.shape(a)[0], clear_after_read=False, element_shape=a.shape[1:]
    ).unstack(a)


def written(
    arrays: Sequence[tf.TensorArray], slot: tf.Tensor, values: Sequence[tf.Tensor]
) -> list[tf.TensorArray]:
    """The arrays with a value each in that slot."""
    return [a.write(slot, value) for a, value in zip(arrays, values, strict=True)]
