"""common/objective.py: the sum and its metrics by hand, and that every training step comes through
it.
"""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import tiny_runs

from common import DynamicSkipLSTM, PolicyGradientModel, losses, objective
from common.config import parse
from common.ops.agent import Trace

rng = np.random.default_rng(0)
MASK = np.array([[1, 1, 0], [1, 1, 1]], np.float32)
LOG_P, ENTROPY = rng.normal(size=(2, 2, 3)).astype(np.float32) * MASK
TRACE = Trace(
    tf.ones([2, 3], tf.int32),
    *map(tf.constant, (LOG_P, ENTROPY)),
    tf.ones([2, 3, 1]),
    tf.constant(MASK),
)


@pytest.mark.parametrize("compiled", [None, False, True])
def test_the_sum_by_hand(compiled):
    """Two agents: one rewarded at each step, the other after the last; the second row only fills up
    the batch.
    """
    each = functools.partial(losses.policy_gradient, rl_weight=0.5, entropy_weight=0.1)

    def combine():
        agents = {
            "a": objective.Agent(TRACE, tf.constant(MASK) * 2.0, each),
            "b": objective.Agent(TRACE, tf.constant([3.0, 5.0])),
        }
        weights = tf.constant([1.0, 0.0])
        return objective.combine(
            tf.constant(7.0), agents, task_weight=2.0, auxiliary_loss=0.25, weights=weights
        )

    loss, metrics = (combine if compiled is None else tf.function(combine, jit_compile=compiled))()
    p, h = LOG_P[0, :2], ENTROPY[0, :2]
    value = 0.5 * np.array([4.0, 2.0]) + 0.1 * np.array([h.sum(), h[1]])
    a = -np.mean(p * value) - 0.1 * np.mean(h)
    b = -np.mean(p * 3.0)
    assert loss.numpy() == pytest.approx(2 * 7 + a + b + 0.25, rel=1e-5)
    found = {name: float(total) / float(weight) for name, (total, weight) in metrics.items()}
    expected = {
        "task_loss": 7.0,
        "agent_loss_a": a,
        "entropy_a": h.mean(),
        "agent_loss_b": b,
        "entropy_b": h.mean(),
    }
    assert found == pytest.approx(expected, rel=1e-5)


def test_no_gradient_flows_through_rewards():
    reward = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        loss, metrics = objective.combine(tf.constant(1.0), {"": objective.Agent(TRACE, reward)})
    assert tape.gradient(loss, reward) is None
    assert set(metrics) == {"task_loss", "agent_loss", "entropy"} and metrics["task_loss"][1] == 1.0


def test_without_agents_it_is_the_task_s_loss():
    loss, metrics = objective.combine(tf.constant(3.0), {})
    assert loss == 3.0 and list(metrics) == ["task_loss"]


@pytest.fixture
def calls(monkeypatch):
    """Counts the calls of `combine`."""
    seen, combine = [], objective.combine
    monkeypatch.setattr(
        objective, "combine", lambda *args, **kwargs: seen.append(1) or combine(*args, **kwargs)
    )
    return seen


@pytest.mark.parametrize("task", ["LanguageModeling", "NumberPrediction", "NER", "Sentiment"])
def test_every_task_comes_through_it(task, calls, tmp_path):
    """With the weight of the entropy that its schedule gives: at epoch 2, decayed twice."""
    config_class, presets, build = tiny_runs.entrypoint(task)
    data = tiny_runs.write_texts(tmp_path)
    flags = ["x", *tiny_runs.arguments(task, data), f"--run_dir={tmp_path / 'run'}"]
    (tmp_path / "run").mkdir()
    flags += ["--entropy_weight=8", "--entropy_decay=.5"]
    experiment = build(parse(config_class, presets, flags))
    model = experiment.model
    batch = {name: tf.constant(a[0]) for name, a in experiment.train_batches(0)[0].items()}

    def loss_and_metrics(schedule):
        schedule = {name: tf.constant(value) for name, value in schedule.items()}
        given = batch, experiment.initial_state, tf.constant([0, 1]), schedule
        return model.training_loss(*given)[:2]

    loss, metrics = loss_and_metrics(experiment.schedule(2, []))
    assert len(calls) == 1 and np.isfinite(loss) and "task_loss" in metrics
    model.config = dataclasses.replace(model.config, entropy_weight=2.0, entropy_decay=1.0)
    constant = {"learning_rate": 1.0}
    if task == "NumberPrediction":  # it has the weight in its schedule also where that is constant
        constant["entropy_weight"] = 2.0
    assert model.config.schedule(2) == {"learning_rate": model.config.learning_rate}
    np.testing.assert_allclose(loss, loss_and_metrics(constant)[0], rtol=1e-6)


def test_the_recall_task_and_keras_models_come_through_it(calls):
    from NumberPrediction.recall.model import RecallModel
    from NumberPrediction.recall.presets import RecallConfig

    model = RecallModel(RecallConfig(cell="dynamic_skip", n_actions=2, length=3, rnn_size=3))
    batch = {"sequences": tf.ones([2, 3, 6]), "targets": tf.ones([2])}
    model.training_loss(batch, (), tf.constant([0, 1]), {})
    assert len(calls) == 1
    x = keras.Input([3, 2])
    model = PolicyGradientModel(
        x, keras.layers.Dense(1)(DynamicSkipLSTM(3, n_actions=2, jit_compile=False)(x))
    )
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(np.ones([2, 3, 2], np.float32), np.ones([2, 1], np.float32))
    assert len(calls) == 2
