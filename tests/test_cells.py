"""common/cells/: every comparator against NumPy, with its gradients; as a Keras layer; and where it
is a plain network.
"""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.arrays import normal
from helpers.marks import long_but
from helpers.modes import MODES
from oracles import numpy_cells as oracle
from oracles import numpy_skip_lstm

from common.cells.attention import AttentionSkipLSTMCell
from common.cells.clockwork import ClockworkCell
from common.cells.fixed_skip import FixedSkipLSTMCell
from common.cells.grid_lstm import GridLSTMCell
from common.cells.highway_lstm import HighwayLSTMCell
from common.cells.leaky import LeakyCell
from common.cells.peephole_lstm import VARIANTS, PeepholeLSTMCell
from common.cells.random_skip import RandomSkipLSTMCell
from common.cells.skip_lstm import SkipLSTMCell, counted, n_updates
from common.cells.skip_rnn import SkipRNNCell
from common.cells.time_delay import TimeDelayCell
from common.config import RunConfig
from common.layers.fast_rnn import FastRNN
from common.layers.fixed_skip_lstm import FixedSkipLSTM
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.layers.random_skip_lstm import RandomSkipLSTM
from common.layers.update_skipping_rnn import UpdateSkippingRNN

# Keras' own, where it saves
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

B, T, D, H = 2, 4, 2, oracle.UNITS
COST = 0.3

# One of each kind, for what does not depend on the equations; then what else the flags can ask for.
KINDS = [
    ("fixed_skip", {"skip": 3, "lamda": 0.5}),
    ("attention", {"n_actions": 3, "lamda": 0.5, "observation": "mean"}),
    ("gru", {}),
    ("skip_lstm", {"update_cost": COST}),
    ("skip_gru", {"update_cost": COST}),
    ("time_delay", {"delay": 3, "base": "lstm"}),
    ("leaky", {"leak": "learned"}),
    ("clockwork", {"periods": [3, 1, 2]}),
    ("skip_rnn", {"n_matrices": 2, "skip": 2, "base": "lstm"}),
    ("peephole_lstm", {"variant": "FGR"}),
    (
        "deep_rnn",
        {"depth": 3, "shortcut": True, "activation": "sigmoid", "deep_output": True},
    ),
    ("highway_lstm", {"depth": 3}),
    ("grid_lstm", {"depth": 2, "tied": False}),
]
OTHERS = [
    ("fixed_skip", {"skip": 2, "lamda": 1.0}),
    ("attention", {"n_actions": 3, "lamda": 1.0, "observation": "previous"}),
    ("time_delay", {"delay": 2, "base": "rnn"}),
    ("leaky", {"leak": "fixed"}),
    ("clockwork", {"periods": [1, 2]}),
    ("skip_rnn", {"n_matrices": 1, "base": "rnn"}),
    ("skip_rnn", {"n_matrices": 2, "base": "rnn"}),
    ("skip_rnn", {"n_matrices": 1, "skip": 2, "base": "rnn"}),
    ("skip_rnn", {"n_matrices": 3, "skip": 2, "base": "rnn"}),
    ("grid_lstm", {"depth": 3, "tied": True, "priority": "depth"}),
    ("rnn", {"activation": "relu"}),
    (
        "deep_rnn",
        {"depth": 2, "shortcut": False, "activation": "tanh", "deep_output": False},
    ),
] + [("peephole_lstm", {"variant": variant}) for variant in VARIANTS if variant != "FGR"]

# Keras' own layer, and what XLA compiles for the Skip LSTM too.
LIKE_OTHERS = [("gru", "xla"), ("skip_gru", "xla")]


def name_of(case):
    return "-".join([case[0], *map(str, case[1].values())])


kinds = pytest.mark.parametrize("case", KINDS, ids=name_of)
A_FEW = [case for case in KINDS if case[0] in ("attention", "fixed_skip", "gru", "skip_lstm")]


