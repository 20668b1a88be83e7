"""Input that is unusual and yet good: line ends, byte order marks, very long lines, empty
sentences, unseen tags, texts of one word.
"""

import io
import os
import subprocess
import sys

import pytest
from helpers import tiny_runs
from helpers.marks import LONG

from common.data.embeddings import load_vectors
from common.data.text import Vocabulary, read_lines, words_of
from common.data.treebank import split_words
from common.errors import InputError
from LanguageModeling import reader as language_reader
from NER import evaluate as ner_evaluate
from NER import reader as ner_reader
from NER import tag as ner_tag
from Sentiment import imdb, sst
from Sentiment import predict as sentiment_predict
from Sentiment import reader as sentiment_reader

TYPED = "from common.data.text import typed_lines\n    for line in typed_lines(): "
NOT_UTF8 = "standard input:2: expected UTF-8 text, found byte 0xe9; convert it to UTF-8"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_runs.write_texts(tmp_path_factory.mktemp("data"))


def as_windows_writes_it(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


def read_trees(path):
    return sst.read_trees(str(path), read_lines(path))


def read_vectors(path):
    return load_vectors(path, ["the", "cat"]).matrix.tolist()


def read_review(content: bytes, folder) -> list[str]:
    """The tokens of IMDB's first training review, if all of them are this text."""
    for part in ("train", "test"):
        for sign in ("pos", "neg"):
            (folder / part / sign).mkdir(parents=True, exist_ok=True)
            (folder / part / sign / "0_1.txt").write_bytes(content)
    return imdb.read_imdb(folder, per_class=1)[0][0].words


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
        (
            "the cat\n\nthe\n",
            lambda path: read_corpus(path.read_bytes(), path.parent).train.tolist(),
        ),
    ],
    ids=[
        "text",
        "conll",
        "trees",
        "vectors",
        "vectors with a header",
        "vocabulary",
        "review",
        "corpus",
    ],
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
    first = {
        ner_reader.read_conll: "Rome NNP B-NP I-LOC",
        read_trees: "(3 good)",
        read_vectors: "the 1 2",
    }.get(read, "the")
    (tmp_path / "a").write_text(f"{first}\n{line}\n")
    with pytest.raises(
        InputError,
        match=r"[\w/]:2: expected (UTF-8 text, found a NUL byte|2 numbers after the word)",
    ):
        read(tmp_path / "a")


ODD_SPACES = "costs 5\u00a0000\u202feuros\u3000a\u2028b c\u0085d\fe\vf\tg"
ODD_WORDS = ["costs", "5\u00a0000\u202feuros\u3000a\u2028b", "c\u0085d\fe\vf", "g"]


def test_one_rule_of_white_space(tmp_path):
    """Words end at spaces, tabs and ends of lines alone, in every reader."""
    assert words_of(ODD_SPACES + "\r\n") == ODD_WORDS == split_words(ODD_SPACES)
    corpus = read_corpus(ODD_SPACES.encode(), tmp_path)
    assert corpus.vocabulary.decode(corpus.train) == [*ODD_WORDS, "<eos>"]
    corpus.vocabulary.save(tmp_path / "vocabulary")
    assert Vocabulary.load(tmp_path / "vocabulary") == corpus.vocabulary
    assert (
        language_reader.read_tokens(str(tmp_path / "train.txt"), corpus.vocabulary).tolist()
        == corpus.train.tolist()
    )
    (tmp_path / "conll").write_text(
        "".join(f"{word} NN\tB-NP  O \n" for word in ODD_WORDS), encoding="utf-8", newline=""
    )
    assert ner_reader.read_conll(tmp_path / "conll")[0].words == ODD_WORDS
    tree = f"(2 (2 {ODD_WORDS[1]})\t(2 {ODD_WORDS[2]}) )"
    assert sst.read_trees("a", ["\t ", tree])[0].words == ODD_WORDS[1:3]
    assert sentiment_reader.split_text(ODD_SPACES, "sst5", 400) == ODD_WORDS
    vectors = "".join(f"{word} {i}\t1 \n" for i, word in enumerate(ODD_WORDS))
    (tmp_path / "vectors").write_text(vectors, encoding="utf-8", newline="")
    assert load_vectors(tmp_path / "vectors", ODD_WORDS).matrix.tolist() == [
        [i, 1] for i in range(4)
    ]


