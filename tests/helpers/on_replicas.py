"""Trains a few steps of a task on one device and on two virtual ones, and says how far the weights
are apart; run by test_replicas.py.

python tests/helpers/on_replicas.py numbers words
"""

import contextlib
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from common.cells.dynamic_skip import DynamicSkipLSTMCell  # noqa: E402
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM  # noqa: E402
from common.layers.policy_gradient_model import PolicyGradientModel  # noqa: E402
from common.training.experiment import Experiment  # noqa: E402
from common.training.make_trainer import make_trainer  # noqa: E402
from common.training.metrics import add, means  # noqa: E402

STEPS = 50
TINY = {
    "rnn_size": 6,
    "agent_units": 4,
    "n_actions": 3,
    "batch_size": 8,
    "jit_compile": False,
    "dropout": 0.3,
}


def experiment_of(task: str, run_dir: str) -> tuple[object, Experiment]:
    """Flags and experiment of a tiny run."""
    task, _, cell = task.partition("_")
    tiny = TINY | ({"cell": cell} if cell else {})
    if task == "numbers":
        from NumberPrediction import experiment as task_experiment
        from NumberPrediction.presets import NumberConfig

        tiny["dropout"] = 0.0  # which this network has not
        config = NumberConfig(
            **tiny, n_train=400, n_dev=10, n_test=10, run_dir=run_dir, max_grad_norm=0.5
        )
    elif task in ("words", "mixed"):
        from LanguageModeling import experiment as task_experiment
        from LanguageModeling.presets import LanguageConfig

        tiny |= {"model": "mixed", "tokens": "characters"} if task == "mixed" else {}
        config = LanguageConfig(
            **tiny,
            num_unroll_steps=7,
            run_dir=run_dir,
            max_grad_norm=1.0,
            train_samples=2 if task == "words" else 1,
        )
    elif task == "tags":
        from NER import experiment as task_experiment
        from NER.presets import NERConfig

        config = NERConfig(**tiny, word_size=8, n_buckets=1, run_dir=run_dir)
    else:
        from Sentiment import experiment as task_experiment
        from Sentiment.presets import SentimentConfig

        config = SentimentConfig(**tiny, word_size=8, n_buckets=1, run_dir=run_dir)
    keras.utils.set_random_seed(0)
    return config, task_experiment.build(config)


def trained(
    task: str, run_dir: str, strategy: tf.distribute.Strategy | None
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Weights and metrics after the steps."""
    if strategy is None:
        config, experiment = experiment_of(task, run_dir)
    else:
        with strategy.scope():
            config, experiment = experiment_of(task, run_dir)
    trainer = make_trainer(experiment.model, config, experiment.optimizer, 25, False, strategy)
    schedule = experiment.schedule(0, [])
    state, step, total = experiment.initial_state, 0, {}
    for stack in experiment.train_batches(0):
        stop = min(STEPS - step, len(next(iter(stack.values()))))
        if stop:
            state, metrics = trainer.train(stack, state, step, schedule, stop=stop)
            total, step = add(total, metrics), step + stop
    assert step == STEPS, step
    weights = [v.numpy() for v in (*experiment.model.trainable_variables, *tf.nest.flatten(state))]
    return weights, means(total)


def fitted(
    task: str, strategy: tf.distribute.Strategy | None, epochs: int = STEPS // 5
) -> tuple[list[np.ndarray], dict[str, float]]:
    """The same of a model of one's own and its `fit`, five steps in an epoch."""
    masked, step_by_step = task == "fit_masked", task == "fit_cell"
    random = np.random.default_rng(0)
    words = random.integers(1, 30, (40, 7)) * (
        np.arange(7) < (random.integers(1, 8, (40, 1)) if masked else 7)
    )
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        layer = DynamicSkipLSTM(
            6,
            n_actions=3,
            agent_units=4,
            dropout=0.2,
            recurrent_dropout=0.2,
            state_dropout=0.2,
            state_masks="per_gate",
            return_sequences=True,
            seed=1,
        )
        inputs = keras.Input([7], dtype="int32")
        x = keras.layers.Embedding(30, 5, mask_zero=masked)(inputs)
        if step_by_step:
            cell = DynamicSkipLSTMCell(6, 3, agent_units=4, estimator="straight_through", seed=1)
            hidden = keras.layers.RNN(cell, return_sequences=True)(x)
        else:
            hidden = (keras.layers.Bidirectional(layer) if masked else layer)(x)
        outputs = keras.layers.Dense(30, activation="softmax")(hidden)
        model = (
            keras.Model(inputs, outputs)
            if step_by_step
            else PolicyGradientModel(
                inputs, outputs, entropy_weight=0.1, n_samples=2 if masked else 1
            )
        )
        loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum" if masked else "mean")
        model.compile(
            keras.optimizers.SGD(0.01 if masked else 0.5, momentum=0.9), loss, metrics=["accuracy"]
        )
    history = model.fit(
        words, np.roll(words, -1, 1), batch_size=8, epochs=epochs, shuffle=False, verbose=0
    ).history
    return [v.numpy() for v in model.trainable_variables], {
        name: values[-1] for name, values in history.items()
    }


def main(tasks: list[str], run_dir: str) -> None:
    """Print a line for each task: the largest difference of a weight, of a metric (relative to it
    where it is above 1), and how far training moved the weights.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for task in tasks:
        if task.startswith("fit"):
            start, (one, metrics), (two, metrics_two) = (
                fitted(task, None, 0)[0],
                fitted(task, None),
                fitted(task, strategy),
            )
        else:
            start = [v.numpy() for v in experiment_of(task, run_dir)[1].model.trainable_variables]
            (one, metrics), (two, metrics_two) = (
                trained(task, run_dir, None),
                trained(task, run_dir, strategy),
            )
        apart = max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))
        moved = max(np.abs(a - b).max() for a, b in zip(one, start, strict=False))
        # a loss is a sum, of large numbers too
        metric = max(abs(a - metrics_two[n]) / max(abs(a), 1) for n, a in metrics.items())
        assert metrics.keys() == metrics_two.keys()
        print(f"{task} weights {apart:.3g} metrics {metric:.3g} moved {moved:.3g}", flush=True)


if __name__ == "__main__":
    main(sys.argv[2:], sys.argv[1])
