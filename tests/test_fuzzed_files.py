"""Every reader of files: random bytes and random changes of valid files end in an `InputError` or
are read, 400 for each reader, or with $DYNAMIC_SKIP_LONG 1,000.
"""

import gzip
import io
import json
import random
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
from helpers.marks import LONG
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.config import RunConfig
from common.data.embeddings import load_vectors
from common.data.text import Vocabulary, read_lines
from common.errors import InputError
from common.training import checkpoint
from common.training.run_directory import RunDirectory
from common.training.run_flags import load_config
from LanguageModeling import reader as language_reader
from NER import reader as ner_reader
from NumberPrediction import reader as number_reader
from NumberPrediction.produce_data import ProduceConfig, produce
from Sentiment import imdb, sst
from Sentiment import reader as sentiment_reader

WORDS = ["the", "cat", "Sat", "on", "<unk>", "mat"]
TEXT = b" the cat sat on the mat \n the <unk> sat \n a caf\xc3\xa9 \n" * 3
CONLL = b"-DOCSTART- -X- O O\n\nU.N. NNP I-NP I-ORG\nofficial NN I-NP O\n\nRome NNP I-NP B-LOC\n\n"
TREES = b"(3 (2 so) (4 good))\n(0 (1 (2 a) (1 bore)) (2 .))\n" * 2
TSV = b"label\ttext\n" + b"good\tSo caf\xc3\xa9!\nbad\tno\n" * 4
JSON = b'{"text": "So caf\xc3\xa9!", "label": 1}\n{"label": 0, "text": "no"}\n' * 4
VECTORS = b"the 1 2 3\ncat .5 -1e-3 0\nsat 1 1 1\n"


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def archive(mode, **members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_TXT", ".txt"))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def trees_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("train", "dev", "test"):
            made.writestr(f"trees/{name}.txt", TREES)
    return file.getvalue()


def binary_vectors(words=WORDS, end=b"\n"):
    rows = b"".join(
        word.encode() + b" " + np.arange(3, dtype="<f4").tobytes() + end for word in words
    )
    return b"%d 3\n" % len(words) + rows


def vectors(path):
    """What is read is a number, and none that letters give."""
    matrix = load_vectors(path, [*WORDS, "the cat"], dim=3).matrix
    assert matrix.shape == (7, 3) and np.abs(matrix).max() <= 1e9


REVIEWS = {
    f"aclImdb__{part}__{sign}__1_9_TXT": b"A <br />fine film."
    for part in ("train", "test")
    for sign in ("pos", "neg")
}
PTB = {f"simple-examples__data__ptb.{split}_TXT": TEXT for split in ("train", "valid", "test")}


def flags_of(tmp):
    RunDirectory.open(tmp / "made", RunConfig(), ["x"])
    return (tmp / "made" / "flags.json").read_bytes()


def number_data(tmp):
    produce(ProduceConfig(data_dir=str(tmp / "made"), n_train=3, n_dev=3, n_test=3))
    return (tmp / "made" / "train.npz").read_bytes()


def saved_encoder(tmp):
    ner_reader.Encoder.build([ner_reader.Sentence(["a", "b1"], ["O", "B-PER"])]).save(
        tmp / "made.json"
    )
    return (tmp / "made.json").read_bytes()


def saved_checkpoint(tmp):
    return checkpoint.save(tmp, 3, {"w": np.arange(6.0)}, {"epoch": 1}).read_bytes()


def arrays_of_a_checkpoint(path):
    with open(path, "rb") as file:
        return checkpoint._read(file, path)


# The name of the file, a valid content (or how to make it), and how it is read.
READERS = {
    "text": ("a.txt", TEXT, read_lines),
    "vocabulary": ("a.txt", "\n".join(WORDS).encode(), Vocabulary.load),
    "conll": ("eng.train", CONLL, ner_reader.read_conll),
    "columns": (
        "a.conll",
        b"#\thttp://a\n1\tRome\tB-LOC\n2\tis\tO\n\n",
        lambda path: ner_reader.read_conll(path, columns=[2, 3]),
    ),
    "encoder": ("encoder.json", saved_encoder, ner_reader.Encoder.load),
    "vectors.txt": ("a.txt", VECTORS, lambda path: load_vectors(path, WORDS)),
    "vectors.txt by the flag": ("a.txt", b"the cat 7 8 9\n" + VECTORS, vectors),
    "vectors.txt with a header": ("a.txt", b"4 3\nthe cat 7 8 9\n" + VECTORS, vectors),
    "vectors.gz": ("a.txt.gz", gzip.compress(VECTORS), vectors),
    "vectors.bin": ("a.bin", binary_vectors(), vectors),
    "vectors.bin without lines": ("a.bin", binary_vectors(end=b""), vectors),
    "vectors.npz": (
        "a.npz",
        npz(words=np.array(WORDS), vectors=np.ones((6, 3))),
        lambda path: load_vectors(path, WORDS),
    ),
    "language.txt": ("train.txt", TEXT, lambda path: language_reader.load(path.parent)),
    "language.tgz": (
        "simple-examples.tgz",
        archive("w:gz", **PTB),
        lambda path: language_reader.load(path.parent),
    ),
    "imdb": (
        "aclImdb_v1.tar.gz",
        archive("w:gz", **REVIEWS),
        lambda path: imdb.read_imdb(path, per_class=1),
    ),
    "imdb.tar": (
        "aclImdb_v1.tar.gz",
        archive("w", **REVIEWS),
        lambda path: imdb.read_imdb(path, per_class=1),
    ),
    "trees": (
        "train.txt",
        TREES,
        lambda path: sentiment_reader.load("sst5", path.parent, phrases=True),
    ),
    "trees.zip": (
        sst.ARCHIVE,
        trees_zip(),
        lambda path: sentiment_reader.load("sst5", path.parent),
    ),
    "own.tsv": ("train.tsv", TSV, lambda path: sentiment_reader.load("own", path.parent)),
    "own.jsonl": ("train.jsonl", JSON, lambda path: sentiment_reader.load("own", path.parent)),
    "numbers": ("train.npz", number_data, lambda path: number_reader._read(path, 10, "paper")),
    "checkpoint": ("checkpoint-3.npz", saved_checkpoint, checkpoint.load),
    "checkpoint's arrays": (
        "a.npz",
        saved_checkpoint,
        arrays_of_a_checkpoint,
    ),
    "flags": ("flags.json", flags_of, lambda path: load_config(path.parent, RunConfig)),
    "metrics": (
        "metrics.jsonl",
        json.dumps({"epoch": 1}).encode() + b"\n{}\n",
        lambda path: RunDirectory(path.parent).read_metrics(),
    ),
    "result": ("result.json", b'{"a": [1, null]}', lambda path: RunDirectory(path.parent).result),
}
PIECES = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff",
    b" ",
    b"\t",
    b"(",
    b")",
    b'"',
    b"{",
    b"}",
    b"9" * 30,
    b"-1",
    b"nan",
    b"\x80" * 5,
    b"<eos>",
    b" <pad> ",
    b"1 ",
    "\u00a0\u2028".encode(),
    b"\x0c",
    b"\x1f\x8b",
    b"-DOCSTART-",
]


