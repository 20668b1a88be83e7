"""common/layers/fast_lstm.py: keras.layers.LSTM's weights, arguments and results (its gradients:
test_dynamic_skip_lstm.py).
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.layers.fast_lstm import FastLSTM

B, T, D, H = 4, 5, 3, 4
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
MASK = np.arange(T) < np.array([[5], [2], [0], [4]])


@pytest.mark.parametrize(
    "options",
    [{}, {"return_sequences": True}, {"go_backwards": True, "return_state": True}],
    ids=str,
)
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
def test_equals_keras(options, mask):
    fast, lstm = (
        FastLSTM(H, **options, jit_compile=False),
        keras.layers.LSTM(H, **options, use_cudnn=False),
    )
    fast.build(X.shape)
    lstm.build(X.shape)
    lstm.set_weights(fast.get_weights())
    states = list(np.random.default_rng(1).normal(size=(2, B, H)).astype(np.float32))
    given = None if mask is None else tf.constant(mask)
    results = (layer(X, initial_state=states, mask=given) for layer in (fast, lstm))
    for a, b in zip(*(r if isinstance(r, tuple | list) else [r] for r in results), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_in_both_directions_equals_keras():
    found = []
    for layer in (
        FastLSTM(H, return_sequences=True, jit_compile=False),
        keras.layers.LSTM(H, return_sequences=True, use_cudnn=False),
    ):
        both = keras.layers.Bidirectional(layer)
        both.build(X.shape)
        both.set_weights(
            [
                np.random.default_rng(n).normal(size=w.shape)
                for n, w in enumerate(both.get_weights())
            ]
        )
        found.append(both(X, mask=tf.constant(MASK)))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_weights_are_those_of_keras():
    """Names, shapes, order and initial values; no agent."""
    keras.utils.set_random_seed(1)
    fast = FastLSTM(H)
    fast.build(X.shape)
    lstm = keras.layers.LSTM(H)
    lstm.build(X.shape)
    assert [(v.name, v.shape) for v in fast.trainable_variables] == [
        (v.name, v.shape) for v in lstm.trainable_variables
    ]
    np.testing.assert_array_equal(fast.cell.bias, lstm.cell.bias)
    recurrent = fast.cell.recurrent_kernel.numpy()
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(H), atol=1e-5)
    assert fast.state_size == [H, H]
    assert fast.cell.agent_weights is None


def test_arguments_and_attributes_are_those_of_keras():
    neutral = dict(
        use_bias=True, unit_forget_bias=True, unroll=False, dropout=0.1, kernel_regularizer="l2"
    )
    fast, lstm = FastLSTM(H, **neutral), keras.layers.LSTM(H, **neutral)
    for name in ("units", "dropout", "recurrent_dropout"):
        assert getattr(fast, name) == getattr(lstm, name)
    for name in (
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_constraint",
    ):
        assert type(getattr(fast, name)) is type(getattr(lstm, name))
    with pytest.raises(ValueError, match="FastLSTM has no argument 'n_actions'"):
        FastLSTM(H, n_actions=5)


def test_n_actions_stays_one():
    layer = FastLSTM.from_config(FastLSTM(H, return_sequences=True).get_config())
    assert type(layer) is FastLSTM and layer.cell.n_actions == 1 and layer.return_sequences
    layer = FastLSTM(H, jit_compile=False)
    layer(X)
    np.testing.assert_array_equal(layer.trace.distances, np.ones((B, T)))
    np.testing.assert_array_equal(layer.trace.log_probs, np.zeros((B, T)))
