"""Arguments of keras.layers.LSTM: taken as Keras takes them, or refused where they are given."""

import itertools
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.cells.clockwork import ClockworkCell
from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.cells.grid_lstm import GridLSTMCell
from common.cells.highway_lstm import HighwayLSTMCell
from common.cells.leaky import LeakyCell
from common.cells.skip_lstm import SkipLSTMCell
from common.layers.attention_skip_lstm import AttentionSkipLSTM
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.fast_gru import FastGRU
from common.layers.fast_lstm import FastLSTM
from common.layers.fast_rnn import FastRNN
from common.layers.fixed_skip_lstm import FixedSkipLSTM
from common.layers.policy_gradient_model import PolicyGradientModel
from common.layers.random_skip_lstm import RandomSkipLSTM
from common.layers.update_skipping_rnn import UpdateSkippingRNN

B, T, D, H = 2, 5, 3, 4
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
DEFAULTS = dict(
    activation="tanh",
    recurrent_activation="sigmoid",
    use_bias=True,
    unit_forget_bias=True,
    implementation=2,
    use_cudnn="auto",
    unroll=False,
)


def fast(**options):
    return FastLSTM(H, **{"jit_compile": False, **options})


def test_the_defaults_of_keras_are_taken():
    """By name, as a function, as a configuration; and the attributes are there."""
    for given in (
        DEFAULTS,
        DEFAULTS | {"implementation": 1, "use_cudnn": False, "activation": keras.activations.tanh},
    ):
        layer = fast(**given)
        assert (
            layer(X).shape == (B, H)
            and layer.activation is keras.activations.tanh
            and layer.use_cudnn == given["use_cudnn"]
        )
        assert (
            layer.recurrent_activation is keras.activations.sigmoid
            and layer.cell.implementation == given["implementation"]
        )
        cell = DynamicSkipLSTMCell(
            H,
            **{
                name: given[name]
                for name in ("activation", "recurrent_activation", "implementation")
            },
        )
        assert cell.activation is layer.activation
    lstm = keras.layers.LSTM(
        H,
        return_sequences=True,
        unroll=True,
        dropout=0.1,
        kernel_regularizer="l2",
        unit_forget_bias=False,
    )
    layer = FastLSTM.from_config(lstm.get_config())
    assert (
        layer(X).shape == (B, T, H)
        and layer.unroll
        and not layer.unit_forget_bias
        and layer.name == lstm.name
    )


@pytest.mark.parametrize(
    "given, message",
    [
        (
            {"activation": "relu"},
            "activation must be 'tanh': the gradients are written out for it; received 'relu'",
        ),
        ({"activation": None}, "activation must be 'tanh'.*received None"),
        ({"activation": "no such"}, "activation must be 'tanh'.*received 'no such'"),
        (
            {"recurrent_activation": "hard_sigmoid"},
            "recurrent_activation must be 'sigmoid'.*received 'hard_sigmoid'",
        ),
        (
            {"implementation": 3},
            "implementation must be 1 or 2, which compute the same; received 3",
        ),
        (
            {"use_cudnn": True},
            "use_cudnn must be 'auto' or False: there is no cuDNN kernel .*; received True",
        ),
        ({"use_bias": "no"}, "use_bias must be True or False; received 'no'"),
        ({"return_sequences": "yes"}, "return_sequences must be True or False; received 'yes'"),
        ({"jit_compile": "auto"}, "jit_compile must be True, False or None; received 'auto'"),
        (
            {"unit_forget_bias": False, "forget_bias": 0.5},
            "forget_bias must be left at 1 .*; received 0.5",
        ),
        ({"use_bias": False, "forget_bias": 0.5}, "forget_bias must be left at 1 .*; received 0.5"),
        ({"dropout": "x"}, r"dropout must lie in \[0, 1\); received 'x'"),
        ({"forget_bias": "x"}, "forget_bias must be a number; received 'x'"),
    ],
)
def test_other_values_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        fast(**given)
    given = {
        name: value
        for name, value in given.items()
        if name not in ("use_cudnn", "return_sequences", "jit_compile")
    }
    if given:
        with pytest.raises(ValueError, match=message):
            DynamicSkipLSTMCell(H, **given)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"lamda": "x"}, r"lamda must lie in \[0, 1\]; received 'x'"),
        ({"previous_bias": "x"}, "previous_bias must be a number; received 'x'"),
        ({"estimator": "x"}, "estimator must be one of policy_gradient, .*; received 'x'"),
        ({"history": "x"}, "history must be one of carried, window; received 'x'"),
        ({"observation": "x"}, "observation must be one of previous, mean; received 'x'"),
    ],
)
def test_other_values_are_refused_by_what_has_an_agent(given, message):
    for made in (DynamicSkipLSTM, DynamicSkipLSTMCell):
        with pytest.raises(ValueError, match=message):
            made(H, **given)


