"""Hand-written gradients under TensorFlow's transformations, against layers that have none.

Also: what is compiled by default, and distances out of range.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG
from helpers.modes import WITHOUT_AUTOGRAPH as MODES

from common.cells.attention import AttentionSkipLSTMCell
from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.layers.attention_skip_lstm import AttentionSkipLSTM
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.fast_lstm import FastLSTM
from common.ops.gates import State
from common.ops.masks import Masks
from common.ops.products import product
from common.ops.sequence_gradient import declare_lengths
from common.ops.skip_recurrence import SkipRecurrence
from common.ops.softmax import log_likelihood

B, T, D, H, A = 2, 4, 5, 3, 2
X = tf.constant(np.random.default_rng(0).normal(size=(B, T, D)), tf.float32)
DISTANCES = np.array([[3, 1, 2, 2], [1, 1, 3, 1]])


def randomise(layer):
    """All weights drawn anew, far from zero."""
    for n, v in enumerate(v for v in layer.weights if v.dtype == "float32"):
        v.assign(np.random.default_rng(n).normal(size=v.shape, scale=0.6) + v.name.endswith("gain"))


def close(found, wanted):
    found, wanted = tf.nest.flatten(found), tf.nest.flatten(wanted)
    for n, (a, b) in enumerate(zip(found, wanted, strict=True)):
        np.testing.assert_allclose(a, b, atol=2e-5 * max(1, np.abs(b).max()), err_msg=str(n))


class Replay(DynamicSkipLSTMCell):
    """The cell with its distances, and its masks, as further features."""

    def build(self, input_shape):
        super().build((*input_shape[:-1], D))

    def call(self, inputs, states, training=False):
        n_masks = (inputs.shape[-1] - D - 1) // H - 3
        x, distances, *masks = tf.split(inputs, [D, 1, H, n_masks * H, H, H], -1)
        logits = self.logits(x, states)
        masks = Masks(*masks[:2], State(*masks[2:]))
        return self.step(x, states, tf.cast(distances[:, 0], tf.int32), masks, logits)


def skip(n_masks=1, **options):
    """A layer and the same by a cell without a hand-written gradient: functions of x and states.

    `n_masks`: 1 of h for all gates, or 4.
    """
    options = dict(n_actions=3, lamda=0.7, agent_units=A, **options)
    layer = DynamicSkipLSTM(H, **options, return_sequences=True, jit_compile=False)
    reference = keras.layers.RNN(Replay(H, **options), return_sequences=True)
    layer.build(X.shape), reference.build((B, T, D + 1 + (3 + n_masks) * H))
    randomise(layer)
    reference.cell.set_weights(layer.cell.get_weights())
    kept = np.random.default_rng(2).choice([0.0, 0.4, 2.0], (T, B, (3 + n_masks) * H))
    kept[..., -2 * H :] /= 2  # at most all is held
    kept = tf.constant(kept, tf.float32)
    masks = tf.split(kept, [H, n_masks * H, H, H], -1)
    masks = Masks(*masks[:2], State(*masks[2:]))
    layer.cell.masks = lambda shape, training, seed: masks
    given = np.concatenate([DISTANCES[..., None], np.swapaxes(kept, 0, 1)], -1)
    given = given.astype(np.float32)
    window = options.get("history") == "window"
    zeros = [tf.zeros([B, 3 * H])] * (2 if window else 0)
    return (
        lambda x, s: layer(x, initial_state=s, distances=DISTANCES, training=True),
        lambda x, s: reference(tf.concat([x, given], -1), initial_state=[*zeros, *s]),
        layer,
        reference,
        1 if window else 3,
    )


def attention(**options):
    options = dict(n_actions=3, lamda=0.7, agent_units=A, **options)
    layer = AttentionSkipLSTM(H, **options, return_sequences=True, jit_compile=False)
    reference = keras.layers.RNN(AttentionSkipLSTMCell(H, **options), return_sequences=True)
    layer.build(X.shape), reference.build(X.shape)
    randomise(layer)
    reference.cell.set_weights(layer.cell.get_weights())
    return (
        lambda x, s: layer(x, initial_state=s),
        lambda x, s: reference(x, initial_state=s),
        layer,
        reference,
        3,
    )


def plain(jit_compile=False):
    layer, lstm = FastLSTM(H, jit_compile=jit_compile), keras.layers.LSTM(H, use_cudnn=False)
    layer.build(X.shape), lstm.build(X.shape)
    randomise(layer)
    lstm.set_weights(layer.get_weights())
    return layer, lstm


@functools.cache
def of_keras(transformation):
    """Of Keras' own layer with the same weights, eagerly: once for all modes."""
    return transformation(plain()[1])


