"""The estimator "marginal": the next states of all distances, predictions averaged over them."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import losses
from common.config import parse
from common.errors import InputError
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.policy_gradient_model import PolicyGradientModel
from common.ops.agent import Trace
from common.ops.gates import State
from common.ops.masks import NO_MASKS
from common.ops.mixture import log_expected
from LanguageModeling.model import LanguageModel
from LanguageModeling.presets import PRESETS, LanguageConfig
from NumberPrediction.model import NumberModel
from NumberPrediction.presets import PRESETS as NUMBER_PRESETS
from NumberPrediction.presets import NumberConfig
from Sentiment.model import SentimentModel
from Sentiment.presets import PRESETS as SENTIMENT_PRESETS
from Sentiment.presets import SentimentConfig

B, T, D, H, A, K, V = 2, 4, 2, 3, 2, 3, 5
SEED = tf.constant([3, 4])


def normal(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def randomised(network):
    for n, weight in enumerate(network.trainable_variables):
        weight.assign(normal(weight.shape, n))
    return network


def skip(**options):
    options = {"estimator": "marginal", "return_sequences": True, "jit_compile": False} | options
    layer = DynamicSkipLSTM(H, K, agent_units=A, **options)
    layer.build([None, T, D])
    return randomised(layer)


# ------------------------------------------------------------------------------- the next states


@pytest.mark.parametrize(
    "options",
    [
        {"observation": "mean", "lamda": 0.7, "layer_norm": True},
        {"history": "window", "lamda": 0.6},
    ],
)
def test_next_h_is_the_cell_s(options):
    """At all steps (from one product) and at a few, which have their own; gradients too."""
    layer, x = skip(**options), tf.constant(normal((B, T, D), 1))
    state = [tf.constant(normal((B, layer.state_size[0]), n)) for n in (2, 3)]
    distances = tf.constant(np.random.default_rng(3).integers(1, K + 1, (B, T)), tf.int32)
    factors, weights = tf.constant(normal((B, T, K, H), 4)), layer.trainable_variables[:3]
    with tf.GradientTape(persistent=True) as tape:
        layer(x, initial_state=state, distances=distances)
        now = layer.cell.get_initial_state(B)
        now[-2:], expected = state, []  # of history "window", behind the K slots
        for t in range(T):
            each = [layer.cell.step(x[:, t], now, tf.fill([B], k))[0] for k in range(1, K + 1)]
            expected.append(tf.stack(each, 1))
            now = layer.cell.step(x[:, t], now, distances[:, t])[1]
        expected = tf.stack(expected, 1)
        losses_of = []
        for steps in (list(range(T)), [2, 0]):
            both = layer.next_h(steps), tf.gather(expected, steps, axis=1)
            np.testing.assert_allclose(*both, atol=1e-5)
            of_steps = tf.gather(factors, steps, axis=1)
            losses_of.append([tf.reduce_sum(h * of_steps) for h in both])
    for both in losses_of:
        found, expected = (tape.gradient(loss, weights) for loss in both)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_next_h_of_the_drawn_distance_is_the_output():
    """With dropout of all kinds; of masked rows the steps are counted without those masked.

    And of the only one, K = 1, the plain LSTM.
    """
    rates = dict.fromkeys(("dropout", "recurrent_dropout", "state_dropout", "weight_dropout"), 0.3)
    layer = skip(**rates, state_masks="per_gate", zoneout=(0.4, 0.3), lamda=0.6)
    mask = tf.constant([[True, False, True, True], [False, True, True, False]])
    x = normal((B, T, D), 1)
    outputs = layer(x, mask=mask, training=True, seed=SEED)
    real = [[0, 1, 2], [0, 1, 1]], [[0, 2, 3], [1, 2, 2]]  # among the unmasked ones, among all
    h, drawn = layer.next_h(real[0]), tf.gather(layer.trace.distances, real[1], batch_dims=1)
    expected = tf.gather(outputs, real[1], batch_dims=1)
    np.testing.assert_allclose(tf.gather(h, drawn - 1, batch_dims=2), expected, atol=1e-6)
    plain = DynamicSkipLSTM(H, 1, estimator="marginal", return_sequences=True)
    np.testing.assert_allclose(plain(x), plain.next_h(range(T))[:, :, 0], atol=1e-6)
    with pytest.raises(ValueError, match="next_h needs estimator='marginal'; received 'reinmax'"):
        skip(estimator="reinmax").next_h([0])


def test_next_h_in_a_graph_and_by_xla():
    """And the gradient of an expected likelihood, as eagerly; at steps of all and of each row."""
    recurrence = skip(lamda=0.6).recurrence
    shapes = (T, B, 4 * H), (H, 4 * H), (K + T, B, H), (K + T, B, H), (K, B)
    inputs = [tf.constant(normal(shape, n)) for n, shape in enumerate(shapes)]

    def run(projected, kernel, h, c, logits):
        states, value = State(h, c), 0.0
        with tf.GradientTape() as tape:
            tape.watch([*states, kernel, logits])
            given, probs = (projected, kernel, None, None, NO_MASKS), tf.nn.softmax(logits, 0)
            for steps in ([0, 1, 2, 3], [[1, 3], [0, 2]]):
                h = recurrence.next_h(given, states, tf.constant(steps))
                log_p = tf.math.log_sigmoid(tf.reduce_sum(h, -1))  # [K, n, B]
                value += tf.reduce_sum(log_expected(log_p, probs[:, None], 0))
        gradients = tape.gradient(value, [*states, kernel, logits])
        return value, *map(tf.convert_to_tensor, gradients)

    expected = run(*inputs)
    for xla in (False, True):
        compiled = tf.function(run, jit_compile=xla, autograph=False)
        for a, b in zip(compiled(*inputs), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


# ---------------------------------------------------------------------------- the language model


@pytest.fixture(scope="module")
def made():
    sizes = f"--rnn_size={H} --n_actions={K} --agent_units={A} --rnn_layers=1 --lamda=.6"
    flags = ["x", "--estimator=marginal", "--nojit_compile", *sizes.split()]
    return randomised(LanguageModel(parse(LanguageConfig, PRESETS, flags), V))


@pytest.fixture
def model(made):
    """A language model; without dropout and without terms of the agent alone."""
    made.config = dataclasses.replace(made.config, dropout=0.0, rl_weight=0.0, entropy_weight=0.0)
    return made


WORDS = np.random.default_rng(5).integers(0, V, (B, T))
TARGETS = np.random.default_rng(6).integers(0, V, (B, T))
BATCH = {"words": tf.constant(WORDS, tf.int32), "targets": tf.constant(TARGETS, tf.int32)}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def softmax(a):
    e = np.exp(a - a.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def probabilities(weights, distances, lamda):
    """sum_k pi_t(k) softmax(S h_t(k) + b) [B, T, V] and that for k_t alone, in NumPy.

    As in the layer, what the agent observes carries no gradient: no imaginary part.
    """
    embedding, kernel, recurrent, bias, w1x, w1h, b1, w2, b2, readout, offset = weights
    zeros = np.zeros((len(distances), H))
    past, mixed, drawn = [(zeros, zeros)] * K, [], []
    for t in range(T):
        x = embedding[WORDS[:, t]]
        pi = softmax(np.tanh(x.real @ w1x + past[-1][0].real @ w1h + b1) @ w2 + b2)
        after = []
        for k in range(1, K + 1):
            h, c = (lamda * a + (1 - lamda) * b for a, b in zip(past[-k], past[-1], strict=True))
            i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            after.append((sigmoid(o) * np.tanh(c), c))
        each = np.stack([softmax(h @ readout + offset) for h, _ in after], 1)  # [B, K, V]
        mixed.append((pi[..., None] * each).sum(1))
        rows, chosen = np.arange(len(distances)), distances[:, t] - 1
        drawn.append(each[rows, chosen])
        past = [*past[1:], tuple(np.stack(a, 1)[rows, chosen] for a in zip(*after, strict=True))]
    return np.stack(mixed, 1), np.stack(drawn, 1)


def of_targets(probs):
    return np.log(np.take_along_axis(probs, TARGETS[..., None], -1)[..., 0])


def test_the_language_model_by_brute_force(model):
    """Loss and gradient of `training_loss` against NumPy, by complex steps."""
    weights = [w.numpy().astype(np.complex128) for w in model.trainable_variables]

    with tf.GradientTape() as tape:
        loss = model.training_loss(BATCH, model.initial_state(B), SEED, {})[0]
    gradients = tape.gradient(loss, [w.value for w in model.trainable_variables])
    distances = model.recurrent[-1].trace.distances.numpy()

    def expected(weights):
        return -of_targets(probabilities(weights, distances, 0.6)[0]).sum() / B

    def gradient(n):
        found = np.zeros(weights[n].shape)
        for at in np.ndindex(found.shape):
            moved = weights[n].copy()
            moved[at] += 1e-30j
            found[at] = expected([*weights[:n], moved, *weights[n + 1 :]]).imag / 1e-30
        return found

    np.testing.assert_allclose(loss, expected(weights).real, rtol=1e-5)
    for n in range(len(weights)):
        found = tf.convert_to_tensor(gradients[n])
        assert np.abs(found).max() > 1e-3
        np.testing.assert_allclose(found, gradient(n), rtol=1e-4, atol=1e-5)


def test_its_evaluation(model):
    """The mixture of two chains, and each; all words together have probability 1."""
    n_chains = 2
    weights = [w.numpy().astype(np.float64) for w in model.trainable_variables]
    words, state = tf.tile(BATCH["words"], [n_chains, 1]), model.initial_state(n_chains * B)
    trace = model.features(words, state, seed=SEED)[2]
    distances = trace.distances.numpy().reshape(n_chains, B, T)
    each = np.stack([probabilities(weights, one, 0.6)[0] for one in distances])
    batch = BATCH | {"weights": tf.ones([B, T])}
    metrics, _ = model.evaluation_metrics(batch, state, SEED, False, n_chains)
    np.testing.assert_allclose(metrics["loss"][0], -of_targets(each.mean(0)).sum(), rtol=1e-5)
    expected = -np.sum([of_targets(one) for one in each]) / n_chains
    np.testing.assert_allclose(metrics["chain_loss"][0], expected, rtol=1e-5)
    x, probs = model.next_features(trace, tf.range(T))
    all_words = tf.repeat(tf.range(V)[:, None], T, 1)
    log_p = [
        model.log_likelihood(a, all_words, b)
        for a, b in zip(tf.repeat(x[:, None], V, 1), tf.repeat(probs[:, None], V, 1), strict=True)
    ]
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(log_p), 1), np.ones([2 * B, T]), atol=1e-6)


def test_a_share_of_the_steps(model):
    """At half of the steps the difference counts twice: the mean over the draws is the exact value.

    Its dropout is that of the drawn distance's output: where pi is certain, both agree.
    """
    distances, seen = tf.fill([B, T], 2), set()

    def values(seed):
        """log p of the drawn distances, and what half and all of the steps make of it."""
        found, config = [], model.config
        model.config = dataclasses.replace(config, dropout=0.5)
        given = BATCH["words"], model.initial_state(B), True, False, seed, distances
        x, _, trace = model.features(*given)
        plain = model.log_likelihood(x, BATCH["targets"])
        for share in (0.5, 1.0):
            model.config = dataclasses.replace(model.config, enumerate=share)
            given = plain, BATCH["targets"], trace, seed
            found.append(model.expected_log_likelihood(*given).numpy())
        return plain.numpy(), *found

    for n in range(8):
        plain, found, exact = values(tf.constant([3, n]))
        steps = np.abs(found - plain).max(0) > 1e-6
        np.testing.assert_allclose(found, plain + 2 * steps * (exact - plain), atol=1e-5)
        assert steps.sum() <= T / 2  # less where dropout leaves no difference
        seen.add(tuple(steps))
    # (of step 0, all K past states are alike: zero)
    assert len(seen) > 2 and np.any(list(seen), 0)[1:].all()
    bias = model.recurrent[-1].cell._policy.action_bias
    before = bias.numpy()
    bias.assign([0, 99, 0])
    plain, _, exact = values(SEED)
    bias.assign(before)
    np.testing.assert_allclose(plain, exact, atol=1e-5)


# ------------------------------------------------------------------------------ what is unbiased


def test_unbiased():
    """The mean over all 81 trajectories against the gradient of sum P(k) sum_t L_t(k).

    With the own step's reward, or, with less noise, without.
    """
    layer = skip(lamda=0.7)
    distances = np.array(list(itertools.product(range(1, K + 1), repeat=T)), np.int32)
    x = np.repeat(normal((1, T, D), 9), len(distances), 0)
    agent = [w.value for w in layer.trainable_variables[3:]]
    readout = tf.constant(normal(H, 10) * 20)

    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            layer(x, distances=distances)
            trace = layer.trace
            each = tf.math.log_sigmoid(tf.linalg.matvec(layer.next_h(tf.range(T)), readout))
            value = log_expected(each, trace.probs)  # [81, T]
            probs = tf.exp(tf.reduce_sum(trace.log_probs, 1))
            exact = tf.reduce_sum(probs * tf.reduce_sum(value, 1))
            weight = tf.stop_gradient(probs)
            own = tf.reduce_sum(weight[:, None] * value)
            # of each trajectory alone, times its probability: the loss is linear in the rewards
            rewards = len(distances) * weight[:, None] * value
            others = [  # times T, because it is a mean over the steps
                -T * losses.policy_gradient(trace, rewards, baseline="none", **how)
                for how in ({}, {"own_step": False}, {"own_step": False, "credit": "total"})
            ]
        return [tape.gradient(a, agent) for a in (exact, own, *others)]

    exact, own, *others = gradients()
    for n in range(len(agent)):
        assert np.abs(own[n]).max() > 1e-3 and np.abs(others[0][n]).max() > 1e-3
        for other in others:
            np.testing.assert_allclose(own[n] + other[n], exact[n], atol=1e-5)


def test_the_return_behind_the_own_step():
    mask = tf.constant([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    log_probs, rewards = mask * [[-1.0], [-2.0]], tf.constant([[1.0, 2.0, 4.0], [8.0, 16.0, 0.0]])
    trace = Trace(tf.ones([2, 3], tf.int32), log_probs, 0 * mask, mask[..., None], mask)
    found = losses.policy_gradient(trace, rewards, baseline="none", own_step=False)
    assert found.numpy() == pytest.approx((6 + 4 + 2 * 16) / 5)


# ------------------------------------------------------------------------- numbers and sentiment


def mean_prediction(network, x, trace, last, **how):
    """log sum_k pi(k) softmax of what the classifier makes of each last distance's state."""
    rows, distances = np.arange(len(last)), np.tile(trace.distances, [K, 1, 1])
    for k in range(K):
        distances[k, rows, last] = k + 1
    how = {name: tf.tile(a, [K, 1]) for name, a in how.items()}
    distances = distances.reshape(K * len(last), -1)
    h = network.recurrent(tf.tile(x, [K, 1, 1]), distances=distances, **how)[0][:, -1]
    probs = softmax(network.classifier(h).numpy()).reshape(K, len(last), -1)
    return np.log(np.einsum("bk,kbv->bv", trace.probs.numpy()[rows, last], probs))