OF_AN_AGENT = ("agent_units", "observation", "agent_initializer", "previous_bias")
OF_A_SAMPLE = ("estimator", "greedy")


@pytest.mark.parametrize(
    "layer, without",
    [
        (FixedSkipLSTM, ("n_actions", *OF_AN_AGENT, *OF_A_SAMPLE)),
        (RandomSkipLSTM, ("skip", *OF_AN_AGENT, *OF_A_SAMPLE)),
        (AttentionSkipLSTM, ("skip", "history", *OF_A_SAMPLE)),
        (FastLSTM, ("skip", "n_actions", "lamda", "history", *OF_AN_AGENT, *OF_A_SAMPLE)),
        (DynamicSkipLSTM, ("skip",)),
    ],
)
def test_what_a_cell_does_not_have_it_does_not_accept(layer, without):
    every = DynamicSkipLSTM(H).get_config() | {"skip": 2}
    for name in without:
        for made in (layer, layer.cell_class):
            message = f"(has no argument|Unrecognized keyword arguments).*'{name}'"
            with pytest.raises(ValueError, match=message):
                made(H, **{name: every[name]})
        assert name not in layer(H).get_config()
    with pytest.raises(ValueError, match=r"has no argument 'unit_' \(did you mean"):
        layer(H, unit_=1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: HighwayLSTMCell(H, depth_bias="x"), "depth_bias must be a number; received 'x'"),
        (lambda: GridLSTMCell(H, tied="x"), "tied must be True or False; received 'x'"),
        (
            lambda: ClockworkCell(H, periods=3),
            "periods must be a list of whole numbers; received 3",
        ),
        (
            lambda: UpdateSkippingRNN(SkipLSTMCell(H), update_cost="x"),
            "update_cost must be at least 0; received 'x'",
        ),
        (
            lambda: UpdateSkippingRNN(keras.layers.LSTMCell(H)),
            "cell must be a SkipLSTMCell or a SkipGRUCell; received <LSTMCell",
        ),
        (
            lambda: PolicyGradientModel(entropy_weight="x"),
            "entropy_weight must be a number; received 'x'",
        ),
        (lambda: PolicyGradientModel(rl_weight=None), "rl_weight must be a number; received None"),
    ],
)
def test_wrong_numbers_elsewhere(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_settings_of_other_cells_take_effect_or_are_refused():
    cell = LeakyCell(H)
    cell.build((B, D))
    with pytest.raises(AttributeError, match="leak of leaky_cell.* is 'fixed' for good"):
        cell.leak = "learned"
    layer = UpdateSkippingRNN(SkipLSTMCell(H), update_cost=1.0)
    layer(X)
    first = float(layer.losses[0])
    layer.update_cost = 3.0
    layer(X)
    assert (
        float(layer.losses[0]) == pytest.approx(3 * first)
        and layer.get_config()["update_cost"] == 3.0
    )
    tf.function(lambda: layer(X))()
    with pytest.raises(AttributeError, match="update_cost of .* cannot become 1.0 any more"):
        layer.update_cost = 1.0


@pytest.mark.parametrize(
    "options", [{}, {"unit_forget_bias": False}, {"use_bias": False}, {"unroll": True}], ids=str
)
def test_biases_and_unrolled_steps_are_those_of_keras(options):
    """What the weights start from, what comes out, and its gradients."""
    options = options | {
        "bias_initializer": keras.initializers.Constant(0.03),
        "kernel_initializer": keras.initializers.Constant(0.1),
    }
    both, found = (fast(**options), keras.layers.LSTM(H, **options, use_cudnn=False)), []
    for layer in both:
        layer.build(X.shape)
    both[1].cell.recurrent_kernel.assign(both[0].cell.recurrent_kernel)
    for layer in both:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(X) ** 2)
        weights = layer.trainable_variables
        found.append(
            [v.numpy() for v in weights] + [loss] + tape.gradient(loss, [v.value for v in weights])
        )
    assert len(found[0]) == len(found[1]) == (5 if options.get("use_bias") is False else 7)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


