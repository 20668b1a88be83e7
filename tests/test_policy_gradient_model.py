"""PolicyGradientModel: the agents' loss by hand, the network's gradient untouched, an agent that
learns, Keras' manners.
"""

import copy
import itertools
import json
import pickle
import warnings
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

from common import losses
from common.cells.agent_warnings import NOT_CALLED
from common.cells.attention import AttentionSkipLSTMCell
from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.cells.random_skip import RandomSkipLSTMCell
from common.choices import ESTIMATORS
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.policy_gradient_model import PolicyGradientModel
from common.layers.rewards import on_steps, rewards_of

B, T, D, H = 6, 5, 3, 4
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
Y = np.array([0, 1, 1, 0, 1, 0])
STEPS = np.random.default_rng(1).integers(0, 2, (B, T))
WORDS = np.random.default_rng(2).integers(1, 9, (B, T)) * (
    np.arange(T) < np.array([[5], [3], [5], [1], [4], [2]])
)
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def skip(**options):
    return DynamicSkipLSTM(H, n_actions=3, agent_units=4, jit_compile=False, **options)


def classifier(**options):
    inputs = keras.Input((None, D))
    return PolicyGradientModel(inputs, keras.layers.Dense(2)(skip()(inputs)), **options)


def tagger(layer, **options):
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, D, mask_zero=True)(inputs)
    return PolicyGradientModel(inputs, keras.layers.Dense(2)(layer(x)), **options)


def log_likelihood(logits, labels):
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels, tf.cast(logits, tf.float32)
    ).numpy()


def losses_of(model, x, y, sample_weight=None):
    """(compiled loss alone, agents' loss, prediction) of one pass."""
    prediction = model(x, training=True)
    total = model.compute_loss(x, tf.constant(y), prediction, sample_weight)
    plain = model.compute_loss(x, tf.constant(y), prediction, sample_weight, training=False)
    return float(plain), float(total - plain), prediction


def test_loss_of_sequences_by_hand():
    options = dict(
        credit="total", baseline="none", entropy="sampled", rl_weight=0.5, entropy_weight=0.1
    )
    model = classifier(**options)
    model.compile("sgd", CROSS_ENTROPY)
    for weight in (None, np.array([1, 0, 2, 1, 1, 0.5], np.float32)):
        plain, found, logits = losses_of(
            model, X, Y, None if weight is None else tf.constant(weight)
        )
        value = log_likelihood(logits, Y) * (1 if weight is None else weight)
        assert plain == pytest.approx(-value.mean(), rel=1e-5)
        log_probs = model.skip_layers[0].trace.log_probs.numpy()
        factor = 0.5 * value + 0.1 * (-log_probs.sum(1) - 1)
        assert found == pytest.approx(-(log_probs * factor[:, None]).sum() / (B * T), rel=1e-4)


def test_in_float64():
    """Gradients to their last digits, where the loss is in float64 too; and as in float32.

    The loss as a number is in `keras.config.floatx()`, as Keras has it.
    """
    found = []
    for dtype in ("float64", "float32"):
        inputs = keras.Input((T, D), dtype=dtype)
        dense = keras.layers.Dense(2, dtype=dtype)
        outputs = dense(skip(dtype=dtype)(inputs))
        model = PolicyGradientModel(inputs, outputs, baseline="none", entropy_weight=0.1)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True, dtype=dtype))
        for n, weight in enumerate(model.trainable_variables):
            weight.assign(np.random.default_rng(n).normal(size=weight.shape))
        (layer,), weights = model.skip_layers, [v.value for v in model.trainable_variables]
        layer.cell.seed_generator.state.assign([1, 2])
        x, y = tf.constant(X, dtype), tf.constant(Y)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True), None)
        gradients, distances = tape.gradient(loss, weights), layer.trace.distances
        with tf.GradientTape() as tape:
            logits = dense(layer(x, distances=distances, training=True))
            value = tf.gather(tf.nn.log_softmax(logits), Y, batch_dims=1)[:, None]
            trace = layer.trace
            entropy = tf.reduce_sum(trace.entropies, 1, keepdims=True)
            returned = tf.stop_gradient(value + 0.1 * entropy)
            agents = tf.reduce_mean(trace.log_probs * returned + 0.1 * trace.entropies)
            by_hand = -tf.reduce_mean(value) - agents
        assert float(loss) == pytest.approx(float(by_hand), rel=1e-6)
        exact = 1e-10 if dtype == "float64" else 1e-4
        for a, b in zip(gradients, tape.gradient(by_hand, weights), strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, atol=exact / 100, rtol=exact)
        found.append([*gradients, distances])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("loss", ["object", "name", "function"])
def test_loss_of_steps_by_hand(backwards, loss):
    """A loss for each step: rewards to go, in the order in which the layer goes, masked steps
    without any.
    """
    model = tagger(
        skip(return_sequences=True, go_backwards=backwards),
        credit="to_go",
        baseline="leave_one_out",
    )
    reference = {
        "object": CROSS_ENTROPY,
        "name": "sparse_categorical_crossentropy",
        "function": keras.losses.sparse_categorical_crossentropy,
    }
    model.compile("sgd", reference[loss])
    truth, mask = STEPS, (WORDS > 0).astype(np.float32)
    weight = np.random.default_rng(3).uniform(size=(B, T)).astype(np.float32)
    _, found, prediction = losses_of(model, WORDS, truth, tf.constant(weight))
    if loss == "object":
        value = log_likelihood(prediction, truth)
    # these take probabilities, which the model's outputs are not: compare with Keras' own reading
    # of them
    else:
        value = -keras.losses.sparse_categorical_crossentropy(truth, prediction).numpy()
    value = value * weight * mask
    trace = model.skip_layers[0].trace
    if backwards:
        value, mask = value[:, ::-1], mask[:, ::-1]
    np.testing.assert_array_equal(trace.mask, mask)
    to_go = np.cumsum(value[:, ::-1], 1)[:, ::-1]
    others = mask.sum(0) - mask
    baseline = np.divide(
        (to_go * mask).sum(0) - to_go * mask, others, out=np.zeros_like(to_go), where=others > 0
    )
    expected = -(trace.log_probs.numpy() * (to_go - baseline)).sum() / mask.sum()
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_straight_through_the_loss_is_no_reward_too():
    """The agent has the gradient of the compiled loss; of the policy gradient there is the entropy
    alone.
    """
    inputs = keras.Input((T, D))
    layer = skip(estimator="straight_through")
    model = PolicyGradientModel(
        inputs, keras.layers.Dense(2)(layer(inputs)), baseline="none", entropy_weight=0.2
    )
    model.compile("sgd", CROSS_ENTROPY)
    _, found, _ = losses_of(model, X, Y)
    trace = layer.trace
    entropy = trace.entropies.numpy()
    to_go = (
        entropy.sum(1, keepdims=True)
        if model.agent_options["credit"] == "total"
        else np.cumsum(entropy[:, ::-1], 1)[:, ::-1]
    )
    assert found == pytest.approx(
        -(trace.log_probs.numpy() * 0.2 * to_go).mean() - 0.2 * entropy.mean(), rel=1e-4
    )


