"""What a task gives to the training loop, and decisions made from the epochs' records."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .compiled_steps import Trainer
from .task_model import TaskModel

Records = list[dict[str, Any]]


@dataclasses.dataclass(kw_only=True)
class Experiment:
    """What a task gives to `loop.run`.

    Attributes:
        model: a `TaskModel`. optimizer: a Keras optimizer.
        train_batches: epoch (from 0) -> chunks of batches, each a dict of arrays [N, B, ...]; the
            shapes may differ between chunks.
        initial_state: the state in which each epoch starts.
        schedule: (epoch, records so far) -> {"learning_rate": ..., and other scalars that
            `model.training_loss` takes}.
        evaluate: (trainer, "dev" | "test") -> metrics of the split, by their names in the records.
        monitor: the dev metric that selects the best epoch; with a leading "-" less is better.
        stop_early: (records so far) -> whether to end the training; by default never. See
            `out_of_patience`.
        steps_per_call: batches in one call of the compiled step; of shorter chunks give their
            length, since they are padded to this one.
        many_shapes: the chunks have many shapes; see `make_trainer`.
        tokens_per_epoch: for the speed in the result, if the task counts tokens.
    """

    model: TaskModel
    optimizer: keras.optimizers.Optimizer
    train_batches: Callable[[int], list[dict[str, np.ndarray]]]
    initial_state: Any = ()
    schedule: Callable[[int, Records], dict[str, float]]
    evaluate: Callable[[Trainer, str], dict[str, float]]
    monitor: str
    stop_early: Callable[[Records], bool] = lambda records: False
    steps_per_call: int = 50
    many_shapes: bool = False
    tokens_per_epoch: int | None = None


def dev_then_both(
    evaluate: Callable[[Trainer, str, int], dict[str, float]], n_chains: int
) -> Callable[[Trainer, str], dict[str, float]]:
    """An `Experiment.evaluate` for tasks whose final evaluation uses a mixture of chains.

    For "dev", after each epoch: the dev metrics of a single chain. For "test", once at the end: the
    test metrics, and with several chains the dev metrics too, with those of the mixture.

    Args:
        evaluate: (trainer, split, n_chains) -> metrics. n_chains: of the mixtures; 1 for none.
    """

    def measure(trainer: Trainer, split: str) -> dict[str, float]:
        if split == "dev":
            return evaluate(trainer, "dev", 1)
        dev = evaluate(trainer, "dev", n_chains) if n_chains > 1 else {}
        return dev | evaluate(trainer, "test", n_chains)

    return measure


def out_of_patience(records: Records, monitor: str, patience: int) -> bool:
    """Whether the best record is `patience` epochs old or older; never for a patience of 0."""
    return (
        0 < patience <= len(records) and len(records) - 1 - best_epoch(records, monitor) >= patience
    )


def best_epoch(records: Records, monitor: str) -> int:
    """Index of the best record, the first of several equal ones."""
    sign, name = (-1, monitor[1:]) if monitor.startswith("-") else (1, monitor)
    return max(range(len(records)), key=lambda i: (sign * records[i][name], -i))
