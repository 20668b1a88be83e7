"""Metrics as (total, weight) pairs, whose sums over the batches are divided in the end."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

MOST_METRICS = 32  # of a model


def add(total: dict[str, np.ndarray], metrics: dict) -> dict[str, np.ndarray]:
    """Sum of two dicts of (total, weight) pairs, in float64."""
    return {name: total.get(name, 0.0) + np.asarray(value, np.float64) for name, value in metrics.items()}


def means(total: dict[str, np.ndarray]) -> dict[str, float]:
    """Totals divided by their weights."""
    return {name: float(value[0] / value[1]) if value[1] else 0.0 for name, value in total.items()}


def greedy_and_sampled(measure: Callable[[bool], dict[str, float]], split: str, has_agent: bool) -> dict[str, float]:
    """`SPLIT_NAME_greedy` and `SPLIT_NAME_sampled` of what `measure(greedy)` returns by name; measured once where there is no agent."""
    greedy = measure(True)
    both = {"greedy": greedy, "sampled": measure(False) if has_agent else greedy}
    return {f"{split}_{name}_{how}": value for how, found in both.items() for name, value in found.items()}


def as_rows(metrics: dict[str, tuple], names: list[str]) -> tf.Tensor:
    """The (total, weight) pairs as [MOST_METRICS, 2], zeros below them; `names` is told whose they are, which is known only now."""
    names[:] = metrics
    pairs = tf.stack([tf.stack([tf.cast(value, tf.float32) for value in pair]) for pair in metrics.values()])
    return tf.pad(pairs, [[0, MOST_METRICS - len(names)], [0, 0]])
