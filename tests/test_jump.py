"""Sentiment/jump.py: what is read, against a loop; the agent's gradient, by enumeration."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from common.config import parse
from common.errors import InputError
from Sentiment import jump
from Sentiment.model import SentimentModel
from Sentiment.presets import PRESETS, SentimentConfig

TINY = (
    "--preset=jump --rnn_size=4 --word_size=3 --dropout=0 --reads=2 --jumps=3 --max_jump=2"
    " --test_reads=2 --test_jumps=3 --entropy_weight=0 --nojit_compile"
).split()
LENGTHS = np.array([9, 4, 1, 7])
rng = np.random.default_rng(0)
EVERY = tf.constant(list(itertools.product([1, 2, 3], repeat=2)))
WORDS = np.where(np.arange(9) < LENGTHS[:, None], rng.integers(1, 12, [4, 9]), 0)


def config(*arguments) -> SentimentConfig:
    return parse(SentimentConfig, PRESETS, ["RL_train.py", *TINY, *arguments])


@pytest.fixture(scope="module")
def network():
    made = SentimentModel(config(), 12, 2)
    made.set_weights([rng.normal(size=weight.shape) for weight in made.get_weights()])
    inputs = tf.constant(np.tile(WORDS[:1], (9, 1))), tf.constant([9] * 9)
    logits, _ = made.skim(*inputs, choices=EVERY)
    # which words are read decides how the first text is classified
    made.classifier.bias.assign_sub(tf.reduce_mean(logits, 0))
    return made


def places_read(choices, length, reads=2):
    """The places of the words read, and how many choices there were."""
    places, first, n = [], 0, 0
    for choice in [*choices, None]:
        places += range(first, min(first + reads, length))
        if choice is None or first + reads >= length:
            break
        n, jump = n + 1, choice - 1
        first += reads - 1 + jump
        if jump == 0 or first >= length:
            break
    return places, n


def test_what_is_read(network):
    """Each text, with each pair of choices, by the layer alone over the words read."""
    words, lengths = (tf.repeat(a, 9, 0) for a in (WORDS, LENGTHS))
    _, found = network.skim(words, lengths, choices=tf.tile(EVERY, [4, 1]))
    read = np.zeros([36, 6], np.int32)
    for i, (text, n) in enumerate(zip(words.numpy(), lengths.numpy(), strict=True)):
        places, n_choices = places_read(EVERY.numpy()[i % 9], n)
        read[i, : len(places)] = text[places]
        assert found.n_read[i] == len(places) == len(set(places))
        mask = [1.0] * n_choices + [0.0] * (2 - n_choices)
        assert found.trace.mask[i].numpy().tolist() == mask
    outputs, *_ = network.recurrent(network.word_vectors(read), mask=read > 0)
    np.testing.assert_allclose(found.h, outputs[:, -1], atol=1e-5)


def test_its_agent_has_a_reward_whatever_estimator_a_preset_gave():
    """The preset best learns straight through, which --model jump does not read."""
    flags = "a --preset=best --model=jump --cell=lstm --train_samples=3".split()
    config = parse(SentimentConfig, PRESETS, flags)
    assert config.estimator == "straight_through" and config.n_train_samples == 3
    assert (config.agent_options["rl_weight"], config.agent_options["n_samples"]) == (1.0, 3)


def test_without_jumps_it_is_the_whole_text_and_with_one_round_its_beginning(network):
    inputs = tf.constant(WORDS), tf.constant(LENGTHS)
    steps = [
        network.recurrent(network.word_vectors(WORDS), mask=WORDS > 0)[0][:, i] for i in (5, 1)
    ]
    for choice, n in ((2, 6), (1, 2)):
        _, found = network.skim(*inputs, choices=tf.fill([4, 2], choice))
        np.testing.assert_allclose(found.h, steps[n == 2], atol=1e-5)
        assert found.n_read.numpy().tolist() == np.minimum(LENGTHS, n).tolist()


def test_draws_follow_the_policy(network):
    words, lengths = np.tile(WORDS[:1], (4000, 1)), np.full(4000, 9)
    _, found = network.skim(tf.constant(words), tf.constant(lengths), seed=tf.constant([1, 2]))
    first, probs = found.trace.distances[:, 0].numpy(), found.trace.probs[0, 0].numpy()
    np.testing.assert_allclose(np.bincount(first)[1:] / 4000, probs, atol=0.03)
    np.testing.assert_allclose(
        found.trace.log_probs[:, 0], np.log(probs)[first - 1], rtol=1e-4, atol=1e-6
    )
    most = network(tf.constant(WORDS), tf.constant(LENGTHS), greedy=True)[1]
    assert np.array_equal(most.distances, most.probs.numpy().argmax(-1) + (most.mask > 0).numpy())


def test_compiled_it_is_the_same(network):
    inputs = tf.constant(WORDS), tf.constant(LENGTHS), EVERY[4:8]

    def read(words, lengths, choices):
        logits, (h, trace, values, n_read) = network.skim(words, lengths, choices=choices)
        return logits, h, trace.distances, trace.log_probs, values, n_read

    compiled = tf.function(read, jit_compile=True, autograph=False)
    for a, b in zip(compiled(*inputs), read(*inputs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("reward", ["log_likelihood", "sign"])
def test_the_gradient_is_that_of_the_expected_reward(network, reward, monkeypatch):
    """Exact over all nine pairs of choices, against 20,000 sampled ones, within 4 deviations."""
    monkeypatch.setattr(network, "config", config(f"--reward={reward}"))
    kernel, n = network.reader.policy.bias, 20_000
    words, labels = tf.constant(WORDS[:1]), tf.ones([n], tf.int32)

    def rewards(logits):
        log_p = tf.nn.log_softmax(logits)[:, 1]
        return log_p if reward == "log_likelihood" else tf.sign(logits[:, 1] - logits[:, 0])

    with tf.GradientTape() as tape:
        logits, found = network.skim(tf.tile(words, [9, 1]), tf.fill([9], 9), choices=EVERY)
        p = tf.exp(tf.reduce_sum(found.trace.log_probs, 1))
        # a text that was left has one choice: its other pairs are the same reading
        once = tf.constant([a != 1 or b == 1 for a, b in EVERY.numpy()])
        expected = tf.reduce_sum(tf.where(once, p * tf.stop_gradient(rewards(logits)), 0))
        total = tf.reduce_sum(tf.where(once, p, 0))
    exact = tape.gradient(expected, kernel)
    assert float(total) == pytest.approx(1, abs=1e-5)
    with tf.GradientTape() as tape:
        inputs = tf.tile(words, [n, 1]), tf.fill([n], 9)
        logits, (_, trace, values, _) = network.skim(*inputs, seed=tf.constant([3, 4]))
        terms = tf.stop_gradient(logits), trace, labels, tf.ones([n]), 0.0, {}, values
        loss, metrics = network.loss_terms(*terms)
    n_choices = tf.reduce_sum(trace.mask)
    mean = -tape.gradient(loss, kernel) * n_choices / n  # of a text, where the loss is of a choice
    chosen = tf.one_hot(trace.distances - 1, 3) - trace.probs
    gain = (rewards(logits)[:, None] - values) * trace.mask
    each = tf.reduce_sum(chosen * gain[..., None], 1).numpy()
    np.testing.assert_allclose(mean, each.mean(0), atol=1e-4)
    assert (np.abs(mean - exact) < 4 * each.std(0) / np.sqrt(n)).all()
    assert np.abs(exact).max() > 0.003


def test_the_loss_has_the_error_of_the_baseline(network):
    batch = {
        "words": tf.constant(WORDS),
        "lengths": tf.constant(LENGTHS),
        "labels": tf.constant([1, 0, 1, 1]),
        "weights": tf.constant([1.0, 1.0, 1.0, 0.0]),
    }
    seed = tf.constant([5, 6])
    with tf.GradientTape() as tape:
        loss, metrics, _ = network.training_loss(batch, (), seed, {})
    value = network.reader.value
    gradient = tape.gradient(loss, value.trainable_variables)[1]
    logits, found = network.skim(batch["words"], batch["lengths"], training=True, seed=seed)
    right = np.array([1, 0, 1, 1]) == logits.numpy().argmax(1)
    mask = found.trace.mask.numpy() * np.array([1, 1, 1, 0])[:, None]
    error = (found.values - (2.0 * right - 1)[:, None]).numpy()
    assert gradient[0].numpy() == pytest.approx(2 * (error * mask).sum() / mask.sum(), rel=1e-4)
    of_loss = float(loss) - float(metrics["task_loss"][0]) / 3 - float(metrics["agent_loss"][0]) / 3
    assert of_loss == pytest.approx((error**2 * mask).sum() / mask.sum(), rel=1e-3)
    metrics, _ = network.evaluation_metrics(batch, (), seed, True, 2)
    assert {"accuracy", "loss", "chain_loss", "share_read"} <= set(metrics)
    n_read, n_words = (float(a) for a in metrics["share_read"])
    assert 0 < n_read <= n_words == 2 * 14
    assert "distances" not in network.infer(batch, seed, True)


def test_what_the_layer_draws_and_reports_is_of_all_rounds(monkeypatch):
    """Random numbers of each round's own; the updates of Skip LSTM add up, as their price does."""
    seeds, counts, run = [], [], jump.run_layer

    def run_layer(layer, *inputs, **call):
        done = run(layer, *inputs, **call)
        seeds.append(tuple(call["seed"].numpy()))
        counts.append(layer.metrics_of_call["updates"])
        return done

    made = SentimentModel(config("--cell=skip_lstm", "--update_cost=0.5"), 12, 2)
    monkeypatch.setattr(jump, "run_layer", run_layer)
    names = "words", "lengths", "labels", "weights"
    batch = dict(
        zip(names, map(tf.constant, (WORDS, LENGTHS, LENGTHS % 2, [1.0] * 4)), strict=True)
    )
    loss, metrics, _ = made.training_loss(batch, (), tf.constant([5, 6]), {})
    assert len(seeds) == len(set(seeds)) == 3
    updates, n_read = (float(sum(a)) for a in zip(*counts, strict=True))
    assert [float(a) for a in metrics["updates"]] == [updates, n_read] and 0 < updates <= n_read
    found = made.skim(batch["words"], batch["lengths"], training=True, seed=tf.constant([5, 6]))[1]
    assert n_read == float(tf.reduce_sum(found.n_read))
    assert sum(map(float, made.recurrent.losses[-3:])) == pytest.approx(0.5 * updates / 4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--cell=dynamic_skip"], "--model jump has the only agent, got --cell dynamic_skip"),
        (["--model=whole"], "--jumps belongs to --model jump"),
        (["--pooling=attention"], "--pooling belongs to --model whole, the model here is jump"),
        (["--estimator=straight_through"], "--estimator belongs to --cell dynamic_skip"),
        (
            ["--cell=dynamic_skip", "--n_actions=1", "--estimator=reinmax"],
            "--estimator belongs to --model whole",
        ),
        (["--jumps=1"], "--jumps expects a value >= 2, got 1"),
    ],
)
def test_flags_that_do_not_go_together(arguments, message):
    with pytest.raises(InputError, match=message):
        config(*arguments)
    with pytest.raises(InputError, match="expects --model jump, got whole: give another") as error:
        parse(SentimentConfig, PRESETS, ["RL_train.py", "--baseline=learned"])
    assert "such as leave_one_out" in str(error.value)
    agent = ["RL_train.py", "--preset=jump", "--model=whole", "--cell=dynamic_skip"]
    with pytest.raises(InputError, match="give another --baseline"):
        parse(SentimentConfig, PRESETS, agent)
    assert parse(SentimentConfig, PRESETS, [*agent, "--baseline=leave_one_out"]).has_agent
    assert not parse(SentimentConfig, PRESETS, agent[:3]).has_agent  # the control without jumps
    assert config("--train_samples=3", "--baseline=leave_one_out").n_train_samples == 3
    assert config("--eval_samples=4").n_chains == 4
