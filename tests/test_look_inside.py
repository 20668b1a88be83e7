"""What experiments/look_inside.py measures, against libraries, brute force and texts by hand."""

import collections
import dataclasses
import io
import json
import pathlib
import textwrap
import tokenize

import keras
import numpy as np
import pytest
from helpers import tiny_runs
from helpers.marks import LONG

from common import (
    AttentionSkipLSTM,
    DynamicSkipLSTM,
    FastLSTM,
    FixedSkipLSTM,
    RandomSkipLSTM,
)
from common.data.text import Vocabulary
from common.errors import InputError
from experiments import look_inside
from experiments.looking import closings, errors, ngrams, pictures, reading, structure
from LanguageModeling import experiment, inspection, produce_text


def test_structure_is_that_of_pythons_own_tokenizer():
    text = pathlib.Path(textwrap.__file__).read_text()
    found = structure.of(text)
    starts = np.cumsum([0, *(len(line) + 1 for line in text.split("\n"))])
    quoted, comment, depth = np.zeros((3, len(text)), int)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        if token.type == tokenize.STRING:
            quoted[start + len(token.string) - len(token.string.lstrip("rbuf")) : end] = 1
        comment[start:end] |= token.type == tokenize.COMMENT
        if token.type == tokenize.OP and token.string in "()[]{}":
            depth[start] += 1 if token.string in "([{" else -1
    assert quoted.any() and comment.any()
    assert (found.quoted == quoted).all() and (found.comment == comment).all()
    assert (found.brackets == np.cumsum(depth)).all()


def test_openings_columns_and_apostrophes():
    text = "f(a[1], 'it\\'s')\n    # don't (\n) it's\n" + "'''\")'''"
    found = structure.of(text)
    pairs = {(text[i], int(i - found.opening[i])) for i in np.flatnonzero(found.opening >= 0)}
    assert pairs == {("]", 2), ("'", 6), (")", 14)}
    assert "".join(np.array(list(text))[found.quoted]) == "'it\\'s'" + "'''\")'''"
    assert "".join(np.array(list(text))[found.comment]) == "# don't ("
    line = text.index("    #")
    assert found.column[line : line + 3].tolist() == [0, 1, 2]
    assert set(found.indentation[line : line + 13]) == {4} and found.indentation[0] == 0


def _witten_bell(train: str, context: str, letter: str, letters: str) -> float:
    """By the formula, one letter at a time."""
    p = 1 / len(letters)
    for n in range(len(context) + 1):
        end = context[len(context) - n :]
        behind = [train[i + n] for i in range(len(train) - n) if train[i : i + n] == end]
        if behind:
            counts = collections.Counter(behind)
            p = (counts[letter] + len(counts) * p) / (len(behind) + len(counts))
    return p


def test_ngrams_are_those_of_the_formula_and_sum_to_one():
    letters, random = "abcd", np.random.default_rng(0)
    train = random.integers(0, 3, 60)  # d is never seen
    models = ngrams.NGrams(train, len(letters))
    text = np.array([0, 1, 2, 0, 3, 1, 0])
    found = np.stack([models.probabilities(np.append(text, last)) for last in range(4)])
    assert models.orders[-1] == 9
    np.testing.assert_allclose(found[:, :, -1].sum(0), 1, rtol=1e-12)
    train, context = ("".join(letters[i] for i in of) for of in (train, text))
    for n in (1, 2, 3):
        for last, letter in enumerate(letters):
            expected = _witten_bell(train, context[len(context) - n + 1 :], letter, letters)
            assert found[last, n - 1, -1] == pytest.approx(expected)


def test_classes_of_errors_of_a_text_by_hand():
    text = "spam egg spam zz rare the\n(the"
    p, p_ngrams = np.full(len(text), 0.05), np.zeros(len(text))
    p[0], p[3], p_ngrams[1], p[-2] = 0.9, 0.45, 0.6, 0.45
    training = "spam egg rare " + "the " * 9
    of = errors.classes(text, p, p_ngrams, training)
    names = np.array([*errors.CLASSES, "no error"])[of]
    assert names[0] == "no error" and names[1] == errors.CLASSES[0]  # in a rare word, too
    rare, lacking = (
        "in a word that it has at most 5 times",
        "in a word that the training text lacks",
    )
    assert set(names[2:8]) == {rare, "punctuation, space or line end itself"}
    assert set(names[9:13]) == {"in a word of the last 100 characters"}
    assert set(names[14:16]) == {lacking}
    first = text.index("the")
    assert names[first] == "first after a space, line end or quote"
    assert names[first + 1] == "any other, given more than 0.0"
    assert names[first + 3] == "punctuation, space or line end itself"
    assert names[first + 4] == "first after a space, line end or quote"  # the bracket
    assert set(names[-3:]) == {"in a word of the last 100 characters"}
    later = errors.classes("the the", np.full(7, 0.45), np.zeros(7), training)
    assert errors.CLASSES[later[1]] == "any other, given more than 0.4"


