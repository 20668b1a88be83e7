"""`--cell`: the recurrent layer of a name, and one way to run them all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ..cells.clockwork import ClockworkCell
from ..cells.grid_lstm import GridLSTMCell
from ..cells.highway_lstm import HighwayLSTMCell
from ..cells.leaky import LeakyCell
from ..cells.peephole_lstm import PeepholeLSTMCell
from ..cells.skip_gru import SkipGRUCell
from ..cells.skip_lstm import SkipLSTMCell
from ..cells.skip_rnn import SkipRNNCell
from ..cells.time_delay import TimeDelayCell
from ..ops.agent import Trace
from ..ops.replicas import count, total
from . import release
from .attention_skip_lstm import AttentionSkipLSTM
from .dynamic_skip_lstm import DynamicSkipLSTM
from .fast_lstm import FastLSTM
from .fixed_skip_lstm import FixedSkipLSTM, RandomSkipLSTM
from .update_skipping_rnn import UpdateSkippingRNN

if TYPE_CHECKING:  # the layers are installed without the flags
    from ..config import RunConfig

# What runs step by step under keras.layers.RNN.
_CELLS = {
    "skip_lstm": SkipLSTMCell,
    "skip_gru": SkipGRUCell,
    "time_delay": TimeDelayCell,
    "leaky": LeakyCell,
    "clockwork": ClockworkCell,
    "skip_rnn": SkipRNNCell,
    "peephole_lstm": PeepholeLSTMCell,
    "highway_lstm": HighwayLSTMCell,
    "grid_lstm": GridLSTMCell,
}


def make_layer(config: "RunConfig", units: int, cell: str | None = None, **kwargs: Any) -> keras.layers.Layer:
    """The layer of `--cell` (or of `cell`, which then takes no flags) over sequences [B, T, D] -> [B, T, H], with its final state.

    `kwargs` go to the layer: kernel_initializer, recurrent_initializer, bias_initializer, go_backwards, name; to `lstm`, `dynamic_skip`,
    `fixed_skip`, `random_skip` and `attention` whatever else these take. `--initializers released` wins over the initializers among them.
    """
    flags = config.cell_flags if cell in (None, config.cell) else {}
    cell = cell or config.cell
    sequence = {"return_sequences": True, "return_state": True}
    fast = sequence | {"jit_compile": config.jit_compile}
    if cell == "lstm":
        return FastLSTM(units, **fast, **kwargs)
    if cell == "gru":  # as Cho et al. 2014: the reset gate before the product
        return keras.layers.GRU(units, reset_after=False, use_cudnn=False, **sequence, **kwargs)
    choice = {"n_actions": config.n_actions, "lamda": config.lamda}
    seen = {"agent_units": config.agent_units, "observation": config.observation}
    if cell == "dynamic_skip":
        kwargs |= release.initializers() if flags.get("initializers") else {}
        kwargs["previous_bias"] = flags.get("previous_bias")
        return DynamicSkipLSTM(units, **choice, **seen, history=config.history, estimator=config.estimator, **fast, **kwargs)
    if cell == "fixed_skip":
        return FixedSkipLSTM(units, **flags, lamda=config.lamda, history=config.history, **fast, **kwargs)
    if cell == "random_skip":
        return RandomSkipLSTM(units, **choice, history=config.history, **fast, **kwargs)
    if cell == "attention":
        return AttentionSkipLSTM(units, **choice, **seen, **fast, **kwargs)
    of_layer = {name: kwargs.pop(name) for name in ("go_backwards", "name") if name in kwargs} | sequence
    if cell in ("skip_lstm", "skip_gru"):
        return UpdateSkippingRNN(_CELLS[cell](units, **kwargs), **flags, **of_layer)
    return keras.layers.RNN(_CELLS[cell](units, **flags, **kwargs), **of_layer)


def run_layer(
    layer: keras.layers.Layer, x: tf.Tensor, state: list | None = None, mask: tf.Tensor | None = None, *, training: bool = False,
    greedy: bool = False, seed: tf.Tensor | None = None, distances: tf.Tensor | None = None,
) -> tuple[tf.Tensor, list, Trace | None]:  # fmt: skip
    """Run a layer of `make_layer`: outputs [B, T, H], final state, and the trace of a layer with an agent that samples (else None).

    `seed` (int32 [2]) determines every random number of the layer; `distances` [B, T] replays given choices. What the layer adds to the
    loss is for `auxiliary` to collect.
    """
    if not isinstance(layer, DynamicSkipLSTM):
        outputs, *state = layer(x, initial_state=state, mask=mask, training=training)
        return outputs, state, None
    call = {"greedy": greedy, "seed": seed, "distances": distances}
    outputs, *state = layer(x, initial_state=state, mask=mask, training=training, **call)
    return outputs, state, layer.trace if layer.cell.has_agent else None


def auxiliary(layers: Sequence[keras.layers.Layer]) -> tuple[tf.Tensor, dict[str, tuple[tf.Tensor, tf.Tensor]]]:
    """What layers of `make_layer` add to the task's loss, and what they report: of their latest call, to be asked for right behind it.

    (Replicas take turns whenever something is summed over them, and a layer holds what the latest one left in it.)
    The loss is 0 and the metrics, (sum, weight) over all layers by name, are none unless the cell is `skip_lstm` or `skip_gru`.
    """
    loss, metrics = tf.add_n([tf.zeros([]), *(one for layer in layers for one in layer.losses)]) / count(), {}
    for reported in [getattr(layer, "metrics_of_call", {}) for layer in layers]:
        for name, (value, weight) in reported.items():
            before = metrics.get(name, (0.0, 0.0))
            metrics[name] = before[0] + value, before[1] + total(weight)
    return loss, metrics