WINDOW = {"history": "window"}
LEARNS = {"estimator": "straight_through"}


@pytest.mark.parametrize(
    "kind, choices",
    [
        (DynamicSkipLSTM, {"given": True}),
        (DynamicSkipLSTM, WINDOW),
        (DynamicSkipLSTM, LEARNS),
        (DynamicSkipLSTM, LEARNS | WINDOW),
        (AttentionSkipLSTM, {}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "-".join(map(str, value)),
)
def test_without_bias_and_unrolled_nothing_else_changes(kind, choices):
    """As a bias of zeros and a loop: outputs, distances and all gradients, given or drawn.

    Unrolled there is no loop left, nor what one keeps its states in.
    """
    x, found = X[:, :4], []
    call = {"training": True, "seed": tf.constant([1, 2])}
    if "given" in choices:
        call["distances"] = tf.constant([[1, 2, 3, 1]] * B)
    choices = {name: value for name, value in choices.items() if name != "given"} | {"n_actions": 3}
    choices |= {"agent_units": 3, "return_trace": True, "jit_compile": False}
    for options in ({"unit_forget_bias": False}, {"use_bias": False, "unroll": True}):
        layer = kind(H, **choices, **options)
        layer.build(x.shape)
        weights = [v for v in layer.trainable_variables if v.name != "bias"]
        for n, v in enumerate(weights):
            v.assign(np.random.default_rng(n).normal(size=v.shape))
        forward = tf.function(lambda x, layer=layer: layer(x, **call))
        with tf.GradientTape() as tape:
            h, trace = forward(x)
            # in training an agent by reward has its gradient from here alone
            loss = tf.reduce_sum(h**2) + tf.reduce_sum(tf.sin(trace["log_probs"]))
        gradients = tape.gradient(loss, [v.value for v in weights], unconnected_gradients="zero")
        found.append([h, trace["distances"], trace["log_probs"], *gradients])
        graph = forward.get_concrete_function(tf.TensorSpec(x.shape)).graph
        operations = set(re.findall(r'\bop: "(\w+)"', str(graph.as_graph_def())))
        of_loops = [one for one in operations if "While" in one or "TensorList" in one]
        assert operations and bool(of_loops) == (not layer.unroll)
    assert len(found[0]) == 3 + 2 + 5 and len(np.unique(found[0][1])) > 1
    assert all(np.abs(gradient).max() > 0 for gradient in found[0][3:])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


def test_without_bias_the_cell_is_the_layer():
    layer = FixedSkipLSTM(H, skip=2, use_bias=False, jit_compile=False)
    reference = keras.layers.RNN(type(layer.cell)(H, skip=2, use_bias=False))
    layer.build(X.shape), reference.build(X.shape)
    reference.cell.set_weights(layer.cell.get_weights())
    np.testing.assert_allclose(layer(X), reference(X), atol=1e-6)
    assert [v.name for v in layer.trainable_variables] == ["kernel", "recurrent_kernel"]


def test_old_configurations_keep_their_forget_bias():
    config = fast(forget_bias=0.5, bias_initializer="ones").get_config()
    for name in ("use_bias", "unit_forget_bias", "unroll"):
        config.pop(name)
    layer = FastLSTM.from_config(config)
    layer.build(X.shape)
    np.testing.assert_array_equal(layer.cell.bias, np.repeat([1, 0.5, 1, 1], H))
    norm = fast(layer_norm=True, unit_forget_bias=False)
    norm.build(X.shape)
    assert not norm.cell.norm_weights(tf.float32).gate_offset.numpy().any()


# ----------------------------------------------------------------------------------- call arguments


def test_what_is_refused_before_there_are_values():
    inputs, right, wrong = keras.Input((T, D)), keras.Input((H,)), keras.Input((H + 1,))
    assert fast()(inputs, initial_state=[right, right]).shape == (None, H)
    for states in ([right, wrong], [right], right):
        with pytest.raises(
            ValueError, match="initial_state must be tensors of shapes .*None, 4.* received"
        ):
            fast()(inputs, initial_state=states)
    with pytest.raises(
        ValueError, match=r"distances must be of shape \(None, 5\); received \(None, 4\)"
    ):
        DynamicSkipLSTM(H, n_actions=3)(inputs, distances=keras.Input((T - 1,), dtype="int32"))
    with pytest.raises(
        ValueError,
        match="unroll=True needs to know the number of steps; .* received sequences of shape",
    ):
        fast(unroll=True)(keras.Input((None, D)))
    with pytest.raises(ValueError, match=r"expects at least one step; received \(2, 0, 3\)"):
        fast()(np.zeros((2, 0, 3)))


def test_a_single_tensor_is_no_initial_state():
    with pytest.raises(ValueError, match="initial_state must be tensors of shapes"):
        fast()(X, initial_state=tf.zeros([B, H]))


LAYERS = {
    "dynamic_skip": lambda **o: DynamicSkipLSTM(H, n_actions=3, greedy=True, **o),
    "attention": lambda **o: AttentionSkipLSTM(H, n_actions=3, **o),
    "fixed_skip": lambda **o: FixedSkipLSTM(H, skip=2, **o),
    "fast_lstm": lambda **o: FastLSTM(H, **o),
    "fast_gru": lambda **o: FastGRU(H, **o),
    "hoisted": lambda **o: FastRNN(LeakyCell(H), **o),
    "not_hoisted": lambda **o: FastRNN(keras.layers.LSTMCell(H), **o),
    "update_skipping": lambda **o: UpdateSkippingRNN(SkipLSTMCell(H), **o),
}


@pytest.mark.parametrize(
    "name, compiled",
    [*((name, None) for name in LAYERS), *itertools.product(("fast_lstm", "hoisted"), (0, 1))],
)
def test_the_mask_of_the_sequences_holds_beside_states_too(name, compiled):
    """Keras hands it on only where the call has one tensor."""
    layer = LAYERS[name](return_sequences=True, jit_compile=bool(compiled))
    words = tf.constant([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])
    embedding = keras.layers.Embedding(9, D, mask_zero=True)
    states = layer.get_initial_state(len(words))

    def call(words, **given):
        return layer(embedding(words), **given)

    wanted = call(words, mask=embedding.compute_mask(words), initial_state=states)
    inputs = keras.Input((T,), dtype="int32")
    given = [keras.Input(a.shape[1:]) for a in states]
    model = keras.Model(
        [inputs, *given], layer(embedding(inputs), initial_state=given if given[1:] else given[0])
    )
    if compiled is not None:
        call, model = (tf.function(f, jit_compile=bool(compiled)) for f in (call, model))
    for found in (call(words, initial_state=states), model([words, *states])):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    without = layer(tf.identity(embedding(words)), initial_state=states)
    assert not np.allclose(without, wanted, atol=1e-4)


def test_the_mask_of_the_sequences_holds_beside_a_seed_and_distances():
    layer = DynamicSkipLSTM(H, n_actions=3, return_sequences=True)
    words = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])
    embedding = keras.layers.Embedding(9, D, mask_zero=True)
    for given in ({"seed": tf.constant([0, 1])}, {"distances": tf.ones([2, T], tf.int32)}):
        layer(embedding(words), training=True, **given)
        np.testing.assert_array_equal(layer.trace.mask, words > 0)


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in ("fast_gru", "not_hoisted")])
def test_units_may_be_a_number_of_numpy(name, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "H", np.int64(H))
    layer = LAYERS[name]()
    assert layer(X).shape == (B, H) and type(layer.cell.units) is int