def steepness(layer, x):
    """A gradient penalty."""
    with tf.GradientTape() as inner:
        inner.watch(x)
        y = tf.reduce_sum(layer(x) ** 2)
    return tf.reduce_sum(inner.gradient(y, x) ** 2)


def penalty(layer, x=X):
    """The gradient of a gradient penalty."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        loss = steepness(layer, x)
    return outer.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])


@pytest.mark.parametrize(
    "make, options, mode",
    [
        (skip, dict(layer_norm=True), "graph"),
        (
            skip,
            dict(history="window", observation="mean", estimator="straight_through", n_masks=4),
            "eager",
        ),
        pytest.param(skip, dict(estimator="straight_through"), "xla", marks=LONG),
        (attention, dict(layer_norm=True, observation="mean"), "eager"),
        pytest.param(attention, {}, "xla", marks=LONG),
    ],
    ids=["norm", "window-straight", "straight", "attention-norm", "attention"],
)
def test_second_derivatives_are_the_cells(make, options, mode):
    """Of everything: the input, the initial states, all weights."""
    layer, reference, *both, n_slots = make(**options)
    random = np.random.default_rng(5)
    states = [tf.constant(random.normal(size=(B, n_slots * H)), tf.float32) for _ in range(2)]

    def run(function, one, mode):
        variables = [v.value for v in one.trainable_variables]

        def derivatives(x, states):
            with tf.GradientTape() as outer:
                outer.watch([x, states])
                with tf.GradientTape() as inner:
                    inner.watch([x, states])
                    y = tf.reduce_sum(function(x, states) ** 2)
                found = inner.gradient(y, [x, *states, *variables], unconnected_gradients="zero")
                loss = sum(tf.reduce_sum(tf.sin(a)) for a in found)
            return outer.gradient(loss, [x, *states, *variables], unconnected_gradients="zero")

        return MODES[mode](derivatives)(X, states)

    found = run(layer, both[0], mode)
    close(found, run(reference, both[1], "eager"))
    agents = 0 if make is attention or options.get("estimator") else 5
    assert sum(np.any(a.numpy() != 0) for a in found) == len(found) - agents


@pytest.mark.parametrize(
    "mode, jit_compile",
    [("eager", False), ("xla", False), ("eager", True), ("graph", None)],
)
def test_a_gradient_penalty_is_that_of_keras(mode, jit_compile):
    layer, _ = plain(jit_compile)
    close(MODES[mode](lambda: penalty(layer))(), of_keras(penalty))


def jacobian(layer, method="batch_jacobian", x=X):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = layer(x)
    return getattr(tape, method)(y, x)


def hessian(layer, x=X):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(layer(x) ** 2)
        gradient = inner.gradient(y, x)
    return outer.jacobian(gradient, x)


def third(layer, x=X):
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(penalty(layer, x)[0] ** 2)
    return tape.gradient(loss, x)


def forward_mode(layer):
    with tf.autodiff.ForwardAccumulator(X, tf.cos(X)) as accumulator:
        y = layer(X)
    return accumulator.jvp(y)


def hessian_times_vector(layer):
    """Forward mode over a gradient."""
    with tf.autodiff.ForwardAccumulator(X, tf.cos(X)) as accumulator:
        with tf.GradientTape() as tape:
            tape.watch(X)
            y = tf.reduce_sum(layer(X) ** 2)
        gradient = tape.gradient(y, X)
    return accumulator.jvp(gradient)


def recomputed(layer):
    with tf.GradientTape() as tape:
        tape.watch(X)
        y = tf.reduce_sum(tf.recompute_grad(lambda x: layer(x))(X) ** 2)
    return tape.gradient(y, [X, *layer.trainable_variables])


def persistent(layer):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = tf.reduce_sum(layer(X) ** 2)
        first = tape.gradient(y, X)
    return first, tape.gradient(y, X), tape.gradient(first, X)


def around_a_graph(layer):
    """Two tapes around a `tf.function`."""
    graph = tf.function(lambda x: layer(x), autograph=False)
    graph.trainable_variables = layer.trainable_variables
    return penalty(graph)


def in_a_loop(layer, x=X):
    """The inner gradient in a loop, the outer one across it."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        loss = tf.while_loop(
            lambda i, _: i < 2, lambda i, sum: (i + 1, sum + steepness(layer, x)), (0, 0.0)
        )[1]
    return outer.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])


