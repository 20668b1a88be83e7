"""Input that is unusual and yet good: line ends, byte order marks, very long lines, empty sentences, unseen tags, texts of one word."""

import io
import os
import subprocess
import sys

import pytest
import tiny_runs

from common.text import read_lines
from LanguageModeling import reader as language_reader
from NER import evaluate as ner_evaluate
from NER import reader as ner_reader
from NER import tag as ner_tag
from Sentiment import predict as sentiment_predict
from Sentiment import reader as sentiment_reader

NOT_UTF8 = "expected UTF-8 text, found byte 0xe9 (invalid continuation byte); convert it to UTF-8"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_runs.write_texts(tmp_path_factory.mktemp("data"))


def as_windows_writes_it(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    "text, read",
    [
        ("\n".join(tiny_runs.SENTENCES) + "\n", read_lines),
        (tiny_runs.CONLL, ner_reader.read_conll),
        (tiny_runs.TREES, lambda path: sentiment_reader.read_trees(str(path), read_lines(path))),
    ],
    ids=["text", "conll", "trees"],
)
def test_line_ends_and_byte_order_marks_change_nothing(text, read, tmp_path):
    (tmp_path / "plain").write_text(text)
    (tmp_path / "windows").write_bytes(as_windows_writes_it(text))
    (tmp_path / "no_end").write_text(text.rstrip("\n"))
    assert read(tmp_path / "windows") == read(tmp_path / "plain") == read(tmp_path / "no_end")


def test_a_line_of_a_million_words(data, tmp_path):
    words = "the cat sees the dog ".split() * 200_000
    for split, text in (("train", " ".join(words)), ("valid", "the cat"), ("test", "the dog")):
        (tmp_path / f"{split}.txt").write_text(text + "\n")
    corpus = language_reader.load(str(tmp_path))
    assert len(corpus.train) == len(words) + 1 and len(corpus.vocabulary) == 5


def test_empty_sentences_are_none(tmp_path):
    (tmp_path / "a").write_text("\n\n-DOCSTART- -X- O O\n\n\nRome NNP B-NP I-LOC\n\n\n \nShe PRP B-NP O\n")
    assert [sentence.words for sentence in ner_reader.read_conll(tmp_path / "a")] == [["Rome"], ["She"]]


def test_unseen_tags_and_sentences_of_one_word(data, tmp_path, capsys):
    """A type of entity that training lacks cannot be found: it counts as missed."""
    run_dir = tiny_runs.make("NER", tmp_path / "run", data)
    (tmp_path / "new").write_text("Monday NNP B-NP I-DATE\n\nRome NNP B-NP I-LOC\n\n")
    metrics = ner_evaluate.evaluate(ner_evaluate.EvaluateConfig(run_dir=str(run_dir), file=str(tmp_path / "new")))
    assert metrics["new_recall_greedy"] <= 50
    assert "DATE" in capsys.readouterr().out
    ner_tag.tag(ner_tag.TagConfig(run_dir=str(run_dir), file=str(tmp_path / "new"), output=str(tmp_path / "tagged")))
    assert (tmp_path / "tagged").read_text().splitlines()[0].split()[:1] == ["Monday"]


def test_a_text_of_one_word_and_one_without(data, tmp_path, monkeypatch, capsys):
    run_dir = tiny_runs.make("Sentiment", tmp_path / "run", data)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n   \nunheard-of\r\n"))
    capsys.readouterr()
    sentiment_predict.predict(sentiment_predict.PredictConfig(run_dir=str(run_dir), connections=False))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("very negative 0.") and line.split()[-1] in ("unheard-of", "of")


@pytest.mark.parametrize(
    "program, status, error",
    [
        ("for line in sys.stdin: pass", 2, f"error: standard input: {NOT_UTF8}\n"),
        ("print('x' * 10**6, flush=True)", 141, ""),
    ],
)  # fmt: skip
def test_pipes(program, status, error, root):
    """What is typed is not UTF-8; whoever reads the output has left."""
    code = f"import sys\nfrom common import run\ndef work(config):\n    {program}\nrun.main(run.RunConfig, {{'paper': {{}}}}, work, ['x'])"
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([sys.executable, "-c", code], input=b"caf\xe9 x\n", stdout=write, stderr=subprocess.PIPE, env=environment)
    os.close(write)
    assert (done.returncode, done.stderr.decode()) == (status, error)
