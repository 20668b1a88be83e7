"""Rewards of agents in a Keras model: the compiled loss of each example, before it is reduced."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from .. import losses, objective
from ..cells.dynamic_skip import DynamicSkipLSTMCell
from ..choices import ESTIMATORS
from ..ops.agent import Trace
from ..ops.products import wide
from .cell_settings import DRAWN_ANEW, computed_again
from .dynamic_skip_lstm import DynamicSkipLSTM

_OTHER_ROWS = (
    "the loss has another number of values than {} has sequences, so that its agent has no rewards:"
    " call the layer through keras.layers.TimeDistributed in place of a reshape before it, or give"
    ' it estimator="straight_through"'
)


def check_cells(layers: Sequence[keras.layers.Layer], training: bool) -> None:
    """Raise ValueError for an agent among all layers of a model of which nobody would hear.

    In training also for choices that a layer around theirs would have drawn anew.
    """
    around = [layer for layer in layers if training and computed_again(layer)]
    for layer in around:
        for inner in layer._flatten_layers(include_self=False):
            if isinstance(inner, DynamicSkipLSTM) and inner.cell.has_agent:
                raise ValueError(DRAWN_ANEW.format(name=inner.name))
    with_trace = [layer.cell for layer in layers if isinstance(layer, DynamicSkipLSTM)]
    for cell in layers:
        asks = isinstance(cell, DynamicSkipLSTMCell) and cell.built and cell.waits_for_reward
        if asks and not any(cell is one for one in with_trace):
            raise ValueError(
                f"the agent of {cell.name} would never learn: use DynamicSkipLSTM in place of"
                " keras.layers.RNN"
            )


def check_names(metrics: Sequence[keras.metrics.Metric], own: list[keras.metrics.Metric]) -> None:
    """Raise ValueError for a metric that is shown under the name of one of the agents' own."""
    for metric in (one for one in metrics if not any(one is mine for mine in own)):
        found = metric.result()  # of those that were compiled, by name
        for name in found if isinstance(found, dict) else [metric.name]:
            if name in [mine.name for mine in own]:
                raise ValueError(
                    f"{name} is what the agents' own is called in the logs: give this metric, or"
                    " the output whose loss it is, another name"
                )


def heard_of(
    layers: Sequence[DynamicSkipLSTM], training: bool, entropy_weight: float
) -> list[tuple[DynamicSkipLSTM, Trace]]:
    """Each call of a layer with an agent in a step, with what the agent did.

    Choices made in a loop have no values outside. In training such a call is left out where nothing
    of the agent's loss is lost by it; elsewhere reading the trace raises the error.
    """
    found = []
    for layer in layers:
        rewarded = training and layer.cell.waits_for_reward
        needed = training and bool(layer.cell.waits_for_reward or entropy_weight)
        traces = layer._traces.read_all(layer.name, needed, rewarded)
        found += [(layer, trace) for trace in traces]
    return found


def agent_of(
    layer: DynamicSkipLSTM, trace: Trace, rewards: list[tf.Tensor], options: dict[str, Any]
) -> objective.Agent:
    """That of one call; rewards: [B] or [B, ...] each, in the order of the sequence."""
    # then the agent has its share of the compiled loss already
    if ESTIMATORS[layer.cell.estimator] == "loss":
        rewards, options = [], {**options, "rl_weight": 0.0}
    rewarded = on_steps(rewards, trace.mask, layer)
    return objective.Agent(trace, rewarded, functools.partial(losses.policy_gradient, **options))


def rewards_of(
    loss: Any,
    loss_weights: Any,
    y: Any,
    y_pred: Any,
    sample_weight: Any,
    output_names: Sequence[str] | None = None,
) -> list[tf.Tensor]:
    """Minus each output's loss before it is reduced, [B] or [B, ...].

    In float32, or float64 where the loss is. Times its weights, zero where the output is masked.

    `loss`, `loss_weights`: as `compile` takes them; one for all outputs, or a structure like
    theirs, or by `output_names`. Who belongs to whom is as in Keras: a list is the outputs of a
    dict in the order of their names; weights belong to losses, whatever the outputs are; a list of
    targets may leave out the outputs without a loss; several losses of one output of many are
    added, of those of an only one the first counts.
    """
    paths, predictions = zip(*keras.tree.flatten_with_path(y_pred), strict=True)
    if loss_weights is not None and keras.tree.is_nested(loss):
        if isinstance(loss, dict):
            loss_weights = _by_name(loss_weights, y_pred, output_names)
        loss_weights = _as(_by_name(loss, y_pred, output_names), loss_weights)
    elif _n_leaves(loss_weights) == 1:  # of the one loss that all outputs have
        (loss_weights,) = keras.tree.flatten(loss_weights)
    if not keras.tree.is_nested(y_pred) and _is_list(loss):
        loss, loss_weights = (one[0] if _is_list(one) else one for one in (loss, loss_weights))

    def per_output(value: Any):
        value = _by_name(value, y_pred, output_names)
        if _is_list(value) and _n_leaves(value) == len(predictions):
            value = _as(y_pred, value)
        return [_at(path, value) for path in paths]

    losses_of, weights, samples = map(per_output, (loss, loss_weights, sample_weight))
    if _is_list(y) and _n_leaves(y) == len(paths) - losses_of.count(None) < len(paths):
        given = iter(keras.tree.flatten(y))
        targets = [None if one is None else next(given) for one in losses_of]
    else:
        targets = per_output(y)
    rewards = []
    of_outputs = zip(losses_of, weights, targets, predictions, samples, strict=True)
    for given, weight, truth, prediction, sample in of_outputs:
        several = keras.tree.flatten(given)
        each = weight if _is_list(weight) else [weight] * len(several)
        rewards += [
            -_OfEachExample(one, truth, prediction)(truth, prediction, sample)
            * (1.0 if weight is None else weight)
            for one, weight in zip(several, each, strict=True)
            if one is not None
        ]
    if not rewards:
        raise ValueError("the agents are rewarded with the compiled loss: give compile() a loss")
    return rewards


