"""Input that is unusual and yet good: line ends, byte order marks, very long lines, empty sentences, unseen tags, texts of one word."""

import io
import os
import subprocess
import sys

import pytest
import tiny_runs

from common.data.embeddings import load_vectors
from common.data.text import Vocabulary, read_lines
from common.errors import InputError
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


def read_trees(path):
    return sentiment_reader.read_trees(str(path), read_lines(path))


def read_vectors(path):
    return load_vectors(path, ["the", "cat"]).matrix.tolist()


def read_review(content: bytes, folder) -> list[str]:
    """The tokens of IMDB's first training review, if all of them are this text."""
    for part in ("train", "test"):
        for sign in ("pos", "neg"):
            (folder / part / sign).mkdir(parents=True, exist_ok=True)
            (folder / part / sign / "0_1.txt").write_bytes(content)
    return sentiment_reader.read_imdb(folder, per_class=1)[0][0].words


def read_corpus(content: bytes, folder) -> language_reader.Corpus:
    """PTB's three files, if all of them are this text."""
    for split in language_reader.SPLITS:
        (folder / f"{split}.txt").write_bytes(content)
    return language_reader.load(str(folder))


@pytest.mark.parametrize(
    "text, read",
    [
        ("\n".join(tiny_runs.SENTENCES) + "\n", read_lines),
        (tiny_runs.CONLL, ner_reader.read_conll),
        (tiny_runs.TREES, read_trees),
        ("the 1 2\ncat 3 4\n", read_vectors),
        ("2 2\nthe 1 2\ncat 3 4\n", read_vectors),
        ("the\ncat\n", Vocabulary.load),
        ("A fine\nfilm.\n", lambda path: read_review(path.read_bytes(), path.parent)),
        ("the cat\n\nthe\n", lambda path: read_corpus(path.read_bytes(), path.parent).train.tolist()),
    ],
    ids=["text", "conll", "trees", "vectors", "vectors with a header", "vocabulary", "review", "corpus"],
)
def test_line_ends_and_byte_order_marks_change_nothing(text, read, tmp_path):
    (tmp_path / "plain").write_text(text)
    (tmp_path / "windows").write_bytes(as_windows_writes_it(text))
    (tmp_path / "no_end").write_text(text.rstrip("\n"))
    assert read(tmp_path / "windows") == read(tmp_path / "plain") == read(tmp_path / "no_end")


@pytest.mark.parametrize(
    "line, read",
    [
        ("th\0e", read_lines),
        ("Ro\0me NNP B-NP I-LOC", ner_reader.read_conll),
        ("(3 go\0od)", read_trees),
        ("do\0g", Vocabulary.load),
        ("cat 3 \0", read_vectors),
        ("go\0od", lambda path: read_review(path.read_bytes(), path.parent)),
        ("the \0 cat", lambda path: read_corpus(path.read_bytes(), path.parent)),
    ],
    ids=["text", "conll", "trees", "vocabulary", "vectors", "review", "corpus"],
)
def test_a_nul_byte_is_named_with_its_line(line, read, tmp_path):
    first = {ner_reader.read_conll: "Rome NNP B-NP I-LOC", read_trees: "(3 good)", read_vectors: "the 1 2"}.get(read, "the")
    (tmp_path / "a").write_text(f"{first}\n{line}\n")
    with pytest.raises(InputError, match=r"[\w/]:2: expected (UTF-8 text, found a NUL byte|2 numbers after the word)"):
        read(tmp_path / "a")


def test_very_long_lines(tmp_path):
    """A million words on a line, a word of a million letters, a sentence of 100,000 words, a tree of 5,000 levels."""
    words = ["the", "cat", "sees", "the", "dog"] * 200_000
    corpus = read_corpus(" ".join(words).encode(), tmp_path)
    assert len(corpus.train) == len(words) + 1 and len(corpus.vocabulary) == 5
    assert read_review(" ".join(words).encode(), tmp_path) == words[:400]
    long = "x" * 10**6
    (tmp_path / "vectors").write_text(f"the 1 2\n{long} 3 4\n")
    assert load_vectors(tmp_path / "vectors", ["the", long]).matrix.tolist() == [[1, 2], [3, 4]]
    (tmp_path / "conll").write_text(f"{long} NN B-NP O\n" + "Rome NNP B-NP I-LOC\n" * 100_000)
    (sentence,) = ner_reader.read_conll(tmp_path / "conll")
    assert len(sentence.words) == 100_001
    assert ner_reader.Encoder.build([sentence]).encode([sentence]).chars.shape == (1, 100_001, 20)
    tree = "(2 " * 5000 + "(3 a)" + " (2 b))" * 5000
    (found,) = sentiment_reader.read_trees("a", [tree])
    assert found == (["a"] + ["b"] * 5000, 2)


def test_empty_sentences(tmp_path):
    """None where a blank line stands between sentences; one without words where each line or file is one."""
    (tmp_path / "a").write_text("\n\n-DOCSTART- -X- O O\n\n\nRome NNP B-NP I-LOC\n\n\n \nShe PRP B-NP O\n")
    assert [sentence.words for sentence in ner_reader.read_conll(tmp_path / "a")] == [["Rome"], ["She"]]
    assert sentiment_reader.read_trees("a", ["", "(3 good)", "  ", ""]) == [(["good"], 3)]
    corpus = read_corpus(b"a\n\n \na\n", tmp_path)
    assert corpus.vocabulary.decode(corpus.train) == ["a", "<eos>", "<eos>", "<eos>", "a", "<eos>"]
    assert read_review(b" \n", tmp_path) == []


def test_documents_of_one_word(tmp_path):
    corpus = read_corpus(b"word", tmp_path)
    assert corpus.vocabulary.decode(corpus.train) == ["word", "<eos>"]
    assert read_review(b"Good", tmp_path) == ["good"]
    assert sentiment_reader.read_trees("a", ["(3 Good)"]) == [(["good"], 3)]
    (tmp_path / "a").write_text("Rome NNP B-NP I-LOC")
    assert ner_reader.read_conll(tmp_path / "a") == [(["Rome"], ["S-LOC"])]


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
    imports = "import sys\nfrom common.config import RunConfig, main\n"
    code = f"{imports}def work(config):\n    {program}\nmain(RunConfig, {{'paper': {{}}}}, work, ['x'])"
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([sys.executable, "-c", code], input=b"caf\xe9 x\n", stdout=write, stderr=subprocess.PIPE, env=environment)
    os.close(write)
    assert (done.returncode, done.stderr.decode()) == (status, error)