def changed(content: bytes, chance: random.Random) -> bytes:
    """A few bytes flipped, taken away, put in, or moved; or the end cut off."""
    content = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        to = min(len(content), at + chance.choice((1, 1, 2, 8, 40)))
        what = chance.randrange(6)
        if what == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            del content[at:to]
        elif what == 2:
            content[at:at] = chance.choice(PIECES)
        elif what == 3:
            content[at:to] = chance.randbytes(to - at)
        elif what == 4:
            content[at:at] = content[to : to + chance.randrange(50)]
        elif chance.random() < 0.3:
            del content[at:]
    return bytes(content)


@pytest.mark.parametrize("n", [400, pytest.param(1000, marks=LONG)])
@pytest.mark.parametrize("name", READERS)
def test_reader(name, n, tmp_path):
    file_name, valid, read = READERS[name]
    if callable(valid):
        valid = valid(tmp_path)
    folder = tmp_path / "read"
    folder.mkdir()
    if name == "language.txt":
        for split in ("valid", "test"):
            (folder / f"{split}.txt").write_bytes(TEXT)
    if name == "trees":
        for split in ("dev", "test"):
            (folder / f"{split}.txt").write_bytes(TREES)
    if name.startswith("own"):
        for part in ("dev", "test"):
            (folder / file_name.replace("train", part)).write_bytes(valid)
    path = folder / file_name
    path.write_bytes(valid)
    read(path)  # it is valid
    seen = set()

    @settings(max_examples=n, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**48))
    def check(seed):
        chance = random.Random(seed)
        content = (
            chance.randbytes(chance.randrange(200))
            if chance.random() < 0.2
            else changed(valid, chance)
        )
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path)
            seen.add("read")
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, str(error)
            seen.add("refused")

    check()
    assert "refused" in seen
