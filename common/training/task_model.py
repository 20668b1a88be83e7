"""What the training loop asks of a task's model."""

from typing import Any, Protocol

import tensorflow as tf

from ..objective import Metrics

NamedTensors = dict[str, tf.Tensor]  # by name


class TaskModel(Protocol):
    """A `keras.Model` whose weights exist, with these methods (the last one where a task needs it).

    `batch` is a dict of tensors. From `seed`, int32 [2], follows every random number of a step. On
    R replicas each computes the loss of its B / R rows, as its part of the whole batch's mean
    (`common/ops/replicas.py`).
    """

    def initial_state(self, batch_size: int) -> Any:
        """What is carried from batch to batch; () for nothing."""

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, Metrics, Any]:
        """The scalar to minimise (`common/objective.py`), its terms, the new state.

        `schedule`: the scalars that may change from epoch to epoch.
        """

    def evaluation_metrics(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> tuple[Metrics, Any]:
        """Without dropout; with the most probable distances, or with sampled ones. And the new
        state.

        Of several chains the metrics are those of the mixture (`common/ops/mixture.py`), with the
        mean of the chains' own losses as `chain_loss`; the state has n_chains * B rows.
        """

    def infer(
        self, batch: NamedTensors, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> NamedTensors:
        """What the model says about each example, likewise."""
