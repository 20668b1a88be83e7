"""The noise of the estimators of the agent's gradient in a trained language model."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from common.errors import InputError
from experiments import tasks


class Noise(NamedTuple):
    """Of draws of one gradient of the agent's weights, on one batch."""

    mean: float  # |E g|, without what the noise adds to the norm of the draws' mean
    noise: float  # the root of tr Cov g
    seconds: float  # CPU time of a training step's loss and all gradients, the median


def variants(n_samples: int) -> dict[str, dict[str, Any]]:
    """The flags of each estimator."""
    reward = {"estimator": "policy_gradient"}
    return {
        "leave_one_out": reward,
        "samples": {**reward, "train_samples": n_samples},
        "straight_through": {"estimator": "straight_through"},
        "reinmax": {"estimator": "reinmax"},
    }


def objective(config: Any) -> dict[str, Any]:
    """The flags of the objective that all estimators are measured with."""
    flags = {"entropy_weight": 0.0, "reward": "log_likelihood", "discount": 1.0}
    flags |= {"credit": "to_go", "baseline": "leave_one_out", "entropy": "analytic"}
    flags |= {"rl_weight": float(config.num_unroll_steps), "train_samples": 1}
    flags |= {"mc_dropout": False}  # which would ask for dropout
    regularisation = (
        *("dropout", "word_dropout", "state_dropout", "weight_dropout"),
        *("activation_l2", "slowness_l2"),
    )
    flags |= {name: 0.0 for name in regularisation if getattr(config, name) is not None}
    return flags if config.zoneout is None else flags | {"zoneout": [0.0, 0.0]}


def measure(run_dir: str, n_draws: int, n_samples: int) -> tuple[Any, dict[str, Noise]]:
    """The run's flags, and the noise of each estimator at the weights of its best epoch.

    All estimate the gradient of one objective, the loss of a batch summed over its steps: the
    reward has its full weight, entropy and regularisation have none. Estimators take turns, so that
    all have the same share of a busy machine.

    Raises:
        InputError: no run of a language model with an agent there.
    """
    tasks.task_of(run_dir, ["LanguageModeling"])
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # a step is traced for each estimator, and that is meant
    from common.ops.mixture import repeated
    from LanguageModeling import experiment, reader
    from LanguageModeling.corpora import reviews

    config, trainer, vocabulary = experiment.load(run_dir)
    if not config.has_agent:
        raise InputError(
            f"{run_dir}: expected a run with an agent, found --cell {config.cell}, --n_actions"
            f" {config.n_actions}; name a run of dynamic_skip"
        )
    unknown = {"--output suffix": config.output, "--model mixed": config.model}
    for name in [name for name, value in unknown.items() if name.endswith(f" {value}")]:
        raise InputError(f"{run_dir}: expected a run without {name}; name another")
    read = vocabulary, config.tokens, reviews.Condition.of(config)
    tokens = reader.load_split(config.data_dir, "train", *read)
    size = config.batch_size, config.num_unroll_steps
    words, targets = reviews.with_classes(reader.streams, tokens, *size)
    if len(words) < 2:
        raise InputError(
            f"{run_dir}: expected a training text of two windows of {size[1]} words for each of"
            f" {size[0]} streams, found one; name a run with more text"
        )
    before, draws = tf.constant(words[0]), {}
    batch = {"words": tf.constant(words[1]), "targets": tf.constant(targets[1])}
    for name, flags in variants(n_samples).items():
        flags = objective(config) | flags
        model = experiment.make_model(dataclasses.replace(config, **flags), vocabulary)
        model.set_weights(trainer.model.get_weights())
        n = model.config.n_train_samples
        state = model.initial_state(config.batch_size * n)
        state = model.features(repeated(before, n), state, greedy=True)[1]
        draws[name] = _draw(model, {k: repeated(a, n) for k, a in batch.items()}, state)
    found: dict[str, list] = {name: [] for name in draws}
    for i in range(-1, n_draws):  # the first is compiled, and not counted
        for name, draw in draws.items():
            start = time.process_time()
            gradient = draw(i)
            found[name].append((gradient, time.process_time() - start))
    return config, {name: noise_of(*zip(*of[1:], strict=True)) for name, of in found.items()}


def _draw(model: Any, batch: Mapping[str, Any], state: list) -> Callable:
    """A function of a draw's number -> the gradient of the agent's weights, flat."""
    import tensorflow as tf

    variables = [v.value for v in model.trainable_variables]
    of_agent = {v.path for v in model.recurrent[-1].trainable_variables[3:]}

    @tf.function(autograph=False)
    def step(seed: tf.Tensor) -> list:
        with tf.GradientTape() as tape:
            loss = model.training_loss(batch, state, seed, {})[0]
        return tape.gradient(loss, variables)

    def draw(i: int) -> np.ndarray:
        found = zip(model.trainable_variables, step(tf.constant([0, i])), strict=True)
        parts = [np.ravel(g.numpy()) for v, g in found if v.path in of_agent]
        return np.concatenate(parts).astype(np.float64)

    return draw


def noise_of(gradients: Sequence[np.ndarray], seconds: Sequence[float]) -> Noise:
    """What draws [n, P] of a gradient say."""
    all_draws = np.array(gradients)
    variance = all_draws.var(0, ddof=1).sum()
    square = (all_draws.mean(0) ** 2).sum() - variance / len(all_draws)
    return Noise(max(0.0, square) ** 0.5, variance**0.5, float(np.median(seconds)))
