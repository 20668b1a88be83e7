"""An LSTM's weights and states in layers over K past states, and back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import (
    AttentionSkipLSTM,
    DynamicSkipLSTM,
    FastLSTM,
    FixedSkipLSTM,
    copy_lstm_weights,
    initial_state_from_lstm,
)

B, T, D, H = 2, 5, 3, 4
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


def lstm(**options):
    layer = keras.layers.LSTM(H, return_sequences=True, return_state=True, **options)
    layer(X)
    for n, weight in enumerate(layer.weights[:3]):
        weight.assign(np.random.default_rng(n).normal(size=weight.shape))
    return layer


@pytest.mark.parametrize("made", [DynamicSkipLSTM, AttentionSkipLSTM, FixedSkipLSTM])
def test_weights_there_and_back(made, tmp_path):
    plain = lstm()
    layer = made(H, lamda=0.0, return_sequences=True, jit_compile=False)  # lamda 0: an LSTM
    layer.build(X.shape)
    others = [w.numpy() for w in layer.weights[3:]]
    copy_lstm_weights(plain, layer)
    np.testing.assert_allclose(layer(X), plain(X)[0], atol=1e-6)
    for a, b in zip(others, layer.weights[3:], strict=True):
        np.testing.assert_array_equal(a, b)
    back = keras.layers.LSTM(H)
    back.build(X.shape)
    copy_lstm_weights(layer.cell, back)
    np.testing.assert_array_equal(back(X), plain(X)[0][:, -1])
    model = keras.Sequential([keras.Input([T, D]), back])
    model.save_weights(tmp_path / "lstm.weights.h5")
    again = keras.Sequential([keras.Input([T, D]), keras.layers.LSTM(H)])
    again.load_weights(tmp_path / "lstm.weights.h5")
    fast = FastLSTM(H, jit_compile=False)
    fast.build(X.shape)
    copy_lstm_weights(again.layers[0], fast)
    np.testing.assert_allclose(fast(X), back(X), atol=1e-6)


@pytest.mark.parametrize("history", ["carried", "window"])
@pytest.mark.parametrize("distance", [1, 3])
def test_states_go_on(history, distance):
    """For any first distance the first step is that of the LSTM that went on."""
    plain = lstm()
    outputs, h, c = plain(X[:, :3])
    layer = DynamicSkipLSTM(H, 3, history=history, return_sequences=True, jit_compile=False)
    layer.build(X.shape)
    copy_lstm_weights(plain, layer)
    state = initial_state_from_lstm(layer, h, c)
    found = layer(X[:, 3:4], initial_state=state, distances=tf.fill([B, 1], distance))
    np.testing.assert_allclose(found[:, 0], plain(X[:, :4])[0][:, 3], atol=1e-6)


def test_what_does_not_fit():
    plain, layer = lstm(), DynamicSkipLSTM(H, 3)
    with pytest.raises(ValueError, match="has no weights yet: call it, or build"):
        copy_lstm_weights(plain, layer)
    layer.build([None, None, D + 1])
    with pytest.raises(ValueError, match=r"kernel must have one shape .* \(3, 16\) and \(4, 16\)"):
        copy_lstm_weights(plain, layer)
    with pytest.raises(ValueError, match=r"bias must have one shape .*\(16,\) and None"):
        other = DynamicSkipLSTM(H, 3, use_bias=False)
        other.build([None, None, D])
        copy_lstm_weights(plain, other)
    with pytest.raises(ValueError, match="made of an LSTM step; received <Dense"):
        copy_lstm_weights(plain, keras.layers.Dense(3))
    with pytest.raises(ValueError, match="must have the activations tanh and sigmoid"):
        copy_lstm_weights(lstm(activation="relu"), layer)
    state = [tf.zeros([B, H])] * 2
    with pytest.raises(ValueError, match="layer must be one like DynamicSkipLSTM; received <LSTM"):
        initial_state_from_lstm(plain, *state)
    with pytest.raises(ValueError, match=r"h and c must be \[B, 4\]; received \(2, 5\)"):
        initial_state_from_lstm(layer, state[0], tf.zeros([B, H + 1]))
    with pytest.raises(ValueError, match=r"h and c must be \[B, 4\]; received \(4,\)"):
        initial_state_from_lstm(layer, *tf.zeros([2, H]))
    with pytest.raises(ValueError, match="of an LSTM's h and c: initial_state_from_lstm"):
        DynamicSkipLSTM(H, 3)(X, initial_state=state)
    norm = DynamicSkipLSTM(H, 3, layer_norm=True)
    norm.build([None, None, D])
    with pytest.raises(ValueError, match="layer normalisation"):
        copy_lstm_weights(norm, plain)


def test_states_go_on_in_a_functional_model():
    inputs, layer = keras.Input([T, D]), DynamicSkipLSTM(H, 3, jit_compile=False)
    _, h, c = keras.layers.LSTM(H, return_state=True)(inputs)
    model = keras.Model(inputs, layer(inputs, initial_state=initial_state_from_lstm(layer, h, c)))
    assert model.predict(X, verbose=0).shape == (B, H)
