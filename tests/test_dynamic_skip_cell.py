"""common/cells/dynamic_skip.py: one step against NumPy; under keras.layers.RNN; samples, dropout,
weights, config.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.arrays import normal
from oracles import numpy_skip_lstm as oracle

from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM

B, D, H, A = 3, 2, 4, 5


def make(**options):
    cell = DynamicSkipLSTMCell(H, agent_units=A, **options)
    cell.build((B, D))
    for n, v in enumerate(cell.trainable_variables):
        v.assign(normal(v.shape, n))
    return cell


@pytest.mark.parametrize("observation", ["previous", "mean"])
@pytest.mark.parametrize("history", ["carried", "window"])
@pytest.mark.parametrize(
    "n_actions, lamda, layer_norm",
    [(1, 1.0, False), (3, 0.0, False), (3, 0.5, True), (3, 1.0, False)],
)
def test_step(observation, history, n_actions, lamda, layer_norm):
    """In float64 with the second kind of history, to its last digits."""
    dtype, atol = ("float32", 1e-5) if history == "carried" else ("float64", 1e-12)

    def normal(shape, seed):
        return globals()["normal"](shape, seed).astype(dtype)

    cell = make(
        dtype=dtype,
        n_actions=n_actions,
        lamda=lamda,
        layer_norm=layer_norm,
        observation=observation,
        history=history,
    )
    w = {v.name: v.numpy().astype(np.float64) for v in cell.trainable_variables}
    x, distances = (
        normal((B, 2, D), 100),
        np.random.default_rng(5).integers(1, n_actions + 1, (B, 2)),
    )
    public = [
        normal((B, (n_actions if history == "carried" else 1) * H), 101 + n) for n in range(2)
    ]
    slots = [np.zeros((B, n_actions * H), dtype)] * 2 if history == "window" else []
    states = [tf.constant(s) for s in [*slots, *public]]
    expected, seen, final = oracle.run(
        w,
        x,
        distances,
        public,
        n_actions=n_actions,
        lamda=lamda,
        observation=observation,
        history=history,
    )
    for t in range(2):
        if n_actions > 1:
            logits = cell.logits(tf.constant(x[:, t]), states)
            found = logits - tf.reduce_logsumexp(logits, -1, keepdims=True)
            np.testing.assert_allclose(found, oracle.policy(w, x, seen)[:, t], atol=atol)
        h, states = cell.step(
            tf.constant(x[:, t]),
            states,
            tf.constant(distances[:, t], tf.int32) if n_actions > 1 else None,
        )
        np.testing.assert_allclose(h, expected[:, t], atol=atol)
    for a, b in zip(states, final, strict=False):
        np.testing.assert_allclose(a[:, -b.shape[1] :], b, atol=atol)
    assert [s.shape[1] for s in states] == cell.state_size


def test_call_samples_the_policy_and_greedy_takes_its_mode():
    cell = make(n_actions=3, seed=1, greedy=False)
    n = 6000
    x, states = (
        tf.constant(np.tile(normal((1, D), 1), (n, 1))),
        [tf.constant(np.tile(normal((1, 3 * H), s), (n, 1))) for s in (2, 3)],
    )
    options = [
        cell.step(x[:1], [s[:1] for s in states], tf.constant([k]))[0].numpy() for k in (1, 2, 3)
    ]
    probs = tf.nn.softmax(cell.logits(x[:1], [s[:1] for s in states]))[0].numpy()
    assert probs.min() > 0.02
    found = cell(x, states)[0].numpy()
    counts = np.array([np.isclose(found, h, atol=1e-5).all(-1).sum() for h in options])
    assert counts.sum() == n
    assert ((counts - n * probs) ** 2 / (n * probs)).sum() < 13.8  # 2 degrees of freedom, p = .001
    cell.greedy = True
    np.testing.assert_allclose(
        cell(x[:2], [s[:2] for s in states])[0], np.tile(options[probs.argmax()], (2, 1)), atol=1e-5
    )
    assert not np.allclose(cell(x, states, training=True)[0], options[probs.argmax()])


def test_under_keras_rnn(tmp_path):
    """Mask, initial state, fit and save; the choices are the cell's own."""
    cell = DynamicSkipLSTMCell(H, n_actions=3, dropout=0.3, recurrent_dropout=0.3, greedy=True)
    layer = keras.layers.RNN(cell, return_sequences=True)
    inputs = keras.Input((None, D))
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(keras.layers.Masking()(inputs))))
    model.compile("sgd", "mse", jit_compile=False)
    x = np.concatenate([normal((B, 3, D), 1), np.zeros((B, 2, D), np.float32)], 1)
    model.fit(x, np.ones((B, 5, 1)), verbose=0)
    outputs = layer(x, mask=tf.constant((x != 0).any(-1))).numpy()
    np.testing.assert_array_equal(outputs[:, 3], outputs[:, 2])
    whole = layer(x).numpy()
    first, states = cell(x[:, 0], cell.get_initial_state(B))
    np.testing.assert_allclose(first, whole[:, 0], atol=1e-6)
    np.testing.assert_allclose(layer(x[:, 1:], initial_state=states), whole[:, 1:], atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


def test_initial_weights():
    cell = DynamicSkipLSTMCell(H, n_actions=3, bias_initializer="ones", forget_bias=0.5)
    cell.build((None, D))
    np.testing.assert_array_equal(cell.bias, np.repeat([1, 0.5, 1, 1], H))
    assert [v.name for v in cell.weights[:3]] == ["kernel", "recurrent_kernel", "bias"]
    assert [v.name for v in cell.trainable_variables[3:]] == list(oracle.AGENT)
    near = DynamicSkipLSTMCell(H, n_actions=3, agent_bias_initializer="ones", previous_bias=2.0)
    near.build((None, D))
    np.testing.assert_array_equal(near.agent_weights.action_bias, [2, 1, 1])
    norm = DynamicSkipLSTMCell(H, n_actions=1, layer_norm=True)
    norm.build((None, D))
    np.testing.assert_array_equal(norm.bias, np.zeros(4 * H))
    np.testing.assert_array_equal(
        norm.trainable_variables[4], np.repeat([[0], [1], [0], [0]], H, 1)
    )
    assert [v.name for v in norm.trainable_variables] == [*oracle.GATES, *oracle.NORM]


def test_config_round_trip():
    cell = DynamicSkipLSTMCell(
        4,
        3,
        0.5,
        6,
        "mean",
        "window",
        forget_bias=2.0,
        previous_bias=1.0,
        layer_norm=True,
        dropout=0.1,
        seed=7,
    )
    config = cell.get_config()
    assert DynamicSkipLSTMCell.from_config(config).get_config() == config


@pytest.mark.parametrize("history", ["carried", "window"])
def test_mixed_precision_under_keras_rnn(history):
    """The agent's products are in float32, as in the layer; the choices are the layer's."""
    layer = DynamicSkipLSTM(H, 3, history=history, return_sequences=True, dtype="mixed_bfloat16")
    x = normal((B, 4, D), 1)
    outputs = layer(x)
    cell = DynamicSkipLSTMCell(H, 3, history=history, dtype="mixed_bfloat16")
    under_keras = keras.layers.RNN(cell, return_sequences=True, dtype="mixed_bfloat16")
    under_keras.build(x.shape)
    cell.set_weights(layer.cell.get_weights())
    np.testing.assert_allclose(
        tf.cast(under_keras(x), tf.float32), tf.cast(outputs, tf.float32), atol=0.03
    )
