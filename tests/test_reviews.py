"""Texts with classes: reviews read, the class beside every word, Bayes' rule, generation."""

import functools
import io
import tarfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import tiny_runs
from helpers.marks import LONG

from common.config import parse
from common.data.text import Vocabulary
from common.errors import InputError
from common.training.compiled_steps import Trainer
from LanguageModeling import experiment, reader
from LanguageModeling.corpora import classifier, documents, reviews
from LanguageModeling.corpora.reviews import Condition
from LanguageModeling.evaluate import EvaluateConfig, evaluate
from LanguageModeling.generate import GenerateConfig, generate
from LanguageModeling.model import LanguageModel
from LanguageModeling.presets import PRESETS, LanguageConfig
from LanguageModeling.vae import experiment as vae_experiment

TINY = "--preset=reviews --rnn_layers=1 --rnn_size=5 --notensorboard --nojit_compile --min_count=1"


def config(*arguments: str) -> LanguageConfig:
    return parse(LanguageConfig, PRESETS, ["RL_train.py", *TINY.split(), *arguments])


def network(condition: str, n_words: int = 6) -> LanguageModel:
    keras.utils.set_random_seed(0)
    n_classes = len(reviews.CLASSES.get(condition, ()))
    model = LanguageModel(config(f"--condition={condition}"), n_words, end=0, n_classes=n_classes)
    random = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(random.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module")
def imdb(tmp_path_factory):
    """A folder with an archive of twenty reviews of each class."""
    folder = tmp_path_factory.mktemp("imdb")
    with tarfile.open(folder / "aclImdb_v1.tar.gz", "w:gz") as archive:
        for part in ("train", "test"):
            for sign, rating, word in (("neg", 2, "Bad"), ("pos", 9, "Good")):
                for i in range(20):
                    data = f"{word} film.<br /><br />No. {i % 3}".encode()
                    member = tarfile.TarInfo(f"aclImdb/{part}/{sign}/{i}_{rating}.txt")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    return folder


def test_imdbs_reviews(imdb, tmp_path):
    found = reviews.load(str(imdb), Condition("rating", 20))
    assert [len(one.lines) for one in found.values()] == [20, 2, 2]
    names = {("Bad", 1), ("Good", 6)}  # ratings 2 and 9
    for one in found.values():
        pairs = {(line.split()[0], c) for line, c in zip(one.lines, one.classes, strict=True)}
        assert pairs == names and all(" film. No. " in line for line in one.lines)
    labels = reviews.load(str(imdb), Condition("label", 20))["train"]
    np.testing.assert_array_equal(labels.classes, found["train"].classes == 6)
    whole = reviews.load(str(imdb), Condition("label"))  # a tenth of the 40 in train is for valid
    assert [len(one.lines) for one in whole.values()] == [36, 2, 40]
    with pytest.raises(InputError, match="--condition rating expects --data_dir"):
        reviews.load("", Condition("rating"))
    with pytest.raises(InputError, match="expects aclImdb_v1.tar.gz or the folder aclImdb"):
        reviews.load(str(imdb.parent), Condition("label"))
    (tmp_path / "train" / "pos").mkdir(parents=True)
    with pytest.raises(InputError, match="expected at least 2 reviews in train/neg, found 0"):
        reviews.load(str(tmp_path), Condition())
    with pytest.raises(InputError, match=r"3_5.txt: expected NUMBER_RATING.txt"):
        reviews._class_of("pos", "3_5.txt", "rating")


def test_a_word_is_read_with_the_class_of_the_next(imdb):
    corpus = reader.load(str(imdb), "characters", 1, Condition("label", 20))
    ids, classes = corpus.valid.T
    ends = np.flatnonzero(ids == corpus.vocabulary.ids["<eos>"])
    assert len(ends) == 2 and set(classes) == {0, 1} and np.ptp(classes[: ends[0] + 1]) == 0
    words, targets, _ = reviews.with_classes(reader.padded_streams, corpus.valid, 1, 10)
    n = len(ids) - 1
    np.testing.assert_array_equal(words.reshape(-1, 2)[:n, 0], ids[:-1])
    np.testing.assert_array_equal(words.reshape(-1, 2)[:n, 1], classes[1:])
    np.testing.assert_array_equal(targets.ravel()[:n], ids[1:])


def test_the_classifier_is_bayes_on_a_corpus_of_two_classes():
    """Words drawn with probabilities of their class, which the network's softmax has exactly."""
    model = network("label", n_words=4)
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.4, 0.3, 0.2]])
    for weight in model.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    # h_0 = .. tanh(+-1) .. by the class alone: the gates of input and output open
    cell = model.recurrent[0].cell
    kernel, bias = cell.kernel.numpy(), cell.bias.numpy()
    kernel[5:, 10], bias[:5], bias[5:10], bias[15:] = [-9, 9], 50, -50, 50  # i, f, g, o
    cell.kernel.assign(kernel), cell.bias.assign(bias)
    h = np.tanh(np.tanh(9.0))
    slope = (np.log(p[1]) - np.log(p[0])) / 2 / h
    model.softmax.kernel.assign(np.concatenate([slope[None], np.zeros([4, 4])]))
    model.softmax.bias.assign((np.log(p[0]) + np.log(p[1])) / 2)
    random = np.random.default_rng(0)
    classes = random.integers(0, 2, 12)
    texts = [np.append(random.choice([1, 2, 3], 5), 0).astype(np.int32) for _ in classes]
    prior = np.log([0.3, 0.7])
    joint = np.array([[np.log(p[c][t]).sum() + prior[c] for c in (0, 1)] for t in texts])
    expected = joint - np.logaddexp.reduce(joint, 1, keepdims=True)
    trainer = Trainer(model, jit_compile=False)
    found = classifier.log_posteriors(trainer, texts, prior)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    tokens = np.concatenate(
        [np.stack([t, np.full_like(t, c)], 1) for t, c in zip(texts, classes, strict=True)]
    )
    even = joint - prior
    right = np.mean((even[:, 1] > even[:, 0]) == classes)
    assert classifier.accuracies(trainer, tokens, "label") == {"accuracy": right}


