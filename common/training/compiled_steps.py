"""The training step, compiled: many steps in one call, over a chunk of batches of a `TaskModel`.

Every random number is a function of (seed, step): there is nothing random to save, and a run that
was cut off goes on exactly.

On several replicas each computes the loss of its rows of every batch. Gradients are added up and
clipped, and every replica makes the same step. Evaluation is left to one device.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context

from ..config import RunConfig
from ..ops import replicas
from ..ops.random import fold
from .metrics import MOST_METRICS, add, as_rows
from .task_model import TaskModel, Tensors

TRAIN, EVALUATE = 0, 1  # streams of random numbers


class Trainer:
    """Runs a model's `training_loss` and `evaluation_metrics` over chunks of batches, each chunk
    one compiled call.

    Args:
        model: a `TaskModel`.
        optimizer: a Keras optimizer without clipping of its own, or None to evaluate only.
        seed: the run's seed.
        max_grad_norm: global norm that gradients are clipped to; 0 for none.
        jit_compile: compile each call with XLA.
        steps_per_call: batches in one call; shorter chunks are filled up, so that batches of one
            shape are compiled once.
        strategy: of `tf.distribute`, in whose scope model and optimizer were made; None for one
            device. Under it the recurrences and their gradients are what XLA compiles, and the sums
            over the replicas are made outside of them.
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
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.model, self.optimizer, self.seed, self.strategy = model, optimizer, seed, strategy
        self.max_grad_norm, self.steps_per_call = max_grad_norm, steps_per_call
        _leave_sums_whole()
        if optimizer is not None:
            with self.scope():
                optimizer.build(model.trainable_variables)
        if strategy is None:
            self._train = _compile(self.train_steps, jit_compile)
        else:
            self._train = self._train_on_replicas
            self._replicated = tf.function(
                lambda *args: strategy.run(self._replica_step, args), autograph=False
            )
        self._evaluate = functools.cache(
            lambda *how: _compile(lambda *args: self.evaluate_steps(*args, *how), jit_compile)
        )
        self._infer = functools.cache(
            lambda *how: _compile(lambda batch, seed: model.infer(batch, seed, *how), jit_compile)
        )

    def scope(self) -> contextlib.AbstractContextManager:
        """In which the weights of all replicas can be set."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

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
        """Train on a chunk of batches (arrays [N, B, ...]), those from `start` to `stop`, the first
        of them at global step `first_step`.

        `on_call(n_done, state, metrics)` is called after each compiled call, with that call's
        totals of the metrics. Returns the state and the metrics' totals.
        Raises:
            FloatingPointError: a loss or gradient that is not finite; says which and at which step.
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
        """Metrics' totals over a chunk of batches; `sample` numbers the repetition where distances
        are sampled.

        Of several chains those of their mixture; the state then has a row for each chain of each
        row.
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
        """What the model says about each batch of a chunk: arrays [N, B, ...]. `sample` as for
        `evaluate`; `first` numbers the chunk's first batch, where there are several chunks."""
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
        """The chunk from `first` to `stop` in parts of `steps_per_call`: how many came before, how
        many there are, their batches.

        The last part is filled up, so that all have one shape, wherever a run goes on in a chunk:
        one program computes them all.
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
        batches: Tensors,
        n: tf.Tensor,
        state: Any,
        seed: tf.Tensor,
        first_step: tf.Tensor,
        schedule: Tensors,
    ) -> tuple[Any, Tensors, tf.Tensor]:
        """What `train` compiles: `n` steps, of tensors.

        Returns state, metrics, and the first step that was not finite, or -1.
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
            metrics = {**metrics, "loss": (loss, 1.0), "gradient_norm": (norm, 1.0)}
            bad = tf.where(tf.math.is_finite(loss) & tf.math.is_finite(norm), bad, i)
            return i + 1, bad, state, totals + as_rows(metrics, names)

        start = (0, -1, state, tf.zeros([MOST_METRICS, 2]))
        _, bad, state, totals = tf.while_loop(
            lambda i, bad, *_: (i < n) & (bad < 0), step, start, parallel_iterations=1
        )
        return state, {name: totals[row] for row, name in enumerate(names)}, bad

    def _gradients(self, batch: Tensors, state: Any, seed: tf.Tensor, schedule: Tensors):
        with tf.GradientTape() as tape:
            loss, metrics, state = self.model.training_loss(batch, state, seed, schedule)
        # Dense, because XLA has no sparse gradients (those of an embedding).
        # Of the values, because zeros for a weight that the loss does not reach cannot be made from
        # a Keras variable.
        weights = [weight.value for weight in self.model.trainable_variables]
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, metrics, state, [tf.convert_to_tensor(g) for g in gradients]

    def _clip(self, gradients: list[tf.Tensor], rate: float | tf.Tensor):
        """The gradients of at most the largest norm, the learning rate for them, and the norm that
        they had.
        """
        norm = tf.linalg.global_norm(gradients)
        if not self.max_grad_norm:
            return gradients, rate, norm
        scale = self.max_grad_norm / tf.maximum(norm, self.max_grad_norm)
        if type(self.optimizer) is keras.optimizers.SGD and not self.optimizer.momentum:
            # the same step, and one pass less over all weights
            return gradients, rate * scale, norm
        return [g * scale for g in gradients], rate, norm

    def _train_on_replicas(
        self,
        batches: Tensors,
        n: tf.Tensor,
        state: Any,
        seed: tf.Tensor,
        first_step: tf.Tensor,
        schedule: Tensors,
    ):
        """What `train_steps` does, a call for each step, on all replicas."""
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
        """Rows [B, ...] of a batch, each replica its own."""
        n_rows = len(a) // self.strategy.num_replicas_in_sync

        def part(context: tf.distribute.experimental.ValueContext):
            first = context.replica_id_in_sync_group * n_rows
            return tf.convert_to_tensor(a[first : first + n_rows])

        return self.strategy.experimental_distribute_values_from_function(part)

    def _replica_step(self, batch: Tensors, state: Any, seed: tf.Tensor, schedule: Tensors):
        """One replica's share of a step: the new state of its rows, and the metrics of the whole
        batch.
        """
        loss, metrics, state, gradients = self._gradients(batch, state, seed, schedule)
        gradients = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, gradients
        )
        # Keras adds the gradients of the replicas up once more; these are all the same.
        gradients, share, norm = self._clip(gradients, 1 / self.strategy.num_replicas_in_sync)
        self.optimizer.apply_gradients(
            zip([g * share for g in gradients], self.model.trainable_variables, strict=True)
        )
        metrics = {**metrics, "loss": (loss, 1.0)}
        values = replicas.total(
            tf.stack([tf.cast(value, tf.float32) for value, _ in metrics.values()])
        )
        weights = [tf.cast(weight, tf.float32) for _, weight in metrics.values()]
        metrics = {name: tf.stack([values[i], weights[i]]) for i, name in enumerate(metrics)}
        return state, {**metrics, "gradient_norm": tf.stack([norm, 1.0])}

    def evaluate_steps(
        self,
        batches: Tensors,
        n: tf.Tensor,
        state: Any,
        seed: tf.Tensor,
        first_step: tf.Tensor,
        *how: bool | int,
    ) -> tuple[Any, Tensors]:
        """What `evaluate` compiles: `n` batches, of tensors; `how`: greedy and, of several, the
        chains. Returns state and metrics.
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


def _leave_sums_whole() -> None:
    """Keep TensorFlow's graph optimiser from saving memory, in the functions of this thread.

    To save it, it turns large sums within loops into temporary variables. In TensorFlow 2.21 those
    of a loop's last pass stay, and the next step ends with AlreadyExistsError, such as that of the
    language model at full size with gru. There is no public switch.
    """
    options = config_pb2.ConfigProto()
    options.CopyFrom(context.context().config)
    options.graph_options.rewrite_options.memory_optimization = RewriterConfig.NO_MEM_OPT
    context.context().function_call_options = context.FunctionCallOptions(config_proto=options)


def _compile(function: Callable, jit_compile: bool) -> Callable:
    """The function of tensors, compiled once for each shape of the batches, its first argument.

    What `tf.function` does by itself, without its warning that many shapes are a mistake.
    """
    # No AutoGraph: there is nothing for it to convert, and looking for it takes a fifth of the
    # time.
    graph = tf.function(
        lambda arguments: function(*arguments), jit_compile=jit_compile, autograph=False
    )
    compiled: dict[tuple, Callable] = {}

    def call(*arguments: Any):
        arguments = tf.nest.map_structure(tf.convert_to_tensor, arguments)
        shapes = tuple((name, tuple(array.shape)) for name, array in sorted(arguments[0].items()))
        if shapes not in compiled:
            compiled[shapes] = graph.get_concrete_function(arguments)
        return compiled[shapes](arguments)

    return call


def _not_finite(metrics: dict[str, float], step: int) -> str:
    terms = [name for name, value in metrics.items() if not np.isfinite(value)]
    return f"step {step}: {', '.join(terms) or 'the gradient'} not finite"


def set_precision(config: RunConfig) -> None:
    """Mixed precision and determinism are settings of the process; to be called before a model is
    built.
    """
    keras.mixed_precision.set_global_policy(
        "mixed_bfloat16" if config.mixed_precision else "float32"
    )
    keras.utils.set_random_seed(config.seed)  # the initial weights
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def make_trainer(
    model: keras.Model,
    config: RunConfig,
    optimizer: keras.optimizers.Optimizer | None = None,
    steps_per_call: int = 50,
    many_shapes: bool = False,
    strategy: tf.distribute.Strategy | None = None,
) -> Trainer:
    """The trainer that the flags ask for.

    With `many_shapes`, what XLA compiles by default on a CPU is the recurrences alone.
    """
    jit_compile = config.jit_compile
    if jit_compile is None:
        # On a CPU, XLA saves the overhead of many small operations, but its products of large
        # matrices are slower than a plain graph's. It compiles each shape anew, for longer than it
        # then saves on a few short batches.
        jit_compile = bool(tf.config.list_physical_devices("GPU")) or (
            count_weights(model) < 1_000_000 and not many_shapes
        )
    return Trainer(
        model,
        optimizer,
        seed=config.seed,
        max_grad_norm=config.max_grad_norm,
        jit_compile=jit_compile,
        steps_per_call=steps_per_call,
        strategy=strategy,
    )


def _how(greedy: bool, n_chains: int) -> tuple:
    """What a model is told; of chains only where there are several, so that a model without a
    mixture need not know of them.
    """
    return (greedy,) if n_chains == 1 else (greedy, n_chains)


def count_weights(model: keras.Model) -> int:
    """The number of trainable weights."""
    return int(sum(np.prod(v.shape, dtype=np.int64) for v in model.trainable_variables))
