"""Cells whose products with inputs can be made for all steps at once, before the recurrence."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from ..ops.products import product
from .base import RecurrentCell, biased, shift

Tensors = Sequence[tf.Tensor]


class Level:
    """One recurrence of a cell: its step apart from what can be had for all steps at once.

    Tensors are of one step [B, ...] or of a whole sequence [T, B, ...]; `step` sees one step.
    """

    n_states: int  # how many of the cell's states are this level's
    delay = 1  # K: above 1 the cell's first state is that of the past K steps, flat, oldest first

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """What each step takes from below: the inputs, or what the level below gave.

        An addend of each product, and whatever else.
        """
        raise NotImplementedError

    def matrices(self) -> Tensors:
        """The weights that each product multiplies by, [N, M] each."""
        raise NotImplementedError

    def vectors(self) -> Tensors:
        """The other weights of a step."""
        return ()

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """The new states. Each of `products`, a -> a U + its addend, is to be called once.

        Where K is above 1, `states` has the last of the first, and behind all that of K steps ago.
        """
        raise NotImplementedError

    def finish(self, before: Tensors, after: Tensors, below: Tensors) -> Tensors:
        """What the level gives, its output first; of the states before and after, and of below."""
        return after


class HoistedCell(Level, RecurrentCell):
    """A cell of one `Level` or of several: `FastRNN` runs it over whole sequences."""

    @property
    def n_states(self) -> int:
        """How many states a cell of one level has."""
        return len(self.state_size)

    def levels(self) -> Sequence[Level]:
        """From the inputs up."""
        return (self,)

    def enter(self, states: Tensors) -> Tensors:
        """The states that the first step sees, of those that the cell was given."""
        return states

    def call(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> output [B, H] and the new states."""
        below, found, left = [inputs], [], list(self.enter(states))

        def narrow(values: Tensors):
            return [tf.cast(a, inputs.dtype) for a in values]

        for level in self.levels():
            before, left = left[: level.n_states], left[level.n_states :]
            addends, others = map(narrow, level.project(below))
            products = [
                lambda a, u=u, add=add: a @ tf.convert_to_tensor(u) + add
                for u, add in zip(level.matrices(), addends, strict=True)
            ]
            if level.delay > 1:
                history, *rest = before
                units = history.shape[-1] // level.delay
                before = [history[:, -units:], *rest, history[:, :units]]
            after = list(level.step(before, products, others, level.vectors()))
            below = narrow(level.finish(before, after, below))
            found += after if level.delay == 1 else [shift(history, after[0]), *after[1:]]
        return below[0], found


def projected(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
    """W x + b of one step or all, in float32 (or float64)."""
    z = product(inputs, tf.convert_to_tensor(kernel))
    return biased(z, None if bias is None else tf.cast(tf.convert_to_tensor(bias), z.dtype))