def test_all_layers_and_outputs_count():
    """Both directions, a layer in a nested model; two outputs, losses and weights by name."""
    inputs = keras.Input((T, D))
    both = keras.layers.Bidirectional(skip(return_sequences=True))(inputs)
    inner = keras.Input((T, 2 * H))
    nested = keras.Model(inner, skip()(inner))
    h = nested(both)
    outputs = {"a": keras.layers.Dense(2, name="a")(h), "b": keras.layers.Dense(1, name="b")(both)}
    model = PolicyGradientModel(inputs, outputs, baseline="none", entropy_weight=0.2)
    model.compile("sgd", {"a": CROSS_ENTROPY, "b": "mse"}, loss_weights={"a": 2.0, "b": 0.5})
    values = {"a": tf.constant(Y), "b": tf.constant(STEPS[..., None], tf.float32)}
    prediction = model(X, training=True)
    total = model.compute_loss(X, values, prediction)
    plain = model.compute_loss(X, values, prediction, training=False)
    assert len(model.skip_layers) == 3
    reward = 2 * log_likelihood(prediction["a"], Y) - 0.5 * (
        (prediction["b"].numpy()[..., 0] - STEPS) ** 2
    ).sum(1)
    expected = 0.0
    for layer in model.skip_layers:
        trace = layer.trace
        entropy = trace.entropies.numpy()
        value = reward + 0.2 * entropy.sum(1)
        expected -= (trace.log_probs.numpy() * value[:, None]).sum() / (
            B * T
        ) + 0.2 * entropy.mean()
    assert float(total - plain) == pytest.approx(expected, rel=1e-4)
    # The same outputs as a list, losses by the names of their layers.
    listed = PolicyGradientModel(
        inputs, list(outputs.values()), baseline="none", entropy_weight=0.2
    )
    listed.compile("sgd", {"a": CROSS_ENTROPY, "b": "mse"}, loss_weights={"a": 2.0, "b": 0.5})
    prediction = [prediction["a"], prediction["b"]]
    total = listed.compute_loss(X, list(values.values()), prediction)
    plain = listed.compute_loss(X, list(values.values()), prediction, training=False)
    assert float(total - plain) == pytest.approx(expected, rel=1e-4)


def test_outputs_within_outputs_count():
    y, prediction = tf.ones([B, 1]), tf.random.normal([B, 1])
    flat = rewards_of(
        ["mse", "mae", "mse"], [1.0, 2.0, 3.0], [y, y, y], [prediction] * 3, None, None
    )
    loss, weights = {"p": ["mse", "mae"], "q": "mse"}, {"p": [1.0, 2.0], "q": 3.0}
    given = {"p": [y, y], "q": y}, {"p": [prediction] * 2, "q": prediction}
    np.testing.assert_array_equal(rewards_of(loss, weights, *given, None, None), flat)
    assert len(rewards_of({"p": "mse", "q": None}, None, *given, None, None)) == 2


ONES, TENS = np.ones((B, 1), np.float32), np.full((B, 1), 10, np.float32)
PAIRINGS = {
    "targets of a dict": ("dict", "mse", None, [ONES, TENS]),
    "losses of a dict": ("dict", ["mse", "mae"], None, {"z": ONES, "a": TENS}),
    "weights of a dict": ("dict", {"z": "mse", "a": "mae"}, [1.0, 0.1], [ONES, TENS]),
    "weights of listed losses": ("dict", ["mse", "mae"], {"z": 0.1, "a": 1.0}, [ONES, TENS]),
    "losses by name of a list": ("list", {"a": "mae", "z": "mse"}, [0.1, 1.0], [ONES, TENS]),
    "weights by name of a list": ("list", ["mse", "mae"], {"z": 0.1, "a": 1.0}, [ONES, TENS]),
    "targets by name of a list": ("list", ["mse", "mae"], None, {"a": ONES, "z": TENS}),
    "a target for each loss": ("list", [None, "mae"], None, [TENS]),
    "a target for each of a dict's": ("dict", {"z": "mse", "a": None}, None, [TENS]),
    "some targets of a dict's": ("dict", {"z": "mse", "m": None, "a": "mae"}, None, [ONES, TENS]),
    "weights of some of a dict's": ("dict", {"z": "mse", "a": "mae"}, [1.0, 0.1], [ONES, TENS]),
    "one loss, a list of its weight": ("dict", "mse", [0.5], {"z": ONES, "a": TENS}),
    "one loss, its weight by a name": ("list", "mse", {"z": 0.5}, [ONES, TENS]),
    "fewer losses than outputs": ("list", ["mse"], None, [ONES, TENS]),
    "two losses of one output": ("one", ["mse", "mae"], [0.1, 1.0], TENS),
    "two losses of one of a dict's": (
        "dict",
        {"z": "mse", "a": ["mse", "mae"]},
        None,
        {"z": ONES, "a": TENS},
    ),
    "a list of one loss": ("dict", {"z": ["mse"], "a": "mae"}, None, {"z": ONES, "a": TENS}),
}