def test_reserved_words_are_noticed(tmp_path, capsys):
    """An `<eos>` at the end of a line is not put there twice; padding and unknown words of a text
    are unknown words.
    """
    plain, ended = (tmp_path / name for name in ("plain", "ended"))
    for folder, text in ((plain, b"a b\n\nb\n"), (ended, b"a b <eos>\n<eos>\nb\n")):
        folder.mkdir()
        corpus = read_corpus(text, folder)
        assert corpus.vocabulary.decode(corpus.train) == ["a", "b", "<eos>", "<eos>", "b", "<eos>"]
        said = capsys.readouterr().err.splitlines()
        assert len(said) == (3 if folder == ended else 0)
    assert (
        said[0]
        == f"warning: {ended}/train.txt: 2 of 3 lines end in <eos> already: it is not put there"
        " again"
    )
    read_corpus(b"a <eos> b <eos>\n", ended)
    assert (
        "<eos> occurs 1 times: inside a line, it is read as the end of a sentence"
        in capsys.readouterr().err
    )

    (tmp_path / "conll").write_text("<PAD> NN B-NP O\n<unk> NN B-NP O\nRome NNP B-NP I-LOC\n")
    sentences = ner_reader.read_conll(tmp_path / "conll")
    said = capsys.readouterr().err
    assert (
        "the reserved word <pad> occurs 1 times: it is read as the unknown word" in said
        and "<unk> occurs 1" in said
    )
    assert ner_reader.Encoder.build(sentences, min_count=1).encode(sentences).words.tolist() == [
        [1, 1, 2]
    ]
    examples = sst.read_trees("a", ["(3 (2 <pad>) (2 good))"])
    assert "<pad> occurs 1" in capsys.readouterr().err
    assert sentiment_reader.encode(
        examples, sentiment_reader.vocabulary(examples)
    ).words.tolist() == [[1, 2]]


def test_what_a_notebook_says_to_the_commands_it_starts(root, tmp_path):
    """Its own backend of matplotlib; where it is not installed, Keras, which imports that, ends."""
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    program = PROGRAM.format("import matplotlib.pyplot")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(os.name == "nt", reason="a shell's redirections")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(closed, root, tmp_path):
    """They are empty, and take what is printed; the next file that is opened does not get it."""
    body = "open('made', 'w').write(repr([*sys.stdin])); print('printed', flush=True)"
    body += "; os.write(1, b'x'); os.write(2, b'y')"
    program = PROGRAM.format(body).replace("import sys", "import os, sys", 1)
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "PROGRAM": program,
        "PYTHON": sys.executable,
    }
    command = ["sh", "-c", f'"$PYTHON" -c "$PROGRAM" {closed}']
    done = subprocess.run(
        command, cwd=tmp_path, input=b"typed", capture_output=True, env=environment
    )
    assert done.returncode == 0
    assert (tmp_path / "made").read_text() == ("[]" if "<" in closed else "['typed']")
    assert done.stdout == (b"" if " >" in f" {closed}" else b"printed\nx")
    assert done.stderr == (b"" if "2>" in closed else b"y")


def test_a_home_that_cannot_be_written_is_no_news(root, tmp_path):
    """Matplotlib, which Keras imports, says so in three lines."""
    (tmp_path / "home").touch()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    }
    environment = kept | {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format("import matplotlib.pyplot")],
        capture_output=True,
        env=environment,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@LONG
def test_very_long_lines(tmp_path):
    """A million words on a line, a word of a million letters, a sentence of 100,000 words, a tree
    of 5,000 levels.
    """
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
    (found,) = sst.read_trees("a", [tree])
    assert found == (["a"] + ["b"] * 5000, 2)


def test_empty_sentences(tmp_path):
    """None where a blank line stands between sentences; one without words where each line or file
    is one.
    """
    (tmp_path / "a").write_text(
        "\n\n-DOCSTART- -X- O O\n\n\nRome NNP B-NP I-LOC\n\n\n \nShe PRP B-NP O\n"
    )
    assert [sentence.words for sentence in ner_reader.read_conll(tmp_path / "a")] == [
        ["Rome"],
        ["She"],
    ]
    assert sst.read_trees("a", ["", "(3 good)", "  ", ""]) == [(["good"], 3)]
    corpus = read_corpus(b"a\n\n \na\n", tmp_path)
    assert corpus.vocabulary.decode(corpus.train) == ["a", "<eos>", "<eos>", "<eos>", "a", "<eos>"]
    assert read_review(b" \n", tmp_path) == []