def new(case):
    """The layer of `--cell` and its flags."""
    cell, flags = case
    return make_layer(
        RunConfig(cell=cell, rnn_size=H, agent_units=5, jit_compile=False, **flags), H
    )


def make(case):
    """The same with weights, drawn anew."""
    layer = new(case)
    layer.build((B, T, D))
    for n, v in enumerate(v for v in layer.weights if v.dtype in ("float32", "float64")):
        v.assign(normal(v.shape, n, 0.7))
    return layer


def weights(layer):
    return {
        v.name: v.numpy().astype(np.float64)
        for v in layer.weights
        if v.dtype in ("float32", "float64")
    }


@pytest.mark.parametrize(
    "case, mode",
    [(c, m) for c in KINDS for m in ("eager", "xla") if (c[0], m) not in LIKE_OTHERS]
    + [(c, "graph") for c in OTHERS],
    ids=lambda v: v if isinstance(v, str) else name_of(v),
)
def test_outputs_and_gradients_are_numpys(case, mode):
    """In float64, which every mode has of half of the cells or all others, to its last digits."""
    wide = case in OTHERS or (KINDS.index(case) % 2 == 0) == (mode == "eager")
    dtype, policy = "float64" if wide else "float32", keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        layer = make(case)
    finally:
        keras.config.set_dtype_policy(policy)
    x, d_output = normal((B, T, D), 100).astype(dtype), normal((B, T, H), 101).astype(dtype)

    def close(found, wanted, tolerance, **options):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, atol=1e-12 if wide else tolerance, **options)

    def everything(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, _, _ = run_layer(layer, x, training=True)
            extra, metrics = auxiliary([layer])
            loss = tf.reduce_sum(outputs * d_output) + tf.cast(extra, dtype)
        variables = {v.name: v.value for v in layer.trainable_variables}
        return outputs, metrics, tape.gradient(loss, {"x": x, **variables})

    outputs, metrics, gradients = MODES[mode](everything)(tf.constant(x))

    def run(**arrays):
        arrays = {**weights(layer), "x": x.astype(np.float64), **arrays}
        found = getattr(oracle, case[0])(arrays, arrays.pop("x"), **case[1])
        return found if isinstance(found, tuple) else (found, np.zeros((B, T)))

    def loss(**arrays):
        outputs, updates = run(**arrays)
        return (outputs * d_output).sum((-3, -2, -1)) + COST * updates.sum(-1).mean(-1)

    expected, updates = run()
    close(outputs, expected.real, 3e-6)
    wanted = numpy_skip_lstm.gradients(
        loss,
        x=x.astype(np.float64),
        **{v.name: weights(layer)[v.name] for v in layer.trainable_variables},
    )
    assert gradients.keys() == wanted.keys()
    for name, gradient in gradients.items():
        relative = 1e-10 if wide else 2e-5
        close(gradient, wanted[name], 2e-5, rtol=relative, err_msg=name)
    if metrics:
        assert 0 < updates.real.mean() < 1  # else this saw only half of the equations
        np.testing.assert_allclose(metrics["updates"], [updates.real.sum(), B * T])


WITH_BIAS = [  # of those over K states: test_keras_arguments.py
    case for case in KINDS if case[0] not in ("gru", "fixed_skip", "attention")
]


@pytest.mark.parametrize("case", WITH_BIAS, ids=name_of)
def test_without_bias_a_cell_is_as_with_a_bias_of_zeros(case):
    """What another gate has of its own stays."""
    layer = make(case)
    config = layer.cell.get_config() | {"use_bias": False, "name": "another"}
    other = keras.layers.RNN(type(layer.cell).from_config(config), return_sequences=True)
    other.build((B, T, D))
    both = [{v.name: v for v in one.cell.weights} for one in (layer, other)]
    biases = both[0].keys() - both[1].keys()
    own = {"update_bias", *(f"depth_bias_{n}" for n in range(3) if case[0] == "highway_lstm")}
    assert biases == {name for name in both[0] if "bias" in name} - own and biases
    for name, weight in both[0].items():
        if name in biases:
            weight.assign(tf.zeros_like(weight))
        else:
            both[1][name].assign(weight)
    x = normal((B, T, D), 5)
    np.testing.assert_allclose(other(x), run_layer(layer, x)[0], atol=1e-6)
    assert not other.cell.get_config()["use_bias"]


@pytest.mark.parametrize("case", [*KINDS, ("dynamic_skip", {})], ids=name_of)
def test_no_two_matrices_start_with_the_same_numbers(case):
    """As those of one Keras initializer do, but for their scale."""
    layer = make_layer(
        RunConfig(cell=case[0], rnn_size=8, agent_units=5, **case[1]),
        8,
        recurrent_initializer="glorot_uniform",
    )
    layer.build((B, T, 6))
    matrices = {
        v.path: np.ravel(v)
        for v in layer.weights
        if len(v.shape) == 2 and np.std(v) > 0 and "leak" not in v.name
    }
    for (a, x), (b, y) in itertools.combinations(matrices.items(), 2):
        n = min(len(x), len(y))
        assert abs(np.corrcoef(x[:n], y[:n])[0, 1]) < 0.99, (a, b)


class Fill(keras.initializers.Initializer):
    """As a user writes it: without `get_config`, so that no copy of it can be made."""

    def __init__(self, value):
        self.value = value

    def __call__(self, shape, dtype=None):
        return tf.fill(shape, tf.cast(self.value, dtype))


@pytest.mark.parametrize("case", [*KINDS, ("dynamic_skip", {}), ("lstm", {})], ids=name_of)
def test_an_initializer_of_the_users_own_is_used_as_it_is(case):
    layer = make_layer(
        RunConfig(cell=case[0], rnn_size=4, agent_units=5, **case[1]),
        4,
        kernel_initializer=Fill(0.25),
    )
    layer.build((B, T, 6))
    assert any(np.all(np.equal(v, 0.25)) for v in layer.weights)


@pytest.mark.parametrize("case", [*KINDS, ("dynamic_skip", {}), ("lstm", {})], ids=name_of)
def test_whole_numbers_are_inputs_too(case):
    """As of Keras' LSTM: in a layer over sequences, and in the cell, step by step."""
    config = RunConfig(cell=case[0], rnn_size=4, agent_units=5, **case[1])
    x = np.random.default_rng(0).integers(0, 3, (B, T, 6))
    layer = make_layer(config, 4)
    wanted = run_layer(layer, tf.constant(x, tf.float32), greedy=True)[0]
    np.testing.assert_array_equal(run_layer(layer, tf.constant(x), greedy=True)[0], wanted)
    steps = keras.layers.RNN(layer.cell, return_sequences=True)
    np.testing.assert_allclose(steps(tf.constant(x)), wanted, atol=1e-6)


# -------------------------------------------------------------------- where they are plain networks

LSTM = keras.layers.LSTM
GRU = functools.partial(keras.layers.GRU, reset_after=False)
RELU = functools.partial(keras.layers.SimpleRNN, activation="relu")

# Cell and flags, which of its weights are what, the plain layer.
REDUCTIONS = [
    ("fixed_skip", {"skip": 1}, {}, LSTM),
    ("random_skip", {"n_actions": 1}, {}, LSTM),
    ("attention", {"n_actions": 1}, {}, LSTM),
    ("attention", {"n_actions": 3, "lamda": 0.0}, {}, LSTM),
    ("gru", {}, {}, GRU),
    ("skip_lstm", {}, {"update_bias": 50.0, "initial_state_0": 0.0, "initial_state_1": 0.0}, LSTM),
    ("skip_gru", {}, {"update_bias": 50.0, "initial_state_0": 0.0}, GRU),
    ("time_delay", {"base": "rnn"}, {"delayed_kernel": 0.0}, keras.layers.SimpleRNN),
    ("time_delay", {"base": "lstm"}, {"delayed_kernel": 0.0}, LSTM),
    ("leaky", {}, {"leak": 0.0}, keras.layers.SimpleRNN),
    ("clockwork", {"periods": [1]}, {}, keras.layers.SimpleRNN),
    ("skip_rnn", {"base": "rnn"}, {}, RELU),
    ("skip_rnn", {"base": "lstm"}, {}, LSTM),
    ("peephole_lstm", {"variant": "NP"}, {}, LSTM),
    ("peephole_lstm", {"variant": "vanilla"}, {"peephole": 0.0}, LSTM),
    ("highway_lstm", {"depth": 1}, {}, LSTM),
    ("rnn", {}, {}, keras.layers.SimpleRNN),
    ("deep_rnn", {"depth": 1, "activation": "relu"}, {}, RELU),
]


@pytest.mark.parametrize(
    "cell, flags, values, plain", REDUCTIONS, ids=lambda v: v if isinstance(v, str) else None
)
def test_a_special_case_is_a_plain_network(cell, flags, values, plain):
    layer, reference, x = make((cell, flags)), plain(H, return_sequences=True), normal((B, T, D), 1)
    for v in layer.weights:
        if v.name in values:
            v.assign(tf.fill(v.shape, values[v.name]))
    reference.build(x.shape)
    plain_weights = {v.name.removesuffix("_0"): v for v in layer.trainable_variables}
    reference.set_weights([plain_weights[name] for name in ("kernel", "recurrent_kernel", "bias")])
    np.testing.assert_allclose(run_layer(layer, x)[0], reference(x), atol=2e-6)


def test_a_closed_depth_gate_gives_stacked_lstms():
    layer, x = make(("highway_lstm", {"depth": 2})), normal((B, T, D), 1)
    by_name = {v.name: v for v in layer.trainable_variables}
    by_name["depth_bias_1"].assign(tf.fill([H], -100.0))
    expected = x
    for n in range(2):
        lstm = LSTM(H, return_sequences=True)
        lstm.build(expected.shape)
        lstm.set_weights(
            [by_name[f"{name}_{n}"] for name in ("kernel", "recurrent_kernel", "bias")]
        )
        expected = lstm(expected)
    np.testing.assert_allclose(run_layer(layer, x)[0], expected, atol=2e-6)


def test_initial_biases():
    """One on forget gates and on the update of Campos' cells; the rest of the vector as
    `bias_initializer` says.
    """
    forget = np.repeat([0.5, 1, 0.5, 0.5], H)
    for cell, flags, name, expected in [
        ("skip_lstm", {}, "bias", forget),
        ("skip_lstm", {}, "update_bias", [1]),
        ("skip_gru", {}, "bias", np.full(3 * H, 0.5)),
        ("time_delay", {"base": "lstm"}, "bias", forget),
        ("time_delay", {"base": "rnn"}, "bias", np.full(H, 0.5)),
        ("skip_rnn", {"base": "lstm"}, "bias", forget),
        ("peephole_lstm", {"variant": "NIG"}, "bias", np.repeat([1, 0.5, 0.5], H)),
        ("peephole_lstm", {"variant": "CIFG"}, "bias", np.full(3 * H, 0.5)),
        ("highway_lstm", {}, "bias_1", forget),
        ("grid_lstm", {}, "depth_bias_0", forget),
    ]:
        layer = make_layer(
            RunConfig(cell=cell, rnn_size=H, **flags),
            H,
            bias_initializer=keras.initializers.Constant(0.5),
        )
        layer.build((B, T, D))
        (found,) = (v for v in layer.weights if v.name == name)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("cell", ["skip_lstm", "lstm"])
def test_a_random_bias_is_another_in_each_gate(cell):
    layer = make_layer(
        RunConfig(cell=cell, rnn_size=H),
        H,
        bias_initializer=keras.initializers.RandomUniform(0.1, 0.9),
    )
    layer.build((B, T, D))
    i, f, g, o = np.split(layer.cell.bias.numpy(), 4)
    assert (f == 1).all() and (i != g).all() and (g != o).all()


@pytest.mark.parametrize("leak", ["fixed", "learned"])
def test_leaks_are_drawn_between_0_and_1(leak):
    cell = LeakyCell(200, leak=leak)
    cell.build((None, D))
    a = cell.leak_weight.numpy() if leak == "fixed" else 1 / (1 + np.exp(-cell.leak_weight.numpy()))
    assert 0 < a.min() < 0.1 and 0.9 < a.max() < 1 and abs(a.mean() - 0.5) < 0.1
    assert len(cell.trainable_variables) == (3 if leak == "fixed" else 4)
    drawn = keras.initializers.RandomUniform(0.0, 1.0)  # as Keras' cells: other numbers for each
    both = [LeakyCell(20, leak=leak, leak_initializer=drawn) for _ in range(2)]
    for cell in both:
        cell.build((None, D))
    assert (both[0].leak_weight.numpy() != both[1].leak_weight.numpy()).any()


# ---------------------------------------------------------------------------------------- distances


def test_random_skip_is_uniform_and_what_its_trace_says():
    layer = make(("random_skip", {"n_actions": 3, "lamda": 0.5}))
    # no agent
    assert [v.name for v in layer.trainable_variables] == ["kernel", "recurrent_kernel", "bias"]
    x = np.tile(normal((1, T, D), 1), (1000, 1, 1))
    outputs, _, trace = run_layer(layer, x, seed=tf.constant([1, 2]))
    assert trace is None  # nothing to learn from
    distances = layer.trace.distances.numpy()
    counts = np.bincount(distances.ravel(), minlength=4)[1:]
    # 2 degrees of freedom, p = .001
    assert counts.sum() == 4000 and ((counts - 4000 / 3) ** 2 / (4000 / 3)).sum() < 13.8
    states = [np.zeros((1000, 3 * H))] * 2
    expected, _, _ = numpy_skip_lstm.run(
        weights(layer), x, distances, states, n_actions=3, lamda=0.5
    )
    np.testing.assert_allclose(outputs, expected, atol=3e-6)
    np.testing.assert_array_equal(run_layer(layer, x, seed=tf.constant([1, 2]))[0], outputs)
    assert (run_layer(layer, x, seed=tf.constant([1, 3]))[0].numpy() != outputs.numpy()).any()


def test_without_an_agent_the_trace_is_certain():
    layer = FixedSkipLSTM(H, skip=3, jit_compile=False)
    layer(normal((B, T, D), 1), mask=np.ones((B, 1), bool) & (np.arange(T) < T - 1))
    np.testing.assert_array_equal(
        layer.trace.probs[:, :-1], np.broadcast_to([0, 0, 1], (B, T - 1, 3))
    )
    assert not layer.trace.probs[:, -1].numpy().any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: FixedSkipLSTM(H, jit_compile=False),
        lambda: FastRNN(PeepholeLSTMCell(H)),
        lambda: UpdateSkippingRNN(SkipLSTMCell(H)),
    ],
)
def test_one_mask_for_all_rows(make):
    """[1, T], as `keras.layers.LSTM` takes it."""
    layer, x, mask = make(), normal((B, T, D), 1), np.arange(T)[None] < T - 2
    layer(x)
    np.testing.assert_allclose(layer(x, mask=mask), layer(x, mask=np.repeat(mask, B, 0)), atol=1e-6)