@pytest.mark.parametrize("case", PAIRINGS)
def test_rewards_are_paired_as_keras_pairs_them(case):
    """The mean of the rewards is minus the compiled loss, whoever came in which structure."""
    kind, loss, weights, y = PAIRINGS[case]
    inputs = keras.Input([T, D])
    h = keras.layers.Flatten()(inputs)
    names = "zma" if "some" in case else "za"
    outputs = {name: keras.layers.Dense(1, name=name)(h) for name in names}
    outputs = {"dict": outputs, "list": [*outputs.values()], "one": outputs["z"]}[kind]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss, weights)
    y, prediction = keras.tree.map_structure(tf.constant, y), model(X)
    compiled = model.compute_loss(X, y, prediction)
    rewards = rewards_of(loss, weights, y, prediction, None, model.output_names)
    assert -sum(float(tf.reduce_mean(one)) for one in rewards) == pytest.approx(float(compiled))


@pytest.mark.parametrize("mode", ["eager", "graph", "unknown", "xla"])
def test_where_rewards_stand(mode):
    """At each step where a layer returns as many, masked ones too; else their sum at the last."""
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.float32)
    reward = np.array([[1, 2, 4], [8, 16, 32]], np.float32)
    each = {"eager": lambda f: f, "graph": tf.function}.get(mode) or (
        lambda f: (
            tf.function(f, jit_compile=True)
            if mode == "xla"
            else tf.function(f, input_signature=[tf.TensorSpec([None, None])] * 2)
        )
    )
    for n, steps, backwards, expected in (
        (3, True, False, reward),
        (3, True, True, reward[:, ::-1]),
        (3, False, False, [[0, 7, 0], [0, 0, 56]]),
        (2, True, False, [[0, 3, 0], [0, 0, 24]]),
        (1, True, False, [[0, 1, 0], [0, 0, 8]]),
    ):
        layer = skip(return_sequences=steps, go_backwards=backwards)
        found = each(lambda r, m, layer=layer: on_steps([r], m, layer))(
            tf.constant(reward[:, :n]), tf.constant(mask)
        )
        np.testing.assert_array_equal(found, expected)


def test_a_layer_that_a_step_does_not_call_has_no_part_in_it():
    """Nor what it did in a call before."""

    class Model(PolicyGradientModel):
        def __init__(self):
            super().__init__()
            self.main, self.out = skip(), keras.layers.Dense(1)
            self.aside = skip(previous_bias=9.0)  # its entropy is near 0

        def build(self, shape):
            self.main.build(shape), self.aside.build(shape), self.out.build([None, H])

        def call(self, x, training=False):
            y = self.main(x, training=training)
            return self.out(y + self.aside(x, training=training) if training else y)

    keras.utils.set_random_seed(0)
    model = Model()
    model.compile("sgd", "mse")
    model.build([None, T, D])
    model.aside(X)
    history = model.fit(X, Y, B, validation_data=(X, Y), verbose=0).history
    assert history["val_entropy"][0] > 1.5 * history["entropy"][0]


def test_each_call_of_a_layer_counts():
    """Of three texts each, of which only one says anything, the agent learns from that one."""
    layer, inputs = skip(), keras.Input((3, T, D))
    x = keras.layers.Flatten()(keras.layers.TimeDistributed(layer)(inputs))
    options = dict(baseline="none", entropy="sampled", entropy_weight=0.1)
    model = PolicyGradientModel(inputs, keras.layers.Dense(2)(x), **options)
    model.compile(keras.optimizers.SGD(1.0), CROSS_ENTROPY, run_eagerly=True)
    (kernel,) = (one for one in layer.weights if one.name == "agent_input_kernel")
    for i in range(3):
        before = kernel.numpy()
        texts = np.zeros((B, 3, T, D), np.float32)
        texts[:, i] = X
        model.fit(texts, Y, epochs=1, verbose=0)
        assert np.abs(kernel.numpy() - before).max() > 1e-4
    made, record = [], layer._traces.record
    layer._traces.record = lambda trace, *a, **named: [
        made.append(trace),
        record(trace, *a, **named),
    ]
    shown = model.train_on_batch(texts, Y, return_dict=True)
    value = -keras.losses.sparse_categorical_crossentropy(Y, model(texts), from_logits=True)
    assert len(made) == 6 and np.shape(value) == (B,)  # three in training, three behind it
    entropies = [tf.reduce_mean(trace.entropies) for trace in made[:3]]
    assert shown["entropy"] == pytest.approx(np.mean(entropies), rel=1e-5)
    assert layer._traces.read_all("layer", False) == made[3:]
    layer(X)
    assert layer._traces.read_all("layer", False) == made[6:] == [layer.trace]


def test_each_call_of_a_layer_counts_in_a_model_that_is_built_by_its_first():
    """Keras then calls the layers once more before, for their shapes alone."""

    class Pair(PolicyGradientModel):
        def __init__(self):
            super().__init__(entropy_weight=0.1)
            self.layer, self.dense = skip(), keras.layers.Dense(2)

        def call(self, x, training=False):
            both = [self.layer(one, training=training) for one in (x, -x)]
            return self.dense(both[0] - both[1])

    for eagerly in (False, True):
        model = Pair()
        model.compile("sgd", CROSS_ENTROPY, run_eagerly=eagerly)
        model.fit(X, Y, verbose=0)
        model.evaluate(X, Y, verbose=0)
        model(X, training=True)
        assert len(model.layer._traces.read_all("layer", True)) == 2


