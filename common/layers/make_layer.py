"""Builds the layer that `--cell` selects; runs any layer through one function."""

import importlib
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ..ops.agent import Trace
from ..ops.replicas import count, total
from . import released_initializers
from .fast_rnn import HoistedRNN
from .k_state_layer import KStateLSTM

if TYPE_CHECKING:  # the layers are installed without the flags
    from ..config import RunConfig


def make_layer(
    config: "RunConfig", units: int, cell: str | None = None, **kwargs: Any
) -> keras.layers.Layer:
    """Builds the layer that `--cell` selects, or `cell`.

    Options of `cell` that the selected one has too are as there; the others have their defaults.

    Sequences [B, T, D] -> [B, T, H], and the final state. What each cell is made of stands in
    common/config/cells.py.

    `kwargs` go to the layer: kernel_initializer, recurrent_initializer, bias_initializer,
    go_backwards, name; to a `KStateLSTM` whatever else it takes.
    `--initializers released` wins over the initializers among them.
    """
    entry, options = config.layer(cell)
    if options.pop("initializers", None):
        kwargs |= released_initializers.of_skip_cell()
    arguments = {**entry.fixed, **options, **kwargs}
    of_sequences = {"return_sequences": True, "return_state": True}
    made_of = _load(entry.made_of)
    of_steps = not issubclass(made_of, keras.layers.RNN)
    runs_in = _load(entry.runs_in) if of_steps else made_of
    if issubclass(runs_in, KStateLSTM | HoistedRNN):
        of_sequences["jit_compile"] = config.jit_compile
    if not of_steps:
        return made_of(units, **arguments, **of_sequences)
    for name in {"go_backwards", "name", *inspect.signature(runs_in).parameters} & {*arguments}:
        of_sequences[name] = arguments.pop(name)
    return runs_in(made_of(units, **arguments), **of_sequences)


def _load(path: str) -> type:
    """The class of a "module:Class"; a dot in front stands for this package, whatever its name."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module, __package__.rpartition(".")[0]), name)


def run_layer(
    layer: keras.layers.Layer,
    x: tf.Tensor,
    state: list | None = None,
    mask: tf.Tensor | None = None,
    *,
    training: bool = False,
    greedy: bool = False,
    seed: tf.Tensor | None = None,
    distances: tf.Tensor | None = None,
) -> tuple[tf.Tensor, list, Trace | None]:
    """Run a layer of `make_layer`: outputs [B, T, H], final state, trace.

    The trace is None without an agent that samples.

    `seed` (int32 [2]) determines every random number of the layer; `distances` [B, T] replays given
    choices. What the layer adds to the loss is for `auxiliary` to collect.
    """
    declared = isinstance(layer, KStateLSTM | HoistedRNN)
    if declared and not layer.built:  # for this length, which comes often: see `jit_compile`
        layer.build([None, *x.shape[1:]])
    if not isinstance(layer, KStateLSTM):
        outputs, *state = layer(x, initial_state=state, mask=mask, training=training)
        return outputs, state, None
    call = {"greedy": greedy, "seed": seed, "distances": distances}
    outputs, *state = layer(x, initial_state=state, mask=mask, training=training, **call)
    return outputs, state, layer.trace if layer.cell.has_agent else None


def auxiliary(
    layers: Sequence[keras.layers.Layer], weights: tf.Tensor | None = None
) -> tuple[tf.Tensor, dict[str, tuple[tf.Tensor, tf.Tensor]]]:
    """What layers of `make_layer` add to the task's loss, and what they report.

    Of their latest call: ask right behind it. The loss is a mean over the rows; over those of
    weight 1 where `weights` [B] are 0 for rows without steps, which only fill up the batch.

    (Replicas take turns whenever something is summed over them, and a layer holds what the latest
    one left in it.) The loss is 0 and the metrics, (sum, weight) over all layers by name, are none
    unless the cell is `skip_lstm` or `skip_gru`.
    """
    loss = tf.add_n([tf.zeros([]), *(one for layer in layers for one in layer.losses)]) / count()
    of_layers, metrics = [getattr(layer, "metrics_of_call", {}) for layer in layers], {}
    if weights is not None:
        n_rows = total(tf.cast(tf.size(weights), weights.dtype))
        loss *= n_rows / total(tf.reduce_sum(weights))
    for reported in of_layers:
        for name, (value, weight) in reported.items():
            before = metrics.get(name, (0.0, 0.0))
            metrics[name] = before[0] + value, before[1] + total(weight)
    return loss, metrics
