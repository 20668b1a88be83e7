"""One warning of an agent that is trained and would never learn; who may read what it did."""

import gc
import itertools
import warnings
import weakref
from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

from common import losses
from common.cells.agent_warnings import (
    EQUAL_SEEDS,
    IN_A_MODEL,
    NOBODY_LEARNS,
    UNDER_KERAS_RNN,
)
from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.fast_lstm import FastLSTM
from common.layers.policy_gradient_model import PolicyGradientModel

B, T, D, H, K = 6, 5, 3, 4, 3
X, Y = (
    np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32),
    np.zeros((B, 1), np.float32),
)


def skip(**options):
    return DynamicSkipLSTM(H, n_actions=K, **{"jit_compile": False, **options})


def network(layer, model_class=keras.Model):
    inputs = keras.Input((T, D))
    model = model_class(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.compile("sgd", "mse", jit_compile=False)
    return model


def frozen():
    layer = skip()
    layer.build(X.shape)
    layer.trainable = False
    return layer


class OfItsOwn(keras.Model):
    """As the tasks' models: it reads the trace in its `call` and adds the agent's loss."""

    def __init__(self):
        super().__init__()
        self.recurrent, self.dense = skip(), keras.layers.Dense(1)

    def call(self, x, training=None):
        y = self.dense(self.recurrent(x, training=training))
        self.add_loss(losses.policy_gradient(self.recurrent.trace, tf.zeros(tf.shape(x)[:2])))
        return y


def of_its_own():
    model = OfItsOwn()
    model.compile("sgd", "mse", jit_compile=False)
    return model


def warned(action) -> list[str]:
    """What `action` warned of concerning agents, as Python shows it by default."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        action()
    return [
        str(w.message)
        for w in caught
        if w.category is UserWarning and "Gradients do not exist" not in str(w.message)
    ]


def fit(model, batch_size=B):
    model.fit(X, Y, batch_size=batch_size, epochs=2, verbose=0)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_one_warning_in_a_plain_model():
    """However many layers there are and however long it trains; of a cell under Keras' loop too."""
    both = keras.layers.Bidirectional(skip())
    assert warned(lambda: fit(network(both), 4)) == [IN_A_MODEL]  # two graphs
    assert warned(lambda: fit(network(keras.layers.RNN(DynamicSkipLSTMCell(H, n_actions=K))))) == [
        UNDER_KERAS_RNN
    ]


def test_one_warning_in_a_loop_of_one_s_own():
    layer, dense = skip(), keras.layers.Dense(1)

    def step(jit_compile):
        @tf.function(jit_compile=jit_compile)
        def run():
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(dense(layer(X, training=True)) ** 2)
            return tape.gradient(loss, [v.value for v in layer.trainable_variables[:3]])

        return run

    layer(X), dense(tf.zeros([B, H]))
    for run in (step(True), step(False).python_function):
        assert warned(run) == [IN_A_MODEL]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(
    "make",
    [
        lambda: network(skip(), PolicyGradientModel),
        of_its_own,
        lambda: network(frozen()),
        lambda: network(skip(estimator="straight_through")),
        lambda: network(DynamicSkipLSTM(H, n_actions=1, jit_compile=False)),
        lambda: network(
            keras.layers.RNN(DynamicSkipLSTMCell(H, n_actions=K, estimator="straight_through"))
        ),
        lambda: network(keras.layers.RNN(DynamicSkipLSTMCell(H, n_actions=K, trainable=False))),
    ],
    ids=[
        "PolicyGradientModel",
        "reads the trace",
        "frozen",
        "straight through",
        "plain",
        "straight through cell",
        "frozen cell",
    ],
)
def test_no_warning_where_the_agent_learns_or_need_not(make):
    assert warned(lambda: fit(make())) == []


def test_no_warning_at_inference():
    """Nor where a gradient is asked for outside training, to see what an output depends on."""
    model, x = network(skip()), tf.constant(X)

    def look():
        model.predict(X, verbose=0)
        model.evaluate(X, Y, verbose=0)
        model(X, training=True)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        assert tape.gradient(y, x).shape == x.shape

    assert warned(look) == []


def lost(model, n_rows=B, training=True):
    """The loss of a batch, computed twice."""
    x, y = tf.constant(X[:n_rows]), tf.constant(Y[:n_rows])
    for _ in range(2):
        model.compute_loss(x, y, model(x, training=training), None, training)


def test_a_reward_that_no_layer_learns_from():
    """One warning, in training; none where there is an entropy to learn from."""
    straight, inputs = skip(estimator="straight_through"), keras.Input((T, D))
    for layer, options, expected in (
        (FastLSTM(H, jit_compile=False), {}, [NOBODY_LEARNS]),
        (straight, {}, [NOBODY_LEARNS]),
        (straight, {"entropy_weight": 0.1}, []),
        (skip(lamda=0.0), {}, [NOBODY_LEARNS]),  # choices that change nothing
    ):
        outputs = keras.layers.Dense(1)(layer(inputs))
        model = PolicyGradientModel(inputs, outputs, **options)
        model.compile("sgd", "mse")
        assert warned(lambda m=model: lost(m)) == expected
        assert warned(lambda m=model: lost(m, training=False)) == []


def test_a_batch_of_one_has_nothing_to_compare_with():
    """In a model and in a loop of one's own; what the warning advises ends it."""
    layer, inputs = skip(), keras.Input((T, D))
    outputs = keras.layers.Dense(1)(layer(inputs))
    for options, n_rows, expected in (
        ({}, 1, [losses.ALONE]),
        ({}, 2, []),
        ({"n_samples": 2}, 2, []),
        ({"baseline": "none"}, 1, []),
    ):
        model = PolicyGradientModel(inputs, outputs, **options)
        model.compile("sgd", "mse")
        model.repeat_samples(X[:1])  # as a `train_step` does
        assert warned(lambda m=model, n=n_rows: lost(m, n)) == expected
        assert warned(lambda m=model: lost(m, 1, training=False)) == []
    rewards = tf.zeros([1, T])
    assert warned(lambda: losses.policy_gradient(layer.trace, rewards)) == [losses.ALONE]


# ---------------------------------------------------------------------------------------- the trace


def test_a_trace_without_values_is_refused():
    layer = skip(name="skip")
    model = network(layer)
    with pytest.raises(
        RuntimeError,
        match="skip has no trace yet: call the layer first, with values .on a keras",
    ):
        layer.trace  # noqa: B018
    both = keras.layers.Bidirectional(layer)
    both(X)
    with pytest.raises(RuntimeError, match="calls copies of the layer, its forward_layer and"):
        layer.trace  # noqa: B018
    assert both.forward_layer.trace.mask.shape == both.backward_layer.trace.mask.shape
    model.predict(X, verbose=0)
    with pytest.raises(
        RuntimeError,
        match="the trace of skip is that of a compiled function .*: read it inside, .* model.x.",
    ):
        layer.trace  # noqa: B018
    model(X)  # what the message says
    np.testing.assert_array_equal(layer.trace.distances, np.argmax(layer.trace.probs, -1) + 1)

    @tf.function
    def inside(x):
        layer(x)
        return layer.trace.distances, tf.cond(
            tf.reduce_sum(x) > -1e9, lambda: layer.trace.mask, lambda: layer.trace.mask + 1
        )

    distances, mask = inside(X)
    model(X)
    np.testing.assert_array_equal(distances, layer.trace.distances)
    np.testing.assert_array_equal(mask, np.ones((B, T)))
    inside(X[:2])

    @tf.function
    def another():
        return layer.trace.mask

    with pytest.raises(RuntimeError, match="is that of a compiled function"):
        another()


def test_a_trace_from_inside_a_loop_is_refused_outside_it():
    layer = skip()
    layer.build(X.shape)

    @tf.function
    def run():
        tf.while_loop(lambda i: i < 2, lambda i: (layer(X)[0, 0] * 0, i + 1)[1:], [0])
        return layer.trace.mask

    with pytest.raises(RuntimeError, match="is that of a compiled function"):
        run()


@LONG
def test_a_model_hears_nothing_from_inside_a_loop():
    """Where the agent learns from the loss that is no fault; a reward needs the choices."""

    class Model(PolicyGradientModel):
        def __init__(self, estimator, **options):
            super().__init__(**options)
            self.inside = DynamicSkipLSTM(4, n_actions=3, estimator=estimator)
            self.outside = DynamicSkipLSTM(4, n_actions=3)

        def call(self, x, training=False):
            twice = tf.map_fn(lambda one: self.inside(one, training=training), tf.stack([x, x]))
            return twice[0] + self.outside(x, training=training)

        def build(self, shape):
            self.inside.build(shape), self.outside.build(shape)

    x, y = np.ones([2, 5, 3], np.float32), np.ones([2, 4], np.float32)
    for estimator, options, learns in (
        ("straight_through", {}, True),
        ("straight_through", {"entropy_weight": 0.1}, False),
        ("policy_gradient", {}, False),
    ):
        model = Model(estimator, **options)
        model.build([None, 5, 3])
        model.compile("sgd", "mse")
        assert model.evaluate(x, y, verbose=0)[0] > 0
        if learns:
            before = model.inside.cell.agent_weights.action_bias.numpy()
            model.fit(x, y, verbose=0)
            assert np.any(model.inside.cell.agent_weights.action_bias.numpy() != before)
        else:
            with pytest.raises(RuntimeError, match=r"or of a loop \(tf.map_fn, tf.while_loop\)"):
                model.fit(x, y, verbose=0)


@LONG
def test_a_layer_that_was_trained_is_freed():
    """TensorFlow keeps the gradient functions of a graph for good, not the layer with them."""
    layer = DynamicSkipLSTM(4, n_actions=3)
    model = keras.Sequential([keras.Input([None, 3]), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.ones([2, 4, 3]), np.ones([2, 1]), verbose=0)
    found = weakref.ref(layer)
    del model, layer
    keras.backend.clear_session()
    gc.collect()
    assert found() is None


# --------------------------------------------------------------- choices that must be independent


def test_the_two_directions_of_one_seed_choose_independently():
    """Policy gradient is unbiased for that alone.

    By hand: where both choices are a coin's, d E[1(k = 1) 1(q = 2)] / d logit of k = 1 is
    1/2 1/2 (1 - 1/2).
    """
    layer = DynamicSkipLSTM(2, n_actions=2, seed=1, agent_initializer="zeros", jit_compile=False)
    both = keras.layers.Bidirectional(layer)
    x = tf.ones([20_000, 1, 3])
    with tf.GradientTape() as tape:
        both(x, training=True)
        one, other = (way.trace for way in (both.forward_layer, both.backward_layer))
        hit = tf.cast((one.distances == 1) & (other.distances == 2), tf.float32)
        gain = tf.reduce_mean(one.log_probs * hit)
    bias = both.forward_layer.cell._policy.action_bias.value
    found = tape.gradient(gain, bias)
    assert float(found[0]) == pytest.approx(0.125, abs=0.01)


def test_one_direction_s_choices_do_not_depend_on_the_other_s_masks():
    """Each distance is as frequent where a unit of the forward layer's input was dropped."""
    odds = {"agent_initializer": "zeros"}  # equal ones
    layer = DynamicSkipLSTM(2, n_actions=3, seed=1, dropout=0.5, jit_compile=False, **odds)
    both = keras.layers.Bidirectional(layer)
    both.build([None, 3, 3])
    masks, cell = [], both.forward_layer.cell
    as_it_is = cell.input_mask
    cell.input_mask = lambda *given: masks.append(as_it_is(*given)) or masks[-1]
    both(tf.ones([2000, 3, 3]), training=True)
    (mask,), trace = masks, both.backward_layer.trace
    for k, unit in itertools.product((1, 2, 3), range(3)):
        chosen = trace.distances[:, 0] == k
        dropped = tf.cast(mask[:, unit], tf.bool)
        apart = [tf.reduce_mean(tf.cast(chosen[one], tf.float32)) for one in (dropped, ~dropped)]
        assert abs(apart[0] - apart[1]) < 0.12  # five deviations


def test_equal_seeds_of_two_layers_are_told():
    for seeds in ((1, 1), (1, 2), (None, None)):
        x = keras.Input([5, 3])
        one, other = (DynamicSkipLSTM(4, n_actions=3, seed=seed)(x) for seed in seeds)
        model = PolicyGradientModel(x, one + other)
        model.compile("sgd", "mse", run_eagerly=True)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            model.fit(np.ones([2, 5, 3]), np.ones([2, 4]), verbose=0)
        told = [str(one.message) for one in found if "several layers" in str(one.message)]
        assert told == ([EQUAL_SEEDS.format(seed=1)] if seeds == (1, 1) else [])


def test_choices_that_would_be_drawn_anew_for_the_gradient_are_refused():
    x = np.ones([2, 5, 3], np.float32)
    with keras.RematScope(mode="full"):
        layer = DynamicSkipLSTM(4, n_actions=3)
    layer(x)  # without random numbers all is well
    with pytest.raises(ValueError, match="make the layer, and models and wrappers that it is in, "):
        layer(x, training=True)
    for names in (["other"], ["mine"]):
        with keras.RematScope(mode="list_of_layers", layer_names=names):
            layer = DynamicSkipLSTM(4, n_actions=3, name="mine")
        with pytest.raises(ValueError, match="Remat") if "mine" in names else nullcontext():
            layer(x, training=True)


@pytest.mark.parametrize("around", ["model", "inner model", "wrapper"])
def test_choices_that_a_layer_around_would_draw_anew_are_refused(around):
    inputs, layer = keras.Input([5, 3]), DynamicSkipLSTM(4, n_actions=3)
    scope = keras.RematScope(mode="full")
    if around == "inner model":
        with scope:
            inner = keras.Sequential([layer, keras.layers.Dense(1)])
        model = PolicyGradientModel(inputs, inner(inputs))
    elif around == "wrapper":
        with scope:
            both = keras.layers.Bidirectional(layer)
        model = PolicyGradientModel(inputs, both(inputs))
    else:
        outputs = layer(inputs)
        with scope:
            model = PolicyGradientModel(inputs, outputs)
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = np.ones([2, 5, 3]), np.ones([2, 1])
    model.evaluate(x, y, verbose=0)
    with pytest.raises(ValueError, match="keras.RematScope would draw others for the gradient"):
        model.fit(x, y, verbose=0)


def test_a_seed_given_draws_the_same_where_the_call_is_computed_again():
    layer, x = DynamicSkipLSTM(4, n_actions=3), tf.random.stateless_normal([8, 5, 3], [1, 2])

    def call(x):
        return layer(x, training=True, seed=tf.constant([3, 0]))

    layer(x)
    found = []
    for f in (call, tf.recompute_grad(call)):
        with tf.GradientTape() as tape, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tape.watch(x)
            y = tf.reduce_sum(f(x) ** 2)
        found.append(tape.gradient(y, x))
    np.testing.assert_array_equal(*found)
