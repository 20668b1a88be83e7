"""parts/suffixes.py: suffixes against a search by hand, a softmax each, bigrams."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import tiny_runs

from common.config import parse
from common.data.text import Vocabulary
from common.errors import InputError
from LanguageModeling import experiment, reader
from LanguageModeling.evaluate import EvaluateConfig, evaluate
from LanguageModeling.generate import GenerateConfig, generate
from LanguageModeling.parts import suffixes
from LanguageModeling.parts.suffix_model import SuffixModel
from LanguageModeling.presets import PRESETS, LanguageConfig

V = 4
TEXT = np.random.default_rng(0).choice(V, 400, p=[0.5, 0.3, 0.15, 0.05]).astype(np.int32)


def config(*arguments: str) -> LanguageConfig:
    flags = "--preset=suffix --rnn_size=3 --nojit_compile --notensorboard".split()
    return parse(LanguageConfig, PRESETS, ["RL_train.py", *flags, *arguments])


def network(found: list, *arguments: str) -> SuffixModel:
    keras.utils.set_random_seed(0)
    model = SuffixModel(config(*arguments), V, table=suffixes.transitions(found, V))
    for weight in model.trainable_variables:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return model


def by_hand(text: list[int], length: int, count: int) -> list[tuple[int, ...]]:
    """The longest frequent suffix at each word of a text, the frequent ones counted in TEXT."""
    counts = collections.Counter(
        tuple(TEXT[i : i + n].tolist()) for n in range(2, length + 1) for i in range(401 - n)
    )
    found = []
    for t in range(1, len(text) + 1):
        ends = [tuple(text[t - n : t]) for n in range(min(length, t), 0, -1)]
        found.append(next(end for end in ends if len(end) == 1 or counts[end] > count))
    return found


def test_suffixes_by_hand():
    found = suffixes.find(TEXT, V, 4, 9)
    assert [len(one) for one in found] == sorted(len(one) for one in found)
    assert len({*found}) == len(found) > V + 5 and max(map(len, found)) == 4
    assert suffixes.find(TEXT, V, 1, 0) == [(0,), (1,), (2,), (3,)]
    assert suffixes.decoded(suffixes.encoder(found)) == found
    layer = suffixes.SuffixSoftmax(suffixes.transitions(found, V), "zeros")
    text = [*TEXT[50:75].tolist(), 3, 3, 0]  # also what TEXT may not have
    words = tf.constant([text, text[::-1]])
    s, last = layer.states(words[:, :9], layer.initial_state(2))
    s = tf.concat([s, layer.states(words[:, 9:], last)[0]], 1).numpy()
    for row, line in zip(s, (text, text[::-1]), strict=True):
        assert [found[i] for i in row] == by_hand(line, 4, 9)


def test_each_suffix_has_a_softmax_of_its_own():
    found = suffixes.find(TEXT, V, 3, 9)
    model, words = network(found), TEXT[:12]
    kernel, h = model.softmax.kernel.numpy(), None
    cell, state, expected = model.recurrent[0].cell, [tf.zeros([1, 3])], []
    for word, suffix in zip(words, by_hand(words.tolist(), 3, 9), strict=True):
        h, state = cell(model.embedding(tf.constant([word])), state)
        expected.append(kernel[found.index(suffix)] @ h[0].numpy())

    def logits(words: tf.Tensor) -> tf.Tensor:
        first, state, _ = model(words[:, :5], model.initial_state(1))
        return tf.concat([first, model(words[:, 5:], state)[0]], 1)[0]

    for run in (
        logits,
        tf.function(logits, autograph=False),
        tf.function(logits, autograph=False, jit_compile=True),
    ):
        np.testing.assert_allclose(run(tf.constant(words[None])), expected, rtol=1e-4, atol=1e-5)


def test_with_words_alone_and_a_constant_state_it_is_the_table_of_bigrams():
    """Of which the optimum is the counts: the loss is their conditional entropy, its slope zero."""
    model = network(suffixes.find(TEXT, V, 1, 0))
    cell = model.recurrent[0].cell
    for weight in cell.trainable_variables:  # h = sigmoid(50) = 1
        weight.assign(tf.fill(weight.shape, 50.0 if "bias" in weight.path else 0.0))
    counts = np.zeros((V, V))
    np.add.at(counts, (TEXT[:-1], TEXT[1:]), 1)
    p = counts / counts.sum(1, keepdims=True)
    model.softmax.kernel.assign(np.repeat(np.log(p)[:, :, None] / 3, 3, 2))
    batch = {"words": tf.constant(TEXT[None, :-1]), "targets": tf.constant(TEXT[None, 1:])}
    with tf.GradientTape() as tape:
        _, metrics, _ = model.training_loss(
            batch, model.initial_state(1), tf.zeros(2, tf.int32), {}
        )
        loss = metrics["task_loss"][0]
    entropy = -np.sum(counts * np.log(p)) / counts.sum()
    np.testing.assert_allclose(loss, entropy, rtol=1e-5)
    slope = tf.convert_to_tensor(tape.gradient(loss, model.softmax.kernel.value))
    assert np.abs(slope).max() < 1e-6


def test_a_run(tmp_path, capsys):
    data = tiny_runs.write_texts(tmp_path)
    flags = "--preset=suffix --cell=rnn --suffix_length=3 --suffix_count=20".split()
    run = str(tiny_runs.make("LanguageModeling", tmp_path / "run", data, *flags))
    found = evaluate(EvaluateConfig(run_dir=run))
    assert found["test_perplexity"] > 1
    words = generate(GenerateConfig(run_dir=run, prompt="the ", n_words=5))[0]
    assert len(words) == 10 and "suffixes: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--tied_embeddings", "--output suffix and --tied_embeddings do not go together"),
        ("--mixed_precision", "--output suffix and --mixed_precision do not go together"),
        ("--output=plain --suffix_length=3", "--suffix_length belongs to --output suffix"),
    ],
)
def test_flags_that_do_not_go_together(flags, said):
    with pytest.raises(InputError, match=said):
        config(*flags.split())


def test_matrices_that_no_machine_holds_are_refused():
    text = np.arange(30_000, dtype=np.int32)
    words = Vocabulary(tuple(map(str, text)))
    corpus = reader.Corpus("words", text, text, text, words)
    with pytest.raises(InputError, match="30,000 suffixes, a softmax over 30,000 words for each"):
        experiment.find_suffixes(config(), corpus)