def test_updates_are_shared_among_the_steps_of_all_rows_where_one_mask_is_of_all():
    layer, x = make(("skip_lstm", {"update_cost": 0.3})), tf.constant(normal((B, T, D), 1))
    found = []
    for rows in (1, B):
        layer(x, mask=tf.repeat(tf.constant([[True, True, False, True]]), rows, 0))
        found.append([float(a) for a in layer.metrics_of_call["updates"]])
    assert found[0] == found[1] and found[0][1] == 3 * B


def test_updates_are_counted_in_16_bits():
    """More of them than bfloat16 can count, one by one; each with its gradient."""
    layer = UpdateSkippingRNN(
        SkipLSTMCell(2, dtype="mixed_bfloat16"), update_cost=1.0, dtype="mixed_bfloat16"
    )
    layer.build((None, None, 1))
    layer.cell.update_bias.assign([30.0])  # at every step
    layer(np.zeros((1, 300, 1), np.float32))
    assert [float(a) for a in layer.metrics_of_call["updates"]] == [300, 300] and float(
        layer.losses[0]
    ) == 300
    layer(np.zeros((0, 3, 1), np.float32))
    assert layer.losses[0] == 0  # of no sequences
    u = tf.Variable([[1.0]])
    with tf.GradientTape() as tape:
        count = tf.zeros([1, 2])
        for _ in range(130):
            count = counted(count, u)
        total = n_updates(count)
    assert (
        count.numpy().tolist() == [[2, 1]]
        and total.numpy() == [130] == tape.gradient(total, u).numpy()
    )


