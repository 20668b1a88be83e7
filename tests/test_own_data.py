"""Data of one's own in the three text tasks: read, and used by the scripts."""

import io
import json
import pathlib
import runpy
import sys

import pytest
from helpers import tiny_runs
from helpers.marks import LONG

from common.data.text import EOS, UNKNOWN
from common.errors import InputError
from LanguageModeling import reader as language_reader
from NER import reader as ner_reader
from Sentiment import reader as sentiment_reader

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS = [("Where is it?", "place"), ("Who\u2019s there", "person"), ("How many?", "number")]


def tsv(rows, columns=("label", "text")):
    lines = ["\t".join(("id", *columns))]
    for i, (text, label) in enumerate(rows):
        lines.append("\t".join([str(i), *(text if name == "text" else label for name in columns)]))
    return "\n".join(lines) + "\n"


def jsonl(rows):
    return "".join(json.dumps({"label": label, "text": text}) + "\n\n" for text, label in rows)


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


# ---------------------------------------------------------------------------------------- sentiment


def test_labelled_texts(tmp_path):
    """The same from both kinds of file, the classes in the order of the alphabet."""
    made = {"train_tsv": tsv(ROWS), "dev_jsonl": jsonl(ROWS[:1]), "test_tsv": tsv(ROWS[1:])}
    corpus = sentiment_reader.load("own", write(tmp_path, **made))
    assert corpus.names == ("number", "person", "place") and corpus.classes == 3
    assert [(" ".join(words), label) for words, label in corpus.train] == [
        ("where is it ?", 2),
        ("who\u2019s there", 1),
        ("how many ?", 0),
    ]
    assert corpus.dev == corpus.train[:1] and corpus.test == corpus.train[1:]
    assert sentiment_reader.load("own", tmp_path, max_tokens=2).train[0].words == ["it", "?"]
    (tmp_path / "train.tsv").unlink()
    write(tmp_path, train_jsonl=jsonl(ROWS))
    assert sentiment_reader.load("own", tmp_path) == corpus
    # a network that knows the classes keeps their numbers
    names = ("place", "person", "number")
    assert [e.label for e in sentiment_reader.load("own", tmp_path, names=names).train] == [0, 1, 2]


def test_training_texts_alone_are_evaluated_whole(tmp_path):
    """A folder of these is no data set of which a part is kept as dev data."""
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(100)]
    corpus = sentiment_reader.load("own", write(tmp_path, train_tsv=tsv(rows)), names=("a", "b"))
    assert [len(part) for part in (corpus.train, corpus.dev, corpus.test)] == [100, 0, 0]
    corpus = sentiment_reader.load("own", write(tmp_path, test_tsv=tsv(rows)), names=("a", "b"))
    assert [len(part) for part in (corpus.train, corpus.dev, corpus.test)] == [84, 16, 100]


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    rows = [("a", 10), ("b", 9), ("c", -1)]
    write(tmp_path, **dict.fromkeys(("train_jsonl", "dev_jsonl", "test_jsonl"), jsonl(rows)))
    corpus = sentiment_reader.load("own", tmp_path)
    assert corpus.names == ("-1", "9", "10")
    assert [example.label for example in corpus.train] == [2, 1, 0]


