"""Makes the trainer that a run's flags ask for; sets precision and seed of the process."""

import keras
import numpy as np
import tensorflow as tf

from ..config import RunConfig
from .compiled_steps import Trainer
from .replicated_steps import ReplicatedTrainer


def set_precision(config: RunConfig) -> None:
    """Set precision, seed and determinism of this process; to be called before a model is built."""
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

    Args:
        steps_per_call: see `Trainer`.
        many_shapes: the chunks have many shapes; by default XLA then compiles only the recurrences
            on a CPU, not whole steps.
        strategy: in whose scope model and optimizer were made; None for one device.
    """
    jit_compile = config.jit_compile
    if jit_compile is None:
        # On a CPU, XLA saves the overhead of many small operations, but its products of large
        # matrices are slower than a plain graph's. It compiles each shape anew, for longer than it
        # then saves on a few short batches.
        jit_compile = bool(tf.config.list_physical_devices("GPU")) or (
            count_weights(model) < 1_000_000 and not many_shapes
        )
    options = {
        "seed": config.seed,
        "max_grad_norm": config.max_grad_norm,
        "jit_compile": jit_compile,
        "steps_per_call": steps_per_call,
        "many_lengths": many_shapes,
        "n_samples": config.n_train_samples,
    }
    if strategy is None:
        return Trainer(model, optimizer, **options)
    return ReplicatedTrainer(model, optimizer, strategy=strategy, **options)


def count_weights(model: keras.Model) -> int:
    """The number of trainable weights."""
    return int(sum(np.prod(v.shape, dtype=np.int64) for v in model.trainable_variables))