@pytest.mark.parametrize(
    "fast, cell", [(FixedSkipLSTM, FixedSkipLSTMCell), (RandomSkipLSTM, RandomSkipLSTMCell)]
)
def test_the_fast_layer_is_the_cell(fast, cell):
    """Random skips differ from draw to draw: with K = 1 they are all the same."""
    option = {"skip": 2, "lamda": 0.5} if fast is FixedSkipLSTM else {"n_actions": 1}
    layer = fast(H, **option, return_sequences=True, jit_compile=False)
    reference = keras.layers.RNN(cell(H, **option), return_sequences=True)
    x = normal((B, T, D), 1)
    layer.build(x.shape), reference.build(x.shape)
    reference.cell.set_weights(layer.cell.get_weights())
    np.testing.assert_allclose(layer(x), reference(x), atol=2e-6)


def test_the_random_cell_draws_all_distances():
    cell = RandomSkipLSTMCell(H, n_actions=3, seed=1)
    cell.build((None, D))
    x, states = (
        np.ones((300, D), np.float32),
        [normal((1, 3 * H), n) * np.ones((300, 1), np.float32) for n in range(2)],
    )
    options = [
        cell.step(x[:1], [s[:1] for s in states], tf.constant([k]))[0].numpy() for k in (1, 2, 3)
    ]
    found = cell(x, states)[0].numpy()
    counts = [np.isclose(found, h, atol=1e-5).all(-1).sum() for h in options]
    assert sum(counts) == 300 and min(counts) > 70


