"""The compiled training step: many steps of a `TaskModel` in one call, over a chunk of batches.

Every random number is a function of (seed, step), so no generator has to be saved, and a run that
was interrupted resumes exactly. `replicated_steps.py` does the same on several devices.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..ops.mixture import repeated
from ..ops.random import fold
from .metrics import MOST_METRICS, add, as_rows, with_loss
from .task_model import NamedTensors, TaskModel
from .tf_compile import compiled, leave_sums_whole

TRAIN, EVALUATE = 0, 1  # streams of random numbers


class Trainer:
    """Runs a model's `training_loss` and `evaluation_metrics` over chunks of batches.

    Args:
        model: a `TaskModel`.
        optimizer: a Keras optimizer without clipping of its own, or None to evaluate only.
        seed: the run's seed.
        max_grad_norm: global norm that gradients are clipped to; 0 for none.
        jit_compile: compile each call with XLA.
        steps_per_call: batches in one call; shorter chunks are filled up, so that batches of one
            shape are compiled once.
        many_lengths: the batches [B, T, ...] of the chunks differ in T: one graph serves all.
        n_samples: S, samples of each training example: the model's batches have B * S rows.
    """

    def __init__(
        self,
        model: TaskModel,
        optimizer: keras.optimizers.Optimizer | None = None,
        *,
        seed: int = 0,
        max_grad_norm: float = 0.0,
        jit_compile: bool = True,
        steps_per_call: int = 50,
        many_lengths: bool = False,
        n_samples: int = 1,
    ):
        self.model, self.optimizer, self.seed, self.n_samples = model, optimizer, seed, n_samples
        self.max_grad_norm, self.steps_per_call = max_grad_norm, steps_per_call
        leave_sums_whole()
        if optimizer is not None:
            with self.scope():
                optimizer.build(model.trainable_variables)
        of_chunk, of_batch = (2, 1) if many_lengths else (None, None)  # the axis T
        self._train = compiled(self.train_steps, jit_compile, of_chunk)
        self._evaluate = functools.cache(
            lambda *how: compiled(
                lambda *args: self.evaluate_steps(*args, *how), jit_compile, of_chunk
            )
        )
        self._infer = functools.cache(
            lambda *how: compiled(
                lambda batch, seed: model.infer(batch, seed, *how), jit_compile, of_batch
            )
        )

    def scope(self) -> contextlib.AbstractContextManager:
        """A context in which weights can be set; one device needs none."""
        return contextlib.nullcontext()

    def train(
        self,
        batches: dict,
        state: Any,
        first_step: int,
        schedule: dict,
        on_call: Callable | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> tuple[object, dict[str, np.ndarray]]:
        """Train on the batches `start` to `stop` of a chunk (arrays [N, B, ...]).

        `first_step` is the global number of the first of them. `on_call(n_done, state, metrics)` is
        called after each compiled call with the totals of its metrics.

        Returns the state and the totals of the metrics.

        Raises:
            FloatingPointError: a loss or gradient that is not finite; names it and its step.
        """
        schedule = {name: tf.constant(value, tf.float32) for name, value in schedule.items()}
        total: dict[str, np.ndarray] = {}
        for done, n, part in self._parts(batches, start, stop):
            step = first_step + done
            state, metrics, bad = self._train(
                part, n, state, self._seed(TRAIN), tf.constant(step), schedule
            )
            if bad >= 0:
                metrics = {name: float(value[0]) for name, value in metrics.items()}
                raise FloatingPointError(_not_finite(metrics, step + int(bad)))
            total = add(total, metrics)
            if on_call:
                on_call(done + int(n), state, add({}, metrics))
        return state, total

    def evaluate(
        self,
        batches: dict,
        state: Any = (),
        greedy: bool = False,
        sample: int = 0,
        n_chains: int = 1,
    ) -> dict[str, np.ndarray]:
        """Totals of the metrics over a chunk of batches.

        `sample` numbers the repetition where distances are sampled. With several chains, metrics
        are those of their mixture, and the state has n_chains * B rows.
        """
        total: dict[str, np.ndarray] = {}
        for start, n, part in self._parts(batches):
            seed = fold(self._seed(EVALUATE), sample)
            state, metrics = self._evaluate(*_how(greedy, n_chains))(
                part, n, state, seed, tf.constant(start)
            )
            total = add(total, metrics)
        return total

    def infer(
        self,
        batches: dict,
        greedy: bool = False,
        sample: int = 0,
        first: int = 0,
        n_chains: int = 1,
    ) -> dict[str, np.ndarray]:
        """The model's predictions for each batch of a chunk: arrays [N, B, ...].

        `sample` as for `evaluate`; `first` is the number of the chunk's first batch, if there are
        several chunks.
        """
        seed = fold(self._seed(EVALUATE), sample)
        n_batches = len(next(iter(batches.values())))
        infer = self._infer(*_how(greedy, n_chains))
        found = [
            infer({k: tf.constant(a[i]) for k, a in batches.items()}, fold(seed, first + i))
            for i in range(n_batches)
        ]
        return {name: np.stack([one[name].numpy() for one in found]) for name in found[0]}

    def _seed(self, stream: int) -> tf.Tensor:
        return tf.constant([self.seed, stream], tf.int32)

    def _parts(
        self, batches: dict, first: int = 0, stop: int | None = None
    ) -> Iterable[tuple[int, tf.Tensor, dict]]:
        """Parts of `steps_per_call` batches of a chunk: (batches before, batches in it, arrays).

        The last part is padded with copies of its last batch: all parts have one shape, wherever in
        the chunk a run resumes, and one compiled program serves them all.
        """
        n_batches, size = len(next(iter(batches.values()))), self.steps_per_call
        stop = n_batches if stop is None else min(stop, n_batches)
        for start in range(first, stop, size):
            n = min(size, stop - start)
            part = {name: array[start : start + n] for name, array in batches.items()}
            if n < size:
                part = {
                    name: np.concatenate([a, np.repeat(a[-1:], size - n, 0)])
                    for name, a in part.items()
                }
            yield start - first, tf.constant(n), {name: tf.constant(a) for name, a in part.items()}

    def train_steps(
        self,
        batches: NamedTensors,
        n: tf.Tensor,
        state: Any,
        seed: tf.Tensor,
        first_step: tf.Tensor,
        schedule: NamedTensors,
    ) -> tuple[Any, NamedTensors, tf.Tensor]:
        """`n` training steps on a stack of batches: the function of tensors that `train` compiles.

        Returns state, metrics, and the first step with a NaN or Inf, or -1.
        """

        names: list[str] = []

        def step(i: tf.Tensor, bad: tf.Tensor, state: Any, totals: tf.Tensor):
            batch = {name: array[i] for name, array in batches.items()}
            step_seed = fold(seed, first_step + i)
            loss, metrics, state, gradients = self._gradients(batch, state, step_seed, schedule)
            gradients, rate, norm = self._clip(gradients, schedule["learning_rate"])
            self.optimizer.learning_rate.assign(rate)
            self.optimizer.apply_gradients(
                zip(gradients, self.model.trainable_variables, strict=True)
            )
            metrics = {**with_loss(metrics, loss), "gradient_norm": (norm, 1.0)}
            bad = tf.where(tf.math.is_finite(loss) & tf.math.is_finite(norm), bad, i)
            return i + 1, bad, state, totals + as_rows(metrics, names)

        start = (0, -1, state, tf.zeros([MOST_METRICS, 2]))
        _, bad, state, totals = tf.while_loop(
            lambda i, bad, *_: (i < n) & (bad < 0), step, start, parallel_iterations=1
        )
        return state, {name: totals[row] for row, name in enumerate(names)}, bad

    def _gradients(self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors):
        batch = {name: repeated(a, self.n_samples) for name, a in batch.items()}
        with tf.GradientTape() as tape:
            loss, metrics, state = self.model.training_loss(batch, state, seed, schedule)
        # Dense, because XLA has no sparse gradients (those of an embedding).
        # Of the values: TensorFlow makes no zeros for a Keras variable that the loss ignores.
        weights = [weight.value for weight in self.model.trainable_variables]
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, metrics, state, [tf.convert_to_tensor(g) for g in gradients]

    def _clip(self, gradients: list[tf.Tensor], rate: float | tf.Tensor):
        """The clipped gradients, the learning rate for them, and their norm before clipping."""
        norm = tf.linalg.global_norm(gradients)
        if not self.max_grad_norm:
            return gradients, rate, norm
        scale = self.max_grad_norm / tf.maximum(norm, self.max_grad_norm)
        sgd = self.optimizer
        if type(sgd) is keras.optimizers.SGD and not (sgd.momentum or sgd.weight_decay):
            # the same step with one pass less over all weights
            return gradients, rate * scale, norm
        return [g * scale for g in gradients], rate, norm

    def evaluate_steps(
        self,
        batches: NamedTensors,
        n: tf.Tensor,
        state: Any,
        seed: tf.Tensor,
        first_step: tf.Tensor,
        *how: bool | int,
    ) -> tuple[Any, NamedTensors]:
        """Evaluation of `n` batches: the function of tensors that `evaluate` compiles.

        `how`: greedy and, if there are several, the number of chains. Returns state and metrics.
        """
        names: list[str] = []

        def step(i: tf.Tensor, state: Any, totals: tf.Tensor):
            batch = {name: array[i] for name, array in batches.items()}
            step_seed = fold(seed, first_step + i)
            metrics, state = self.model.evaluation_metrics(batch, state, step_seed, *how)
            return i + 1, state, totals + as_rows(metrics, names)

        start = (0, state, tf.zeros([MOST_METRICS, 2]))
        _, state, totals = tf.while_loop(lambda i, *_: i < n, step, start, parallel_iterations=1)
        return state, {name: totals[row] for row, name in enumerate(names)}


def _not_finite(metrics: dict[str, float], step: int) -> str:
    terms = [name for name, value in metrics.items() if not np.isfinite(value)]
    return f"step {step}: {', '.join(terms) or 'the gradient'} not finite"


def _how(greedy: bool, n_chains: int) -> tuple:
    """The arguments of an evaluation; the number of chains only if it is not 1.

    A model without a mixture therefore need not accept it.
    """
    return (greedy,) if n_chains == 1 else (greedy, n_chains)
