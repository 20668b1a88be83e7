"""Trained models outside: as SavedModel, TFLite and ONNX files, and step by step before that."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

import common
from common.layers import deployment
from common.layers.k_state_layer import KStateLSTM

L = keras.layers


@pytest.fixture(scope="module")
def model():
    """A classifier of sequences of any length."""
    keras.utils.set_random_seed(0)
    x = keras.Input([None, 3])
    skips = common.DynamicSkipLSTM(5, n_actions=3, lamda=0.7, agent_bias_initializer="normal")
    return keras.Model(x, L.Dense(2)(skips(x)))


def numbers(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_step_by_step(tmp_path):
    """All kinds of layers, in other models and both directions, with masks and states."""
    keras.utils.set_random_seed(0)
    h = keras.Input([None, 6])
    attention = common.AttentionSkipLSTM(4, n_actions=2, return_sequences=True)
    inner = keras.Model(h, attention(h))
    words = keras.Input([None], dtype="int32")
    skips = common.DynamicSkipLSTM(
        3, n_actions=3, lamda=0.5, observation="mean", history="window", return_sequences=True
    )
    x = L.Embedding(9, 3, mask_zero=True)(words)
    x = L.Bidirectional(skips)(x)
    x = common.FixedSkipLSTM(
        4, skip=2, layer_norm=True, return_sequences=True, activity_regularizer="l2"
    )(x)
    *last, c = common.FastLSTM(4, go_backwards=True, return_state=True)(x)
    each = common.DynamicSkipLSTM(2, n_actions=2, trainable=False)
    deep = L.TimeDistributed(each)(L.Reshape([-1, 2, 2])(L.Embedding(9, 4)(words)))
    model = keras.Model(words, [L.Dense(2)(last[0]), c, inner(L.Embedding(9, 6)(words)), deep])
    layers = [one for one in model._flatten_layers() if isinstance(one, KStateLSTM)]
    assert len(layers) >= 5
    made = common.step_by_step(model)
    assert not any(isinstance(one, KStateLSTM) for one in made._flatten_layers())
    inputs = np.array([[3, 1, 4, 1, 5, 0, 0], [2, 7, 1, 8, 2, 8, 1]])
    for ours, theirs in zip(model(inputs), made(inputs), strict=True):
        assert theirs.numpy() == pytest.approx(ours.numpy(), abs=1e-6)
    made.save(tmp_path / "made.keras")
    again = keras.models.load_model(tmp_path / "made.keras")(inputs)
    for ours, theirs in zip(made(inputs), again, strict=True):
        assert theirs.numpy() == pytest.approx(ours.numpy(), abs=1e-6)
    assert len(made.losses) == 1 and len(made.trainable_weights) == len(model.trainable_weights)
    for weight in made.weights:  # it has weights of its own
        weight.assign(weight * 0)
    assert not np.allclose(model(inputs)[1], made(inputs)[1])


def test_step_by_step_of_a_policy_gradient_model(model):
    trained = common.PolicyGradientModel(model.input, model.output)
    made, x = common.step_by_step(trained), numbers(2, 5, 3)
    assert made(x).numpy() == pytest.approx(trained(x).numpy(), abs=1e-6)


def test_layers_that_adapt_are_the_same_in_both():
    """What they have learned is in no weight, or not as they use it."""
    words, x = keras.Input([6], dtype="int64"), keras.Input([6, 3])
    look, norm = L.IntegerLookup(vocabulary=[5, 6, 7]), L.Normalization()
    norm.adapt(10 + 5 * numbers(50, 6, 3))
    both = L.concatenate([L.Embedding(9, 3)(look(words)), norm(x)])
    model = keras.Model([words, x], common.DynamicSkipLSTM(4, n_actions=3)(both))
    given = [np.full([2, 6], 6), 10 + numbers(2, 6, 3)]
    assert common.step_by_step(model)(given).numpy() == pytest.approx(
        model(given).numpy(), abs=1e-6
    )


def test_step_by_step_keeps_the_precision():
    x = keras.Input([5, 2, 2], dtype="float64")
    each, both = (common.DynamicSkipLSTM(3, n_actions=2, dtype="float64") for _ in range(2))
    h = L.TimeDistributed(each, dtype="float64")(x)
    model = keras.Model(x, L.Bidirectional(both, dtype="float64")(h))
    made, x = common.step_by_step(model), np.random.default_rng(1).normal(size=[2, 5, 2, 2])
    assert made(x).dtype == model(x).dtype == "float64"
    assert made(x).numpy() == pytest.approx(model(x).numpy(), abs=1e-12)


def test_a_file_begins_at_zero_states_and_the_model_keeps_its_own():
    layer = common.DynamicSkipLSTM(3, n_actions=2, stateful=True)
    model, x = keras.Sequential([keras.Input(batch_shape=(1, 4, 3)), layer]), numbers(1, 4, 3)
    expected = model(x).numpy()
    states = [v.numpy() for v in layer.states]
    assert deployment._of_zero_states(model, x).numpy() == pytest.approx(expected, abs=1e-6)
    for v, state in zip(layer.states, states, strict=True):
        np.testing.assert_array_equal(v, state)
        assert state.any()
    with pytest.raises(ValueError, match="keeps the states of a batch of 1; received a batch of 2"):
        deployment._of_zero_states(model, numbers(2, 4, 3))
    for v, state in zip(layer.states, states, strict=True):
        np.testing.assert_array_equal(v, state)


def test_what_a_file_is_compared_on_is_of_the_model_s_batch():
    for shape, expected in (((4, 7, 3), (4, 7, 3)), ((None, None, 3), (1, deployment._ANY, 3))):
        assert deployment._example(keras.Input(batch_shape=shape)).shape == expected


def of(layer):
    return keras.Sequential([keras.Input([7, 3]), layer])


def of_window(around=lambda layer: layer, n_states=2, **options):
    """A model of a layer whose past begins anew with each sequence, given states."""
    layer = around(common.DynamicSkipLSTM(4, n_actions=3, history="window", **options))
    x, states = keras.Input([7, 3]), [keras.Input([4]) for _ in range(n_states)]
    return keras.Model([x, *states], layer(x, initial_state=states))


def stateful_window():
    layer = common.DynamicSkipLSTM(4, n_actions=3, history="window", stateful=True)
    return keras.Sequential([keras.Input(batch_shape=[2, 7, 3]), layer])


def called(*inputs, **kwargs):
    """A model in which a layer is called with more than sequences."""
    x, skips = keras.Input([7, 3]), common.DynamicSkipLSTM(4, n_actions=3, history="window")
    return keras.Model([x, *inputs], skips(x, **kwargs))


def replayed():
    distances = keras.Input([7], dtype="int32")
    return called(distances, distances=distances)


def given_without_a_name():
    x, states = keras.Input([7, 3]), [keras.Input([4]), keras.Input([4])]
    skips = common.DynamicSkipLSTM(4, n_actions=3, history="window")
    return keras.Model([x, *states], skips(x, states))


class Subclass(keras.Model):
    """Whose layers nobody can see."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclass, "functional model that is built, received Subclass"),
        (lambda: "a", "functional model that is built, received str 'a'"),
        (lambda: keras.Sequential([L.Dense(2)]), "is built, received Sequential"),
        (lambda: of(common.DynamicSkipLSTM(4, greedy=False)), "with greedy=False: set greedy=True"),
        (stateful_window, "is given, returns or keeps its states"),
        (of_window, "is given, returns or keeps its states"),
        (lambda: of_window(L.Bidirectional, 4), "is given, returns or keeps its states"),
        (given_without_a_name, "is given, returns or keeps its states"),
        (replayed, "received 'dynamic_skip_lstm.*' with distances: make"),
        (lambda: called(greedy=True), "received 'dynamic_skip_lstm.*' with greedy: make"),
        (lambda: of(common.RandomSkipLSTM(4)), "'random_skip_lstm.*', which draws a distance for"),
        (lambda: of(L.Bidirectional(common.RandomSkipLSTM(4))), "which draws a distance for each"),
    ],
)
def test_what_cannot_go_step_by_step(make, message):
    with pytest.raises(ValueError, match=message):
        common.step_by_step(make())


