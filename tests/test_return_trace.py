"""Connections as outputs of a layer: eagerly, in functional models, under masks, Bidirectional."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import AttentionSkipLSTM, DynamicSkipLSTM, FastLSTM, RandomSkipLSTM
from common.ops.agent import ENTRIES

B, T, D, H, K = 3, 5, 2, 4, 3
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
X[1, 3:] = 0  # two masked steps
MADE = [DynamicSkipLSTM, RandomSkipLSTM, AttentionSkipLSTM]


def layer(made, **options):
    return made(H, K, jit_compile=False, return_trace=True, **options)


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("options", [{}, {"return_state": True, "return_sequences": True}])
def test_in_a_functional_model_it_is_the_trace(made, options):
    skip = layer(made, **options)
    inputs = keras.Input([None, D])
    *others, trace = skip(keras.layers.Masking()(inputs))
    assert list(trace) == list(ENTRIES) and trace["distances"].dtype == "int32"
    assert trace["probs"].shape == (None, None, K) and trace["entropies"].shape == (None, None)
    assert len(others) == (3 if options else 1)
    model = keras.Model(inputs, {"h": others[0], **trace})
    found = model.predict(X, verbose=0)
    skip(X, mask=tf.constant((X != 0).any(-1)))
    for name in ENTRIES:
        np.testing.assert_allclose(found[name], getattr(skip.trace, name), atol=1e-6)
    assert not found["distances"][1, 3:].any() and found["distances"][0].all()
    copy = made.from_config(skip.get_config())
    assert copy.return_trace and len(copy(X)) == len(others) + 1


def test_both_directions_and_saved(tmp_path):
    both = keras.layers.Bidirectional(
        layer(DynamicSkipLSTM, return_state=True, return_sequences=True)
    )
    inputs = keras.Input([T, D])
    outputs, *rest = both(inputs)
    traces = [one for one in rest if isinstance(one, dict)]
    model = keras.Model(inputs, [outputs, *(trace["distances"] for trace in traces)])
    found = model.predict(X, verbose=0)
    both(X)
    for one, direction in zip(found[1:], (both.forward_layer, both.backward_layer), strict=True):
        np.testing.assert_array_equal(one, direction.trace.distances)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras").predict(X, verbose=0)
    for a, b in zip(found, again, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_it_can_be_set_and_a_plain_lstm_has_one():
    plain = FastLSTM(H, jit_compile=False)
    assert plain(X).shape == (B, H)
    plain.return_trace = True
    _, trace = plain(X)
    np.testing.assert_array_equal(trace["distances"], np.ones((B, T)))
    with pytest.raises(ValueError, match="return_trace must be True or False; received 2"):
        FastLSTM(H, return_trace=2)


@pytest.mark.parametrize("xla", [False, True])
def test_its_log_probabilities_train_an_agent(xla):
    skip = layer(DynamicSkipLSTM)
    skip.build(X.shape)

    @tf.function(jit_compile=xla)
    def gradients(x):
        with tf.GradientTape() as tape:
            _, trace = skip(x, training=True, seed=tf.constant([1, 2]))
            loss = tf.reduce_sum(trace["log_probs"])
        return tape.gradient(loss, [w.value for w in skip.trainable_variables[3:]])

    assert all(np.abs(g).max() > 0 for g in gradients(X))


def test_another_call_at_the_same_time_changes_nothing(monkeypatch):
    """As where threads serve one model: `layer.trace` is the latest call's, the output its own."""
    skip = layer(DynamicSkipLSTM)
    expected, other = skip(X)[1]["probs"], skip(X[::-1])[1]["probs"]
    theirs, record = skip.trace, skip._traces.record
    assert not np.array_equal(expected, other)

    def between(trace, training, **named):
        record(trace, training, **named)
        record(theirs, training, **named)

    monkeypatch.setattr(skip._traces, "record", between)
    np.testing.assert_array_equal(skip(X)[1]["probs"], expected)
    np.testing.assert_array_equal(skip.trace.probs, other)