@LONG
def test_a_run_begins_with_the_weights_of_one_without_classes(imdb, tmp_path, capsys, monkeypatch):
    """And as that one, whatever the class; evaluation and generation."""
    once = functools.cache(experiment.load)
    monkeypatch.setattr(experiment, "load", lambda run, *_, **__: once(run))
    flags = ["--preset=reviews", "--max_documents=20", "--min_count=1", f"--data_dir={imdb}"]
    flags += ["--cell=lstm", "--param_init=1"]
    made = {}
    for condition, more in (("none", []), ("rating", [f"--load_model={tmp_path / 'none'}"])):
        arguments = *flags, f"--condition={condition}", *more
        tiny_runs.make("LanguageModeling", tmp_path / condition, imdb, *arguments)
        made[condition] = experiment.load(str(tmp_path / condition)).model
    model, words = made["rating"], np.tile(np.arange(8, dtype=np.int32), [2, 1])
    state = model.initial_state(2)
    expected = made["none"](tf.constant(words), state)[0]
    given = np.stack([words, np.repeat([[0], [7]], 8, 1)], -1).astype(np.int32)

    def found(given: tf.Tensor) -> tf.Tensor:
        return model(given, state)[0]

    for run in (
        found,
        tf.function(found, autograph=False),
        tf.function(found, autograph=False, jit_compile=True),
    ):
        np.testing.assert_allclose(run(tf.constant(given)), expected, rtol=1e-5, atol=1e-6)
    path, vocabulary = str(tmp_path / "rating"), Vocabulary(("a", "b"))
    for other in (network("label"), made["none"]):
        with pytest.raises(InputError, match="of another model"):
            experiment.load_weights(other, path)
    with pytest.raises(InputError, match="other ones than the 2 here"):
        experiment.load_weights(model, str(tmp_path / "none"), vocabulary)
    run = path
    found = evaluate(EvaluateConfig(run_dir=run))
    assert 0 <= found["test_rating_accuracy"] <= found["test_accuracy"] <= 1
    assert found["test_perplexity"] > 1
    with pytest.raises(InputError, match="--text has no classes"):
        evaluate(EvaluateConfig(run_dir=run, text="x.txt"))
    capsys.readouterr()
    words = generate(GenerateConfig(run_dir=run, rating="9", n_words=9))[0]
    assert "".join(words[1:]).replace("<eos>", "\n") in capsys.readouterr().out
    with pytest.raises(InputError, match="--rating expects one of 1, 2, 3, 4, 7, 8, 9, 10; got ''"):
        generate(GenerateConfig(run_dir=run))


