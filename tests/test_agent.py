"""common/ops/agent.py: the policy against NumPy, samples against probabilities, gradients where
they belong.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from oracles import numpy_skip_lstm as oracle

from common.ops import agent

B, T, D, H, A, K = 2, 3, 4, 5, 6, 7


@pytest.fixture
def weights():
    random = np.random.default_rng(0)
    shapes = [(D, A), (H, A), (A,), (A, K), (K,)]
    return agent.AgentWeights(
        *(tf.constant(random.normal(size=shape), tf.float64) for shape in shapes)
    )


def test_policy_and_statistics(weights):
    random = np.random.default_rng(1)
    x, h = random.normal(size=(B, T, D)), random.normal(size=(B, T, H))
    distances = random.integers(1, K + 1, (B, T))
    logits = agent.logits(agent.project(tf.constant(x), weights), tf.constant(h), weights)
    log_probs, entropies, probs = agent.statistics(logits, tf.constant(distances, tf.int32))
    expected = oracle.policy(
        {name: w.numpy() for name, w in zip(oracle.AGENT, weights, strict=True)}, x, h
    )
    np.testing.assert_allclose(
        logits - tf.reduce_logsumexp(logits, -1, keepdims=True), expected, rtol=1e-10
    )
    np.testing.assert_allclose(probs, np.exp(expected), rtol=1e-10)
    np.testing.assert_allclose(entropies, -(np.exp(expected) * expected).sum(-1), rtol=1e-10)
    for b in range(B):
        for t in range(T):
            assert log_probs[b, t].numpy() == pytest.approx(
                expected[b, t, distances[b, t] - 1], rel=1e-10
            )


def test_the_gradient_reaches_the_weights_alone(weights):
    x, h = tf.ones([B, D], tf.float64), tf.ones([B, H], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch((x, h, weights))
        logits = agent.logits(agent.project(x, weights), h, weights)
        loss = tf.reduce_sum(agent.statistics(logits, tf.ones([B], tf.int32))[0])
    gradients = tape.gradient(loss, (x, h, *weights))
    assert gradients[:2] == [None, None] or gradients[:2] == (None, None)
    assert all(np.abs(g).max() > 0 for g in gradients[2:])


PROBS = np.array([0.5, 0.3, 0.15, 0.05])
N = 20000


def chi_square(distances):
    expected = N * PROBS
    return ((np.bincount(distances, minlength=5)[1:] - expected) ** 2 / expected).sum()


@pytest.mark.parametrize("way", ["categorical", "gumbel"])
def test_samples_follow_the_policy(way):
    logits, seed = tf.constant(np.tile(np.log(PROBS) + 3, (N, 1)), tf.float32), tf.constant([4, 2])
    if way == "categorical":
        first, again, other = (agent.sample(logits, s) for s in (seed, seed, seed + 1))
    else:
        first, again, other = (
            agent.greedy(logits + agent.gumbel_noise([N, 4], s)) for s in (seed, seed, seed + 1)
        )
    assert first.dtype == tf.int32
    assert chi_square(first.numpy()) < 16.3  # 3 degrees of freedom, p = .001
    np.testing.assert_array_equal(first, again)
    assert (first.numpy() != other.numpy()).mean() > 0.3


def test_noise_is_tensorflow_probabilitys():
    np.testing.assert_array_equal(
        agent.gumbel_noise([3, 4, 5], tf.constant([4, 2])),
        tfp.distributions.Gumbel(0.0, 1.0).sample([3, 4, 5], seed=tf.constant([4, 2])),
    )


def test_greedy():
    np.testing.assert_array_equal(
        agent.greedy(tf.constant([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])), [2, 1]
    )


def test_extreme_logits_stay_finite():
    log_probs, entropies, probs = agent.statistics(
        tf.constant([[500.0, 0.0, -500.0]]), tf.constant([3])
    )
    np.testing.assert_allclose((log_probs[0], entropies[0]), (-1000, 0), atol=1e-5)
    np.testing.assert_allclose(probs, [[1, 0, 0]], atol=1e-6)