def test_a_missing_dev_part_is_drawn_from_train(tmp_path):
    rows = [(f"text {i}", "ab"[i % 4 == 0]) for i in range(80)]
    write(tmp_path, train_tsv=tsv(rows), test_tsv=tsv(rows[:9]))
    corpus = sentiment_reader.load("own", tmp_path, seed=1)
    assert len(corpus.train) == 68 and len(corpus.dev) == 12
    assert sum(example.label for example in corpus.dev) == 3  # 15 % of each class
    texts = sorted(int(e.words[1]) for e in [*corpus.train, *corpus.dev])
    assert texts == list(range(80))
    assert corpus.dev == sentiment_reader.load("own", tmp_path, seed=1).dev
    assert corpus.dev != sentiment_reader.load("own", tmp_path, seed=2).dev


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"expected train\.tsv or train\.jsonl, found neither; add it"),
        ({"train_tsv_gz": ""}, r"found neither, but train\.tsv\.gz, still packed: unpack it there"),
        ({"train_tsv": tsv(ROWS)}, r"expected test\.tsv or test\.jsonl, found neither; add it"),
        ({"train_tsv": "x", "train_jsonl": "x"}, "expected .*, found both; remove one"),
        ({"train_tsv": "so good\tpos\n"}, r"train\.tsv:1: expected a first line that names the co"),
        ({"train_tsv": "text\ttext\tlabel\n"}, r"train\.tsv:1: expected a first line that names"),
        ({"train_tsv": "text\tlabel\n\n"}, r"train\.tsv: expected labelled texts, found none; add"),
        ({"train_tsv": "text\tlabel\na\tb\tc\n"}, r"train\.tsv:2: expected 2 columns .*, found 3;"),
        ({"train_tsv": "text\tlabel\na\t \n"}, r"train\.tsv:2: expected a label of 1 to 100 char"),
        ({"train_tsv": "text\tlabel\n ,\tx\n\ty\n"}, r":3: expected a text with at least one word"),
        ({"train_tsv": "text\tlabel\na\tx\nb\tx\n"}, r"at least two classes, found 'x' alone; add"),
        (
            {"train_jsonl": '{"text": "a", "label": "x"}\n{\n'},
            r"train\.jsonl:2: expected JSON such",
        ),
        ({"train_jsonl": "[" * 100_000}, r"train\.jsonl:1: expected JSON such as"),
        ({"train_jsonl": '["a", "x"]'}, r"train\.jsonl:1: expected JSON such as"),
        ({"train_jsonl": '{"text": 3, "label": "x"}'}, r"jsonl:1: expected text as text, found 3;"),
        ({"train_jsonl": '{"text": "a", "label": 1.5}'}, r"expected text as label, found 1\.5; re"),
        ({"train_jsonl": '{"text": "a", "label": null}'}, r"expected text as label, found None; r"),
        ({"train_jsonl": r'{"text": "\ud800", "label": 1}'}, "found half of a surrogate pair; rep"),
        ({"train_jsonl": r'{"text": "a", "label": "x\ny"}'}, "expected a label of 1 to 100 charac"),
        (
            {"train_tsv": tsv(ROWS), "test_tsv": tsv([("a", "place"), ("b", "time")])},
            r"test\.tsv:3: expected a label of the training texts \(number, person, place\), found",
        ),
        ({"train_tsv": tsv(ROWS), "test_tsv": tsv(ROWS)}, r"found too few; add dev\.tsv or dev\.j"),
    ],
)
def test_labelled_texts_that_cannot_be_used(files, message, tmp_path):
    good = {} if len(files) != 1 or "train_tsv_gz" in files else {"test_tsv": tsv(ROWS)}
    if files == {"train_tsv": tsv(ROWS)}:
        good = {}
    write(tmp_path / "data", **good | files)
    with pytest.raises(InputError, match=message):
        sentiment_reader.load("own", tmp_path / "data")


def test_a_column_that_is_hardly_a_label_is_noticed(tmp_path, capsys):
    rows = [(f"text {i}", f"label {i}") for i in range(30)]
    parts = ("train_tsv", "dev_tsv", "test_tsv")
    sentiment_reader.load("own", write(tmp_path, **dict.fromkeys(parts, tsv(rows))))
    assert (
        "30 texts have 30 different labels: is label the right column?" in capsys.readouterr().err
    )


# ---------------------------------------------------------------------------------------------- NER

GERMEVAL = "#\thttp://x [2010]\n1\tAnna\tB-PER\tO\n2\tmag\tO\tO\n3\tRom\tB-LOC\tO\n\n1\t#\tO\tO\n"


def test_columns(tmp_path):
    (tmp_path / "a").write_text(GERMEVAL)
    assert ner_reader.read_conll(tmp_path / "a", "BIO", [2, 3]) == [
        ner_reader.Sentence(["Anna", "mag", "Rom"], ["B-PER", "O", "B-LOC"]),
        ner_reader.Sentence(["#"], ["O"]),  # a word, where words are
    ]
    assert ner_reader.read_conll(tmp_path / "a", "BIO", [2, 4])[0].tags == ["O", "O", "O"]
    (tmp_path / "a").write_text("Rom LOC B-LOC\n\n# X O\n")
    assert [s.words for s in ner_reader.read_conll(tmp_path / "a", "BIO", [1, 3])] == [
        ["Rom"],
        ["#"],
    ]


