"""IMDB and SST readers on small copies of the distributed forms, and the real files' counts."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from common.data import download
from common.errors import InputError
from LanguageModeling.corpora import reviews
from Sentiment import imdb, reader
from Sentiment.imdb import read_imdb
from Sentiment.reader import encode, load, split, vocabulary
from Sentiment.sst import read_trees
from Sentiment.tokens import Example, tokenise

REVIEWS = {
    "train/neg/0_2.txt": "It's <br /><br />BAD...",
    "train/neg/1_1.txt": "Bad bad",
    "train/pos/0_9.txt": "Very good caf\u00e9, I'd say",
    "train/pos/1_10.txt": "good",
    "test/neg/0_3.txt": "boring",
    "test/neg/1_3.txt": "dull",
    "test/pos/0_7.txt": "fine",
    "test/pos/1_7.txt": "great",
}
TREE = r"(3 (2 It) (4 (2 (2 's) (1 so)) (4 (2 -LRB-) (2 good\/bad))))"


def write_archive(path, reviews=REVIEWS, root="aclImdb/"):
    """As distributed: with files that are no labelled reviews, the parts in another order."""
    others = {
        "README": "read me",
        "train/unsup/0_0.txt": "x",
        "train/labeledBow.feat": "0:1",
        "imdb.vocab": "the",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in reversed((others | reviews).items()):
            member = tarfile.TarInfo(root + name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


def write_folder(path):
    for name, text in REVIEWS.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)


def test_tokenise():
    assert tokenise("It's <br /><br />BAD... don\u2019t_go 10/10 na\u00efve (x)") == [
        "it's",
        "bad",
        ".",
        ".",
        ".",
        "don\u2019t",
        "_",
        "go",
        "10",
        "/",
        "10",
        "na\u00efve",
        "(",
        "x",
        ")",
    ]
    assert tokenise("'quoted' rock'n'roll") == ["'", "quoted", "'", "rock'n'roll"]


def test_imdb_by_hand_from_archive_and_folder(tmp_path):
    write_archive(tmp_path / "aclImdb_v1.tar.gz")
    write_folder(tmp_path / "aclImdb")
    train, test = read_imdb(tmp_path / "aclImdb_v1.tar.gz", max_tokens=4, per_class=2)
    assert train == [
        (["bad", ".", ".", "."], 0),
        (["bad", "bad"], 0),
        (["caf\u00e9", ",", "i'd", "say"], 1),
        (["good"], 1),
    ]
    assert test == [(["boring"], 0), (["dull"], 0), (["fine"], 1), (["great"], 1)]
    assert read_imdb(tmp_path / "aclImdb", max_tokens=4, per_class=2) == (train, test)


def test_imdb_cache(tmp_path, monkeypatch):
    archive, cache = tmp_path / "aclImdb_v1.tar.gz", tmp_path / "cache"
    write_archive(archive)
    expected = read_imdb(archive, per_class=2)
    assert read_imdb(archive, per_class=2, cache_dir=cache) == expected
    (kept,) = cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(imdb, "_tokens", None)  # calling it would raise
        assert read_imdb(archive, per_class=2, cache_dir=cache) == expected
        assert read_imdb(archive, 1, 2, cache)[0][0] == (["."], 0)  # what is cached is not cut
    kept.write_bytes(b"")
    assert read_imdb(archive, per_class=2, cache_dir=cache) == expected
    write_archive(archive, REVIEWS | {"test/pos/1_7.txt": "a longer review"})
    assert read_imdb(archive, per_class=2, cache_dir=cache)[1][-1].words == [
        "a",
        "longer",
        "review",
    ]
    write_folder(tmp_path / "aclImdb")
    assert read_imdb(tmp_path / "aclImdb", per_class=2, cache_dir=cache) == expected


def test_imdb_that_is_not_whole(tmp_path):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    write_archive(
        archive, {name: text for name, text in REVIEWS.items() if name != "test/neg/1_3.txt"}
    )
    with pytest.raises(InputError, match="expected 2 reviews in test/neg, found 1; get it again"):
        read_imdb(archive, per_class=2)
    with pytest.raises(InputError, match="expected 12,500 reviews in train/neg, found 2"):
        load("imdb", tmp_path)
    whole = archive.read_bytes()
    for broken in (whole[:-30], whole[:3], b"no archive", b""):
        archive.write_bytes(broken)
        with pytest.raises(InputError, match="expected a whole tar archive, found"):
            read_imdb(archive)
    with pytest.raises(InputError, match="found nothing; check the path"):
        read_imdb(tmp_path / "elsewhere", cache_dir=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected 12,500 reviews in train/neg, found 0"):
        read_imdb(tmp_path / "empty", cache_dir=tmp_path)


def test_imdb_names_what_is_not_text(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "test/pos/0_7.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="test/pos/0_7.txt:1: expected UTF-8"):
        read_imdb(tmp_path, per_class=2)


def test_what_lies_beside_the_reviews_is_not_read(tmp_path):
    """Resource forks of macOS, in an archive and in a folder, and what editors leave."""
    beside = {
        f"{folder}/{name}": "\0\5\x16\7"
        for folder in ("train/neg", "test/pos")
        for name in ("._0_2.txt", ".hidden.txt")
    }
    write_archive(
        tmp_path / "a.tar.gz",
        REVIEWS | {f"__MACOSX/{name}": "\0" for name in REVIEWS} | beside,
        root="",
    )
    write_folder(tmp_path / "aclImdb")
    plain = read_imdb(tmp_path / "aclImdb", per_class=2)
    for name, text in (
        beside | {"train/neg/.ipynb_checkpoints/0_2.txt": "x", "train/neg/0_2.txt~": "x"}
    ).items():
        (tmp_path / "aclImdb" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "aclImdb" / name).write_text(text)
    assert read_imdb(tmp_path / "a.tar.gz", per_class=2) == plain
    assert read_imdb(tmp_path / "aclImdb", per_class=2, cache_dir=tmp_path / "cache") == plain


@pytest.mark.parametrize("place", ["", "aclImdb", "aclImdb/aclImdb", "aclImdb_v1/aclImdb"])
@pytest.mark.parametrize("parent", ["", "imdb"])
def test_where_tools_unpack_the_reviews(place, parent, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("fetched"))
    write_folder(tmp_path / parent / place)
    assert imdb.find(tmp_path) == tmp_path / parent / place
    assert reviews.is_there(tmp_path / parent)


PACKED = [
    ("imdb", "aclImdb_v1.tar"),
    ("imdb", "aclImdb.zip"),
    ("sst5", "train.txt.gz"),
    ("sst5", "trees.zip"),
]


@pytest.mark.parametrize("dataset, name", PACKED)
def test_what_is_still_packed_is_named_and_nothing_fetched(dataset, name, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("fetched"))
    (tmp_path / name).touch()
    (tmp_path / "holiday.zip").touch()
    with pytest.raises(
        InputError, match=f"found neither, but {name}, still packed: unpack it there"
    ):
        load(dataset, tmp_path)


def test_an_archive_that_is_a_web_page(tmp_path):
    (tmp_path / "aclImdb_v1.tar.gz").write_bytes(b"<!DOCTYPE html>\n<title>404</title>\n")
    with pytest.raises(
        InputError,
        match=(
            r"aclImdb_v1\.tar\.gz: expected a tar archive, found a web page; download the file"
            r" itself"
        ),
    ):
        load("imdb", tmp_path)


def test_nothing_outside_the_review_folders_is_read(tmp_path):
    """A member that would climb out of a folder, were it extracted, is at most read; nothing is
    written.
    """
    write_archive(tmp_path / "a.tar.gz", {f"../../{name}": text for name, text in REVIEWS.items()})
    read_imdb(tmp_path / "a.tar.gz", per_class=2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_missing_archives_are_fetched_into_the_folder(tmp_path, monkeypatch):
    def fetch(url, path, sha256):
        assert path.parent == tmp_path and path.name == url.rsplit("/", 1)[1] and len(sha256) == 64
        raise InputError("no network")

    monkeypatch.setattr(download, "fetch", fetch)
    for dataset in ("imdb", "sst5"):
        with pytest.raises(InputError, match="no network"):
            load(dataset, tmp_path)
        with pytest.raises(InputError, match="expected the folder that has the data"):
            load(dataset, tmp_path / "elsewhere")
    with pytest.raises(InputError, match="among imdb, sst5, sst2, own, found 'sst'"):
        load("sst", tmp_path)


def test_split_takes_its_share_of_each_class():
    examples = [Example([str(i)], int(i >= 60)) for i in range(100)]
    train, dev = split(examples, 0.15, seed=1)
    assert sum(e.label == 0 for e in dev) == 9 and sum(e.label == 1 for e in dev) == 6
    assert sorted(train + dev, key=lambda e: int(e.words[0])) == examples
    assert split(examples, 0.15, seed=1) == (train, dev) != split(examples, 0.15, seed=2)


def test_trees_by_hand():
    assert read_trees("t", [TREE, "", "(0 bad)"]) == [
        (["it", "'s", "so", "(", "good/bad"], 3),
        (["bad"], 0),
    ]
    phrases = read_trees("t", [TREE, TREE], phrases=True)
    expected = [
        (["it", "'s", "so", "(", "good/bad"], 3),
        (["'s", "so", "(", "good/bad"], 4),
        (["(", "good/bad"], 4),
        (["good/bad"], 2),
        (["("], 2),
        (["'s", "so"], 2),
        (["so"], 1),
        (["'s"], 2),
        (["it"], 2),
    ]
    assert phrases == expected
    # a no-break space is part of a word
    assert read_trees("t", ["(2 8\u00a01\\/2)"])[0].words == ["8\u00a01/2"]


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ("(3 (2 a) (2 b)", "no end"),
        ("(3 a", "no end"),
        ("(3 (2 a)))", r"'\)' after the end"),
        ("(3 a) (2 b)", r"'\(' after the end"),
        ("(5 a)", "'5' for a label from 0 to 4"),
        ("((2 a))", r"'\(' for a label from 0 to 4"),
        ("(", "'the end' for a label from 0 to 4"),
        ("(3)", "a node without words"),
        ("(3 a b)", "'a' beside other parts of its node"),
        ("(3 (2 a) b)", "'b' beside other parts of its node"),
        ("(3 a (2 b))", "'a' beside other parts of its node"),
        ("3 a", "'3' before the first bracket"),
    ],
)
def test_malformed_trees_are_named_with_their_line(tree, found):
    with pytest.raises(
        InputError, match=rf"train\.txt:2: expected a tree .*, found {found}; repair the line"
    ):
        read_trees("train.txt", ["(2 a)", tree])


def test_trees_from_files_and_from_the_archive(tmp_path):
    files = {
        "train.txt": f"{TREE}\n(2 it)\n(0 bad)\n",
        "dev.txt": "(1 bad)\n(4 good)\n",
        "test.txt": "(3 ok)\n",
    }
    (tmp_path / "files" / "sst").mkdir(parents=True)
    (tmp_path / "zip").mkdir()
    with zipfile.ZipFile(tmp_path / "zip" / "trainDevTestTrees_PTB.zip", "w") as archive:
        for name, text in files.items():
            (tmp_path / "files" / "sst" / name).write_text(text)
            archive.writestr(f"trees/{name}", text)
    for dataset in ("sst5", "sst2"):
        for phrases in (False, True):
            corpus = load(dataset, tmp_path / "files", phrases=phrases)
            assert corpus == load(dataset, tmp_path / "zip", phrases=phrases)
            assert corpus.dev == (
                [(["bad"], 1), (["good"], 4)]
                if dataset == "sst5"
                else [(["bad"], 0), (["good"], 1)]
            )
            assert len(corpus.train) == {"sst5": (3, 10), "sst2": (2, 5)}[dataset][phrases]
    assert load("sst2", tmp_path / "zip", max_tokens=2).train[0].words == ["(", "good/bad"]
    (tmp_path / "files" / "sst" / "dev.txt").write_text("\n")
    with pytest.raises(InputError, match="dev.txt: expected trees, found none"):
        load("sst5", tmp_path / "files")
    (tmp_path / "zip" / "trainDevTestTrees_PTB.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="expected a zip file with trees/train.txt"):
        load("sst5", tmp_path / "zip")


def test_vocabulary_and_arrays():
    examples = [Example(["good", "good", "film"], 1), Example(["bad"], 0)]
    words = vocabulary(examples, max_size=4)
    assert words.words == ("<pad>", "<unk>", "good", "bad")
    arrays = encode(examples, words, length=4)
    assert arrays.words.tolist() == [[2, 2, 1, 0], [3, 0, 0, 0]]
    assert arrays.labels.tolist() == [1, 0] and arrays.lengths.tolist() == [3, 1]
    assert {a.dtype for a in arrays} == {np.dtype("int32")}
    assert encode(examples, words).words.shape == (2, 3)
    with pytest.raises(InputError, match="at most 2 tokens, found 3"):
        encode(examples, words, length=2)


@pytest.mark.parametrize("dataset", reader.DATASETS)
def test_generated_corpus(dataset):
    corpus = load(dataset, seed=1)
    assert load(dataset, seed=2) == corpus  # runs of other seeds are asked the same
    assert [len(part) for part in corpus[:3]] == list(reader.GENERATED) and corpus.classes == 2
    assert (
        0.4 < np.mean([e.label for e in corpus.train]) < 0.6
        and min(len(e.words) for e in corpus.train) > 0
    )


def test_counts_of_the_distributed_trees(data_dir):
    corpus = load("sst5", data_dir)
    assert [len(part) for part in corpus[:3]] == [8544, 1101, 2210] and corpus.classes == 5
    assert {e.label for e in corpus.test} == {0, 1, 2, 3, 4}
    assert [len(part) for part in load("sst2", data_dir)[:3]] == [6920, 872, 1821]


def test_counts_of_the_distributed_reviews(data_dir, request):
    # Tokenising 50,000 reviews takes a while: what the readers cache is kept between test runs.
    corpus = load("imdb", data_dir, seed=3, cache_dir=request.config.cache.mkdir("imdb"))
    assert [len(part) for part in corpus[:3]] == [21250, 3750, 25000]
    assert [sum(e.label for e in part) for part in corpus[:3]] == [10625, 1875, 12500]
    assert max(len(e.words) for e in corpus.test) == 400