def vectorised(layer, x=X):
    """A tape around `tf.vectorized_map`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.vectorized_map(lambda x: layer(x), tf.stack([x, 2 * x]))
        loss = tf.reduce_sum(y**2)
    return tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])


def jacobian_penalty(layer, x=X):
    """A tape around a Jacobian."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(jacobian(layer, x=x) ** 2)
    return tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])


@pytest.mark.parametrize(
    "transformation, mode",
    [
        (jacobian, "eager"),
        (in_a_loop, "graph"),
        (vectorised, "eager"),
        pytest.param(jacobian_penalty, "eager", marks=LONG),
        pytest.param(jacobian, "graph", marks=LONG),
        pytest.param(hessian, "eager", marks=LONG),
        (third, "eager"),
        (forward_mode, "eager"),
        (forward_mode, "graph"),
        pytest.param(forward_mode, "xla", marks=LONG),
        pytest.param(hessian_times_vector, "eager", marks=LONG),
        (recomputed, "eager"),
        (recomputed, "graph"),
        (persistent, "eager"),
        pytest.param(around_a_graph, "eager", marks=LONG),
    ],
)
def test_transformations_are_right(transformation, mode):
    """Keras' own layer under the same, eagerly."""
    layer, _ = plain(None)
    close(MODES[mode](lambda: transformation(layer))(), of_keras(transformation))


@LONG
@pytest.mark.parametrize(
    "make, transformation, mode",
    [
        (attention, around_a_graph, "eager"),
        (skip, around_a_graph, "eager"),
        (attention, in_a_loop, "graph"),
        (skip, in_a_loop, "graph"),
        (attention, vectorised, "eager"),
        (skip, vectorised, "eager"),
    ],
)
def test_transformations_of_a_learned_policy(make, transformation, mode):
    """Whose weights all steps share; the cell under the same, eagerly."""
    options = dict(estimator="straight_through") if make is skip else {}
    layer, reference, *both, _ = make(**options)
    states = [tf.zeros([B, 3 * H])] * 2

    def run(function, one, mode):
        def of_x(x):
            return function(x, states)

        of_x.trainable_variables = one.trainable_variables
        return MODES[mode](lambda: transformation(of_x))()

    close(run(layer, both[0], mode), run(reference, both[1], "eager"))


@LONG
@pytest.mark.parametrize("make", [skip, attention])
def test_more_than_one_action(make):
    """Vectorised, with as many outputs as slots: wrong axes would not be seen by their lengths."""
    layer, reference, *_ = make()
    states = [tf.zeros([B, 3 * H])] * 2
    slopes = jacobian(lambda x: reference(x, states)[:, -1])  # [B, H, T, D]
    close(jacobian(lambda x: layer(x, states)[:, -1]), slopes)
    along = tf.einsum("bhtd,btd->bh", slopes, tf.cos(X))
    close(forward_mode(lambda x: layer(x, states)[:, -1]), along)
    both = tf.stack([X, 2 * X, X + 1])
    wanted = [reference(x, states) for x in both]
    close(tf.vectorized_map(lambda x: layer(x, states), both), [tf.stack(wanted)])


def test_vectorized_map():
    layer, lstm = plain()
    both = tf.stack([X, 2 * X])
    close(tf.vectorized_map(lambda x: layer(x), both), [tf.stack([lstm(X), lstm(2 * X)])])


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_products_and_the_softmax(mode):
    """Second derivatives and forward mode, in 16 bits and in 32, against TensorFlow's own."""
    random = np.random.default_rng(0)
    h, kernel, bias = (
        tf.constant(random.normal(size=s), tf.float32) for s in ((6, H), (H, 9), (9,))
    )
    targets = tf.constant(random.integers(0, 9, 6), tf.int32)

    def derivatives(function, *inputs):
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                y = tf.reduce_sum(function(*inputs) ** 2)
            found = inner.gradient(y, inputs)
            loss = sum(tf.reduce_sum(tf.cast(a, tf.float32) ** 2) for a in found)
        with tf.autodiff.ForwardAccumulator(inputs, inputs) as accumulator:
            y = function(*inputs)
        return *outer.gradient(loss, inputs), accumulator.jvp(y)

    def cross_entropy(h, kernel, bias):
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, h @ kernel + bias)

    def ours(h, kernel, bias):
        return log_likelihood(h, kernel, bias, targets)

    run = MODES[mode](derivatives)
    close(run(ours, h, kernel, bias), run(cross_entropy, h, kernel, bias))
    narrow = [tf.cast(a, tf.bfloat16) for a in (h, kernel)]
    wide = [tf.cast(a, tf.float32) for a in narrow]
    for a, b in zip(run(product, *narrow), run(tf.matmul, *wide), strict=True):
        np.testing.assert_allclose(tf.cast(a, tf.float32), b, atol=0.03 * np.abs(b).max())


