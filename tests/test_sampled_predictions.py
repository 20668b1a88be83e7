"""Means over sampled chains: enumeration of all chains, a seed, and nothing that changes."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import DynamicSkipLSTM, FastLSTM, RandomSkipLSTM, predict_sampled

T, D, H, K = 3, 2, 4, 2
X = np.random.default_rng(0).normal(size=(5, T, D)).astype(np.float32)


def model(layer):
    keras.utils.set_random_seed(3)
    inputs = keras.Input([T, D])
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(layer(inputs)))


def skip(**options):
    return DynamicSkipLSTM(H, K, 0.5, jit_compile=False, agent_initializer="normal", **options)


@pytest.mark.parametrize("kind", ["agent", "random"])
def test_it_approaches_the_mean_over_all_chains(kind):
    layer = skip(dropout=0.5) if kind == "agent" else RandomSkipLSTM(H, K, 0.5, jit_compile=False)
    net, expected = model(layer), 0.0
    for chain in itertools.product(range(1, K + 1), repeat=T):
        h = layer(X, distances=np.tile(chain, (len(X), 1)).astype(np.int32))
        weight = np.exp(layer.trace.log_probs.numpy().sum(1)) if kind == "agent" else K**-T
        expected += net.layers[-1](h).numpy() * np.reshape(weight, [-1, 1])
    rows = np.repeat(X, 15, 0)  # each of them with draws of its own
    found = predict_sampled(net, rows, n_samples=40, batch_size=40).reshape(5, 15, -1)
    np.testing.assert_allclose(found.mean(1), expected, atol=0.02)
    assert (predict_sampled(net, X, 1) != predict_sampled(net, X, 2)).any()  # one draw, not twice
    assert np.abs(net(X).numpy() - expected).max() > 1e-4


def test_a_seed_decides_and_nothing_changes():
    layer = skip()
    net = model(layer)
    before = [v.numpy() for v in net.variables], layer.cell.seed_generator.state.numpy()
    plain = net.predict(X, verbose=0)
    first, again, other, far = (
        predict_sampled(net, X, 2, seed, batch_size=2) for seed in (1, 1, 2, 1 + 2**32)
    )
    assert (first != far).any()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and first.shape == plain.shape
    np.testing.assert_array_equal(net.predict(X, verbose=0), plain)
    for a, b in zip(before[0], net.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(layer.cell.seed_generator.state, before[1])
    assert layer.greedy


def test_each_batch_has_draws_of_its_own():
    """Equal rows, one draw each; as a second draw of the first batch would be no new one."""
    rows = np.repeat(X[:1], 12, 0)
    first, second = np.split(predict_sampled(model(skip()), rows, n_samples=1, batch_size=6), 2)
    assert (first != second).any()


@pytest.mark.parametrize("called", [False, True])
def test_a_function_that_would_draw_once_is_refused(called):
    """It has the draws of the call that made it, or none."""

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = skip()

        @tf.function
        def call(self, x):
            return self.layer(x)

    net = Model()
    if called:
        net(X)
    with pytest.raises(ValueError, match="leave (the tf.function|that) out"):
        predict_sampled(net, X, 2)
    plain = net(X).numpy()
    np.testing.assert_array_equal(net.layer(X), plain)


def test_structures_and_what_is_not_random():
    a, b = (keras.Input([T, D], name=name) for name in "ab")
    outputs = {"skip": skip()(a), "plain": FastLSTM(H, jit_compile=False)(b)}
    net = keras.Model({"a": a, "b": b}, outputs)
    found = predict_sampled(net, {"a": X, "b": X}, n_samples=3, batch_size=4)
    assert found["skip"].shape == (5, H)
    np.testing.assert_allclose(found["plain"], net({"a": X, "b": X})["plain"], atol=1e-6)
    with pytest.raises(ValueError, match="n_samples must be a whole number of at least 1"):
        predict_sampled(net, {"a": X, "b": X}, n_samples=0)
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0; received 1.5"):
        predict_sampled(net, {"a": X, "b": X}, seed=1.5)
    with pytest.raises(ValueError, match="x must be an array, or a structure of arrays"):
        predict_sampled(net, iter([X]))
    with_trace = keras.Sequential([keras.Input([T, D]), skip(return_trace=True)])
    with pytest.raises(ValueError, match="expected outputs that have a mean; received int32"):
        predict_sampled(with_trace, X, n_samples=2)


def test_under_keras_rnn_and_in_a_policy_gradient_model():
    from common import DynamicSkipLSTMCell, PolicyGradientModel

    cell = DynamicSkipLSTMCell(H, K, agent_initializer="normal")
    net = keras.Sequential([keras.Input([T, D]), keras.layers.RNN(cell)])
    draws = [predict_sampled(net, X, 1, seed) for seed in range(6)]
    assert any((draws[0] != draw).any() for draw in draws[1:])
    inputs = keras.Input([T, D])
    net = PolicyGradientModel(inputs, skip()(inputs))
    draws = [predict_sampled(net, X, 1, seed) for seed in range(6)]
    assert any((draws[0] != draw).any() for draw in draws[1:])


def test_what_has_no_mean_over_draws():
    stateful = keras.Sequential([keras.Input([T, D], batch_size=5), skip(stateful=True)])
    with pytest.raises(ValueError, match="is stateful, so that a draw would begin where"):
        predict_sampled(stateful, X, n_samples=2)
    for x in ([X, X[:1]], X.tolist(), 3.0):
        with pytest.raises(ValueError, match="arrays with one row for each example; received"):
            predict_sampled(model(skip()), x)
    assert predict_sampled(model(skip()), X[:0], n_samples=2).shape == (0, 3)


def test_the_mean_of_narrow_outputs_is_wide():
    dense = keras.layers.Dense(2, activation="softmax", dtype="bfloat16")
    net = keras.Sequential([keras.Input([T, D]), dense])
    found = predict_sampled(net, X, n_samples=300)  # of a network that draws nothing
    assert found.dtype == net(X).dtype.as_numpy_dtype
    np.testing.assert_array_equal(found, net(X))