def test_another_batch_size_of_a_stateful_layer():
    layer = fast(stateful=True, name="memory")
    layer(X)
    for states in (None, [tf.zeros([1, H])] * 2):
        with pytest.raises(
            ValueError,
            match="memory is stateful and keeps the states of a batch of 2; received a batch of 1",
        ):
            layer(X[:1], initial_state=states)
    assert layer(X).shape == (B, H)


def test_a_graph_that_does_not_know_the_features():
    x = np.random.default_rng(0).normal(size=[2, 5, 3]).astype(np.float32)
    unknown = [tf.TensorSpec([None, None, None])]
    for layer in (DynamicSkipLSTM(4, estimator="reinmax"), FastLSTM(4), FastRNN(LeakyCell(4))):
        layer.build([None, None, 3])

        def gradients(x, layer=layer):
            with tf.GradientTape() as tape:
                y = tf.reduce_sum(layer(x) ** 2)
            return y, tape.gradient(y, layer.trainable_variables[:3])

        found = tf.function(gradients, unknown, autograph=False)(x)
        tf.nest.map_structure(
            lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), *((found, gradients(x)))
        )


def test_the_shape_of_inputs_as_old_code_gives_it():
    with pytest.warns(UserWarning, match="`input_shape`"):
        model = keras.Sequential([DynamicSkipLSTM(4, input_shape=(5, 3))])
    assert model.output_shape == (None, 4)
