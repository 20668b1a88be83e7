"""Networks that are deep without time: highway layers, and Grid LSTMs of one dimension."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.modes import WITHOUT_AUTOGRAPH as MODES

from common.cells.grid_lstm import GridLSTMCell
from common.layers.grid_stack import GridStack
from common.layers.highway import Highway
from common.ops.grid import grid_block


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def with_random_weights(layer, x):
    layer(x)
    layer.set_weights([numbers(*w.shape, seed=i) for i, w in enumerate(layer.weights)])
    return layer


@pytest.mark.parametrize("block", [1, 3, 6])
def test_highway_is_its_equation(block):
    x = numbers(4, 6)
    layer = with_random_weights(Highway(6, block, "tanh"), x)
    w_t, b_t, w_h, b_h = layer.get_weights()
    assert w_t.shape == (6, 6 // block)
    t = np.repeat(sigmoid(x @ w_t + b_t), block, -1)
    expected = t * np.tanh(x @ w_h + b_h) + (1 - t) * x
    for compiled in MODES.values():
        np.testing.assert_allclose(compiled(layer)(tf.constant(x)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16"])
def test_highway_has_the_precision_that_it_is_given(dtype):
    x = numbers(4, 6)
    layer = Highway(6, 2, "tanh", dtype=dtype)
    found = layer(x)
    plain = Highway(6, 2, "tanh")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    assert found.dtype == layer.compute_dtype == layer.gate.compute_dtype
    np.testing.assert_allclose(tf.cast(found, tf.float32), plain(x), atol=0.03)


def test_shut_gates_are_the_identity_and_open_ones_a_dense_layer(tmp_path):
    x = numbers(4, 6)
    layer = with_random_weights(Highway(6, 2), x)
    layer.gate.kernel.assign(np.zeros([6, 3]))
    layer.gate.bias.assign(np.full(3, -np.inf))
    assert np.array_equal(layer(x), x)
    layer.gate.bias.assign(np.full(3, np.inf))
    np.testing.assert_array_equal(layer(x), layer.transform(x))
    model = keras.Sequential([keras.Input([6]), Highway(6, 2, "tanh", -4.0)])
    model.save(tmp_path / "highway.keras")
    again = keras.saving.load_model(tmp_path / "highway.keras")
    np.testing.assert_array_equal(again(x), model(x))
    assert again.layers[0].gate.bias.numpy().tolist() == [-4.0] * 3
    assert again.layers[0].get_config() == model.layers[0].get_config()


def test_gradients_pass_through_many_highway_layers_and_not_through_plain_ones():
    """The gradient of the input of 30 layers, against that of one."""
    x = tf.constant(numbers(8, 16))

    def gradient(layers):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            for layer in layers:
                y = layer(y)
            loss = tf.reduce_mean(y[:, 0])
        return float(tf.norm(tape.gradient(loss, x)))

    def plain(i):
        return keras.layers.Dense(
            16, "tanh", kernel_initializer=keras.initializers.GlorotUniform(i)
        )

    assert gradient([Highway(16, gate_bias=-4.0) for _ in range(30)]) > 0.3 * gradient([plain(0)])
    saturated = [keras.layers.Rescaling(0.5) if i % 2 else plain(i) for i in range(30)]
    assert gradient(saturated) < 1e-3 * gradient([plain(0)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Highway(6, 4), "block must divide units, 6; received 4"),
        (lambda: Highway(6, 0), "block must be a whole number of at least 1"),
        (lambda: Highway(6)(numbers(2, 5)), r"inputs must be \[..., 6\]"),
        (lambda: GridStack(4, depth=0), "depth must be"),
        (lambda: GridStack(4, tied=2), "tied must be"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("priority", [None, "depth"])
def test_a_block_of_two_dimensions_is_the_cell(priority):
    cell = GridLSTMCell(3, depth=1, priority=priority)
    x, h_time, m_time = numbers(2, 4), numbers(2, 3, seed=1), numbers(2, 3, seed=2)
    cell = with_random_weights(keras.layers.RNN(cell), x[:, None]).cell
    h, m = tf.split(x @ cell.input_kernel, 2, -1)
    weights = [[tf.convert_to_tensor(w) for w in pair] for pair in cell.transforms[0]]
    index = None if priority is None else 1
    output, (h_after, m_after) = cell(tf.constant(x), [tf.constant(h_time), tf.constant(m_time)])
    for compiled in MODES.values():
        hs, ms = compiled(lambda *given: grid_block(given[:2], given[2:], weights, index))(
            tf.constant(h_time), h, tf.constant(m_time), m
        )
        for found, expected in ((hs[0], h_after), (hs[1], output), (ms[0], m_after)):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_one_dimension_is_a_loop_over_the_levels(tied, tmp_path):
    x = numbers(5, 4)
    layer = with_random_weights(GridStack(3, depth=3, tied=tied), x)
    weights = {w.name: w.numpy() for w in layer.weights}
    assert len(weights) == 1 + 2 * (1 if tied else 3)
    h, m = np.split(x @ weights["input_kernel"], 2, -1)
    for n in range(3):
        kernel, bias = (weights[f"depth_{part}_{0 if tied else n}"] for part in ("kernel", "bias"))
        i, f, g, o = np.split(h @ kernel + bias, 4, -1)
        m = sigmoid(f) * m + sigmoid(i) * np.tanh(g)
        h = np.tanh(sigmoid(o) * m)
    for compiled in MODES.values():
        np.testing.assert_allclose(compiled(layer)(tf.constant(x)), h, rtol=1e-5, atol=1e-6)
    model = keras.Sequential([keras.Input([4]), layer])
    model.save(tmp_path / "grid.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "grid.keras")(x), model(x))


def test_one_dimension_learns_parity():
    bits = np.array(list(itertools.product([-1, 1], repeat=4)), np.float32)
    odd = tf.constant(np.sum(bits > 0, 1) % 2, tf.float32)[:, None]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input([4]), GridStack(12, depth=4), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(odd, model(bits)))
        optimizer.apply(tape.gradient(loss, [w.value for w in model.trainable_variables]))
        return loss

    assert float(step()) > 0.6
    for _ in range(150):
        step()
    assert np.array_equal(model(bits) > 0, odd > 0)


def test_a_mask_passes_through_highway_layers():
    layers = keras.layers
    network = keras.Sequential(
        [layers.Embedding(5, 4, mask_zero=True), Highway(4), layers.GlobalAveragePooling1D()]
    )
    words = np.array([[1, 2, 3, 0, 0]])
    np.testing.assert_allclose(network(words), network(words[:, :3]), atol=1e-6)
