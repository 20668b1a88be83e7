"""Contexts of the sentences before, against models of sentences and of the text: where gradients
go, what each can learn; coherence; CoNLL's stories.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import tiny_runs

from common.config import parse
from common.errors import InputError
from common.training.compiled_steps import Trainer
from LanguageModeling import experiment, reader
from LanguageModeling.corpora import conll, documents
from LanguageModeling.evaluate import EvaluateConfig, evaluate
from LanguageModeling.model import LanguageModel
from LanguageModeling.presets import PRESETS, LanguageConfig

V, END = 9, 0
TINY = "--preset=documents --rnn_size=5 --dropout=0 --notensorboard --nojit_compile"
# Two documents, of three sentences and of two.
FIRST = [[4, 2, 0], [3, 0], [5, 5, 6, 0]]
TEXT = np.array([0, 0, *sum(FIRST, []), 0, 1, 2, 0, 3, 4, 0], np.int32)


def config(*arguments: str) -> LanguageConfig:
    return parse(LanguageConfig, PRESETS, ["RL_train.py", *TINY.split(), *arguments])


def network(context: str, *arguments: str) -> LanguageModel:
    keras.utils.set_random_seed(0)
    model = LanguageModel(config(f"--context={context}", *arguments), V)
    random = np.random.default_rng(1)
    for weight in model.variables:
        weight.assign(random.normal(size=weight.shape))
    return model


def logits(model: LanguageModel, tokens: np.ndarray) -> np.ndarray:
    return model(tf.constant(tokens[None]), model.initial_state(1))[0][0].numpy()


def test_sentence_is_a_model_of_sentences_and_output_without_its_matrix_the_same():
    plain = "--rnn_layers=2", "--cell=rnn"
    model = network("sentence", *plain)
    found = logits(model, TEXT)
    starts = [*np.flatnonzero(TEXT == END), len(TEXT)]
    each = [logits(model, TEXT[a:b]) for a, b in zip(starts, starts[1:], strict=False)]
    np.testing.assert_allclose(found, np.concatenate(each), rtol=1e-4, atol=1e-5)
    for compile_ in ({}, {"jit_compile": True}):
        run = tf.function(
            lambda x: model(x, model.initial_state(1))[0], autograph=False, **compile_
        )
        np.testing.assert_allclose(run(tf.constant(TEXT[None]))[0], found, rtol=1e-4, atol=1e-5)
    output = network("output", *plain)
    for a, b in zip(output.recurrent[0].cell.cells, model.recurrent[0].cell.cells, strict=True):
        a.set_weights(b.get_weights())
    output.embedding.set_weights(model.embedding.get_weights())
    kernel, bias = model.softmax.get_weights()
    assert np.ptp(logits(output, TEXT) - found) > 0.1
    output.softmax.set_weights([np.concatenate([kernel, 0 * kernel]), bias])
    np.testing.assert_allclose(logits(output, TEXT), found, rtol=1e-4, atol=1e-5)


def test_stream_is_a_model_of_the_text():
    model = network("stream")
    word = LanguageModel(config("--model=word"), V)
    word.set_weights(model.get_weights())
    np.testing.assert_allclose(logits(model, TEXT), logits(word, TEXT), rtol=1e-4, atol=1e-5)


def context(model: LanguageModel, before: list[list[int]], sentence: list[int]) -> np.ndarray:
    """The last logits of a sentence behind others, all by `keras.layers.LSTM`'s own step."""
    cell = model.recurrent[0].cell
    kernel, bias = model.softmax.get_weights()
    embedding, kind = model.embedding.embeddings.numpy(), model.config.context
    memory = []
    for words in [*before, sentence]:
        h, state = np.zeros([1, 5]), [np.zeros([1, 5])] * 2
        for word in [0, *words[:-1]]:
            x, c = embedding[[word]], memory[-1] if memory else cell.first.numpy()[None]
            if kind == "attention" and memory:
                m = np.concatenate(memory[-2:])  # of --context_sentences
                scores = np.tanh(h @ cell.query + m @ cell.keys) @ cell.scores
                a = np.exp(scores - scores.max())
                c = ((a / a.sum()) * m).sum(0, keepdims=True)
            read = x if kind == "output" else np.concatenate([x, c], 1)
            h, state = cell.cells[0](tf.constant(read, tf.float32), state)
            out = np.concatenate([h, c], 1) if kind == "output" else h
            if kind == "attention":
                out = np.tanh(h + c @ cell.of_context + x @ cell.of_word)
        memory.append(np.array(h))
    return (out @ kernel + bias)[0]


