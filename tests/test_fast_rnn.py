"""FastRNN and FastGRU: what `keras.layers.RNN` computes of the same cells, with its gradients."""

import pathlib
import re
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import long_but

from common import cells
from common.cells.clockwork import ClockworkCell
from common.cells.deep_rnn import DeepRNNCell
from common.cells.grid_lstm import GridLSTMCell
from common.cells.highway_lstm import HighwayLSTMCell
from common.cells.leaky import LeakyCell
from common.cells.peephole_lstm import PeepholeLSTMCell
from common.cells.skip_gru import SkipGRUCell
from common.cells.skip_lstm import SkipLSTMCell
from common.cells.skip_rnn import SkipRNNCell
from common.cells.time_delay import TimeDelayCell
from common.layers.deployment import step_by_step
from common.layers.fast_gru import FastGRU
from common.layers.fast_rnn import FastRNN
from common.ops import loops

B, T, D, H = 3, 5, 2, 3
MASK = np.array([[0, 1, 1, 0, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)  # of one row nothing
CELLS = {
    "skip_lstm": lambda: SkipLSTMCell(H),
    "skip_gru": lambda: SkipGRUCell(H),
    "time_delay": lambda: TimeDelayCell(H, delay=3, base="lstm"),
    "leaky": lambda: LeakyCell(H, leak="learned"),
    "clockwork": lambda: ClockworkCell(H, periods=(3, 1, 2)),
    "skip_rnn": lambda: SkipRNNCell(H, n_matrices=2, skip=2, base="lstm"),
    "peephole_lstm": lambda: PeepholeLSTMCell(H),
    "fgr": lambda: PeepholeLSTMCell(H, variant="FGR"),
    "highway_lstm": lambda: HighwayLSTMCell(H, depth=2),
    "deep_rnn": lambda: DeepRNNCell(H, depth=3, deep_output=True),
    "deep_rnn, no shortcut": lambda: DeepRNNCell(H, depth=2, shortcut=False),
    "grid_lstm": lambda: GridLSTMCell(H, depth=2, tied=True),
}
GRUS = {
    "gru": {"reset_after": False},
    "gru, reset behind the product": {"reset_after": True, "activation": "softsign"},
    "gru without bias": {"reset_after": True, "use_bias": False},
}
NAMES = [*CELLS, *GRUS]
IN_A_GRAPH = {"skip_gru": False, "time_delay": True, "gru": False}  # compiled by XLA or not


def normal(shape, seed):
    return np.random.default_rng(seed).normal(size=shape, scale=0.7).astype(np.float32)


def draw(layer):
    layer.build((B, T, D))
    for n, v in enumerate(v for v in layer.weights if "float" in v.dtype and "rnn" not in v.name):
        v.assign(normal(v.shape, n))
    return layer


def cell_of_the_guide():
    """The one that common/cells/README.md shows, from its text."""
    guide = pathlib.Path(cells.__path__[0], "README.md").read_text(encoding="utf-8")
    code = re.search(r" {3}```python\n(.*?class MyCell\(HoistedCell\).*?) {3}```", guide, re.DOTALL)
    space = {"__package__": "common.cells", "__name__": "common.cells.my_cell"}
    exec(textwrap.dedent(code[1]), space)
    return space["MyCell"](H, decay=0.3)


CELLS["of the guide"] = cell_of_the_guide


def pair(name, **options):
    """The layer, and Keras' own with the same cell."""
    if name in CELLS:
        layer = draw(FastRNN(CELLS[name](), jit_compile=False, **options))
    else:
        layer = draw(FastGRU(H, jit_compile=False, **GRUS[name], **options))
    return layer, keras.layers.RNN(layer.cell, unroll=True, **options)


def found(layer, x, states, **call):
    """Outputs, states and gradients of all that the layer sees."""
    with tf.GradientTape() as tape:
        tape.watch((x, states))
        everything = layer(x, initial_state=states, training=True, **call)
        loss = tf.add_n([tf.reduce_sum(tf.sin(3 * a)) for a in everything])
    at = {"x": x, "states": states, "weights": [v.value for v in layer.cell.trainable_variables]}
    return everything, tape.gradient(loss, at, unconnected_gradients="zero")


def close(a, b, tolerance=5e-6):
    for one, other in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, atol=tolerance, rtol=tolerance)


def given(name, layer):
    """Inputs and states; where the cell has such, in the midst of a sequence or before it."""
    x, states = normal((B, T, D), 1), [normal((B, size), 2) / 2 for size in layer.state_size]
    if name in ("skip_lstm", "skip_gru"):
        begun = np.array([[1], [0], [0]], np.float32)
        counters = [0.3 * begun, begun, [[2, 0]] * begun]
        states = [a * begun for a in states[:-3]] + counters
    elif name in ("clockwork", "skip_rnn"):
        states[-1] = np.ones_like(states[-1])
    return [tf.constant(a, tf.float32) for a in (x, *states)]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_keras_own(name):
    """Masks, given states, backwards; the gradient of every output."""
    n = NAMES.index(name)
    options = {"return_sequences": n % 3 > 0, "go_backwards": n % 2 == 0}
    options |= {"return_state": True, "zero_output_for_mask": n % 4 == 1}
    layer, reference = pair(name, **options)
    x, *states = given(name, layer)
    run = found
    if name in IN_A_GRAPH:
        run = tf.function(found, jit_compile=IN_A_GRAPH[name], autograph=False)
    close(run(layer, x, states, mask=MASK), found(reference, x, states, mask=MASK))


@pytest.mark.parametrize(
    "name", long_but(["time_delay"], ["skip_lstm", "time_delay", "highway_lstm", "gru"])
)
def test_where_functions_run_eagerly_to_be_debugged(name, functions_run_eagerly):
    """The same gradients, and those of forward mode, in which no tape records."""
    layer, reference = pair(name)
    x, *states = given(name, layer)
    close(found(layer, x, states), found(reference, x, states))
    jvps = []
    for one in (layer, reference):
        with tf.autodiff.ForwardAccumulator(x, tf.cos(x)) as accumulator:
            gradient = found(one, x, states)[1]["x"]
        jvps.append(accumulator.jvp(gradient))
    close(*jvps, tolerance=2e-5)
    assert tf.config.functions_run_eagerly()


@pytest.mark.parametrize("name, n_steps", [("time_delay", 1), ("time_delay", 2), ("skip_rnn", 1)])
def test_fewer_steps_than_the_delay(name, n_steps):
    """Some states before the sequence then reach nothing, and are among those behind it."""
    layer, reference = pair(name, return_state=True)
    x, *states = given(name, layer)
    x = x[:, :n_steps]
    close(found(layer, x, states), found(reference, x, states))


@pytest.mark.parametrize("name", ["time_delay", "highway_lstm"])
def test_second_derivatives(name):
    """Of an edge of several steps, of several levels."""
    layer, reference = pair(name)

    def second(one):
        x = tf.constant(normal((1, 4, D), 1))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(one(x) ** 2)
            gradient = tape.gradient(loss, x)
        weights = [v.value for v in one.cell.trainable_variables]
        return outer.gradient(gradient, [x, *weights], normal((1, 4, D), 2))

    close(second(layer), second(reference), 2e-5)


def test_a_jacobian_is_row_by_row_the_gradient():
    """Vectorised, over the outputs; with buffers that is right where `pfor_patches` is imported."""
    assert loops.pfor_patches  # by whatever has buffers, not by one of the layers
    layer, x = pair("time_delay")[0], tf.constant(normal((2, 4, D), 1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = layer(x)
        each = [tf.reduce_sum(outputs[:, n]) for n in range(H)]
    rows = [tape.gradient(one, x) for one in each]
    close(tape.batch_jacobian(outputs, x), tf.stack(rows, 1))


def test_stateful_and_dropout():
    """A state is kept and reset; the inputs' dropout is that of one mask in each call."""
    layer = draw(FastRNN(TimeDelayCell(H, delay=2), stateful=True, jit_compile=False))
    x = normal((B, T, D), 1)
    whole = FastRNN(layer.cell, jit_compile=False)
    whole.build(x.shape)
    layer(x[:, :2])
    np.testing.assert_allclose(layer(x[:, 2:]), whole(x), atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(layer(x), whole(x), atol=1e-6)
    options = {"reset_after": False, "dropout": 0.5, "seed": 3}
    found = []
    for cls in (FastGRU, keras.layers.GRU):
        gru = draw(cls(H, **options))
        found.append(gru(np.ones((B, T, D), np.float32), training=True))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_step_by_step_they_run_under_keras():
    first = FastRNN(SkipLSTMCell(H), return_sequences=True, jit_compile=False)
    layers = [keras.Input([T, D]), first, FastGRU(H, name="gru", jit_compile=False)]
    model = keras.Sequential(layers)
    made = step_by_step(model)
    assert [type(layer) for layer in made.layers] == [keras.layers.RNN] * 2
    x = normal((B, T, D), 1)
    np.testing.assert_allclose(made(x), model(x), atol=1e-6)


def test_in_16_bits_states_are_wide():
    """A mean over some 128 steps, whose changes 16 bits would round away; what comes out is
    narrow, as of any layer.
    """
    leak, policy = keras.initializers.Constant(1 - 2**-7), {"dtype": "mixed_bfloat16"}
    layer = FastRNN(LeakyCell(1, leak_initializer=leak, **policy), **policy)
    layer.build((1, None, 1))
    layer.cell.kernel.assign([[9.0]]), layer.cell.recurrent_kernel.assign([[0.0]])
    found = layer(np.ones((1, 400, 1), np.float32))
    assert found.dtype == tf.bfloat16
    np.testing.assert_allclose(float(found[0, 0]), 1 - (1 - 2**-7) ** 400, atol=0.004)


@pytest.mark.parametrize("name", CELLS)
def test_in_16_bits_keras_runs_them_too(name):
    """Step by step, up to what 16 bits round away at each."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        fast, rnn = FastRNN(CELLS[name](), jit_compile=False), keras.layers.RNN(CELLS[name]())
    finally:
        keras.config.set_dtype_policy(policy)
    draw(fast), draw(rnn)
    x = normal((B, T, D), 1)
    assert rnn(x).dtype == "float16"
    np.testing.assert_allclose(rnn(x), fast(x), atol=0.01)


class Doubled(LeakyCell):
    """A cell that has more in its `call` than a level's step."""

    def call(self, inputs, states):
        output, states = super().call(inputs, states)
        return 2 * output, states


def test_unroll_is_for_good():
    layer = FastRNN(PeepholeLSTMCell(4), unroll=True)
    layer(np.ones([2, 5, 3]))
    with pytest.raises(AttributeError, match="unroll of .* is True for good"):
        layer.unroll = False


def test_where_keras_own_loop_runs():
    """A cell of another kind or with a `call` of its own, steps written out, recurrent dropout."""
    assert FastRNN(keras.layers.LSTMCell(H)).levels() == []
    assert FastRNN(LeakyCell(H), unroll=True).levels() == []
    assert FastRNN(Doubled(H)).levels() == []
    assert FastRNN(LeakyCell(H, dtype="float64")).levels() == []
    assert FastGRU(H, recurrent_dropout=0.1).levels() == []
    assert FastGRU(H, implementation=1).levels() == []
    x = normal((B, T, D), 1)
    one = FastRNN(keras.layers.LSTMCell(H), return_sequences=True)
    other = keras.layers.RNN(one.cell, return_sequences=True)
    np.testing.assert_array_equal(one(x), other(x))
    layer, written_out = draw(FastRNN(LeakyCell(H))), FastRNN(LeakyCell(H), unroll=True)
    written_out.cell = layer.cell
    np.testing.assert_allclose(layer(x), written_out(x), atol=1e-6)