# ---------------------------------------------------------------------------------- as Keras layers


@kinds
def test_states_handed_on(case):
    layer, x = make(case), normal((B, T, D), 1)
    outputs, final, _ = run_layer(layer, x)
    first, middle, _ = run_layer(layer, x[:, :3])
    second, last, _ = run_layer(layer, x[:, 3:], middle)
    np.testing.assert_allclose(np.concatenate([first, second], 1), outputs, atol=1e-6)
    if case[0] in ("skip_lstm", "skip_gru"):  # their last state counts the updates of one call
        whole, before, behind = (n_updates(one.pop()).numpy() for one in (final, middle, last))
        assert before.all()
        np.testing.assert_array_equal(behind, whole - before)
    for a, b in zip(last, final, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@kinds
def test_masked_steps_are_as_if_they_were_not_there(case):
    layer, x = make(case), normal((B, T, D), 1)
    mask = np.array([[1, 0, 1, 1], [1, 1, 0, 0]], bool)
    outputs, final, _ = run_layer(layer, tf.constant(x), mask=tf.constant(mask))
    updates = np.array(auxiliary([layer])[1].get("updates", [0.0, 0.0]))
    expected_updates = np.zeros(2)
    for b in range(B):
        expected, expected_final, _ = run_layer(layer, x[b : b + 1, mask[b]])
        np.testing.assert_allclose(outputs[b][mask[b]], expected[0], atol=1e-6)
        for a, e in zip(final, expected_final, strict=True):
            np.testing.assert_allclose(a[b], e[0], atol=1e-6)
        expected_updates += np.array(auxiliary([layer])[1].get("updates", [0.0, 0.0]))
    np.testing.assert_allclose(updates, expected_updates)


@pytest.mark.parametrize("case", long_but(A_FEW, KINDS), ids=name_of)
def test_in_a_model_trained_saved_and_loaded(case, tmp_path):
    """Both directions, behind a mask; a few steps lower the loss; the file holds all there is."""
    keras.utils.set_random_seed(0)  # from some first weights two steps do not lower the loss
    layer = new(case)
    both = keras.layers.Bidirectional(
        type(layer).from_config(layer.get_config() | {"return_state": False})
    )
    inputs = keras.Input((2, D))
    model = keras.Model(inputs, keras.layers.Dense(1)(both(keras.layers.Masking()(inputs))))
    model.compile(keras.optimizers.Adam(0.03), "mse", run_eagerly=True)
    x, y = normal((8, 2, D), 1), normal((8, 2, 1), 2)
    x[0, 1:] = 0
    losses = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    expected = model(x).numpy()
    # each layer's price of its updates
    assert len(model.losses) == (2 if "update_cost" in case[1] else 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x), expected, atol=1e-6)
    assert (
        layer.cell.get_config()
        == both.forward_layer.cell.get_config()
        == loaded.layers[-2].forward_layer.cell.get_config()
    )