def test_reviews_without_classes_and_as_documents_of_sentences(imdb, tmp_path):
    flags = parse(LanguageConfig, PRESETS, ["x", "--preset=documents", "--max_documents=20"])
    condition = Condition.of(flags)
    assert condition == Condition("none", 20, sentences=True)
    corpus = reader.load(str(imdb), condition=condition)
    end = corpus.vocabulary.ids["<eos>"]
    found = documents.split(corpus.train, end)
    texts = [" ".join(corpus.vocabulary.decode(np.concatenate(one))) for one in found]
    assert len(texts) == 20 and len(documents.pairs(corpus.valid, end)) == 2
    kinds = [text[:-8] for text in texts]
    assert {*kinds} == {f"{word} film . <eos> no . <eos>" for word in ("good", "bad")}
    plain = reader.load(str(imdb), "characters", condition=Condition("none", 20))
    given = reader.load(str(imdb), "characters", condition=Condition("rating", 20))
    np.testing.assert_array_equal(plain.train, given.train[:, 0])
    assert plain.vocabulary == given.vocabulary
    split = reader.load_split(str(imdb), "test", corpus.vocabulary, condition=condition)
    np.testing.assert_array_equal(split, corpus.test)
    (tmp_path / "train.txt").write_text("a\n")
    for name in ("valid", "test"):
        (tmp_path / f"{name}.txt").write_text("a\n")
    with pytest.raises(InputError, match="--max_documents 20 is a number of reviews, found none"):
        reader.load(str(tmp_path), condition=condition)


def test_sentences_of_reviews_for_a_vae(imdb):
    """An empty line between reviews is no sentence, in any text."""
    corpus = reader.load(str(imdb), condition=reviews.SENTENCES)
    end = corpus.vocabulary.ids["<eos>"]
    found = vae_experiment.arrays(corpus.valid, end)
    assert len(corpus.valid) == found["lengths"].sum() + 1  # 2 reviews
    texts = [
        " ".join(corpus.vocabulary.decode(row)[:n]) for row, n in zip(*found.values(), strict=True)
    ]
    assert {text.split()[0] for text in texts} <= {*"good bad no 0 1 2".split()}
    assert len(texts) == 6 and all(text.endswith("<eos>") for text in texts)
    with pytest.raises(InputError, match="expected sentences, found 2 lines without a word"):
        vae_experiment.arrays(np.array([end, end], np.int32), end)


def test_sentences_of_a_review():
    found = reviews._sentences("It's GOOD... Is it?! <br />Yes (very). ok")
    assert found == ["it's good . . .", "is it ? !", "yes ( very ) .", "ok"]


def test_topics_are_of_texts_without_classes():
    with pytest.raises(InputError, match="--topics are of texts without --condition"):
        config("--topics=2")


def test_no_review_is_in_two_splits(monkeypatch, tmp_path):
    """Also of the fewest reviews, and of more than there are."""
    made = [
        (part, sign, f"{i}_{rating}.txt", f"{part}{sign}{i}".encode())
        for part in ("train", "test")
        for sign, rating in (("neg", 2), ("pos", 9))
        for i in range(12_500)
    ]
    monkeypatch.setattr(reviews, "is_there", lambda folder: True)
    monkeypatch.setattr(reviews.imdb, "find", lambda folder: folder)
    monkeypatch.setattr(reviews.imdb, "review_files", lambda source: made)
    for limit, sizes in ((1, [2, 2, 2]), (24_000, [22_500, 2_250, 2_250])):
        found = reviews.load(str(tmp_path), Condition("label", limit))
        assert [len(one.lines) for one in found.values()] == sizes
        assert not {*found["train"].lines} & {*found["valid"].lines}


def test_the_likelihood_of_a_text_is_that_of_the_evaluation():
    flags = "--condition=none --cell=dynamic_skip"
    model = LanguageModel(config(*flags.split(), "--n_actions=3", "--agent_units=3"), 6)
    words = np.random.default_rng(0).integers(0, 6, (2, 5)).astype(np.int32)
    batch = {"words": words[:, :-1], "targets": words[:, 1:], "weights": np.ones([2, 4], "f")}
    batch = {name: tf.constant(a) for name, a in batch.items()}
    seed = tf.constant([0, 0])
    each = model.infer(batch, seed, True)["log_likelihood"]
    whole = model.evaluation_metrics(batch, model.initial_state(2), seed, True)[0]["loss"][0]
    np.testing.assert_allclose(-np.sum(each), whole, rtol=1e-5)