def test_documents_of_one_word(tmp_path):
    corpus = read_corpus(b"word", tmp_path)
    assert corpus.vocabulary.decode(corpus.train) == ["word", "<eos>"]
    assert read_review(b"Good", tmp_path) == ["good"]
    assert sst.read_trees("a", ["(3 Good)"]) == [(["good"], 3)]
    (tmp_path / "a").write_text("Rome NNP B-NP I-LOC")
    assert ner_reader.read_conll(tmp_path / "a") == [(["Rome"], ["S-LOC"], ())]


@LONG
def test_unseen_tags_and_sentences_of_one_word(data, tmp_path, capsys, monkeypatch):
    """A type of entity that training lacks cannot be found: it counts as missed."""
    run_dir = tiny_runs.make("NER", tmp_path / "run", data)
    (tmp_path / "new").write_text("Monday NNP B-NP I-DATE\n\nRome NNP B-NP I-LOC\n\n")
    metrics = ner_evaluate.evaluate(
        ner_evaluate.EvaluateConfig(run_dir=str(run_dir), file=str(tmp_path / "new"))
    )
    assert metrics["new_recall_greedy"] <= 50
    assert "DATE" in capsys.readouterr().out
    ner_tag.tag(
        ner_tag.TagConfig(
            run_dir=str(run_dir), file=str(tmp_path / "new"), output=str(tmp_path / "tagged")
        )
    )
    assert (tmp_path / "tagged").read_text().splitlines()[0].split()[:1] == ["Monday"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("Monday\n\n \t\nRome\n"))
    capsys.readouterr()
    ner_tag.tag(ner_tag.TagConfig(run_dir=str(run_dir), connections=False))
    lines = [line.split()[-1:] for line in capsys.readouterr().out.replace("]", "").splitlines()]
    assert lines == [["Monday"], [], [], ["Rome"]]  # a line out for a line in


def test_a_text_of_one_word_and_one_without(data, tmp_path, monkeypatch, capsys):
    run_dir = tiny_runs.make("Sentiment", tmp_path / "run", data)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n   \nunheard-of\r\n"))
    capsys.readouterr()
    sentiment_predict.predict(
        sentiment_predict.PredictConfig(run_dir=str(run_dir), connections=False)
    )
    *blank, line = capsys.readouterr().out.splitlines()
    assert blank == ["", ""]  # a line out for a line in
    assert line.startswith("very negative 0.") and line.split()[-1] in ("unheard-of", "of")
    (tmp_path / "six").write_text("film\n\n  \nthe\n\t\na\n")
    config = {"run_dir": str(run_dir), "file": str(tmp_path / "six"), "connections": False}
    sentiment_predict.predict(sentiment_predict.PredictConfig(**config))
    assert [line.split()[-1:] for line in capsys.readouterr().out.splitlines()] == [
        ["film"],
        [],
        [],
        ["the"],
        [],
        ["a"],
    ]


# What Windows, cron and some containers say of input and output.
LOCALES = [
    {"PYTHONIOENCODING": "cp1252", "LC_ALL": "C"},
    {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
]
PROGRAM = """import sys
from common.config import RunConfig, main
from common.errors import InputError
def work(config):
    {}
main(RunConfig, {{'paper': {{}}}}, work, ['x'])
"""


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_what_is_typed_and_printed_is_utf8_whatever_the_locale(locale, root):
    code = PROGRAM.format(f"{TYPED}print(ascii(line), line, end='')")
    environment = os.environ | {"PYTHONPATH": str(root)} | locale
    # 0x81, which cp1252 does not have, is in the second word
    typed = "\ufeffZo\u00eb \u0101\u2028\r\u0103\n".encode()
    done = subprocess.run(
        [sys.executable, "-c", code], input=typed, capture_output=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (
        done.stdout.decode()
        == "'Zo\\xeb \\u0101\\u2028\\r\\u0103\\n' Zo\u00eb \u0101\u2028\r\u0103\n"
    )


@pytest.mark.parametrize(
    "program, status, error",
    [
        (f"{TYPED}print(line, file=sys.stderr)", 2, f"a line\n\nerror: {NOT_UTF8}\n"),
        ("print('x' * 10**6, flush=True)", 141, ""),
        ("raise InputError('caf\\u00e9')", 2, "error: caf\u00e9\n"),
    ],
)
@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_pipes(program, status, error, locale, root):
    """A line that is typed is not UTF-8, after one that is; whoever reads the output has left."""
    code = PROGRAM.format(program)
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONPATH": str(root)} | locale
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"a line\ncaf\xe9 x\n",
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment,
    )
    os.close(write)
    assert (done.returncode, done.stderr.decode()) == (status, error)