def test_of_one_state_nothing_is_drawn():
    model, x = of(common.RandomSkipLSTM(4, n_actions=1)), numbers(2, 7, 3)
    assert common.step_by_step(model)(x).numpy() == pytest.approx(model(x).numpy(), abs=1e-6)


def test_states_of_another_shape_are_refused():
    x = keras.Input([7, 3])
    layer = common.DynamicSkipLSTM(4, history="window", return_state=True)
    with pytest.raises(ValueError, match='history="carried" where a layer is given, returns'):
        common.step_by_step(keras.Model(x, layer(x)))


# ------------------------------------------------------------------------------------------- files

_SERVES = """
import sys
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
x = np.load(sys.argv[1] + "/x.npy")
np.save(sys.argv[1] + "/y.npy", np.concatenate([model.serve(x[:1, :4]), model.serve(x)]))
assert not {"common", "dynamic_skip_lstm"} & set(sys.modules)
"""


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=LONG)])
def test_a_saved_model_serves_without_the_package(fresh, model, tmp_path):
    """At batch sizes and lengths that it has never seen; in a process of its own too."""
    model.export(tmp_path / "saved", verbose=False)
    x = numbers(3, 9, 3)
    if not fresh:
        loaded = tf.saved_model.load(tmp_path / "saved")
        assert loaded.serve(x).numpy() == pytest.approx(model(x).numpy(), abs=1e-6)
        return
    np.save(tmp_path / "saved" / "x.npy", x)
    subprocess.run([sys.executable, "-c", _SERVES, str(tmp_path / "saved")], check=True)
    expected = np.concatenate([model(x[:1, :4]), model(x)])
    assert np.load(tmp_path / "saved" / "y.npy") == pytest.approx(expected, abs=1e-6)


