"""Builds, trains and evaluates a network for the recall task."""

import keras
import numpy as np

from common.data import bucketing
from common.training import loop
from common.training.compiled_steps import Trainer
from common.training.experiment import Experiment
from common.training.metrics import greedy_and_sampled, means
from NumberPrediction import reader
from NumberPrediction.recall.model import RecallModel
from NumberPrediction.recall.presets import RecallConfig

EVALUATION_BATCH = 500


def evaluate(
    trainer: Trainer, sequences: np.ndarray, targets: np.ndarray, split: str
) -> dict[str, float]:
    """Mean squared error with sampled and with the most probable distances.

    Beside it that of always predicting 1/2, about 1/12.
    """
    batches = bucketing.in_order({"sequences": sequences, "targets": targets}, EVALUATION_BATCH)
    metrics = greedy_and_sampled(
        lambda greedy: means(trainer.evaluate(batches, greedy=greedy)),
        split,
        trainer.model.config.has_agent,
    )
    return metrics | {f"{split}_mse_trivial": float(np.mean((targets - 0.5) ** 2))}


def build(config: RecallConfig) -> Experiment:
    """The data, model and schedule of a run."""
    data = {
        split: reader.recall(n, config.length, 0, split, config.features)
        for split, n in zip(
            reader.SPLITS, (config.n_train, config.n_dev, config.n_test), strict=True
        )
    }
    train_arrays = dict(zip(("sequences", "targets"), data["train"], strict=True))
    return Experiment(
        model=RecallModel(config),
        optimizer=keras.optimizers.Adam(config.learning_rate),
        train_batches=lambda epoch: [
            bucketing.shuffled(train_arrays, config.batch_size, config.seed, epoch)
        ],
        schedule=lambda epoch, records: config.schedule(epoch),
        evaluate=lambda trainer, split: evaluate(trainer, *data[split], split),
        monitor="-dev_mse_sampled",
    )


def train(config: RecallConfig) -> None:
    """Train, select on dev, test."""
    loop.run(config, build)
