"""The network of the recall task: one recurrent layer, a linear output of its last state."""

from typing import Any

import keras
import tensorflow as tf

from common import objective
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.ops.replicas import part_of_mean
from common.training.task_model import NamedTensors
from NumberPrediction.recall.presets import RecallConfig


class RecallModel(keras.Model):
    """Sequences [B, T, D] -> predictions [B].

        h_1 .. h_T = recurrent layer,  y = v h_T + b,  loss = (y - x_1[1])^2

    The agent's reward is minus the loss, after the last step.
    """

    def __init__(self, config: RecallConfig):
        super().__init__(name="recall_model")
        self.config = config
        initializers = {}
        # orthogonal matrices and additive skips together make the state grow exponentially
        if config.cell == "skip_rnn":
            initializers["recurrent_initializer"] = keras.initializers.RandomNormal(
                0, config.recurrent_init
            )
        self.recurrent = make_layer(config, config.rnn_size, name="recurrent", **initializers)
        self.output_layer = keras.layers.Dense(1, name="output")
        self(tf.zeros([1, config.length, config.features]))  # creates the weights

    def call(
        self,
        sequences: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, object]:
        """Predictions [B] and the agent's trace (or None)."""
        x = tf.cast(sequences, self.compute_dtype)
        outputs, _, trace = run_layer(
            self.recurrent, x, training=training, greedy=greedy, seed=seed
        )
        return tf.cast(self.output_layer(outputs[:, -1])[:, 0], tf.float32), trace

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`."""
        predictions, trace = self(batch["sequences"], training=True, seed=seed)
        error = (predictions - batch["targets"]) ** 2
        auxiliary_loss, reported = auxiliary([self.recurrent])
        agent_loss = objective.agent_loss(self.config.agent_options, schedule)
        agents = {} if trace is None else {"": objective.Agent(trace, -error, agent_loss)}
        loss, metrics = objective.combine(
            part_of_mean(error), agents, auxiliary_loss=auxiliary_loss
        )
        metrics["mse"] = metrics.pop("task_loss")
        return loss, metrics | reported, state

    def evaluation_metrics(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, greedy: bool
    ) -> tuple[dict, object]:
        """See `TaskModel`."""
        predictions, _ = self(batch["sequences"], greedy=greedy, seed=seed)
        error = (predictions - batch["targets"]) ** 2
        return {
            "mse": (tf.reduce_sum(error * batch["weights"]), tf.reduce_sum(batch["weights"]))
        }, state
