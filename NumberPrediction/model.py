"""The network of number prediction: one recurrent layer over one-hot digits, its last output to a softmax over ten digits."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common import losses
from common.errors import InputError
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.ops.agent import Trace
from common.ops.replicas import part_of_mean
from common.training import loop
from common.training.compiled_steps import Tensors, Trainer
from common.training.experiment import Experiment
from common.training.metrics import greedy_and_sampled, means
from NumberPrediction import reader
from NumberPrediction.presets import NumberConfig

N_DIGITS = reader.N_DIGITS
EVALUATION_BATCH = 1000


class NumberModel(keras.Model):
    """Digits [B, T] -> logits [B, 10] (Gui et al. 2019, section 4.4).

        x_t = one-hot digit,  h_1 .. h_T = recurrent layer,  p = softmax(V h_T + b)

    The agent's reward is log p(label), after the last step.
    """

    def __init__(self, config: NumberConfig):
        super().__init__(name="number_model")
        self.config = config
        self.recurrent = make_layer(config, config.rnn_size, name="recurrent")
        self.classifier = keras.layers.Dense(N_DIGITS, name="classifier")
        self(tf.zeros([1, config.length + 1], tf.int32))  # creates the weights

    def call(
        self, numbers: tf.Tensor, training: bool = False, greedy: bool = False, seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, object]:  # fmt: skip
        """numbers [B, T] int -> logits [B, 10] and the agent's trace (or None)."""
        x = tf.one_hot(tf.cast(numbers, tf.int32), N_DIGITS, dtype=self.compute_dtype)
        outputs, _, trace = run_layer(self.recurrent, x, training=training, greedy=greedy, seed=seed, distances=distances)
        return tf.cast(self.classifier(outputs[:, -1]), tf.float32), trace

    def initial_state(self, batch_size: int) -> tuple:
        """Nothing is carried from batch to batch."""
        return ()

    def losses(self, batch: Tensors, state: Any, seed: tf.Tensor, knobs: Tensors) -> tuple[tf.Tensor, dict, object]:
        """See `common/training/compiled_steps.py`."""
        logits, trace = self(batch["numbers"], training=True, seed=seed)
        extra, reported = auxiliary([self.recurrent])
        loss, metrics = self.loss_terms(logits, trace, batch["labels"], knobs["entropy_weight"])
        return loss + extra, metrics | reported, state

    def loss_terms(self, logits: tf.Tensor, trace: Trace | None, labels: tf.Tensor, entropy_weight: tf.Tensor) -> tuple[tf.Tensor, dict]:
        """The loss and its terms: cross-entropy for the network, a policy gradient for the agent."""
        config = self.config
        labels = tf.cast(labels, tf.int32)
        log_likelihood = -tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        right = tf.cast(tf.argmax(logits, -1, output_type=tf.int32) == labels, tf.float32)
        task_loss = -part_of_mean(log_likelihood)
        metrics = {"task_loss": (task_loss, 1.0), "accuracy": (part_of_mean(right), 1.0)}
        if trace is None:
            return task_loss, metrics
        if config.reward == "released":
            task_loss = task_loss / N_DIGITS  # the release divides by the number of classes
            agent_loss = losses.released_number_loss(trace.probs, trace.distances, 2 * right - 1)
        else:
            reward = log_likelihood if config.reward == "log_likelihood" else 2 * right - 1
            options = config.agent_options | {"entropy_weight": entropy_weight}
            agent_loss = losses.policy_gradient(trace, losses.at_last_step(tf.stop_gradient(reward), trace.mask), **options)
        metrics |= {"agent_loss": (agent_loss, 1.0), "entropy": (losses.masked_mean(trace.entropies, trace.mask), 1.0)}
        return task_loss + agent_loss, metrics

    def evaluate(self, batch: Tensors, state: Any, seed: tf.Tensor, greedy: bool) -> tuple[dict, object]:
        """See `common/training/compiled_steps.py`."""
        logits, _ = self(batch["numbers"], greedy=greedy, seed=seed)
        right = tf.cast(tf.argmax(logits, -1, output_type=tf.int32) == tf.cast(batch["labels"], tf.int32), tf.float32)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(batch["labels"], tf.int32), logits)
        weight = batch["weights"]
        total = tf.reduce_sum(weight)
        return {"accuracy": (tf.reduce_sum(right * weight), total), "loss": (tf.reduce_sum(cross_entropy * weight), total)}, state


def train_batches(examples: reader.Examples, batch_size: int, seed: int, epoch: int) -> dict[str, np.ndarray]:
    """Training examples in an order that (seed, epoch) decides: numbers [N, B, T], labels [N, B]; a remainder waits for another epoch."""
    n = len(examples.labels) // batch_size
    if n < 1:
        raise InputError(f"expected at least --batch_size {batch_size} training examples, found {len(examples.labels)}")
    order = np.random.default_rng([seed, epoch]).permutation(len(examples.labels))[: n * batch_size]
    return {
        "numbers": examples.numbers[order].reshape(n, batch_size, -1).astype(np.int32),
        "labels": examples.labels[order].reshape(n, batch_size).astype(np.int32),
    }


def evaluation_batches(examples: reader.Examples) -> dict[str, np.ndarray]:
    """All examples, in order, each counted once: numbers [N, B, T], labels and weights [N, B]."""
    size = min(EVALUATION_BATCH, len(examples.labels))
    n = -(-len(examples.labels) // size)
    padding = n * size - len(examples.labels)
    arrays = {
        "numbers": examples.numbers.astype(np.int32),
        "labels": examples.labels.astype(np.int32),
        "weights": np.ones(len(examples.labels), np.float32),
    }
    return {
        name: np.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1)).reshape(n, size, *a.shape[1:]) for name, a in arrays.items()
    }


def evaluate(trainer: Trainer, examples: reader.Examples, split: str) -> dict[str, float]:
    """Accuracy with the most probable and with sampled distances, of all examples."""
    batches = evaluation_batches(examples)
    return greedy_and_sampled(lambda greedy: means(trainer.evaluate(batches, greedy=greedy)), split, trainer.model.config.has_agent)


def build(config: NumberConfig) -> Experiment:
    """Data, model and schedule of a run."""
    data = reader.load(config.data_dir, config.length, config.label_rule, config.n_train, config.n_dev, config.n_test)
    return Experiment(
        model=NumberModel(config),
        optimizer=keras.optimizers.Adam(config.learning_rate),
        train_batches=lambda epoch: [train_batches(data.train, config.batch_size, config.seed, epoch)],
        knobs=lambda epoch, records: {
            "learning_rate": config.learning_rate,
            "entropy_weight": config.entropy_weight * config.entropy_decay**epoch,
        },
        evaluate=lambda trainer, split: evaluate(trainer, getattr(data, split), split),
        monitor="dev_accuracy_sampled",
    )


def train(config: NumberConfig) -> None:
    """The whole run: train, select on dev, test."""
    loop.run(config, build)