@pytest.mark.parametrize("kind", ["input", "output", "attention"])
def test_contexts_by_hand(kind):
    model = network(kind, *["--context_sentences=2"] * (kind == "attention"))
    last = [7, 8, 3]  # the word 3 is not read
    places = {12: ([], [1, 2]), 16: ([[1, 2, 0]], [3, 4, 0]), 9: (FIRST[:2], FIRST[2])}
    found = logits(model, TEXT)
    for place, (before, sentence) in places.items():
        expected = context(model, before, sentence)
        np.testing.assert_allclose(found[place], expected, rtol=1e-4, atol=1e-4)
    tokens = np.array([0, *sum(FIRST, []), *last[:2]], np.int32)
    expected = context(model, FIRST, last)
    np.testing.assert_allclose(logits(model, tokens)[-1], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "kind, reaches", [("sentence", False), ("output", False), ("input", True), ("attention", True)]
)
def test_where_the_gradient_of_the_third_sentence_goes(kind, reaches):
    """Through the second one to the first only where the context enters the recurrence."""
    model = network(kind)
    with tf.GradientTape() as tape:
        found = model(tf.constant(TEXT[None, 2:11]), model.initial_state(1))[0]
        value = tf.reduce_sum(found[0, 5:] ** 2)
    slopes = tape.gradient(value, model.embedding.embeddings.value)
    slopes = tf.convert_to_tensor(slopes).numpy()
    assert (np.abs(slopes[4]).max() > 1e-6) == reaches  # the word of the first sentence alone
    assert np.abs(slopes[5]).max() > 1e-6


def test_a_word_of_one_sentence_decides_that_of_the_next():
    """`output` learns it; a model of sentences cannot do better than chance."""
    words = tf.constant([[0, a, 0, a + 4] for a in range(1, 5)])

    def surprise(model: LanguageModel) -> float:
        log_p = tf.nn.log_softmax(model(words[:, :-1], model.initial_state(4))[0][:, -1])
        return float(-tf.reduce_mean(tf.gather(log_p, words[:, -1], batch_dims=1)))

    assert surprise(network("sentence")) > np.log(4) - 1e-5
    model = network("output")
    trainer = Trainer(model, keras.optimizers.Adam(), jit_compile=False, steps_per_call=80)
    batch = {"words": words[:, :-1], "targets": words[:, 1:]}
    batches = {name: np.repeat(a[None], 80, 0) for name, a in batch.items()}
    trainer.train(batches, model.initial_state(4), 0, {"learning_rate": 0.05})
    assert surprise(model) < 0.7


def test_documents_of_a_text():
    second = [[1, 2, 0], [3, 4, 0]]
    found = documents.split(TEXT, END)
    assert [[s.tolist() for s in one] for one in found] == [FIRST, second]
    assert documents.split(np.array([0, 0], np.int32), END) == []


