"""Two calls without `training` agree: no randomness, so no state; and settings that take effect."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.cells.attention import AttentionSkipLSTMCell
from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.cells.random_skip import RandomSkipLSTMCell
from common.layers.attention_skip_lstm import AttentionSkipLSTM
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.fast_lstm import FastLSTM
from common.layers.fixed_skip_lstm import FixedSkipLSTM
from common.layers.random_skip_lstm import RandomSkipLSTM

B, T, D, H, K = 40, 6, 3, 4, 3
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


def skip(**options):
    return DynamicSkipLSTM(
        H,
        n_actions=K,
        **{
            "jit_compile": False,
            "agent_initializer": keras.initializers.RandomNormal(0, 1),
            **options,
        },
    )


def under_keras(cell_class, **options):
    return keras.layers.RNN(cell_class(H, n_actions=K, **options))


LAYERS = {
    "dynamic": skip,
    "dynamic with dropout": lambda: skip(dropout=0.5, recurrent_dropout=0.5),
    "random": lambda: RandomSkipLSTM(H, n_actions=K, jit_compile=False),
    "fixed": lambda: FixedSkipLSTM(H, jit_compile=False),
    "attention": lambda: AttentionSkipLSTM(H, n_actions=K, jit_compile=False),
    "plain": lambda: FastLSTM(H, dropout=0.5),
    "dynamic cell": lambda: under_keras(DynamicSkipLSTMCell, dropout=0.5),
    "random cell": lambda: under_keras(RandomSkipLSTMCell),
    "attention cell": lambda: under_keras(AttentionSkipLSTMCell),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_two_calls_agree_and_no_state_moves(kind):
    layer = LAYERS[kind]()
    first, state = layer(X), layer.cell.seed_generator.state.numpy()
    np.testing.assert_array_equal(layer(X), first)
    np.testing.assert_array_equal(layer.cell.seed_generator.state, state)
    concrete = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec(X.shape))
    captured = {v.name for v in concrete.graph.variables}
    assert captured and not any("seed" in name for name in captured)


@pytest.mark.parametrize("kind", ["dynamic", "random", "dynamic cell", "random cell"])
def test_training_explores(kind):
    layer = LAYERS[kind]()
    first = layer(X, training=True).numpy()
    assert (layer(X, training=True).numpy() != first).any()


def test_predict_and_evaluate_agree_with_themselves():
    inputs = keras.Input((T, D))
    layer = skip()
    model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
    model.compile("sgd", "mse", jit_compile=False)
    np.testing.assert_array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))
    y = np.zeros((B, 2))
    assert model.evaluate(X, y, verbose=0) == model.evaluate(X, y, verbose=0)
    layer(X)
    np.testing.assert_array_equal(layer.trace.distances, np.argmax(layer.trace.probs, -1) + 1)


def test_greedy_false_draws_and_a_file_keeps_it(tmp_path):
    inputs = keras.Input((T, D))
    model = keras.Model(inputs, skip(greedy=False)(inputs))
    assert (model(X).numpy() != model(X).numpy()).any()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[1].greedy is False and (loaded(X).numpy() != loaded(X).numpy()).any()
    assert DynamicSkipLSTM(H).greedy is DynamicSkipLSTMCell(H).greedy is True


def test_random_connections_at_inference_follow_from_shape_and_seed():
    def distances(seed):
        layer = RandomSkipLSTM(H, n_actions=K, jit_compile=False, seed=seed)
        layer(X)
        return layer.trace.distances.numpy()

    np.testing.assert_array_equal(distances(1), distances(1))
    assert (distances(1) != distances(2)).any()
    np.testing.assert_allclose(
        np.bincount(distances(1).ravel())[1:] / (B * T), [1 / K] * K, atol=0.12
    )


def test_a_saved_model_is_served(tmp_path):
    """By TensorFlow's own `save`, which knows a model's variables and no random state besides."""
    inputs = keras.Input((T, D))
    model = keras.Model(inputs, keras.layers.Bidirectional(skip(dropout=0.5))(inputs))
    tf.saved_model.save(model, str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    np.testing.assert_allclose(served(tf.constant(X))["output_0"], model(X), atol=1e-6)


def test_tflite_takes_it():
    layer = skip()
    layer.build(X.shape)
    module = tf.Module()
    module.variables_of_layer = [v.value for v in layer.trainable_variables]
    concrete = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec(X.shape))
    assert not [op for op in concrete.graph.get_operations() if "Assign" in op.type]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    converter._experimental_lower_tensor_list_ops = False
    assert converter.convert()[4:8] == b"TFL3"


# ----------------------------------------------------------------------------------------- settings


def test_every_setting_can_be_read():
    for layer in (skip(), FastLSTM(H), FixedSkipLSTM(H), RandomSkipLSTM(H), AttentionSkipLSTM(H)):
        for name in layer.get_config():
            assert hasattr(layer, name), (type(layer), name)
    assert (
        skip(lamda=0.3).lamda,
        skip(seed=4).seed,
        skip(greedy=False).greedy,
        FixedSkipLSTM(H, skip=2).skip,
    ) == (0.3, 4, False, 2)


@pytest.mark.parametrize("called", [False, True])
def test_a_setting_takes_effect(called):
    """Set before the first call or after calls in eager mode."""
    layer = skip(dropout=0.0)
    if called:
        layer(X)
    layer.greedy = False
    assert layer.cell.greedy is layer.get_config()["greedy"] is False
    assert (layer(X).numpy() != layer(X).numpy()).any()
    layer.greedy, layer.dropout = True, 0.9
    layer.return_sequences = True
    np.testing.assert_array_equal(layer(X), layer(X))
    assert layer(X).shape == (B, T, H)
    layer(X, training=True, greedy=True)
    assert layer.cell.dropout == 0.9
    cell = DynamicSkipLSTMCell(H, n_actions=K)
    cell.greedy = False
    assert cell.greedy is False


def test_a_setting_that_would_have_no_effect_is_refused():
    inputs = keras.Input((T, D))
    model = keras.Model(inputs, skip(name="skip")(inputs))
    model.compile(jit_compile=False)
    model.layers[1].greedy = False
    assert (model.predict(X, verbose=0) != model.predict(X, verbose=0)).any()
    model.layers[1].greedy = False  # what it is already
    for name, value in [("greedy", True), ("dropout", 0.5), ("return_sequences", True)]:
        with pytest.raises(
            AttributeError, match=f"{name} of skip cannot become {value} any more, .*from_config"
        ):
            setattr(model.layers[1], name, value)
    copy = type(model).from_config(model.get_config())  # what the message says
    copy.layers[1].greedy = True
    copy.compile(jit_compile=False)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict(X, verbose=0), copy.predict(X, verbose=0))
    layer = model.layers[1]
    assert DynamicSkipLSTM.from_config({**layer.get_config(), "greedy": True}).greedy


def test_a_symbolic_call_holds_nothing():
    """Keras runs the `call` of a model to learn shapes, and throws that graph away."""

    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.recurrent = skip()

        def call(self, x):
            return self.recurrent(x)

    model = Mine()
    model(keras.Input((T, D)))
    model.compile(jit_compile=False)
    assert model.built and model.recurrent.built
    model.recurrent.greedy = False
    assert (model.predict(X, verbose=0) != model.predict(X, verbose=0)).any()
    with pytest.raises(AttributeError, match="greedy of .* cannot become True any more"):
        model.recurrent.greedy = True


@pytest.mark.parametrize(
    "name, value",
    [
        ("lamda", 0.3),
        ("units", 5),
        ("n_actions", 2),
        ("stateful", True),
        ("estimator", "straight_through"),
        ("seed", 3),
    ],
)
def test_what_never_changes_is_refused(name, value):
    for one in (skip(name="skip"), DynamicSkipLSTMCell(H, n_actions=K, name="skip")):
        if hasattr(one, name):
            with pytest.raises(
                AttributeError,
                match=f"{name} of skip is .* for good: make a layer anew, {type(one).__name__}",
            ):
                setattr(one, name, value)


def test_a_setting_is_checked_whenever_it_is_set():
    layer = skip()
    with pytest.raises(ValueError, match=r"dropout must lie in \[0, 1\); received 1.5"):
        layer.dropout = 1.5
    with pytest.raises(ValueError, match="greedy must be True or False; received 'no'"):
        layer.greedy = "no"


def test_both_directions_of_a_random_skip_draw_other_distances():
    """At inference, too, where a layer draws the same in each call."""
    both = keras.layers.Bidirectional(RandomSkipLSTM(H, n_actions=3, seed=1, jit_compile=False))
    x = np.zeros([4, 30, D], np.float32)
    both(x)
    forward, backward = (
        layer.trace.distances.numpy() for layer in (both.forward_layer, both.backward_layer)
    )
    assert (forward != backward).mean() > 0.5
    both(x)
    np.testing.assert_array_equal(both.backward_layer.trace.distances, backward)