# ---------------------------------------------------------------------------------------- compiling


@LONG
def test_many_lengths_are_not_compiled_one_by_one(monkeypatch):
    """Eagerly, or in a graph for any length, nothing is; what was called before changes no bit.

    Nor are graphs made for the data of each call, which share their loops.
    """
    traced = []
    loops = {"_forward_loop": None, "_backward_loop": None}
    for name in loops:
        original = getattr(SkipRecurrence, name)

        def loop(self, xla, *arguments, original=original, name=name):
            traced.append((name, xla))
            return original(self, xla, *arguments)

        monkeypatch.setattr(SkipRecurrence, name, loop)

    def gradient(layer, x):
        with tf.GradientTape() as tape:
            y = layer(x, greedy=True)
        return y, *tape.gradient(y, [v.value for v in layer.trainable_variables[:3]])

    layers = [DynamicSkipLSTM(H, n_actions=3, agent_units=A) for _ in range(2)]
    for layer in layers:
        layer.build(X.shape)
    layers[1].set_weights(layers[0].get_weights())
    for n in range(8):
        gradient(layers[0], tf.ones([1 + n % 3, 1 + n, D]))
    assert len(traced) == 4 and {xla for _, xla in traced} == {False}
    expected = gradient(layers[0], X)
    for a, b in zip(expected, gradient(layers[1], X), strict=True):
        np.testing.assert_array_equal(a, b)
    traced.clear()
    graphs = [tf.function(lambda x, layer=layer: gradient(layer, x)) for layer in layers]
    for n in range(1, 4):
        graphs[1](tf.ones([1, n, D]))
    assert len(traced) <= 4 and {xla for _, xla in traced} <= {False}
    for a, b in zip(expected, graphs[1](X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "jit_compile, units, n_actions, built, called, by_xla",
    [
        (None, H, 3, [None, T], [None, T], True),
        (None, H, 3, [None, T], [B, T], True),
        (None, H, 3, [None, T], [None, None], False),
        (None, H, 3, [None, None], [None, T], False),
        (None, H, 3, [None, None], [B, T], False),
        (None, H, 3, [B, T], [None, T], False),
        (None, H, 3, [B, T], [B, T], False),
        (None, H, 1, [None, T], [None, T], True),
        (None, 512, 1, [None, T], [None, T], False),
        (None, 512, 3, [None, T], [None, T], True),
        (True, H, 3, [None, None], [None, None], True),
        (True, H, 3, [B, T], [B, T], True),
        (False, H, 3, [None, T], [None, T], False),
    ],
)
def test_a_graph_for_one_length_is_compiled(jit_compile, units, n_actions, built, called, by_xla):
    """By static shape and settings: where a length is declared, with an open batch.

    Not in a layer built for any length: `keras.Input([None, D])` says that they vary. Nor in one
    that was built by its first data: the next may have another length.
    """
    layer = DynamicSkipLSTM(units, n_actions=n_actions, jit_compile=jit_compile)
    layer(keras.Input(batch_shape=[*built, D]))
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec([*called, D])).graph
    calls = [op for op in graph.get_operations() if op.type.endswith("PartitionedCall")]
    assert {op.get_attr("_XlaMustCompile") for op in calls} == {by_xla}


@pytest.mark.parametrize("built, by_xla", [([None, T], True), ([None, None], False)])
def test_a_graph_of_lengths_that_come_often(built, by_xla):
    """It does not know them, and XLA compiles each; not in a layer that is built for any length."""
    layer = DynamicSkipLSTM(H, n_actions=3)
    layer.build([*built, D])

    @tf.function(input_signature=[tf.TensorSpec([B, None, D])], autograph=False)
    def run(x):
        declare_lengths()
        return layer(x, greedy=True)

    calls = [op for op in run.get_concrete_function().graph.get_operations() if "Call" in op.type]
    assert {op.get_attr("_XlaMustCompile") for op in calls} == {by_xla}
    for x in (X, X[:, :2]):
        np.testing.assert_allclose(run(x), layer(x, greedy=True), rtol=1e-5, atol=1e-6)


def test_a_graph_over_a_data_set_is_for_one_length():
    """As `fit` makes it, with a step in a graph of its own, though the layer was built by data."""
    layer = DynamicSkipLSTM(H, n_actions=3)
    layer.build([B, T, D])
    traced, original = [], layer.recurrence._forward
    layer.recurrence._forward = lambda xla, *given: traced.append(xla) or original(xla, *given)
    iterator = iter(tf.data.Dataset.from_tensors(tf.constant(X, tf.float32)).repeat())
    tf.function(layer).get_concrete_function(tf.TensorSpec([B, T, D]))
    tf.function(lambda it: tf.function(layer)(next(it))).get_concrete_function(iterator)
    assert traced == [False, True]