def test_closings():
    opening = np.full(40, -1)
    opening[[5, 9, 20, 30, 39]] = 3, 8, 18, 10, 36  # distances 2, 1, 2, 20, 3
    weights = np.full((40, 4), 0.25)
    weights[[5, 20]] = 0, 1, 0, 0
    weights[9], weights[39] = (1, 0, 0, 0), (0, 0, 1, 0)
    found = closings.measure(weights, opening)
    assert found.distances.tolist() == [2, 1, 2, 3] and (found.weights == 1).all()
    assert found.by_distance[0].tolist()[:3] == [1, 1, 1] and np.isnan(found.by_distance[0, 3])
    np.testing.assert_allclose(found.by_distance[1, 1], (0 + 0 + 0.25) / 3)
    np.testing.assert_allclose(found.by_distance[2], weights.mean(0))
    # a random pairing of 2, 1, 2, 3 meets its own distance in 6 of 16 cases
    assert found.shuffled.mean() == pytest.approx(6 / 16, abs=0.03)
    nothing = closings.measure(weights, opening, np.arange(40) == 30)
    assert not len(nothing.distances) and np.isnan(nothing.shuffled).all()


@pytest.mark.parametrize("cell", ["lstm", "dynamic_skip", "attention"])
def test_gates_and_cells_are_those_of_the_layer(cell):
    some = {"return_sequences": True, "return_state": True, "jit_compile": False}
    layer = {
        "lstm": lambda: FastLSTM(5, **some),
        "dynamic_skip": lambda: DynamicSkipLSTM(5, 3, 0.6, agent_units=4, **some),
        "attention": lambda: AttentionSkipLSTM(5, 3, 0.6, agent_units=4, **some),
    }[cell]()
    x = np.random.default_rng(1).normal(size=(2, 7, 4)).astype(np.float32)
    h, _, c = layer(x)
    probs = layer.trace.probs.numpy()
    weights = probs if cell == "attention" else np.eye(probs.shape[2])[layer.trace.distances - 1]
    found = reading.of_layer(layer.cell, x, h.numpy(), weights, probs, np.ones((2, 7), bool))
    np.testing.assert_allclose(found.gates[2] * found.cells, np.reshape(h, [14, 5]), atol=1e-6)
    np.testing.assert_allclose(found.cells[[6, 13]], np.tanh(c[:, -5:]), atol=1e-6)
    assert found.probs.shape == found.weights.shape == (14, layer.cell.n_actions)


def test_a_cell_that_counts_is_found_and_gates_that_saturate():
    text = "a(b(c)d)e((f)g)" * 20
    target = structure.of(text).brackets
    layer = FastLSTM(3, return_sequences=True, jit_compile=False)
    x = np.eye(3, dtype=np.float32)[None, ["()".find(letter) for letter in text]]
    layer.build([None, *x.shape[1:]])
    kernel, bias = np.zeros((3, 12), np.float32), np.zeros(12, np.float32)
    kernel[[0, 1], 7] = 0.1, -0.1  # unit 1 adds at ( and takes away at ), and
    bias[[1, 4]] = 20  # never forgets
    kernel[:, [6, 8]] = np.random.default_rng(0).normal(size=(3, 2))
    layer.set_weights([kernel, np.zeros((3, 12), np.float32), bias])
    ones = np.ones((1, len(text)))
    found = reading.of_layer(layer.cell, x, layer(x).numpy(), *2 * [ones[..., None]], ones > 0)
    best = reading.follower([found], target.astype(float))
    assert (best.unit, best.sign) == (1, 1) and best.correlation > 0.99
    shut, opened = reading.saturation(found)
    assert shut.max() == 0 and opened.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]


