"""Metrics as (total, weight) pairs: both are summed over the batches, then divided."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from ..errors import InputError, one_line
from ..ops import mixture

MOST_METRICS = 32  # of a model


def add(total: dict[str, np.ndarray], metrics: dict) -> dict[str, np.ndarray]:
    """Sum of two dicts of (total, weight) pairs, in float64."""
    return {
        name: total.get(name, 0.0) + np.asarray(value, np.float64)
        for name, value in metrics.items()
    }


def means(total: dict[str, np.ndarray]) -> dict[str, float]:
    """Totals divided by their weights."""
    return {name: float(value[0] / value[1]) if value[1] else 0.0 for name, value in total.items()}


def greedy_and_sampled(
    measure: Callable[[bool], dict[str, float]], split: str, has_agent: bool
) -> dict[str, float]:
    """Metrics with the most probable distances and with sampled ones.

    `SPLIT_NAME_greedy` and `SPLIT_NAME_sampled` of the metrics by name that `measure(greedy)`
    returns; without an agent it is called once.
    """
    greedy = measure(True)
    return named(greedy, split, "greedy") | named(
        measure(False) if has_agent else greedy, split, "sampled"
    )


def named(metrics: dict[str, float], split: str, how: str) -> dict[str, float]:
    """Metrics under their names in records and results: `SPLIT_NAME_HOW`."""
    return {f"{split}_{name}_{how}": value for name, value in metrics.items()}


def random_and_mixed(
    measure: Callable[..., dict[str, float]], split: str, has_agent: bool, n_chains: int
) -> dict[str, float]:
    """`greedy_and_sampled`, and for S > 1 chains `SPLIT_NAME_mixtureS` from `measure(False, S)`."""
    found = greedy_and_sampled(measure, split, has_agent)
    if n_chains > 1:
        with room_for(n_chains):
            found |= named(measure(False, n_chains), split, f"mixture{n_chains}")
    return found


@contextlib.contextmanager
def room_for(n_samples: int) -> Iterator[None]:
    """Raises `InputError` where memory ends, of samples that are computed beside each other."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            f"not enough memory for {n_samples:,} samples ({one_line(error.message)[:200]}): ask"
            " for fewer, --eval_samples of a training, which goes on from here, --samples of others"
        ) from None


def judged(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """log p(label) [B] in nats, and 1.0 where the label is the most probable class [B].

    logits: [B, classes]. labels: [B].
    """
    labels = tf.cast(labels, tf.int32)
    log_likelihood = -tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return log_likelihood, tf.cast(
        tf.argmax(logits, -1, output_type=tf.int32) == labels, tf.float32
    )


def classification_metrics(
    logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, n_chains: int = 1
) -> dict:
    """`accuracy` and `loss`, (total, weight) pairs, from logits [B, classes].

    With several chains the logits are [B * S, classes]; accuracy and loss are those of the mean of
    the chains' probabilities, and `chain_loss` is the mean of their own losses.
    """
    n, chain_loss = tf.reduce_sum(weights), {}
    if n_chains > 1:
        own = judged(logits, mixture.repeated(labels, n_chains))[0] * mixture.repeated(
            weights, n_chains
        )
        chain_loss = {"chain_loss": (-tf.reduce_sum(own) / n_chains, n)}
        logits = mixture.log_mean(mixture.by_chain(tf.nn.log_softmax(logits), n_chains))
    log_likelihood, right = judged(logits, labels)
    metrics = {
        "accuracy": (tf.reduce_sum(right * weights), n),
        "loss": (-tf.reduce_sum(log_likelihood * weights), n),
    }
    return metrics | chain_loss


def with_loss(metrics: dict[str, tuple], loss: tf.Tensor) -> dict[str, tuple]:
    """The metrics and the `loss`, which counts in an epoch's mean as `task_loss` in it does."""
    _, weight = metrics.get("task_loss", (loss, 1.0))
    return {**metrics, "loss": (loss * weight, weight)}


def as_rows(metrics: dict[str, tuple], names: list[str]) -> tf.Tensor:
    """The (total, weight) pairs as rows [MOST_METRICS, 2], filled up with zeros.

    Sets `names` to the names of the rows, which are known only once the model is traced.
    """
    names[:] = metrics
    pairs = tf.stack(
        [tf.stack([tf.cast(value, tf.float32) for value in pair]) for pair in metrics.values()]
    )
    return tf.pad(pairs, [[0, MOST_METRICS - len(names)], [0, 0]])
