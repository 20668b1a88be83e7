"""`--model mixed`: words of characters by hand, both levels step by step, no leak, the reward."""

import types
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import tiny_runs
from helpers.marks import LONG

from common import objective
from common.config import parse
from common.data.text import EOS, UNKNOWN, Vocabulary, words_of
from common.errors import InputError
from experiments import connections
from LanguageModeling import experiment
from LanguageModeling import generate as script
from LanguageModeling.evaluate import EvaluateConfig, evaluate
from LanguageModeling.experiment import make_model
from LanguageModeling.generate import GenerateConfig, at_words
from LanguageModeling.model import LanguageModel
from LanguageModeling.parts import word_tree
from LanguageModeling.parts.mixed_model import MixedModel
from LanguageModeling.presets import PRESETS, LanguageConfig

CHARACTERS = Vocabulary((EOS, UNKNOWN, " ", "a", "b", "c"))
WORDS = Vocabulary((UNKNOWN, "a", "ab", "bca"))
V = len(CHARACTERS)
TEXT = CHARACTERS.encode([EOS, *"ab a  bca", EOS, EOS, *" c ab", EOS, *"bc a", UNKNOWN, *" ab bca"])
N_WORDS = 8  # that end in it
FIRST = 7  # characters of a first window, whose last word goes on in the second
SEED = tf.zeros(2, tf.int32)


def config(*arguments: str) -> LanguageConfig:
    flags = "--preset=mixed --rnn_size=4 --nojit_compile --notensorboard".split()
    return parse(LanguageConfig, PRESETS, ["RL_train.py", *flags, *arguments])


def network(*arguments: str) -> MixedModel:
    keras.utils.set_random_seed(0)
    model = make_model(config("--char_rnn_size=3", *arguments), CHARACTERS, WORDS)
    for weight in model.trainable_variables:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return model


