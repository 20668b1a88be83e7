"""`--cell`: the recurrent layer of a name, and one way to run them all."""

import keras
import tensorflow as tf

from .agent import Trace
from .dynamic_skip_lstm import DynamicSkipLSTM
from .fast_lstm import FastLSTM
from .run import RunConfig


def make_layer(config: RunConfig, units: int, cell: str | None = None, **kwargs) -> keras.layers.Layer:
    """The layer of `--cell` (or of `cell`) over sequences [B, T, D] -> [B, T, H], with its final state.

    `kwargs` go to the layer: initialisers, dropout, go_backwards, name.
    """
    cell = cell or config.cell
    kwargs |= {"return_sequences": True, "return_state": True, "jit_compile": config.jit_compile is not False}
    if cell == "lstm":
        return FastLSTM(units, **kwargs)
    if cell == "dynamic_skip":
        return DynamicSkipLSTM(
            units,
            n_actions=config.n_actions,
            lamda=config.lamda,
            agent_units=config.agent_units,
            observation=config.observation,
            history=config.history,
            **kwargs,
        )
    raise ValueError(f"no cell {cell!r}")


def run_layer(
    layer, x, state=None, mask=None, *, training=False, greedy=False, seed=None, distances=None
) -> tuple[tf.Tensor, list, Trace | None]:
    """Run a layer of `make_layer`: outputs [B, T, H], final state, and the trace of a layer with an agent (else None).

    `seed` (int32 [2]) determines every random number of the layer; `distances` [B, T] replays given choices.
    """
    call = {"greedy": greedy, "seed": seed, "distances": distances}
    outputs, *state = layer(x, initial_state=state, mask=mask, training=training, **call)
    has_agent = isinstance(layer, DynamicSkipLSTM) and layer.cell.n_actions > 1
    return outputs, state, layer.trace if has_agent else None