def test_a_train_step_of_ones_own():
    class Own(PolicyGradientModel):
        repeats = True

        def train_step(self, data):
            x, y = self.repeat_samples(data) if self.repeats else data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss, "rows": tf.shape(x)[0]}

    inputs = keras.Input((T, D))
    model = Own(inputs, keras.layers.Dense(2)(skip()(inputs)), n_samples=2)
    model.compile("sgd", CROSS_ENTROPY)
    found = model.fit(X[:3], Y[:3], verbose=0).history  # 3 is no multiple of 2
    assert found["rows"] == [6] and np.isfinite(found["loss"]).all()
    assert model.repeat_samples((tf.constant([1, 2]), None))[0].numpy().tolist() == [1, 1, 2, 2]
    other = Own(inputs, keras.layers.Dense(2)(skip()(inputs)), n_samples=2)
    other.repeats = False
    other.compile("sgd", CROSS_ENTROPY)
    with pytest.raises(ValueError, match=r"begin the train_step with data = self.repeat_samples"):
        other.fit(X, Y, verbose=0)


@keras.saving.register_keras_serializable("tests")
class Classifier(PolicyGradientModel):
    """That makes its network itself, as Keras' guides do."""

    def __init__(self, units=4, **kwargs):
        inputs = keras.Input((T, D))
        h = DynamicSkipLSTM(units, n_actions=3, jit_compile=False)(inputs)
        super().__init__(inputs, keras.layers.Dense(2)(h), **kwargs)
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_subclass_that_makes_its_network(tmp_path):
    model = Classifier(5, n_samples=2, entropy_weight=0.1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(X), model(X), atol=1e-6)
    np.testing.assert_allclose(copy.deepcopy(model)(X), model(X), atol=1e-6)
    assert loaded.agent_options == model.agent_options and loaded.units == 5
    assert Classifier.from_config(model.get_config()).units == 5


@pytest.mark.parametrize("how", [{"greedy": True}, {"training": False}])
def test_choices_that_were_not_drawn_have_no_reward(how):
    """The most probable distances are no sample of the policy: the agent keeps its weights."""

    class Mode(PolicyGradientModel):
        def __init__(self):
            super().__init__()
            self.layer, self.dense = skip(), keras.layers.Dense(2)

        def call(self, x, training=False):
            return self.dense(self.layer(x, **{"training": training, **how}))

    model = Mode()
    model.compile(keras.optimizers.SGD(0.1), CROSS_ENTROPY)
    before = model(X) is not None and [one.numpy() for one in model.layer.weights]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit(X, Y, verbose=0)
    assert NOT_CALLED in [str(one.message) for one in found]
    same = [(one.numpy() == a).all() for one, a in zip(model.layer.weights, before, strict=True)]
    of_agent = [one.name.startswith(("agent", "action")) for one in model.layer.weights]
    assert same == of_agent and sum(same) == 5
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["entropy"] > 0


@pytest.mark.parametrize("estimator", ["straight_through", "reinmax"])
def test_choices_that_were_not_drawn_have_the_entropy_alone(estimator):
    """They tell nothing about the choices of the others, whose entropy returns to them."""

    class Greedy(PolicyGradientModel):
        def __init__(self):
            super().__init__(baseline="none", entropy_weight=0.1)
            self.layer, self.dense = skip(estimator=estimator), keras.layers.Dense(2)

        def call(self, x, training=False):
            return self.dense(self.layer(x, training=training, greedy=True))

    model = Greedy()
    model.compile("sgd", CROSS_ENTROPY)
    _, found, _ = losses_of(model, X, Y)
    assert found == pytest.approx(-0.1 * model.layer.trace.entropies.numpy().mean(), rel=1e-4)