@pytest.mark.parametrize("case", long_but(A_FEW, KINDS), ids=name_of)
def test_mixed_precision(case):
    exact, x = make(case), normal((B, T, D), 1)
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = make(case)
        with tf.GradientTape() as tape:
            outputs, states, _ = run_layer(layer, tf.cast(x, tf.bfloat16), training=True)
            loss = tf.reduce_mean(tf.cast(outputs, tf.float32)) + auxiliary([layer])[0]
        gradients = tape.gradient(loss, [v.value for v in layer.trainable_variables])
    finally:
        keras.mixed_precision.set_global_policy(policy)
    assert outputs.dtype == tf.bfloat16 and {s.dtype for s in states} == {tf.bfloat16}
    assert all(g.dtype == tf.float32 and np.isfinite(g).all() for g in gradients)
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), run_layer(exact, x)[0], atol=0.05)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (
            lambda: FixedSkipLSTMCell(H, skip=0),
            "^skip must be a whole number of at least 1; received 0",
        ),
        (lambda: AttentionSkipLSTMCell(H, history="window"), "history"),
        (lambda: TimeDelayCell(0), "units must be a whole number of at least 1; received 0"),
        (
            lambda: TimeDelayCell(H, delay=1),
            "delay must be a whole number of at least 2; received 1",
        ),
        (lambda: TimeDelayCell(H, base="gru"), "base must be one of rnn, lstm; received 'gru'"),
        (lambda: LeakyCell(H, leak="own"), "leak must be one of fixed, learned"),
        (lambda: ClockworkCell(H, periods=[1, 2.5]), "periods must be a whole number"),
        (lambda: ClockworkCell(H, periods=[1, 2, 4, 8]), "periods must be 1 to 3 numbers"),
        (lambda: SkipRNNCell(H, n_matrices=True), "n_matrices must be"),
        (lambda: SkipRNNCell(H, skip=0), "skip must be"),
        (lambda: PeepholeLSTMCell(H, "CIF"), "variant must be one of vanilla, NIG"),
        (lambda: HighwayLSTMCell(H, depth=0), "depth must be"),
        (lambda: GridLSTMCell(H, depth=1.0), "depth must be"),
        (lambda: GridLSTMCell(H, priority="time"), "priority must be one of depth; received"),
        (
            lambda: UpdateSkippingRNN(SkipLSTMCell(H), update_cost=-1.0),
            "update_cost must be at least 0; received -1.0",
        ),
    ],
)
def test_bad_arguments(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        wrong()
