"""Inference with sampled distances while a context lasts, whatever the layers' settings."""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

from ..ops.random import fold, whole_seed

_chain: contextvars.ContextVar = contextvars.ContextVar("chain", default=None)


class _Chain:
    """The seeds of one chain, and how many of them were taken."""

    def __init__(self, seed: int, chain: int):
        self.eager = tf.executing_eagerly()
        self.start = fold(whole_seed(seed), chain)
        self.n_draws = 0

    def next_seed(self) -> tf.Tensor:
        if self.eager and not tf.executing_eagerly():
            raise ValueError(
                "expected a model without a tf.function of its own, found a layer that is called in"
                " one: what it drew would stay in the compiled function; leave the tf.function out"
            )
        self.n_draws += 1
        return tf.cast(fold(self.start, self.n_draws - 1), tf.int32)


@contextlib.contextmanager
def sampled(seed: int, chain: int = 0) -> Iterator[_Chain]:
    """A context in which layers that are called draw their distances at inference too.

    What they draw follows from `seed`, the number of the chain and the order of the calls; the
    layers' own random streams stay where they are. It yields an object whose `n_draws` counts the
    calls that drew.

    Raises:
        ValueError: a layer draws inside a `tf.function` that began after the context was entered.
    """
    token = _chain.set(found := _Chain(seed, chain))
    try:
        yield found
    finally:
        _chain.reset(token)


def sampling() -> bool:
    """Whether such a context is entered."""
    return _chain.get() is not None


def next_seed() -> tf.Tensor:
    """The next seed of the context, int32 [2]."""
    return _chain.get().next_seed()
