"""The network of the recall task: one recurrent layer, its last output to one number."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common import losses
from common.errors import InputError
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.ops.replicas import part_of_mean
from common.training import loop
from common.training.compiled_steps import Tensors, Trainer
from common.training.experiment import Experiment
from common.training.metrics import greedy_and_sampled, means
from NumberPrediction import reader
from NumberPrediction.recall_presets import RecallConfig

EVALUATION_BATCH = 500


class RecallModel(keras.Model):
    """Sequences [B, T, D] -> predictions [B].

        h_1 .. h_T = recurrent layer,  y = v h_T + b,  loss = (y - x_1[1])^2

    The agent's reward is less the loss, after the last step.
    """

    def __init__(self, config: RecallConfig):
        super().__init__(name="recall_model")
        self.config = config
        initializers = {}
        if config.cell == "skip_rnn":  # orthogonal matrices and additive skips together make the state grow exponentially
            initializers["recurrent_initializer"] = keras.initializers.RandomNormal(0, config.recurrent_init)
        self.recurrent = make_layer(config, config.rnn_size, name="recurrent", **initializers)
        self.output_layer = keras.layers.Dense(1, name="output")
        self(tf.zeros([1, config.length, config.features]))  # creates the weights

    def call(
        self, sequences: tf.Tensor, training: bool = False, greedy: bool = False, seed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, object]:
        """Predictions [B] and the agent's trace (or None)."""
        x = tf.cast(sequences, self.compute_dtype)
        outputs, _, trace = run_layer(self.recurrent, x, training=training, greedy=greedy, seed=seed)
        return tf.cast(self.output_layer(outputs[:, -1])[:, 0], tf.float32), trace

    def initial_state(self, batch_size: int) -> tuple:
        """Nothing is carried from batch to batch."""
        return ()

    def losses(self, batch: Tensors, state: Any, seed: tf.Tensor, knobs: Tensors) -> tuple[tf.Tensor, dict, object]:
        """See `common/training/compiled_steps.py`."""
        config = self.config
        predictions, trace = self(batch["sequences"], training=True, seed=seed)
        error = (predictions - batch["targets"]) ** 2
        loss, metrics = auxiliary([self.recurrent])
        loss += part_of_mean(error)
        metrics["mse"] = part_of_mean(error), 1.0
        if trace is not None:
            agent_loss = losses.policy_gradient(trace, losses.at_last_step(-tf.stop_gradient(error), trace.mask), **config.agent_options)
            loss += agent_loss
            metrics |= {"agent_loss": (agent_loss, 1.0), "entropy": (losses.masked_mean(trace.entropies, trace.mask), 1.0)}
        return loss, metrics, state

    def evaluate(self, batch: Tensors, state: Any, seed: tf.Tensor, greedy: bool) -> tuple[dict, object]:
        """See `common/training/compiled_steps.py`."""
        predictions, _ = self(batch["sequences"], greedy=greedy, seed=seed)
        error = (predictions - batch["targets"]) ** 2
        return {"mse": (tf.reduce_sum(error * batch["weights"]), tf.reduce_sum(batch["weights"]))}, state


def train_batches(sequences: np.ndarray, targets: np.ndarray, batch_size: int, seed: int, epoch: int) -> dict[str, np.ndarray]:
    """Training examples in an order that (seed, epoch) decides: sequences [N, B, T, D], targets [N, B]; a remainder waits."""
    n = len(targets) // batch_size
    if n < 1:
        raise InputError(f"expected at least --batch_size {batch_size} training sequences, found {len(targets)}")
    order = np.random.default_rng([seed, epoch]).permutation(len(targets))[: n * batch_size].reshape(n, batch_size)
    return {"sequences": sequences[order], "targets": targets[order]}


def evaluation_batches(sequences: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """All examples, in order, each counted once: sequences [N, B, T, D], targets and weights [N, B]."""
    size = min(EVALUATION_BATCH, len(targets))
    n = -(-len(targets) // size)
    arrays = {"sequences": sequences, "targets": targets, "weights": np.ones(len(targets), np.float32)}
    return {
        name: np.pad(a, [(0, n * size - len(a))] + [(0, 0)] * (a.ndim - 1)).reshape(n, size, *a.shape[1:]) for name, a in arrays.items()
    }


def evaluate(trainer: Trainer, sequences: np.ndarray, targets: np.ndarray, split: str) -> dict[str, float]:
    """Mean squared error, with sampled and the most probable distances, and that of always saying 1/2, about 1/12."""
    batches = evaluation_batches(sequences, targets)
    metrics = greedy_and_sampled(lambda greedy: means(trainer.evaluate(batches, greedy=greedy)), split, trainer.model.config.has_agent)
    return metrics | {f"{split}_mse_trivial": float(np.mean((targets - 0.5) ** 2))}


def build(config: RecallConfig) -> Experiment:
    """Data, model and schedule of a run."""
    data = {
        split: reader.recall(n, config.length, 0, split, config.features)
        for split, n in zip(reader.SPLITS, (config.n_train, config.n_dev, config.n_test), strict=True)
    }
    return Experiment(
        model=RecallModel(config),
        optimizer=keras.optimizers.Adam(config.learning_rate),
        train_batches=lambda epoch: [train_batches(*data["train"], config.batch_size, config.seed, epoch)],
        knobs=lambda epoch, records: {"learning_rate": config.learning_rate},
        evaluate=lambda trainer, split: evaluate(trainer, *data[split], split),
        monitor="-dev_mse_sampled",
    )


def train(config: RecallConfig) -> None:
    """The whole run: train, select on dev, test."""
    loop.run(config, build)
