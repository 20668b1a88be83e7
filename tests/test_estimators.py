"""Estimators that learn from the task's loss: against NumPy, by enumeration, and in the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.arrays import normal
from helpers.marks import LONG
from helpers.modes import MODES

from common.choices import ESTIMATORS
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.ops.estimators import SURROGATES

B, T, D, H, K = 3, 4, 2, 3, 3


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def jacobian(pi):
    return np.diag(pi) - np.outer(pi, pi)


def by_hand(name, logits, k, g):
    """dL/da of one draw k in 0..K-1."""
    pi = softmax(logits.astype(np.float64))
    if name == "straight_through":
        return jacobian(pi) @ g
    halfway = (np.eye(len(pi))[k] + pi) / 2
    return 2 * jacobian(halfway) @ g - jacobian(pi) @ g / 2


def gradient(name, logits, distances, g):
    """dL/da of one draw a row: the code's."""
    with tf.GradientTape() as tape:
        tape.watch(logits)
        mixed = SURROGATES[name](logits, tf.constant(distances))
    return tape.gradient(mixed, logits, tf.constant(g))


def test_every_name_has_its_surrogate():
    assert set(SURROGATES) == {name for name, of in ESTIMATORS.items() if of == "loss"}


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("mode", MODES)
def test_gradient_by_hand(name, mode):
    logits, g = normal((5, K), 0), normal((5, K), 1)
    logits[4] = [300, -300, 0]  # certain: no gradient, and no NaN
    distances = np.array([1, 2, 3, 1, 1])
    run = MODES[mode](lambda logits: gradient(name, logits, distances, g))
    expected = [by_hand(name, a, k - 1, b) for a, k, b in zip(logits, distances, g, strict=True)]
    np.testing.assert_allclose(run(tf.constant(logits)), expected, atol=1e-6)


@pytest.mark.parametrize("name, exact", [("straight_through", "linear"), ("reinmax", "quadratic")])
def test_mean_over_all_draws(name, exact):
    """The exact gradient of sum_k pi_k f(onehot(k)), where f is linear or quadratic."""
    logits, b, q = normal(K, 2).astype(np.float64), normal(K, 3), normal((K, K), 4)
    q = (q + q.T) * (exact == "quadratic")
    pi, draws = softmax(logits), np.eye(K)
    f = np.array([d @ q @ d / 2 + b @ d for d in draws])

    def mean(name):
        each = tf.constant(np.tile(logits, (K, 1)))
        return pi @ gradient(name, each, np.arange(1, K + 1), draws @ q + b).numpy()

    np.testing.assert_allclose(mean(name), jacobian(pi) @ f, atol=1e-12)
    if exact == "quadratic":  # and there the other one is not
        assert np.abs(mean("straight_through") - jacobian(pi) @ f).max() > 0.01


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize(
    "mode, options",
    [
        ("eager", {"lamda": 0.4}),
        ("graph", {"observation": "mean", "lamda": 0.7}),
        ("xla", {"history": "window"}),
        pytest.param(
            "xla", {"layer_norm": True, "observation": "mean", "history": "window"}, marks=LONG
        ),
    ],
)
def test_the_layer_s_gradient_is_the_cell_s(name, mode, options):
    """For given distances; the cell is differentiated by TensorFlow, step by step.

    In float64: layer normalisation of three units can make the gradient as large as one likes.
    """
    layer = DynamicSkipLSTM(
        H,
        K,
        agent_units=4,
        estimator=name,
        return_sequences=True,
        jit_compile=False,
        dtype="float64",
        **options,
    )
    x, weights = (tf.constant(normal((B, T, n), n), tf.float64) for n in (D, H))
    distances = tf.constant(np.random.default_rng(7).integers(1, K + 1, (B, T)), tf.int32)
    layer.build(x.shape)
    variables = layer.trainable_variables

    def of_layer(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, distances=distances) * weights)
        return tape.gradient(loss, [x, *variables])

    with tf.GradientTape() as tape:
        tape.watch(x)
        states, loss = layer.cell.get_initial_state(B), 0.0
        for t in range(T):
            logits = layer.cell.logits(x[:, t], states)
            h, states = layer.cell.step(x[:, t], states, distances[:, t], None, logits)
            loss += tf.reduce_sum(h * weights[:, t])
    expected = tape.gradient(loss, [x, *variables])
    found = MODES[mode](of_layer)(x)
    assert all(np.abs(a).max() > 1e-5 for a in expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_they_learn_in_any_keras_model():
    """Which of two steps held the sign, in a model that knows no reward; one behind the other."""
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(8).normal(size=(64, 4, 1)).astype(np.float32)
    y = (x[:, 1, 0] > 0).astype(np.int32)
    last = [*SURROGATES][-1]
    layers = [
        DynamicSkipLSTM(4, n_actions=3, estimator=name, return_sequences=name != last)
        for name in SURROGATES
    ]
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, run_eagerly=True)
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    first = [[w.numpy() for w in layer.cell.agent_weights] for layer in layers]
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    for layer, before in zip(layers, first, strict=True):
        after = layer.cell.agent_weights
        assert all((a != b.numpy()).any() for a, b in zip(before, after, strict=True))
