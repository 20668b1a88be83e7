"""Shapes, dtypes and masks of what a layer over K past states returns, before there are values."""

from typing import Any

import keras

from ..ops import agent
from . import call_shapes


class SequenceOutputs(keras.layers.RNN):
    """`keras.layers.RNN` that may return a trace, a dict of `agent.ENTRIES`, behind the states."""

    return_trace = False

    def compute_output_shape(
        self,
        sequences_shape: tuple,
        initial_state_shape: list[tuple] | None = None,
        distances_shape: tuple | None = None,
    ) -> tuple:
        """As of `keras.layers.RNN`; what a call on values would refuse is refused here."""
        given = sequences_shape, initial_state_shape
        call_shapes.check(self, **call_shapes.of_symbols(*given, distances=distances_shape))
        shapes = super().compute_output_shape(sequences_shape)
        if not self.return_trace:
            return shapes
        steps = tuple(sequences_shape[:2])
        entries = dict.fromkeys(agent.ENTRIES, steps) | {"probs": (*steps, self.cell.n_actions)}
        return (*(shapes if self.return_state else (shapes,)), entries)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """As of `keras.layers.RNN`, with the dtypes of a trace."""
        spec = super().compute_output_spec(*args, **kwargs)
        if not self.return_trace:
            return spec
        dtypes = dict.fromkeys(agent.ENTRIES, self.cell.wide_dtype.name) | {"distances": "int32"}
        *others, entries = spec
        trace = {n: keras.KerasTensor(one.shape, dtypes[n]) for n, one in entries.items()}
        return (*others, trace)

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """As of `keras.layers.RNN`; a trace is zero at masked steps, and has no mask."""
        found = super().compute_mask(inputs, mask)
        if not self.return_trace:
            return found
        return [*(found if self.return_state else [found]), *[None] * len(agent.ENTRIES)]