def test_rewards_to_go_of_a_backward_layer_are_exact():
    """By all choices, for outputs turned round before the loss, as `Bidirectional` does."""
    layer = DynamicSkipLSTM(
        3, n_actions=2, agent_units=3, return_sequences=True, go_backwards=True, jit_compile=False
    )
    random, dense = np.random.default_rng(0), keras.layers.Dense(1)
    x, y = random.normal(size=(1, 3, D)).astype(np.float32), random.normal(size=(1, 3))
    dense(layer(x))
    for weight in [*layer.weights, *dense.weights]:
        weight.assign(random.normal(size=weight.shape))
    agent = [w for w in layer.trainable_weights if w.name.startswith(("agent", "action"))]
    estimated = [0.0] * len(agent)
    with tf.GradientTape() as tape:
        expected = 0.0
        for distances in itertools.product((1, 2), repeat=3):
            with tf.GradientTape() as of_one:
                outputs = dense(layer(x, distances=[distances], training=True))[:, ::-1, 0]
                trace, rewards = layer.trace, -(tf.cast(outputs - y, tf.float32) ** 2)
                at_steps = on_steps([rewards], trace.mask, layer)
                loss = losses.policy_gradient(
                    trace, at_steps, credit="to_go", baseline="none", rl_weight=1, entropy_weight=0
                )
            probability = tf.exp(tf.reduce_sum(trace.log_probs))
            expected -= probability * tf.stop_gradient(tf.reduce_mean(rewards))
            each = of_one.gradient(loss, agent)
            estimated = [a + float(probability) * g for a, g in zip(estimated, each, strict=True)]
    for a, b in zip(estimated, tape.gradient(expected, agent), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
        assert np.abs(a).max() > 1e-4


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_where_a_distance_is_ruled_out(estimator):
    layer = skip(estimator=estimator)
    layer.build([None, T, D])
    (bias,) = (one for one in layer.weights if one.name == "action_bias")
    bias.assign([0.0, 0.0, -np.inf])
    with tf.GradientTape() as tape:
        found = tf.reduce_sum(layer(tf.constant(X), training=True) ** 2)
        found += losses.policy_gradient(layer.trace, tf.constant(X[..., 0]))
    gradients = tape.gradient(found, layer.trainable_weights)
    assert all(np.isfinite(one).all() for one in gradients) and np.abs(gradients[-2]).max() > 0


def test_a_distance_that_is_ruled_out():
    """By a logit of minus infinity: its probability is 0, and so is its part of the entropy."""
    model = classifier(entropy_weight=0.1)
    model.compile("sgd", CROSS_ENTROPY)
    (layer,) = model.skip_layers
    (bias,) = (one for one in layer.weights if one.name == "action_bias")
    bias.assign([0.0, 0.0, -np.inf])
    model.fit(X, Y, verbose=0)
    layer(X, training=True)
    probs, entropies = layer.trace.probs.numpy(), layer.trace.entropies.numpy()
    assert (probs[..., 2] == 0).all() and (layer.trace.distances.numpy() < 3).all()
    np.testing.assert_allclose(
        entropies, -(probs[..., :2] * np.log(probs[..., :2])).sum(-1), rtol=1e-5
    )
    assert all(np.isfinite(one.numpy()).all() for one in model.weights if one is not bias)


def test_without_a_reward_a_loss_may_be_of_the_whole_batch():
    inputs = keras.Input([T, D])
    outputs = keras.layers.Dense(2, "softmax")(skip(estimator="straight_through")(inputs))
    model = PolicyGradientModel(inputs, outputs, entropy_weight=0.01)
    model.compile("sgd", "dice")
    *_, prediction = losses_of(model, X, np.eye(2, dtype=np.float32)[Y])
    assert prediction.shape == (B, 2)


def test_the_network_learns_as_without_the_agent():
    model = classifier(entropy_weight=0.1)
    model.compile("sgd", CROSS_ENTROPY)
    distances = np.random.default_rng(1).integers(1, 4, (B, T))
    (layer,) = model.skip_layers
    dense = model.network.layers[-1]
    with tf.GradientTape(persistent=True) as tape:
        prediction = dense(layer(X, distances=distances, training=True))
        total = model.compute_loss(X, tf.constant(Y), prediction)
        plain = model.compute_loss(X, tf.constant(Y), prediction, training=False)
        agent_loss = losses.policy_gradient(
            layer.trace,
            losses.at_last_step(tf.constant(log_likelihood(prediction, Y)), layer.trace.mask),
            credit="total",
            baseline="leave_one_out",
            entropy_weight=0.1,
        )
    names = [v.name for v in model.trainable_variables]
    values = [v.value for v in model.trainable_variables]
    found, network, agents = (tape.gradient(a, values) for a in (total, plain, agent_loss))
    for name, a, b, c in zip(names, found, network, agents, strict=True):
        wanted, other = (c, b) if name.startswith(("agent", "action")) else (b, c)
        assert other is None and np.abs(wanted).max() > 0
        np.testing.assert_allclose(a, wanted, atol=1e-6)


def test_an_agent_learns():
    """A network that is held fixed, equal inputs: the agent finds the choices of least loss among
    all.
    """
    inputs = keras.Input((3, D))
    layer = DynamicSkipLSTM(H, n_actions=3, agent_units=8, jit_compile=False)
    dense = keras.layers.Dense(2, trainable=False)
    model = PolicyGradientModel(inputs, dense(layer(inputs)))
    random = np.random.default_rng(4)
    for v in model.variables:
        if v.name in ("kernel", "recurrent_kernel", "bias"):
            v.assign(random.normal(size=v.shape, scale=1.5))
            v.trainable = False
    x, y = np.tile(random.normal(size=(1, 3, D)).astype(np.float32), (128, 1, 1)), np.ones(128, int)

    choices = np.array(list(itertools.product((1, 2, 3), repeat=3)))
    each = -log_likelihood(
        dense(layer(x[: len(choices)], distances=choices)), np.ones(len(choices), int)
    )
    assert each.max() - each.min() > 0.5
    model.compile(keras.optimizers.Adam(0.05), CROSS_ENTROPY, jit_compile=False)
    history = model.fit(x, y, batch_size=16, epochs=12, verbose=0).history
    assert set(history) == {"loss", "agent_loss", "entropy"}
    assert history["entropy"][-1] < 0.8 * history["entropy"][0]
    result = model.evaluate(x, y, batch_size=128, verbose=0, return_dict=True)
    found = result["loss"]
    assert 0 < result["entropy"] < np.log(3)
    assert found < each.min() + 0.1 * (each.mean() - each.min())


@pytest.mark.parametrize(
    "jit_compile, dtype, batch_size",
    [(True, "float64", B), pytest.param(False, "mixed_bfloat16", 4, marks=LONG)],
)
def test_fit(jit_compile, dtype, batch_size):
    """What is shown; without XLA also with a last batch that is smaller."""
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, D, mask_zero=True, dtype=dtype)(inputs)
    x = skip(dtype=dtype)(x)
    model = PolicyGradientModel(inputs, keras.layers.Dense(2, dtype=dtype)(x), entropy_weight=0.01)
    model.compile("adam", CROSS_ENTROPY, metrics=["accuracy"], jit_compile=jit_compile)
    history = model.fit(WORDS, Y, batch_size=batch_size, epochs=1, verbose=0).history
    assert set(history) == {"accuracy", "agent_loss", "entropy", "loss"}
    assert 0 < history["entropy"][0] <= np.log(3) + 1e-3 and np.isfinite(history["loss"][0])