def test_phrases_can_be_meant_where_the_columns_are_named(tmp_path):
    for name in ("train.txt", "dev.txt", "test.txt"):
        (tmp_path / name).write_text("Rome NNP B-NP O\n")
    assert ner_reader.load(tmp_path, columns=[1, 3]).dev[0].tags == ["S-NP"]
    (tmp_path / "dev.txt").unlink()
    (tmp_path / "valid.txt").write_text("Rome NNP B-VP O\n")
    assert ner_reader.load(tmp_path, columns=[1, 3]).dev[0].tags == ["S-VP"]
    with pytest.raises(InputError, match="in column 4, found the tag O alone; .* say with --colum"):
        ner_reader.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Rome B-LOC\n",
            "a:1: expected at least 3 columns, because of --columns 2,3, found 2; say",
        ),
        ("1 Rome B-LOC\n2 is O x\n", r"a:2: expected 3 columns \(as in the first line\), found 4;"),
        ("1 Rome NNP\n", "a:1: expected an entity tag such as .* in column 3, found 'NNP'; repair"),
        ("x 1 O\nx 2 O\n", "a: expected the word in column 2, found 1, 2, ... in every sentence;"),
        ("# 1\n", "a: expected sentences, found none"),
    ],
)
def test_columns_that_cannot_be_used(text, message, tmp_path):
    (tmp_path / "a").write_text(text)
    with pytest.raises(InputError, match=message):
        ner_reader.read_conll(tmp_path / "a", "BIO", [2, 3])


# ------------------------------------------------------------------------------- language modelling


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("spaces", ["He", "said:", '"No."', EOS, EOS]),
        ("words", ["He", "said", ":", '"', "No", ".", '"', EOS, EOS]),
        ("characters", [*'He said: "No."', EOS, EOS]),
    ],
)
def test_how_text_is_split(tokens, expected, tmp_path):
    for split in language_reader.SPLITS:
        (tmp_path / f"{split}.txt").write_text('He said: "No."\n\n')
    corpus = language_reader.load(str(tmp_path), tokens)
    assert corpus.vocabulary.decode(corpus.train) == expected
    again = language_reader.load_split(str(tmp_path), "valid", corpus.vocabulary, tokens)
    assert again.tolist() == corpus.train.tolist() == corpus.valid.tolist()


def test_rare_words_are_unknown(tmp_path):
    (tmp_path / "train.txt").write_text("b a b\nc\n")
    for split in ("valid", "test"):
        (tmp_path / f"{split}.txt").write_text("a d b\n")
    with pytest.raises(InputError, match=r"valid\.txt:1: the word 'd' is not .* --min_count 2"):
        language_reader.load(str(tmp_path))
    corpus = language_reader.load(str(tmp_path), min_count=2)
    assert corpus.vocabulary.words == (EOS, UNKNOWN, "b")
    assert corpus.vocabulary.decode(corpus.valid) == [UNKNOWN, UNKNOWN, "b", EOS]


# --------------------------------------------------------------------------------------- as scripts


