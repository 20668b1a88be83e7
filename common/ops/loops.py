"""Steps one after the other: as a loop, or written out."""

from collections.abc import Callable

import tensorflow as tf


def loop(n_steps: tf.Tensor | int, step: Callable, start: tuple) -> tuple:
    """`step(t, *state) -> t + 1, *state` n times from `start`; for an int, n copies of the step."""
    if not isinstance(n_steps, int):
        return tf.while_loop(lambda t, *_: t < n_steps, step, start, parallel_iterations=1)
    for _ in range(n_steps):
        start = step(*start)
    return start