def read(
    model: MixedModel, characters: tf.Tensor, first: int = FIRST
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Logits [B, T, V], h^w [B, T, H] and log p of words, in two windows; in one for a 0."""
    found, state = [], model.initial_state(characters.shape[0])
    for window in (characters[:, :first], characters[:, first:]):
        if window.shape[1]:
            h, state, words = model.levels(window, state, SEED)
            found.append((model.logits(h), words.h, words.log_p))
    return tuple(tf.concat(parts, 1) for parts in zip(*found, strict=True))


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, -1, keepdims=True)


def lstm(layer: keras.layers.Layer, x: np.ndarray, state: list) -> list:
    """h and c after a step."""
    weights = layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias
    kernel, recurrent_kernel, bias = (w.numpy() for w in weights)
    z = x @ kernel + state[0] @ recurrent_kernel + bias
    i, f, g, o = np.split(z, 4)
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    c = f * state[1] + i * np.tanh(g)
    return [o * np.tanh(c), c]


def by_hand(model: MixedModel, text: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """What `read` returns, of one text: one character after the other, words cut out of strings."""
    level, layer = model.recurrent
    kernel, bias = model.softmax.get_weights()
    word_kernel, word_bias = level.softmax.get_weights()
    vectors, (word_vectors,) = model.embedding.get_weights()[0], level.embedding.get_weights()
    words, state = [np.zeros(4)] * 2, [np.zeros(3)] * 2
    logits, states, log_p, word = [], [], [], ""
    for i in text:
        letter = CHARACTERS.words[i]
        if letter not in (EOS, " "):
            word += letter
        elif word:
            name = WORDS.ids.get(word, 0)
            log_p.append(log_softmax(words[0] @ word_kernel + word_bias)[name])
            words, word = lstm(level.recurrent[0], word_vectors[name], words), ""
        state = lstm(layer, np.concatenate([vectors[i], words[0]]), state)
        logits.append(state[0] @ kernel + bias)
        states.append(words[0])
    return np.array(logits), np.array(states), log_p


def test_words_of_a_text():
    """The tree of the words against cutting strings, from window to window."""
    random = np.random.default_rng(0)
    letters = Vocabulary((EOS, " ", UNKNOWN, *"abc"))
    p = [0.05, 0.25, 0.02, 0.33, 0.25, 0.1]
    text = np.append(random.choice(6, 400, p=p), [3, 0]).astype(np.int32)
    words = words_of(word_tree.as_text(text, letters))
    known = word_tree.find(text, letters, 12)
    assert len(known) == 13 and known.words[0] == UNKNOWN and "\ufffd" not in known
    tree = word_tree.tree_of(known, letters)
    place, found = 0, []
    for i in text:
        if tree.after[place, i] == 0 != place:
            found.append(tree.words[place])
        place = tree.after[place, i]
    assert found == known.encode(words).tolist() and 0 in found
    with pytest.raises(InputError, match="give a larger --min_count or a smaller --frequent_words"):
        word_tree.tree_of(
            Vocabulary((UNKNOWN, "a" * 3000)), Vocabulary(("a", *map(str, range(10**5))))
        )


@pytest.fixture(scope="module")
def readings() -> tuple[MixedModel, np.ndarray, list[tuple], Callable]:
    """A network; TEXT, it backwards, and with another character at each place; what it reads.

    In eager mode, in a graph and by XLA. And the graph, to read with other weights.
    """
    model, rows = network(), np.repeat(TEXT[None], len(TEXT), 0)
    np.fill_diagonal(rows, CHARACTERS.encode([*" c"] * len(TEXT))[: len(TEXT)])
    rows = np.concatenate([TEXT[None], TEXT[None, ::-1], rows])
    graph, xla = (tf.function(read, autograph=False, jit_compile=xla) for xla in (False, True))
    found = [
        run(model, tf.constant(rows), first) for run, first in ((read, FIRST), (graph, 0), (xla, 0))
    ]
    return model, rows, [tuple(a.numpy() for a in one) for one in found], graph


@LONG
def test_both_levels_step_by_step(readings):
    """And with Q = 0 two models that do not meet."""
    model, rows, found, graph = readings
    level, layer = model.recurrent
    batch = tf.constant(rows[:2])
    expected = [by_hand(model, text) for text in rows[:2]]
    for logits, states, log_p in found:
        for row, (of_characters, of_words, of_word) in enumerate(expected):
            np.testing.assert_allclose(logits[row], of_characters, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(states[row], of_words, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(log_p[row][log_p[row] != 0], of_word, rtol=1e-4)
    words, distances = at_words(model, TEXT, np.arange(len(TEXT)), CHARACTERS)
    assert words == ["ab", "a", "bca", "c", "ab", "bc", "a\ufffd", "ab"]
    states = found[0][1]
    changes = np.flatnonzero(np.abs(np.diff(states[0], axis=0)).max(1) > 0) + 1
    np.testing.assert_array_equal(changes, distances)  # constant to the last bit within a word

    words = LanguageModel(config("--model=word"), len(WORDS))
    words.set_weights(
        [
            *level.embedding.get_weights(),
            *level.recurrent[0].get_weights(),
            *level.softmax.get_weights(),
        ]
    )
    ids = WORDS.encode(words_of(word_tree.as_text(TEXT, CHARACTERS)))[:N_WORDS]
    after = log_softmax(words(tf.constant(ids[None]), words.initial_state(1))[0][0].numpy())
    np.testing.assert_allclose(
        expected[0][2][1:], after[np.arange(N_WORDS - 1), ids[1:]], rtol=1e-4
    )

    before = layer.get_weights()
    kernel, *rest = before
    layer.set_weights([np.concatenate([kernel[:3], 0 * kernel[3:]]), *rest])
    plain = LanguageModel(config("--model=word", "--rnn_size=3"), V)
    plain.set_weights(
        [*model.embedding.get_weights(), kernel[:3], *rest, *model.softmax.get_weights()]
    )
    logits = plain(batch, plain.initial_state(2))[0]
    assert np.abs(logits - np.stack([of[0] for of in expected])).max() > 0.1
    again = graph(model, tf.constant(rows), 0)[0][:2]
    np.testing.assert_allclose(again, logits, rtol=1e-4, atol=1e-5)
    layer.set_weights(before)


def test_no_character_is_known_before_it_is_read(readings):
    """With another character at t the logits and the words' state differ from t on alone."""
    _, (text, _, *rows), found, _ = readings
    for logits, states, _ in found:
        for t, row in enumerate(rows):
            for a in (logits, states):
                np.testing.assert_allclose(a[t + 2, :t], a[0, :t], rtol=1e-5, atol=1e-6)
            same = np.allclose(logits[t + 2, t], logits[0, t], atol=1e-4)
            assert (row[t] == text[t]) == same


def test_the_loss_is_half_of_each_and_the_agent_has_what_follows_its_word(monkeypatch):
    """With lamda 0, where the connections say nothing, it is that of a network without."""
    model = network(
        "--cell=dynamic_skip", "--n_actions=2", "--agent_units=2", "--lamda=0", "--baseline=none"
    )
    logits, _, of_words = by_hand(model, TEXT[:-1])
    of_characters = log_softmax(logits)[np.arange(len(TEXT) - 1), TEXT[1:]]
    batch = {"words": tf.constant(TEXT[None, :-1]), "targets": tf.constant(TEXT[None, 1:])}
    made, agent = [], objective.Agent
    monkeypatch.setattr(objective, "Agent", lambda *a: made.append(agent(*a)) or made[-1])
    with tf.GradientTape() as tape:
        found = model.training_loss(batch, model.initial_state(1), SEED, {})[1]
        value = found["task_loss"][0] * (len(TEXT) - 1)
    expected = -0.5 * (sum(of_characters) + sum(of_words))
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    ends = model.word_ends(TEXT[:-1])
    following = [sum(part) for part in np.split(of_characters, ends)[1:]]
    reward = 0.5 * (np.array(following) + [*of_words[1:], 0])
    trace = made[0].trace
    assert trace.mask.numpy()[0].tolist() == [1] * N_WORDS + [0] * (trace.mask.shape[1] - N_WORDS)
    np.testing.assert_allclose(made[0].reward[0, :N_WORDS], reward, rtol=1e-4)
    slopes = tape.gradient(value, model.recurrent[0].embedding.embeddings.value)
    assert (np.abs(tf.convert_to_tensor(slopes)).max(1) > 0).all()
    weights = tf.constant([[1.0] * 12 + [0.0] * (len(TEXT) - 13)])
    metrics = model.evaluation_metrics(
        batch | {"weights": weights}, model.initial_state(1), SEED, True
    )[0]
    np.testing.assert_allclose(metrics["loss"], [-sum(of_characters[:12]), 12], rtol=1e-4)
    n = int(np.sum(ends < 12))
    np.testing.assert_allclose(metrics["word_loss"], [-sum(of_words[:n]), n], rtol=1e-4)


def test_a_run(tmp_path, capsys, monkeypatch):
    data, run = tiny_runs.write_texts(tmp_path), str(tmp_path / "run")
    flags = "--preset=mixed --cell=lstm --frequent_words=4 --char_rnn_size=3".split()
    tiny_runs.make("LanguageModeling", tmp_path / "run", data, *flags)
    loaded = experiment.load(run)
    monkeypatch.setattr(experiment, "load", lambda *_, **__: loaded)
    assert "words: 5, <unk> among them" in capsys.readouterr().out
    found = evaluate(EvaluateConfig(run_dir=run))
    assert found["test_bits"] == np.log2(found["test_perplexity"]) > 0
    assert 1 < found["test_word_perplexity"] < 100
    capsys.readouterr()
    found = script.generate(GenerateConfig(run_dir=run, prompt="the ", n_words=5))[0]
    assert len(found) == 10 and found[:5] == [EOS, *"the "]
    for text in ("the cat ", "the"):  # as if it had an agent
        ids = loaded.encoder.encode([EOS, *text])
        continued = ids, np.ones(len(ids), int)
        monkeypatch.setattr(script, "continue_text", lambda *_, made=continued: made)
        if text == "the":
            with pytest.raises(InputError, match="--picture expects a text in which a word ends"):
                script.generate(GenerateConfig(run_dir=run, picture=str(tmp_path / "x")))
        else:
            assert script.generate(GenerateConfig(run_dir=run))[0] == ["the", "cat"]
    assert "cat  <- 1  the" in capsys.readouterr().out
    with pytest.raises(InputError, match="chooses at words, its tokens are characters"):
        connections.load(run)


def test_connections_of_continued_text_are_those_of_its_words_in_a_window_too():
    flags = "--cell=dynamic_skip --n_actions=3 --agent_units=2 --lamda=1 --history=window".split()
    model = network(*flags)
    start = CHARACTERS.encode([EOS, *"ab a bca ab "])
    ids, distances = script.continue_text(model, start, 6, 1.0, 5)
    words, found = at_words(model, ids, distances, CHARACTERS)
    whole = tf.constant(ids[None], tf.int32)
    trace = model(whole, model.initial_state(1), seed=tf.constant([5, 0]))[2]
    assert len(found) >= 4 and len(found) <= len(words) + 1 and (found > 1).any()
    np.testing.assert_array_equal(found, trace.distances[0, : len(found)])


def test_a_text_without_a_whole_word_has_no_perplexity_of_words(monkeypatch):
    trainer = types.SimpleNamespace(model=types.SimpleNamespace(config=config()))
    for of_words in (1.0, 3.0):  # 1 is that of no word at all
        values = {"loss": 2.0, "word_loss": of_words}
        monkeypatch.setattr(
            experiment, "perplexity", lambda *_, of="loss", values=values, **__: values[of]
        )
        found = experiment.evaluate(trainer, TEXT, "test")
        assert found["test_bits"] == 1 and ("test_word_perplexity" in found) == (of_words > 1)


def test_it_is_made_on_several_devices():
    """Where a variable is one on each; trained there: test_replicas.py."""
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert network("--cell=rnn").weights


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--tokens=words", "--model mixed expects --tokens characters: add that"),
        ("--condition=label", "--model mixed expects --condition none"),
        ("--output=suffix", "--model mixed expects --output plain"),
        ("--model=word --frequent_words=9", "--frequent_words belongs to --model mixed"),
    ],
)
def test_flags_that_do_not_go_together(flags, said):
    with pytest.raises(InputError, match=said):
        config(*flags.split())
