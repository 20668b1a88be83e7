"""The network of number prediction: one recurrent layer over digits, a softmax over ten."""

from typing import Any

import keras
import tensorflow as tf

from common import losses, objective
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.ops.agent import Trace
from common.ops.mixture import repeated
from common.ops.replicas import part_of_mean
from common.training.metrics import classification_metrics, judged
from common.training.task_model import NamedTensors
from NumberPrediction import reader
from NumberPrediction.presets import NumberConfig

N_DIGITS = reader.N_DIGITS


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
        self,
        numbers: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, object]:
        """Digits [B, T] int -> logits [B, 10] and the agent's trace (or None)."""
        x = tf.one_hot(tf.cast(numbers, tf.int32), N_DIGITS, dtype=self.compute_dtype)
        outputs, _, trace = run_layer(
            self.recurrent, x, training=training, greedy=greedy, seed=seed, distances=distances
        )
        return tf.cast(self.classifier(outputs[:, -1]), tf.float32), trace

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`."""
        logits, trace = self(batch["numbers"], training=True, seed=seed)
        auxiliary_loss, reported = auxiliary([self.recurrent])
        terms = logits, trace, batch["labels"], auxiliary_loss, schedule
        loss, metrics = self.loss_terms(*terms)
        return loss, metrics | reported, state

    def loss_terms(
        self,
        logits: tf.Tensor,
        trace: Trace | None,
        labels: tf.Tensor,
        auxiliary_loss: tf.Tensor | float = 0.0,
        schedule: NamedTensors | None = None,
    ) -> tuple[tf.Tensor, dict]:
        """The loss and its terms, from logits [B, 10] and labels [B]."""
        config = self.config
        log_likelihood, right = judged(logits, labels)
        reward = log_likelihood if config.reward == "log_likelihood" else 2 * right - 1
        task_loss, task_weight, agents = -part_of_mean(log_likelihood), 1.0, {}
        if trace is not None and config.reward == "released":
            task_weight = 1 / N_DIGITS  # the release divides by the number of classes
            agents = {"": objective.Agent(trace, reward, losses.released_number_loss)}
        elif trace is not None:
            agent_loss = objective.agent_loss(config.agent_options, schedule)
            agents = {"": objective.Agent(trace, reward, agent_loss)}
        loss, metrics = objective.combine(
            task_loss, agents, task_weight=task_weight, auxiliary_loss=auxiliary_loss
        )
        return loss, metrics | {"accuracy": (part_of_mean(right), 1.0)}

    def evaluation_metrics(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> tuple[dict, object]:
        """See `TaskModel`."""
        logits, _ = self(repeated(batch["numbers"], n_chains), greedy=greedy, seed=seed)
        return classification_metrics(logits, batch["labels"], batch["weights"], n_chains), state