def script(monkeypatch, capsys, path, *arguments, typed=""):
    """What `python PATH ARGUMENTS` prints."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / path), *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    runpy.run_path(sys.argv[0], run_name="__main__")
    return capsys.readouterr().out


def test_a_classifier_of_own_texts(tmp_path, monkeypatch, capsys):
    """Without a dev part; the run may have moved."""
    data = write(tmp_path / "data", train_tsv=tsv(ROWS * 8), test_jsonl=jsonl(ROWS[::-1] * 2))
    tiny_runs.make("Sentiment", tmp_path / "made", data, "--dataset=own", f"--data_dir={data}")
    assert (tmp_path / "made" / "classes.txt").read_text().split() == ["number", "person", "place"]
    run = (tmp_path / "made").rename(tmp_path / "run")
    capsys.readouterr()
    of_run = monkeypatch, capsys, "Sentiment/predict.py", f"--run_dir={run}"
    said = script(*of_run, typed="Who is it?\n")
    words = said.split()
    assert words[:6:2] == ["number", "person", "place"]
    assert sum(map(float, words[1:6:2])) == pytest.approx(1, abs=0.01)
    # a file of texts is read by its columns, with labels or without
    for name, text in (
        ("a.tsv", "text\twho wrote it\nHow many?\tAnna\nWhere?\tBo\n"),
        ("a.jsonl", '{"text": "How many?", "label": "x"}\n{"text": "Where?"}\n'),
        ("a.txt", "How many?\nWhere?\n"),
    ):
        (tmp_path / name).write_text(text)
        said = script(*of_run, f"--file={tmp_path / name}", "--noconnections")
        assert [line.split()[6:] for line in said.splitlines()] == [
            ["how", "many", "?"],
            ["where", "?"],
        ]
    # other texts to evaluate need not lie beside others
    alone = write(tmp_path / "alone", test_tsv=tsv(ROWS))
    evaluate = monkeypatch, capsys, "Sentiment/evaluate.py", f"--run_dir={run}"
    assert "3 texts of test\n" in script(*evaluate, f"--data_dir={alone}")
    with pytest.raises(SystemExit):
        script(*evaluate, f"--data_dir={alone}", "--split=dev")
    assert "expects dev.tsv or dev.jsonl, found neither: add it" in capsys.readouterr().err
    # other data have other classes, or the same in another order of appearance
    write(tmp_path / "other", train_tsv=tsv([("x", "no")] * 7), test_tsv=tsv([("x", "no")] * 7))
    with pytest.raises(SystemExit) as left:
        other = f"--run_dir={run}", f"--data_dir={tmp_path / 'other'}"
        script(monkeypatch, capsys, "Sentiment/evaluate.py", *other)
    assert left.value.code == 2 and "of the training texts (number, p" in capsys.readouterr().err


@LONG
def test_a_tagger_of_own_columns(tmp_path, monkeypatch, capsys):
    parts = dict.fromkeys(("train_txt", "dev_txt", "test_txt"), GERMEVAL * 4)
    data = write(tmp_path / "data", **parts)
    run = tiny_runs.make("NER", tmp_path / "run", data, f"--data_dir={data}", "--columns=2,3")
    capsys.readouterr()
    # the last sentence of the text runs on into the first of its repetition
    said = script(monkeypatch, capsys, "NER/evaluate.py", f"--run_dir={run}")
    assert "5 sentences of test" in said
    (tmp_path / "four").write_text("Anna NNP B-NP B-PER\n")
    flags = f"--run_dir={run}", f"--file={tmp_path / 'four'}", "--columns=1,4"
    assert "Anna" in script(monkeypatch, capsys, "NER/tag.py", *flags)


@LONG
def test_other_columns_than_those_of_a_run_on_generated_data(tmp_path, monkeypatch, capsys):
    """Which has none: the file to read has."""
    sentences = "--max_train_examples=20", "--data_dir="
    run = tiny_runs.make("NER", tmp_path / "run", tmp_path, *sentences)
    capsys.readouterr()
    (tmp_path / "two").write_text("Anna B-PER\nleft O\n\n")
    flags = f"--run_dir={run}", f"--file={tmp_path / 'two'}", "--columns=1,2"
    assert "Anna" in script(monkeypatch, capsys, "NER/tag.py", *flags)
    assert "1 sentences of " in script(monkeypatch, capsys, "NER/evaluate.py", *flags)
    with pytest.raises(SystemExit) as left:
        script(monkeypatch, capsys, "NER/evaluate.py", flags[0], flags[2])
    assert left.value.code == 2 and "--data_dir, which is not given" in capsys.readouterr().err


@LONG
def test_a_language_model_of_characters(tmp_path, monkeypatch, capsys):
    text = "He said: No.\nShe did not.\n" * 6
    parts = ("train_txt", "valid_txt", "test_txt")
    data = write(tmp_path / "data", **dict.fromkeys(parts, text))
    flags = f"--data_dir={data}", "--tokens=characters"
    run = tiny_runs.make("LanguageModeling", tmp_path / "run", data, *flags)
    capsys.readouterr()
    found = script(monkeypatch, capsys, "LanguageModeling/evaluate.py", f"--run_dir={run}")
    assert f"{len(text) - 1} tokens of test" in found
    flags = f"--run_dir={run}", "--prompt=She", "--n_words=3"
    assert script(monkeypatch, capsys, "LanguageModeling/generate.py", *flags).startswith("She")