class Subclass(PolicyGradientModel):
    """A model with a `call` of its own."""

    def __init__(self, units=H, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.recurrent = DynamicSkipLSTM(units, n_actions=2, jit_compile=False, greedy=True)
        self.dense = keras.layers.Dense(2)

    def call(self, inputs, training=None):
        return self.dense(self.recurrent(inputs, training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.parametrize("kind", ["functional", "subclass"])
def test_save_and_load(kind, tmp_path):
    """The same outputs, options and optimizer; and training goes on."""
    if kind == "functional":
        inputs = keras.Input((None, D))
        model = PolicyGradientModel(
            inputs,
            keras.layers.Dense(2)(skip(greedy=True)(inputs)),
            credit="to_go",
            entropy_weight=0.3,
        )
    else:
        model = Subclass(5, credit="to_go", entropy_weight=0.3)
    model.compile("adam", CROSS_ENTROPY, jit_compile=False)
    before = model(X)
    model.fit(X, Y, verbose=0)
    assert np.abs(model(X) - before).max() > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(
        tmp_path / "model.keras", custom_objects={"Subclass": Subclass}
    )
    assert (
        type(loaded) is type(model)
        and loaded.agent_options == model.agent_options
        and model.agent_options["entropy_weight"] == 0.3
    )
    np.testing.assert_allclose(loaded(X), model(X), atol=1e-6)
    assert loaded.optimizer.iterations == 1
    assert set(loaded.fit(X, Y, verbose=0).history) == {"loss", "agent_loss", "entropy"}


class BeforeItWasFunctional(keras.Model):
    """How files were written then: the network is a layer of the model and holds its weights."""

    def __init__(self, network):
        super().__init__(name="model")
        self.network, self.built = network, True

    def call(self, inputs):
        return self.network(inputs)

    def get_config(self):
        dtype = keras.dtype_policies.serialize(self.dtype_policy)
        options = {
            "credit": "to_go",
            "baseline": "none",
            "entropy": "sampled",
            "rl_weight": 0.5,
            "entropy_weight": 0.3,
        }
        network = keras.saving.serialize_keras_object(self.network)
        return {"name": self.name, "trainable": True, "dtype": dtype, "network": network, **options}


def test_files_of_before_are_loaded(tmp_path):
    """The model and its weights alone, with the optimizer's state."""
    inputs = keras.Input((None, D))
    network = keras.Model(inputs, {"a": keras.layers.Dense(2)(skip()(inputs))})
    before = BeforeItWasFunctional(network)
    before.compile("adam", {"a": CROSS_ENTROPY}, jit_compile=False)
    before.fit(X, {"a": Y}, verbose=0)
    before.save_weights(tmp_path / "before.weights.h5")
    before.save(tmp_path / "before.zip.keras")
    with (
        zipfile.ZipFile(tmp_path / "before.zip.keras") as old,
        zipfile.ZipFile(tmp_path / "before.keras", "w") as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config |= {
                    "class_name": "PolicyGradientModel",
                    "registered_name": "dynamic_skip_lstm>PolicyGradientModel",
                }
                content = json.dumps(config)
            new.writestr(name, content)
    wanted = before(X)["a"]
    loaded = keras.models.load_model(tmp_path / "before.keras")
    np.testing.assert_allclose(loaded(X)["a"], wanted, atol=1e-6)
    assert (
        loaded.agent_options["credit"] == "to_go" and loaded.agent_options["entropy_weight"] == 0.3
    )
    for a, b in zip(loaded.optimizer.variables, before.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    inputs = keras.Input((None, D))
    other = PolicyGradientModel(inputs, {"a": keras.layers.Dense(2)(skip()(inputs))})
    other.load_weights(tmp_path / "before.weights.h5")
    np.testing.assert_allclose(other(X)["a"], wanted, atol=1e-6)


class Wide(PolicyGradientModel):
    """A subclass that makes its layers itself and hands tensors on."""

    def __init__(self, units, **kwargs):
        inputs = keras.Input((T, D))
        super().__init__(inputs, keras.layers.Dense(units)(skip(name="skip")(inputs)), **kwargs)


@pytest.mark.parametrize("make", [classifier, lambda: Wide(2)], ids=["direct", "subclass"])
def test_it_is_a_functional_model(make, tmp_path):
    model = make()
    plain = keras.Model(model.inputs, model.outputs)
    assert isinstance(model, PolicyGradientModel) and isinstance(model, type(plain))
    assert (model.input_shape, model.output_shape) == (plain.input_shape, plain.output_shape)
    assert [layer.name for layer in model.layers] == [layer.name for layer in plain.layers] and len(
        model.layers
    ) == 3
    assert (
        model.get_layer(model.layers[1].name)
        is model.get_layer(index=1)
        is model.layers[1]
        is model.network.layers[1]
    )
    lines = [[], []]
    for one, shown in zip((model, plain), lines, strict=True):
        one.summary(print_fn=lambda line, shown=shown: shown.append(line), line_length=100)
    assert lines[0][0].splitlines()[1:] == lines[1][0].splitlines()[1:]  # but for its name
    features = keras.Model(model.inputs[0], model.layers[1].output)
    np.testing.assert_allclose(model.layers[2](features(X)), model(X), atol=1e-6)
    assert len(model.trainable_variables) == len(plain.trainable_variables) == 10
    # the class itself stayed what it was
    assert PolicyGradientModel not in type(plain).__subclasses__()
    assert not issubclass(Subclass, type(plain))


@pytest.mark.parametrize("make", [classifier, lambda: Subclass(5)], ids=["functional", "subclass"])
def test_export(make, tmp_path):
    model = make()
    wanted = model(X)
    model.export(tmp_path / "one", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "one"))
    np.testing.assert_allclose(served.serve(tf.constant(X)), wanted, atol=1e-6)


def test_a_misspelt_option_is_refused():
    with pytest.raises(ValueError, match=r"no argument 'n_sample' .did you mean n_samples"):
        classifier(n_sample=4)


@pytest.mark.parametrize("baseline", ["none", "leave_one_out"])
def test_the_agents_loss_in_evaluation_by_hand(baseline):
    """Of examples that are there once, whatever `n_samples`: compared with the whole batch."""
    options = dict(credit="total", rl_weight=0.5, entropy_weight=0.1)
    model = classifier(n_samples=3, baseline=baseline, **options)
    model.compile("sgd", CROSS_ENTROPY, run_eagerly=True)
    shown = model.evaluate(X, Y, batch_size=B, verbose=0, return_dict=True)
    logits, trace = model(X), model.skip_layers[0].trace
    log_probs, entropies = trace.log_probs.numpy(), trace.entropies.numpy()
    value = 0.5 * log_likelihood(logits, Y) + 0.1 * entropies.sum(1)
    if baseline == "leave_one_out":
        value = value - (value.sum() - value) / (B - 1)
    expected = -(log_probs * value[:, None]).mean() - 0.1 * entropies.mean()
    assert shown["agent_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_the_agents_numbers_are_means_over_rows():
    """However the rows are cut into batches, and where nobody knows how many there are."""
    model = classifier(baseline="none")
    model.compile(keras.optimizers.SGD(0.0), CROSS_ENTROPY)
    x = X * np.array([1, 1, 1, 1, 9, 9], np.float32)[:, None, None]  # the last two are others
    expected = model.evaluate(x, Y, batch_size=B, return_dict=True, verbose=0)
    data = tf.data.Dataset.from_tensor_slices((x, Y)).batch(4)  # 4 and 2
    for batches in (data, data.filter(lambda *_: True)):  # the second of unknown length
        found = model.evaluate(batches, return_dict=True, verbose=0)
        assert found == pytest.approx(expected, rel=1e-5)


def test_copies():
    model = classifier(credit="to_go")
    for one in (pickle.loads(pickle.dumps(model)), type(model).from_config(model.get_config())):
        one.set_weights(model.get_weights())
        assert type(one) is type(model) and one.agent_options == model.agent_options
        np.testing.assert_allclose(one(X), model(X), atol=1e-6)


def test_layers_in_place_of_tensors():
    layers = [skip(), keras.layers.Dense(2)]
    for wrong in ([layers], [layers[0], layers[1]], [keras.Input((T, D)), layers]):
        with pytest.raises(
            ValueError,
            match="inputs and outputs must be tensors, .* received layers: .* keras.Sequential",
        ):
            PolicyGradientModel(*wrong)
    sequential = keras.Sequential([keras.Input((T, D)), *layers])  # what the message says
    assert PolicyGradientModel(sequential.inputs, sequential.outputs).skip_layers == [layers[0]]
    with pytest.raises(ValueError, match="inputs and outputs belong together"):
        PolicyGradientModel(keras.Input((T, D)))


def test_a_model_without_agents_is_an_ordinary_one():
    inputs = keras.Input((T, D))
    model = PolicyGradientModel(inputs, keras.layers.Dense(2)(keras.layers.LSTM(H)(inputs)))
    model.compile("sgd", CROSS_ENTROPY, jit_compile=False)
    with pytest.warns(UserWarning, match="no layer of this model learns from its reward"):
        plain, agents, _ = losses_of(model, X, Y)
    assert plain > 0 and agents == 0


def test_regularisers_stay_in_the_loss():
    inputs = keras.Input((T, D))
    model = PolicyGradientModel(
        inputs, keras.layers.Dense(2)(skip(kernel_regularizer=keras.regularizers.L2(1.0))(inputs))
    )
    model.compile("sgd", CROSS_ENTROPY)
    plain, _, logits = losses_of(model, X, Y)
    expected = -log_likelihood(logits, Y).mean() + float(
        tf.reduce_sum(model.skip_layers[0].cell.kernel.value ** 2)
    )
    assert plain == pytest.approx(expected, rel=1e-5)


def test_wrong_options_and_losses():
    with pytest.raises(ValueError, match="credit must be one of to_go, total; received 'all'"):
        classifier(credit="all")
    model = classifier()
    with pytest.raises(ValueError, match="baseline must be one of"):
        model.configure_agent(baseline="mean")
    model.compile("sgd", lambda y, y_pred: tf.reduce_mean(y_pred))
    with pytest.raises(ValueError, match="one value for the whole batch"):
        losses_of(model, X, Y)
    model = classifier()
    model.compile("sgd")
    with pytest.raises(ValueError, match="No loss to compute"):
        losses_of(model, X, Y)

    class Whole(keras.losses.Loss):
        def __call__(self, y, y_pred, sample_weight=None):
            return tf.reduce_mean(y_pred**2)

    model.compile("sgd", Whole())
    with pytest.raises(ValueError, match="Whole.* has no `call.y_true, y_pred.`: implement it"):
        losses_of(model, X, Y)


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_number_under_the_name_of_the_agents_own_is_refused(eagerly):
    """Keras would show one of the two, and callbacks would follow it."""
    model = classifier()
    mine = keras.metrics.SparseCategoricalCrossentropy("entropy", from_logits=True)
    model.compile("sgd", CROSS_ENTROPY, metrics=[mine], run_eagerly=eagerly)
    with pytest.raises(ValueError, match="entropy is what the agents' own is called in the logs"):
        model.evaluate(X, Y, verbose=0)
    inputs = keras.Input([T, D])
    heads = {name: keras.layers.Dense(2)(skip()(inputs)) for name in ("agent", "other")}
    model = PolicyGradientModel(inputs, heads)
    model.compile("sgd", dict.fromkeys(heads, CROSS_ENTROPY), run_eagerly=eagerly)
    with pytest.raises(ValueError, match="agent_loss is what the agents' own is called"):
        model.fit(X, dict.fromkeys(heads, Y), verbose=0)


@pytest.mark.parametrize("eagerly", [False, True])
def test_rows_that_are_no_examples(eagerly):
    """A layer over sequences that are folded into the batch has no loss for each of them."""
    inputs = keras.Input([2, T, D])
    each = skip()(keras.ops.reshape(inputs, [-1, T, D]))
    model = PolicyGradientModel(inputs, keras.layers.Dense(2)(keras.ops.reshape(each, [-1, 2 * H])))
    model.compile("sgd", CROSS_ENTROPY, run_eagerly=eagerly, jit_compile=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="call the layer through keras.layers"):
        model.fit(np.stack([X, X], 1), Y, verbose=0)


# All that Keras has, classes and functions, once each; no losses, not of such labels, not without
# an argument of their own.
NO_LOSSES = "Loss get serialize deserialize CTC ctc Circle circle".split()
NO_LOSSES += ["categorical_generalized_cross_entropy"]
LOSSES = dict.fromkeys(
    value for name, value in vars(keras.losses).items() if callable(value) and name not in NO_LOSSES
)
FOR_THE_BATCH = (keras.losses.Dice, keras.losses.dice, keras.losses.Tversky, keras.losses.tversky)


def mine(y, y_pred):
    """A function of one's own that adds up over the last axis."""
    return tf.reduce_sum(tf.abs(y - y_pred), -1)


@pytest.mark.parametrize(
    "loss",
    [*LOSSES, mine, "poisson", "bce", "crossentropy", "CE"],
    ids=lambda loss: getattr(loss, "__name__", loss),
)
def test_the_rewards_are_the_compiled_loss(loss):
    """Labels [B] and [B, 1], or one of three: the mean of the rewards is what Keras minimises, with
    sample weights too.
    """
    random = np.random.default_rng(5)
    name = getattr(loss, "__name__", loss).lower()
    binary, each = tf.constant(random.uniform(0.1, 0.9, (B, 1)), tf.float32), []
    if "categorical" not in name:
        each += [(Y, binary), (Y[:, None], binary)]
    if "categorical" in name or name in ("crossentropy", "ce"):
        probs, classes = (
            tf.nn.softmax(tf.constant(random.normal(size=(B, 3)), tf.float32)),
            random.integers(0, 3, B),
        )
        if "sparse" in name or "generalized" in name or name in ("crossentropy", "ce"):
            each += [(classes, probs), (classes[:, None], probs)]
        if "sparse" not in name and "generalized" not in name:
            each += [(np.eye(3, dtype=np.float32)[classes], probs)]
    for y, y_pred in each:
        model = keras.Sequential([keras.layers.Dense(y_pred.shape[1])])
        model.compile("sgd", loss)
        for weight in (None, tf.constant(random.uniform(size=B), tf.float32)):
            if loss in FOR_THE_BATCH:
                with pytest.raises(ValueError, match="one value for the whole batch"):
                    rewards_of(loss, None, tf.constant(y), y_pred, weight)
                continue
            expected = model.compute_loss(None, tf.constant(y), y_pred, weight)
            (rewards,) = rewards_of(loss, 2.0, tf.constant(y), y_pred, weight)
            assert rewards.shape[0] == B and rewards.dtype == tf.float32
            assert float(-tf.reduce_mean(rewards)) == pytest.approx(2 * float(expected), rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanAbsoluteError()])
def test_an_output_without_a_last_axis(loss):
    """Keras takes the mean of the batch for that of an example's numbers."""
    y, y_pred = tf.constant([1.0, 2.0, 4.0]), tf.constant([1.5, 2.0, 1.0])
    (rewards,) = rewards_of(loss, None, y, y_pred, tf.constant([1.0, 1.0, 2.0]))
    power = 2 if loss == "mse" else 1
    np.testing.assert_allclose(rewards, -(np.array([0.5, 0, 3.0]) ** power) * [1, 1, 2])
    inputs = keras.Input((T, D))
    model = PolicyGradientModel(inputs, skip()(inputs)[:, 0])
    model.compile("sgd", loss)
    assert losses_of(model, X, Y)[1] != 0


def test_an_agent_that_would_never_learn():
    """Under Keras' own loop nothing reports what it did; without agents, as attention and where it
    is frozen, all is well.
    """
    for cell, refused in [
        (DynamicSkipLSTMCell(H, n_actions=3), True),
        (DynamicSkipLSTMCell(H, n_actions=3, trainable=False), False),
        (DynamicSkipLSTMCell(H, n_actions=1), False),
        (DynamicSkipLSTMCell(H, n_actions=3, estimator="straight_through"), False),
        (RandomSkipLSTMCell(H, n_actions=3), False),
        (AttentionSkipLSTMCell(H, n_actions=3), False),
    ]:
        inputs = keras.Input((T, D))
        h = keras.layers.RNN(cell)(inputs)
        model = PolicyGradientModel(inputs, keras.layers.Dense(2)(h))
        model.compile("sgd", CROSS_ENTROPY, None, ["accuracy"])  # in Keras' order
        if refused:
            with pytest.raises(
                ValueError,
                match="agent of dynamic_skip_lstm_cell.* would never learn: use DynamicSkipLSTM",
            ):
                losses_of(model, X, Y)
        else:
            with pytest.warns(UserWarning, match="no layer of this model learns from its reward"):
                losses_of(model, X, Y)


# --------------------------------------------------------------------- several samples of an input


def test_several_samples_of_each_example():
    """One training step on 3 samples is that on a batch repeated by hand, with their baseline."""
    options = dict(baseline="leave_one_out", entropy_weight=0.1)
    repeated = [np.repeat(a, 3, axis=0) for a in (X, Y)]
    models = [classifier(n_samples=n, **options) for n in (3, 1)]
    models[1].set_weights(models[0].get_weights())
    for model, data in zip(models, ((X, Y), repeated), strict=True):
        model.compile(keras.optimizers.SGD(0.5), CROSS_ENTROPY, run_eagerly=True)
        model.agent_options["n_samples"] = 3
        if model is models[1]:  # what the first one does by itself
            model.train_step = super(PolicyGradientModel, model).train_step
            model.make_train_function(force=True)
        for layer in model.skip_layers:
            layer.cell.seed_generator.state.assign([1, 2])
        model.train_on_batch(*data)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert models[0].evaluate(X, Y, verbose=0, return_dict=True)["loss"] > 0
    copy = PolicyGradientModel.from_config(models[0].get_config())
    assert copy.agent_options["n_samples"] == 3
    with pytest.raises(ValueError, match="n_samples must be a whole number of at least 1"):
        models[0].configure_agent(n_samples=0)
