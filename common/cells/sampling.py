"""Inference with sampled distances while a context lasts, whatever the layers' settings."""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

from ..ops.random import fold

_chain: contextvars.ContextVar = contextvars.ContextVar("chain", default=None)


@contextlib.contextmanager
def sampled(seed: int, chain: int = 0) -> Iterator[None]:
    """A context in which layers that are called draw their distances at inference too.

    What they draw follows from `seed`, the number of the chain and the order of the calls; the
    layers' own random streams stay where they are.
    """
    numbers = iter(range(2**31))
    start = fold(tf.constant([seed, 0], tf.int32), chain)
    token = _chain.set(lambda: fold(start, next(numbers)))
    try:
        yield
    finally:
        _chain.reset(token)


def sampling() -> bool:
    """Whether such a context is entered."""
    return _chain.get() is not None


def next_seed() -> tf.Tensor:
    """The next seed of the context, int32 [2]."""
    return tf.cast(_chain.get()(), tf.int32)
