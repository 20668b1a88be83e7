"""Text files and vocabularies."""

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data import text
from common.data.text import Vocabulary, read_lines
from common.errors import InputError


def write(tmp_path, data: bytes):
    path = tmp_path / "file.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\xef\xbb\xbfone\n", ["one"]),
        (b" one \n\ntwo\n\n", [" one ", "", "two", ""]),
        ("a\u0085b\u2028c\x0bd\n".encode(), ["a\u0085b\u2028c\x0bd"]),  # none of these ends a line
    ],
)
def test_read_lines(tmp_path, data, expected):
    assert read_lines(write(tmp_path, data)) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"file\.txt: .*empty"),
        (b"\xef\xbb\xbf", r"file\.txt: .*empty"),
        (b"good\ngr\xfcn\n", r"file\.txt:2: .*0xfc"),
        (b"good\nfine\nba\0d\n", r"file\.txt:3: .*NUL"),
        (b"a\0\n\xff\n", r"file\.txt:1: .*NUL"),
        (b"\xff\na\0\n", r"file\.txt:1: .*0xff"),
        ("utf-16".encode("utf-16"), r"file\.txt:1: .*UTF-8"),
    ],
)
def test_bad_files(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        read_lines(write(tmp_path, data))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="nothing there"):
        read_lines(tmp_path / "none.txt")
    with pytest.raises(InputError, match="nothing there"):
        read_lines(write(tmp_path, b"a") / "below")
    with pytest.raises(InputError, match="a folder"):
        read_lines(tmp_path)


def test_order_is_by_count_then_alphabet():
    assert Vocabulary.build("b a c b a d".split()).words == ("a", "b", "c", "d")
    assert Vocabulary.build("d c b b".split()).words == ("b", "c", "d")


def test_specials_counts_and_size():
    tokens = "b b b <unk> <unk> a a c".split()
    built = Vocabulary.build(tokens, specials=("<pad>", "<unk>"))
    assert built.words == ("<pad>", "<unk>", "b", "a", "c")
    assert Vocabulary.build(tokens, min_count=2, specials=("<pad>",)).words == (
        "<pad>",
        "b",
        "<unk>",
        "a",
    )
    assert Vocabulary.build(tokens, max_size=3, specials="<pad>").words == (
        "<pad>",
        "b",
        "<unk>",
    )
    with pytest.raises(InputError, match="max_size of at least 2, found 1"):
        Vocabulary.build(tokens, max_size=1, specials=("<pad>", "<unk>"))


@given(st.lists(st.sampled_from("abcdefg"), max_size=60), st.integers(1, 4), st.integers(1, 9))
def test_build_against_a_count(tokens, min_count, max_size):
    counts = collections.Counter(tokens)
    words = Vocabulary.build(tokens, max_size=max_size, min_count=min_count).words
    enough = [word for word in counts if counts[word] >= min_count]
    assert len(words) == min(max_size, len(enough)) and set(words) <= set(enough)
    order = [(-counts[word], word) for word in words]
    assert order == sorted(order)
    assert all((-counts[word], word) > order[-1] for word in set(enough) - set(words))


def test_encode_and_decode():
    vocabulary = Vocabulary(("a", "<unk>", "b"))
    ids = vocabulary.encode(["b", "z", "a"])
    assert ids.dtype == np.int32 and ids.tolist() == [2, 1, 0]
    assert vocabulary.decode(ids) == ["b", "<unk>", "a"]
    assert len(vocabulary) == 3 and "b" in vocabulary and "z" not in vocabulary
    assert vocabulary.encode([]).shape == (0,) and vocabulary.decode([]) == []


def test_unknown_words_and_ids():
    vocabulary = Vocabulary(("a", "b"))
    with pytest.raises(InputError, match="'z' is not in the vocabulary"):
        vocabulary.encode(["a", "z"])
    for ids in ([2], [-1]):
        with pytest.raises(InputError, match="from 0 to 1"):
            vocabulary.decode(ids)


@pytest.mark.parametrize("words", [("a", "a"), ("",), ("a\nb",), ("a\r",), ("\0",)])
def test_words_that_a_file_could_not_hold(words):
    with pytest.raises(InputError):
        Vocabulary(words)


WORD = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), min_size=1, max_size=4
)


@given(st.lists(WORD, min_size=1, unique=True, max_size=20))
def test_save_and_load(tmp_path_factory, words):
    path = tmp_path_factory.getbasetemp() / "words.txt"
    Vocabulary(tuple(words)).save(path)
    assert Vocabulary.load(path) == Vocabulary(tuple(words))


def test_save_and_load_a_leading_byte_order_mark(tmp_path):
    vocabulary = Vocabulary(("\ufeffa", " ", "b"))
    vocabulary.save(tmp_path / "words.txt")
    assert Vocabulary.load(tmp_path / "words.txt") == vocabulary


def test_bad_vocabulary_files(tmp_path):
    with pytest.raises(InputError, match=r"file\.txt:3: 'a' is in line 1"):
        Vocabulary.load(write(tmp_path, b"a\nb\na\n"))
    with pytest.raises(InputError, match=r"file\.txt:2: .*empty line"):
        Vocabulary.load(write(tmp_path, b"a\n\nb\n"))


def test_archive_members_are_named(tmp_path):
    with pytest.raises(InputError, match=r"^a\.tar/b\.txt:1: "):
        text.decode(b"\xff", "a.tar/b.txt")


def test_what_is_still_packed_is_named(tmp_path):
    for name in ("a.txt.gz", "._a.txt.zip", "b.txt.gz"):
        (tmp_path / name).touch()
    with pytest.raises(
        InputError,
        match=(
            r"a\.txt: expected a text file, found nothing there, but a\.txt\.gz, still packed:"
            r" unpack"
        ),
    ):
        read_lines(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(
        InputError,
        match=r"a\.txt: expected UTF-8 text, found a gzip file; unpack it and give what was in it$",
    ):
        read_lines(tmp_path / "a.txt")