def _by_name(value: Any, y_pred: Any, output_names: Sequence[str] | None) -> Any:
    """What is given by the names of a list of outputs, or of one, as a list."""
    if isinstance(value, dict) and not isinstance(y_pred, dict):
        return [value.get(name) for name in output_names]
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _n_leaves(value: Any) -> int:
    return len(keras.tree.flatten(value))


def _as(structure: Any, value: Any) -> Any:
    """A value's leaves, one after another, in another structure; of a dict in order of its keys."""
    return keras.tree.pack_sequence_as(structure, keras.tree.flatten(value))


def _at(path: tuple, value: Any) -> Any:
    """What a structure has for the output of that path: None if nothing, a leaf for all below."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif _is_list(value):
            value = value[key] if key < len(value) else None
    return value


def on_steps(rewards: list[tf.Tensor], mask: tf.Tensor, layer: keras.layers.RNN) -> tf.Tensor:
    """The sum of rewards, [B] or [B, ...] each, at the steps of a layer [B, T].

    Where a layer returns all steps and a loss has as many values, each stands at its step, masked
    ones too: what they return depends on the choices before. Otherwise their sum stands at the last
    step. `mask`: [B, T], in the order in which the layer goes.
    """
    found = tf.zeros_like(mask)
    for reward in rewards:
        reward = tf.cast(reward, mask.dtype)
        summed = tf.reduce_sum(reward, list(range(1, reward.shape.rank)))
        same = tf.debugging.assert_equal(
            tf.shape(summed)[0], tf.shape(mask)[0], _OTHER_ROWS.format(layer.name)
        )
        with tf.control_dependencies([] if same is None else [same]):
            at_last = losses.at_last_step(tf.identity(summed), mask)
        if layer.return_sequences and reward.shape.is_compatible_with(mask.shape):
            # the graph may not know the length: both ways need a shape
            n, n_steps = tf.shape(reward)[1], tf.shape(mask)[1]
            each = tf.pad(reward[:, :n_steps], [[0, 0], [0, tf.maximum(n_steps - n, 0)]])
            each = tf.reverse(each, [1]) if layer.go_backwards else each
            found += tf.where(n == n_steps, each, at_last)
        else:
            found += at_last
    return found


class _OfEachExample(keras.losses.Loss):
    """A compiled loss before it is reduced: y and y_pred -> [B] or [B, ...].

    It may be an object, a function or a name.

    What surrounds it is Keras' own (conversion, masks, sample weights), so that the weighted mean
    is the compiled loss.
    """

    def __init__(self, loss: keras.losses.Loss | Callable | str, y: tf.Tensor, y_pred: tf.Tensor):
        dtype = getattr(loss, "dtype", keras.config.floatx())
        super().__init__(name="of_each_example", reduction=None, dtype=wide(dtype).name)
        self.given = loss
        if str(loss).lower() in ("crossentropy", "ce"):  # Keras chooses by the shapes
            sparse = len(y.shape) < len(y_pred.shape) or y.shape[-1] == 1
            several = "sparse_categorical" if sparse else "categorical"
            loss = f"{'binary' if y_pred.shape[-1] == 1 else several}_crossentropy"
        self.loss = keras.losses.get(loss)

    def call(self, y: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        if isinstance(self.loss, keras.losses.Loss):
            try:
                values = self.loss.call(y, y_pred)
            except NotImplementedError:
                raise ValueError(
                    "the agents are rewarded with the loss of each example; "
                    f"{self.given!r} has no `call(y_true, y_pred)`: implement it, in place of"
                    " `__call__`"
                ) from None
        else:
            values = self.loss(*same_rank(y, y_pred))
        if len(values.shape) == 0 and y_pred.shape.rank == 1:  # Keras' take the batch's mean then
            return self.call(y[:, None], y_pred[:, None])
        if len(values.shape) == 0:
            raise ValueError(
                f"the agents are rewarded with the loss of each example; {self.given!r} gives one"
                " value for the whole batch"
            )
        return values


def same_rank(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Both with the rank that Keras gives them before it calls a loss function.

    [B] becomes [B, 1]; elsewhere a last axis of 1 goes.
    """
    if a.shape.rank < b.shape.rank:
        return same_rank(b, a)[::-1]
    if a.shape.rank == b.shape.rank + 1 and a.shape[-1] == 1:
        return (a, b[:, None]) if b.shape.rank == 1 else (tf.squeeze(a, -1), b)
    return a, b