def test_tflite(model, tmp_path):
    h = model.layers[1](x := keras.Input([None, 3]))
    model = keras.Model(x, {"tags": L.Dense(3)(h), "z": L.Dense(2)(h)})  # z is the shorter name
    common.export(model, tmp_path / "model.tflite", batch_size=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(str(tmp_path / "model.tflite"))
    runner, x = interpreter.get_signature_runner(), numbers(2, 4, 3)
    found = runner(**dict.fromkeys(runner.get_input_details(), x))
    for name, expected in model(x).items():
        assert found[name] == pytest.approx(expected.numpy(), abs=1e-6)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1; receiv"):
        common.export(model, tmp_path / "other.tflite", batch_size=0)


@LONG
def test_an_unrolled_layer_goes_to_tflite_as_keras_has_it(tmp_path):
    """By `model.export`, of the built-in operations alone."""
    x = keras.Input([3, 3])
    model = keras.Model(x, common.DynamicSkipLSTM(3, n_actions=2, unroll=True)(x))
    builtins = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    file = str(tmp_path / "m.tflite")
    model.export(file, format="litert", verbose=False, target_spec=builtins)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(file)
    runner, x = interpreter.get_signature_runner(), numbers(1, 3, 3)
    (found,) = runner(**dict.fromkeys(runner.get_input_details(), x)).values()
    assert found == pytest.approx(model(x).numpy(), abs=1e-6)


def test_outputs_may_be_true_or_false(tmp_path):
    x = keras.Input([4, 3])
    model = keras.Model(x, L.Dense(2)(x) > 0)
    common.export(model, tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").exists()


class Draws(L.Layer):
    """With an operation that no converter knows."""

    def call(self, x):
        drawn = tf.random.stateless_uniform(tf.shape(x), [1, 2], 1, 5, tf.int32)
        return x + tf.cast(drawn, x.dtype)


@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning:keras")
def test_onnx(model, tmp_path):
    reason = "no ONNX here: make extra-export, then python -m pytest --last-skipped"
    pytest.importorskip("tf2onnx", reason=reason)
    onnxruntime = pytest.importorskip("onnxruntime", reason=reason)
    common.export(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for shape in ((1, 1, 3), (4, 9, 3)):
        x = numbers(*shape)
        (found,) = session.run(None, {session.get_inputs()[0].name: x})
        assert found == pytest.approx(model(x).numpy(), abs=1e-6)
    with pytest.raises(ValueError, match=r"converts to \.onnx, found: .*StatelessRandomUniformInt"):
        common.export(of(Draws()), tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_nothing_is_written_where_a_file_would_be_wrong(model, monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"converts to \.tflite, found: .*StatelessRandomGetKey"):
        common.export(of(Draws()), tmp_path / "a.tflite")
    monkeypatch.setattr(deployment, "_convert", lambda model, file, size: file.write_bytes(b"x"))
    monkeypatch.setattr(deployment, "_run_tflite", lambda *_: [np.full([1, 2], np.nan)])
    with pytest.raises(ValueError, match="computes what the model does, found a difference of nan"):
        common.export(model, tmp_path / "a.tflite")

    class Hidden(L.Layer):  # with something that is in no weight and no configuration
        factor = 1.0

        def call(self, x):
            return x * self.factor

    hidden = of(Hidden())
    hidden.layers[0].factor = 2.0
    found = hidden(numbers(1, 7, 3)).numpy()
    monkeypatch.setattr(deployment, "_run_tflite", lambda *_: [found])
    monkeypatch.setattr(deployment, "_example", lambda wanted: numbers(1, 7, 3))
    common.export(hidden, tmp_path / "as_the_model.tflite")
    monkeypatch.setattr(deployment, "_run_tflite", lambda *_: [found / 2])
    with pytest.raises(ValueError, match="the converter to .tflite got this model wrong"):
        common.export(hidden, tmp_path / "a.tflite")
    hidden.layers[0].factor = 2e6
    monkeypatch.setattr(deployment, "_run_tflite", lambda *_: [1e6 * found * (1 + 1e-6)])
    common.export(hidden, tmp_path / "as_the_model.tflite")  # rounded
    (tmp_path / "as_the_model.tflite").unlink()
    hidden.layers[0].factor = np.inf
    with pytest.raises(ValueError, match="found a difference of"):
        common.export(hidden, tmp_path / "a.tflite")
    monkeypatch.undo()
    strings = keras.Model(one := keras.Input([], dtype="string"), one)
    with pytest.raises(ValueError, match="expected inputs of numbers, received the input"):
        common.export(strings, tmp_path / "a.tflite")
    mixed = of(L.Dense(2, dtype="mixed_bfloat16"))
    with pytest.raises(
        ValueError, match="expected layers that compute in float32, received 'dense"
    ):
        common.export(mixed, tmp_path / "a.tflite")
    with pytest.raises(ValueError, match=r"ends in \.tflite or \.onnx, received .*a\.h5"):
        common.export(model, tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"needs (tf2onnx|onnxruntime): pip install .*\[export\]"):
        common.export(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_connections_are_no_part_of_a_file(tmp_path):
    x = keras.Input([4, 3])
    h, trace = common.DynamicSkipLSTM(5, n_actions=3, return_trace=True)(x)
    model = keras.Model(x, [h, trace["distances"]])
    with pytest.raises(ValueError, match="expected layers without return_trace=True, received"):
        common.export(model, tmp_path / "m.tflite")
    with pytest.raises(ValueError, match="expected a folder that exists, received .*nowhere"):
        common.export(model, tmp_path / "nowhere" / "m.tflite")