SMALL = ["x", "--estimator=marginal", f"--rnn_size={H}", f"--n_actions={K}", "--nojit_compile"]


def test_numbers():
    config = parse(NumberConfig, NUMBER_PRESETS, [*SMALL, "--agent_units=2"])
    network = randomised(NumberModel(config))
    numbers = tf.constant(np.random.default_rng(1).integers(0, 10, (B, 11)), tf.int32)
    logits, trace = network(numbers, seed=SEED)
    expected = mean_prediction(network, tf.one_hot(numbers, 10), trace, [10] * B)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_sentiment():
    flags = [*SMALL, "--pooling=last", "--word_size=4", "--dropout=.5"]
    config = parse(SentimentConfig, SENTIMENT_PRESETS, flags)
    network = randomised(SentimentModel(config, 9, 2))
    words, lengths = tf.constant([[3, 4, 5, 6], [7, 2, 0, 0]]), tf.constant([4, 2])
    logits, trace = network(words, lengths, seed=SEED)
    given = network.word_vectors(words), trace, lengths.numpy() - 1
    expected = mean_prediction(network, *given, mask=tf.sequence_mask(lengths, 4))
    np.testing.assert_allclose(logits, expected, atol=1e-5)


# --------------------------------------------------------------------------------- what is refused


def test_what_is_refused():
    from NER.presets import PRESETS as NER_PRESETS
    from NER.presets import NERConfig

    for config_class, presets, flags, message in (
        (NERConfig, NER_PRESETS, [], "--estimator expects one of .*; got 'marginal'"),
        (SentimentConfig, SENTIMENT_PRESETS, [], "marginal expects --pooling last, .* got mean"),
        (
            LanguageConfig,
            PRESETS,
            ["--enumerate=.5", "--reward=likelihood"],
            "--enumerate 0.5 expects --reward log_likelihood, got likelihood",
        ),
    ):
        with pytest.raises(InputError, match=message):
            parse(config_class, presets, ["x", "--estimator=marginal", *flags])
    with pytest.raises(InputError, match="--enumerate belongs to --estimator marginal"):
        parse(LanguageConfig, PRESETS, ["x", "--enumerate=.5"])

    inputs = keras.Input([T, D])
    layer = DynamicSkipLSTM(H, K, estimator="marginal")
    model = PolicyGradientModel(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="estimator='marginal' needs a loss that asks"):
        model.compute_loss(None, tf.zeros([B, 1]), tf.zeros([B, 1]))


@pytest.mark.parametrize("compiled", [None, False, True])
def test_a_mixture_of_softmaxes(compiled):
    """The control without distances, in NumPy; K = 1 has no weights of its own."""
    one = parse(LanguageConfig, PRESETS, ["x", "--cell=lstm", f"--rnn_size={H}"])
    model = randomised(LanguageModel(dataclasses.replace(one, softmaxes=3), V))
    x = np.random.default_rng(0).normal(size=[B, T, H]).astype(np.float32)
    names = ("heads", "prior", "softmax")
    (m,), (q,), (s, b) = ((w.numpy() for w in getattr(model, n).weights) for n in names)
    heads = np.tanh(x @ m).reshape(B, T, 3, H)
    expected = (softmax(x @ q)[..., None] * softmax(heads @ s + b)).sum(2)

    def run(x):
        return tf.nn.softmax(model.logits(x)), model.log_likelihood(x, BATCH["targets"])

    if compiled is not None:
        run = tf.function(run, jit_compile=compiled)
    probs, found = run(x)
    np.testing.assert_allclose(probs, expected, atol=1e-6)
    np.testing.assert_allclose(found, of_targets(expected), rtol=1e-5)
    assert not hasattr(LanguageModel(one, V), "heads")
