"""The interface that a task's model has for the training loop."""

from typing import Any, Protocol

import tensorflow as tf

from ..objective import Metrics

NamedTensors = dict[str, tf.Tensor]  # by name


class TaskModel(Protocol):
    """A built `keras.Model` with these methods; `infer` only where the task needs it.

    `batch` is a dict of tensors. `state` is carried from batch to batch, and begins as
    `Experiment.initial_state`: () for none. `seed`, int32 [2], determines every random number of a
    step. On R replicas each computes the loss of its B / R rows, as its share of the whole batch's
    mean (`common/ops/replicas.py`).
    """

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, Metrics, Any]:
        """The scalar to minimise (`common/objective.py`), its terms, the new state.

        `schedule`: the scalars that may change from epoch to epoch.
        """

    def evaluation_metrics(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> tuple[Metrics, Any]:
        """Metrics without dropout, and the new state.

        Distances are the most probable ones (`greedy`) or sampled. With several chains the metrics
        are those of the mixture (`common/ops/mixture.py`), with the mean of the chains' own losses
        as `chain_loss`; the state has n_chains * B rows. With `--mc_dropout` each chain has masks
        of dropout.
        """

    def infer(
        self, batch: NamedTensors, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> NamedTensors:
        """Predictions for each example, under the same conditions.

        A model whose predictions have no mixture takes no `n_chains`.
        """