@pytest.mark.parametrize(
    "transformation, message",
    [(third, "found a third: compute it without"), (jacobian, "experimental_use_pfor=False")],
)
def test_what_xla_cannot_do_is_refused(transformation, message):
    layer, _ = plain(None)
    with pytest.raises(NotImplementedError, match=message):
        MODES["xla"](lambda: transformation(layer))()


# --------------------------------------------------------------------------- distances out of range

WRONG = np.array([[1, 2, 3, 0], [1, 2, 3, 3]]), np.array([[1, 4, 1, 1], [1, 2, 3, 3]])
REFUSED = r"distances must lie in 1\.\.3"


@pytest.fixture(scope="module")
def replays():
    """A layer and a cell as functions of distances, each eagerly, as a graph and by XLA."""
    layer = DynamicSkipLSTM(H, n_actions=3, return_sequences=True, jit_compile=False)
    one = DynamicSkipLSTMCell(H, n_actions=3)
    one.build((B, D)), layer.build(X.shape)
    states = [tf.zeros([B, 3 * H])] * 2

    def run(distances):
        return layer(X, distances=distances)

    def step(distances):
        return one.step(X[:, 0], states, distances)[0]

    return [[mode(function) for mode in MODES.values()] for function in (run, step)]


@pytest.mark.parametrize("wrong", [*WRONG, 50 - 10 * DISTANCES, -9 * DISTANCES])
def test_distances_out_of_range_are_refused(wrong, replays):
    """Eagerly, as a graph's constant and while a graph runs. XLA cannot: there they make NaN."""
    bad_step = wrong[:, (~np.isin(wrong, (1, 2, 3))).any(0).argmax()]
    for (function, graph, by_xla), given in zip(replays, (wrong, bad_step), strict=True):
        given = tf.constant(given, tf.int32)
        with pytest.raises(ValueError, match=REFUSED):
            function(given)
        with pytest.raises(ValueError, match=REFUSED):
            tf.function(lambda: function(tf.constant(given.numpy())))()  # noqa: B023
        with pytest.raises(tf.errors.InvalidArgumentError, match=REFUSED):
            graph(given)
        rows = by_xla(given).numpy()
        inside = np.isin(given, (1, 2, 3)).reshape(B, -1)
        inside = np.cumprod(inside, 1).astype(bool)  # from the wrong step on
        np.testing.assert_array_equal(np.isfinite(rows).reshape(*inside.shape, H).all(-1), inside)


def test_parts_of_distances_are_refused(replays):
    """1.7 is none of the distances; 2.0 is one."""
    for (function, graph, by_xla), whole in zip(replays, (DISTANCES, DISTANCES[:, 0]), strict=True):
        given = tf.constant(whole, tf.float32)
        np.testing.assert_array_equal(function(given), function(tf.constant(whole, tf.int32)))
        with pytest.raises(ValueError, match="distances must be whole numbers; received 1.7"):
            function(0 * given + 1.7)
        with pytest.raises(tf.errors.InvalidArgumentError, match=REFUSED):
            graph(0 * given + 1.7)
        assert np.isnan(by_xla(0 * given + 1.7)).all()


def test_a_mask_hides_distances_and_a_plain_lstm_has_one():
    """What a trace has at masked steps can be replayed: zeros."""
    mask = np.array([[1, 1, 0, 1], [0, 1, 1, 0]], bool)
    given = np.where(mask, DISTANCES, 0)
    for backwards in (False, True):
        layer = DynamicSkipLSTM(H, n_actions=3, jit_compile=False, go_backwards=backwards)
        layer.build(X.shape)
        now = given[:, ::-1] if backwards else given
        run = tf.function(lambda a, layer=layer: layer(X, mask=tf.constant(mask), distances=a))
        wanted = layer(X, mask=tf.constant(mask), distances=np.where(now, now, 1))
        np.testing.assert_array_equal(run(tf.constant(now)), wanted)
        with pytest.raises(ValueError, match=REFUSED):
            layer(X, mask=tf.constant(mask), distances=np.where(now, 4, 0))
    with pytest.raises(ValueError, match=r"distances must lie in 1\.\.1; received 1 to 2"):
        FastLSTM(H)(X, distances=np.array([[1, 1, 2, 1]] * B))