@LONG
def test_a_run_is_read_as_it_is_evaluated_and_drawn(monkeypatch, tmp_path):
    text = "".join(chr(i) for i in range(32, 127)) + "\nf(a, 'b') # c\n" * 20
    (tmp_path / "words").mkdir()
    for split in ("train", "valid", "test"):
        (tmp_path / "words" / f"{split}.txt").write_text(text)
    more = "--tokens=characters", "--rnn_layers=2", "--cell=attention"
    run = str(tiny_runs.make("LanguageModeling", tmp_path / "run", tmp_path, *more))
    drawn, reads, loaded = {}, [], []
    write, load = pictures.write, experiment.load
    monkeypatch.setattr(experiment, "load", lambda run: loaded.append(load(run)) or loaded[0])
    monkeypatch.setattr(
        pictures, "write", lambda found, stem: reads.extend(found) or write(found, stem)
    )
    monkeypatch.setattr(
        pictures.figure_files,
        "write",
        lambda figure, stem, *told: drawn.update({stem.name: told}) or [],
    )
    look_inside.draw(look_inside.LookConfig(runs=[run], out=str(tmp_path / "a")))
    (read,) = reads
    assert read.weighs and not drawn.clear()
    write([dataclasses.replace(read, weighs=False)], tmp_path / "b")
    assert list(drawn) == ["b-saturation", "b-cells", "b-errors"] and not drawn.clear()
    write(reads, tmp_path / "a")
    trainer = loaded[0].trainer
    found = experiment.evaluate(trainer, read.tokens, "test")
    assert found["test_bits"] == pytest.approx(-np.log2(read.p).mean(), rel=1e-5)
    assert found["test_perplexity"] == pytest.approx(2 ** found["test_bits"])
    assert read.text == text and read.layers[1].probs.shape == (len(text) - 1, 5)
    assert list(drawn) == ["a-saturation", "a-cells", "a-errors", "a-connections"]
    columns = drawn["a-errors"][2]
    assert sum(columns["share of errors"]) == pytest.approx(1)
    assert sum(columns["errors"]) == np.sum(read.p < 0.5)
    assert len(drawn["a-saturation"][2]["unit"]) == 2 * 3 * 4
    flags = tmp_path / "run" / "flags.json"
    for name, value, said in (
        ("condition", "label", "one softmax, found --condition label --output plain"),
        ("tokens", "spaces", "by characters, found --tokens spaces"),
    ):
        stored = json.loads(flags.read_text())
        stored["flags"][name] = value
        flags.write_text(json.dumps(stored))
        with pytest.raises(InputError, match=said):
            look_inside.draw(look_inside.LookConfig(runs=[run]))


def test_characters_are_those_of_the_run(tmp_path):
    """Whatever has become of its training text since; in the gradients' figure, too."""
    data = tiny_runs.write_texts(tmp_path / "data")
    more = "--tokens=characters", "--rnn_layers=2"
    run = str(tiny_runs.make("LanguageModeling", tmp_path / "run", data, *more))

    def seen():
        trained = experiment.load(run)
        return reading.read(run, "valid").p, inspection.gradient_probe(trained, 5, 3)[1].numpy()

    before, train = seen(), data / "words" / "train.txt"
    train.write_text(train.read_text()[::-1].replace("a", "e") + "eeee " * 50)
    for a, b in zip(before, seen(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_two_runs_of_one_cell_have_the_names_of_their_folders(monkeypatch, tmp_path):
    one = dict.fromkeys(field.name for field in dataclasses.fields(reading.Reading))
    one |= {"name": "lstm", "text": "a", "train": np.array([0]), "vocabulary": Vocabulary(["a"])}
    monkeypatch.setattr(reading, "read", lambda run, split: reading.Reading(**one))
    names = []
    monkeypatch.setattr(
        pictures, "write", lambda found, stem: names.extend(one.name for one in found) or []
    )
    runs = [str(tmp_path / "lstm-seed0"), str(tmp_path / "lstm-seed1")]
    look_inside.draw(look_inside.LookConfig(runs=runs))
    assert names == ["lstm, lstm-seed0", "lstm, lstm-seed1"]


def test_what_cannot_be_read():
    with pytest.raises(InputError, match="expected a run"):
        look_inside.draw(look_inside.LookConfig())
    assert reading.is_known(FastLSTM(2)) and not reading.is_known(FastLSTM(2, zoneout=(0.1, 0.0)))
    window = DynamicSkipLSTM(2, history="window")
    assert not reading.is_known(window) and not reading.is_known(keras.layers.GRU(2))


def test_the_probabilities_that_are_drawn_are_an_agents_or_attentions():
    """Not the distances of a fixed skip, nor draws that nothing has learned."""
    with_weights = DynamicSkipLSTM(2, 3), AttentionSkipLSTM(2, 3)
    without = FastLSTM(2), FixedSkipLSTM(2, 3), RandomSkipLSTM(2, 3), AttentionSkipLSTM(2, 1)
    assert all(map(reading.has_weights, with_weights)) and not any(
        map(reading.has_weights, without)
    )


def test_the_text_is_the_same_each_time(tmp_path, monkeypatch):
    few = produce_text.TextConfig(data_dir=str(tmp_path / "a"), characters=5000)
    texts = [
        {path.name: path.read_text() for path in produce_text.produce(one).iterdir()}
        for one in (few, few)
    ]
    assert texts[0] == texts[1] and set(texts[0]) == {"train.txt", "valid.txt", "test.txt"}
    assert len(texts[0]["train.txt"]) >= 4500 and "".join(texts[0].values()).isascii()
    (tmp_path / "a" / "test.txt").write_text("another corpus")
    with pytest.raises(InputError, match=r"test\.txt: .*found another; name another --data_dir"):
        produce_text.produce(few)
    assert (tmp_path / "a" / "test.txt").read_text() == "another corpus"
    monkeypatch.setattr(produce_text, "programs", lambda: iter(["x = 1\n"]))
    with pytest.raises(InputError, match="its train text would have 6: ask for fewer"):
        produce_text.produce(few)