def test_log_likelihoods_and_coherence():
    model = network("input")
    trainer = Trainer(model, jit_compile=False)
    texts = [np.concatenate([*map(np.array, FIRST)]).astype(np.int32), TEXT[12:18]]
    expected = []
    for text in texts:
        log_p = tf.nn.log_softmax(
            logits(model, np.concatenate([[END], text[:-1]]).astype(np.int32))
        )
        expected.append(log_p.numpy()[np.arange(len(text)), text].sum())
    found = documents.log_likelihoods(trainer, texts, END)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    found = documents.pairs(TEXT, END)
    share = documents.coherence(trainer, found, END)
    assert share in (0.0, 0.5, 1.0)
    without = Trainer(network("sentence"), jit_compile=False)
    assert documents.coherence(without, found, END) == 0.5
    # with the order of the text itself as the more probable one
    old = documents.log_likelihoods
    try:
        documents.log_likelihoods = lambda t, texts, end: np.array(
            [-1.0 if "4 2 0 3 0 5 5 6 0" in str(x)[1:-1] else -2.0 for x in texts]
        )
        assert documents.coherence(trainer, found, END) == 0.75  # the second: both -2, even
    finally:
        documents.log_likelihoods = old
    assert documents.pairs(np.array([1, 2, 0], np.int32), END) == []


STORY = "-DOCSTART- -X- O O\n\nAnna NNP B-NP I-PER\nleft VBD B-VP O\n\n"
STORY += "She PRP B-NP O\n1996 CD B-NP O\n\n"


def test_a_run_on_stories(tmp_path):
    for name in conll.FILES.values():
        (tmp_path / name).write_text(STORY * 3)
    assert conll.documents(tmp_path / "eng.train") == ["anna left", "she 0000", ""] * 2 + [
        "anna left",
        "she 0000",
    ]
    assert reader.load(str(tmp_path)).name == "conll2003"
    flags = ["--preset=documents", "--cell=lstm", "--min_count=1", f"--data_dir={tmp_path}"]
    run = tiny_runs.make("LanguageModeling", tmp_path / "run", tmp_path, *flags)
    found = evaluate(EvaluateConfig(run_dir=str(run)))
    assert found["test_perplexity"] > 1 and 0 <= found["test_coherence"] <= 1
    (tmp_path / "own.txt").write_text("anna left\n")  # nothing to put into another order
    text = evaluate(EvaluateConfig(run_dir=str(run), text=str(tmp_path / "own.txt")))
    assert {*text} & {"text_coherence", "test_coherence"} == set() and min(text.values()) > 1
    (tmp_path / conll.FILES["test"]).write_text(STORY.split("She")[0])
    with pytest.raises(InputError, match="conll2003, test: expected documents of several sent"):
        tiny_runs.make("LanguageModeling", tmp_path / "other", tmp_path, *flags)
    (tmp_path / "eng.train").write_text("-DOCSTART- -X- O O\n\n")
    with pytest.raises(InputError, match="expected sentences, found none"):
        reader.load(str(tmp_path))


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--cell=dynamic_skip", "--model document expects --cell lstm, gru or rnn: add that"),
        ("--topics=3", "--model document expects --topics 0"),
        ("--zoneout=0.1,0.1", "--model document expects --zoneout 0,0"),
        ("--model=word --context=input", "--context belongs to --model document"),
    ],
)
def test_flags_that_do_not_go_together(flags, said):
    with pytest.raises(InputError, match=said):
        config(*flags.split())


def test_a_text_without_documents_is_refused_before_training(tmp_path):
    for split in reader.SPLITS:
        (tmp_path / f"{split}.txt").write_text("a b\n\nb a\n\n" * 20)
    with pytest.raises(InputError, match="expected documents of several sentences"):
        experiment.build(config(f"--data_dir={tmp_path}", "--num_unroll_steps=2"))


def test_the_help_of_a_context_shows_what_it_reads(capsys):
    for context, shown in (("attention", True), ("sentence", False)):
        with pytest.raises(SystemExit):
            parse(
                LanguageConfig,
                PRESETS,
                ["RL_train.py", "--preset=documents", f"--context={context}", "--help"],
            )
        assert ("--context_sentences" in capsys.readouterr().out) == shown
