"""Rewards of agents in a Keras model: the compiled loss of each example, before it is reduced."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from ..ops.products import wide


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
    theirs, or by `output_names`.
    """
    names = list(y_pred) if isinstance(y_pred, dict) else output_names

    def per_output(value: Any, n: int):
        if isinstance(value, dict):
            return [value.get(name) for name in names]
        return list(value) if isinstance(value, list | tuple) else [value] * n

    predictions = per_output(y_pred, 1)
    columns = (
        per_output(value, len(predictions)) for value in (loss, loss_weights, y, sample_weight)
    )
    rewards = []
    for prediction, one_loss, weight, truth, sample in zip(predictions, *columns, strict=True):
        if one_loss is None:
            continue
        if isinstance(prediction, dict | list | tuple):  # outputs in an output
            rewards += rewards_of(one_loss, weight, truth, prediction, sample, None)
        else:
            reward = -_OfEachExample(one_loss, truth, prediction)(truth, prediction, sample)
            rewards.append(reward * (1.0 if weight is None else weight))
    if not rewards:
        raise ValueError("the agents are rewarded with the compiled loss: give compile() a loss")
    return rewards


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
            values = self.loss.call(y, y_pred)
        else:
            values = self.loss(*same_rank(y, y_pred))
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
