"""Trains a few steps of a task on one device and on two virtual ones, and says how far the weights are apart; run by test_replicas.py.

    python tests/on_replicas.py numbers words
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from common import training  # noqa: E402

STEPS = 50
TINY = {"rnn_size": 6, "agent_units": 4, "n_actions": 3, "batch_size": 8, "jit_compile": False, "dropout": 0.3}


def experiment_of(task: str, run_dir: str) -> tuple[object, training.Experiment]:
    """Flags and experiment of a tiny run."""
    if task.startswith("numbers"):
        from NumberPrediction import model
        from NumberPrediction.presets import NumberConfig

        cell = task.removeprefix("numbers_") if "_" in task else "dynamic_skip"
        config = NumberConfig(**TINY, n_train=400, n_dev=10, n_test=10, run_dir=run_dir, max_grad_norm=0.5, cell=cell)
    elif task == "words":
        from LanguageModeling import model
        from LanguageModeling.presets import LanguageConfig

        config = LanguageConfig(**TINY, num_unroll_steps=7, run_dir=run_dir, max_grad_norm=1.0)
    elif task == "tags":
        from NER import model
        from NER.presets import NERConfig

        config = NERConfig(**TINY, word_size=8, n_buckets=1, run_dir=run_dir)
    else:
        from Sentiment import model
        from Sentiment.presets import SentimentConfig

        config = SentimentConfig(**TINY, word_size=8, n_buckets=1, run_dir=run_dir)
    keras.utils.set_random_seed(0)
    return config, model.build(config)


def trained(task: str, run_dir: str, strategy: tf.distribute.Strategy | None) -> tuple[list[np.ndarray], dict[str, float]]:
    """Weights and metrics after the steps."""
    if strategy is None:
        config, experiment = experiment_of(task, run_dir)
    else:
        with strategy.scope():
            config, experiment = experiment_of(task, run_dir)
    trainer = training.make_trainer(experiment.model, config, experiment.optimizer, 25, False, strategy)
    knobs = experiment.knobs(0, [])
    state, step, total = experiment.initial_state, 0, {}
    for stack in experiment.train_batches(0):
        stop = min(STEPS - step, len(next(iter(stack.values()))))
        if stop:
            state, metrics = trainer.train(stack, state, step, knobs, stop=stop)
            total, step = training.add(total, metrics), step + stop
    assert step == STEPS, step
    weights = [v.numpy() for v in (*experiment.model.trainable_variables, *tf.nest.flatten(state))]
    return weights, training.means(total)


def main(tasks: list[str], run_dir: str) -> None:
    """Print a line for each task: the largest difference of a weight, of a metric, and how far training moved the weights."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for task in tasks:
        one, metrics = trained(task, run_dir, None)
        two, metrics_two = trained(task, run_dir, strategy)
        apart = max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))
        _, experiment = experiment_of(task, run_dir)
        moved = max(np.abs(a - v.numpy()).max() for a, v in zip(one, experiment.model.trainable_variables, strict=False))
        metric = max(abs(metrics[name] - metrics_two[name]) for name in metrics)
        assert metrics.keys() == metrics_two.keys()
        print(f"{task} weights {apart:.3g} metrics {metric:.3g} moved {moved:.3g}", flush=True)


if __name__ == "__main__":
    main(sys.argv[2:], sys.argv[1])
