"""The training step on several replicas, each of which computes its rows of every batch.

Gradients are summed over the replicas and clipped, so that every replica makes the same step.
"""

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..ops import replicas
from ..ops.random import fold
from .compiled_steps import Trainer
from .metrics import with_loss
from .task_model import NamedTensors, TaskModel


class ReplicatedTrainer(Trainer):
    """A `Trainer` whose training steps run on all replicas of a strategy.

    XLA compiles the recurrences and their gradients; sums over the replicas are computed outside of
    them. Evaluation runs on one device.

    Args:
        model, optimizer: made in the scope of the strategy.
        strategy: of `tf.distribute`.
        options: as for `Trainer`.
    """

    def __init__(
        self,
        model: TaskModel,
        optimizer: keras.optimizers.Optimizer | None = None,
        *,
        strategy: tf.distribute.Strategy,
        **options: Any,
    ):
        self.strategy = strategy
        super().__init__(model, optimizer, **options)
        self._train = self._train_on_replicas
        self._replicated = tf.function(
            lambda *args: strategy.run(self._replica_step, args), autograph=False
        )

    def scope(self) -> contextlib.AbstractContextManager:
        """The scope of the strategy, in which the weights of all replicas can be set."""
        return self.strategy.scope()

    def _train_on_replicas(
        self,
        batches: NamedTensors,
        n: tf.Tensor,
        state: Any,
        seed: tf.Tensor,
        first_step: tf.Tensor,
        schedule: NamedTensors,
    ):
        """`train_steps` on all replicas, with a call for each step."""
        with self.scope():
            self.optimizer.learning_rate.assign(schedule["learning_rate"])
        state, totals, bad = tf.nest.map_structure(self._spread, state), {}, -1
        for i in range(int(n)):
            batch = {name: self._spread(array[i]) for name, array in batches.items()}
            state, metrics = self._replicated(batch, state, fold(seed, first_step + i), schedule)
            metrics = {
                name: self.strategy.experimental_local_results(value)[0]
                for name, value in metrics.items()
            }
            totals = {name: totals.get(name, 0.0) + value for name, value in metrics.items()}
            if bad < 0 and not all(
                np.isfinite(metrics[name][0]) for name in ("loss", "gradient_norm")
            ):
                bad = i
                break
        state = tf.nest.map_structure(lambda a: self.strategy.gather(a, 0), state)
        return state, totals, bad

    def _spread(self, a: tf.Tensor):
        """Rows [B, ...] of a batch, divided among the replicas."""
        n_rows = len(a) // self.strategy.num_replicas_in_sync

        def part(context: tf.distribute.experimental.ValueContext):
            first = context.replica_id_in_sync_group * n_rows
            return tf.convert_to_tensor(a[first : first + n_rows])

        return self.strategy.experimental_distribute_values_from_function(part)

    def _replica_step(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ):
        """One replica's share of a step: new state of its rows, metrics of the whole batch."""
        loss, metrics, state, gradients = self._gradients(batch, state, seed, schedule)
        gradients = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, gradients
        )
        # Keras adds the gradients of the replicas up once more; these are all the same.
        gradients, share, norm = self._clip(gradients, 1 / self.strategy.num_replicas_in_sync)
        self.optimizer.apply_gradients(
            zip([g * share for g in gradients], self.model.trainable_variables, strict=True)
        )
        metrics = with_loss(metrics, loss)
        values = replicas.total(
            tf.stack([tf.cast(value, tf.float32) for value, _ in metrics.values()])
        )
        weights = [tf.cast(weight, tf.float32) for _, weight in metrics.values()]
        metrics = {name: tf.stack([values[i], weights[i]]) for i, name in enumerate(metrics)}
        return state, {**metrics, "gradient_norm": tf.stack([norm, 1.0])}
