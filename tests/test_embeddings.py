"""Word vectors from every format, the same rows from each; random rows; and bad files named with
their line.
"""

import functools
import gzip
import re
import struct

import numpy as np
import pytest

from common.data.embeddings import load_vectors
from common.errors import InputError

FILE = {"the": [0.1, -0.2], "Oslo": [1.5, 2.5], "oslo": [3.0, -4.0], "b": [0.0, 7.0]}
WORDS = ["<pad>", "<unk>", "The", "the", "Oslo", "OSLO", "zebra"]
EXPECTED = {"The": FILE["the"], "the": FILE["the"], "Oslo": FILE["Oslo"], "OSLO": FILE["oslo"]}


def lines(rows=FILE):
    return "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows.items())


def write_glove(path):
    path.write_text(lines())


def write_word2vec(path):
    # the C program ends its lines with a space
    path.write_text("4 2\n" + lines().replace("\n", " \n"))


def write_gzip(path):
    path.write_bytes(gzip.compress(lines().encode()))


def write_binary(path, newline=b"\n"):
    rows = (word.encode() + b" " + struct.pack("<2f", *row) + newline for word, row in FILE.items())
    path.write_bytes(b"4 2\n" + b"".join(rows))


def write_npz(path):
    np.savez(path, words=np.array(list(FILE)), vectors=np.array(list(FILE.values()), np.float32))


WRITERS = {
    "glove.txt": write_glove,
    "w2v.txt": write_word2vec,
    "glove.txt.gz": write_gzip,
    "w2v.bin": write_binary,
    "plain.bin": lambda path: write_binary(path, b""),
    "vectors.npz": write_npz,
}


@pytest.mark.parametrize("name", WRITERS)
def test_exact_then_lower_case_then_random(tmp_path, name):
    WRITERS[name](tmp_path / name)
    vectors = load_vectors(tmp_path / name, WORDS, dim=2)
    assert vectors.matrix.dtype == np.float32 and vectors.matrix.shape == (7, 2)
    for word, row in EXPECTED.items():
        np.testing.assert_array_equal(vectors.matrix[WORDS.index(word)], np.float32(row))
    assert not vectors.matrix[0].any()
    assert (np.abs(vectors.matrix[[1, 6]]) <= 0.25).all() and vectors.matrix[[1, 6]].all()
    assert vectors.found.tolist() == [0, 0, 2, 1, 1, 2, 0]
    assert vectors.summary().startswith(
        "4 of 7 words (57.1 %) have a pretrained vector: 2 as written, 2 in lower case"
    )


def test_random_rows_depend_on_seed_and_bound_alone(tmp_path):
    write_glove(tmp_path / "g.txt")
    words = [f"w{i}" for i in range(500)] + ["the"]
    alone = load_vectors("", words, dim=2, seed=3)
    with_file = load_vectors(tmp_path / "g.txt", words, seed=3)
    np.testing.assert_array_equal(alone.matrix[:500], with_file.matrix[:500])
    assert (alone.matrix != load_vectors("", words, dim=2, seed=4).matrix).all()
    assert not alone.found.any()
    # sqrt(3 / 12) = .5: unit variance over 12 dimensions
    wide = load_vectors("", words, dim=12, bound=None).matrix
    assert 0.49 < wide.max() <= 0.5 and -0.5 <= wide.min() < -0.49
    assert abs(wide.mean()) < 0.02 and wide.std() == pytest.approx(0.5 / np.sqrt(3), rel=0.03)


@pytest.mark.parametrize("name", WRITERS)
def test_of_words_that_become_the_same_the_first_counts(tmp_path, name):
    WRITERS[name](tmp_path / name)
    vectors = load_vectors(tmp_path / name, ["4", "1"], dim=2, form=len_of)
    np.testing.assert_array_equal(vectors.matrix, np.float32([FILE["Oslo"], FILE["b"]]))
    cache = tmp_path / "cache"
    for form in (len_of, str):  # what was kept for one spelling is not taken for another
        load_vectors(tmp_path / name, ["4", "1"], cache_dir=cache, form=form)
    assert len(list(cache.iterdir())) == 2
    for form in (lambda word: word.lower(), functools.partial(str.strip)):  # no names of their own
        load_vectors(tmp_path / name, ["4", "1"], cache_dir=cache, form=form)
    assert len(list(cache.iterdir())) == 2


def len_of(word):
    return str(len(word))


def test_words_with_spaces_and_first_of_two_rows(tmp_path):
    (tmp_path / "g.txt").write_text("a 1 2\n. . . 3 4\na 5 6\n")
    np.testing.assert_array_equal(
        load_vectors(tmp_path / "g.txt", ["a", ". . ."]).matrix, [[1, 2], [3, 4]]
    )


def test_cache_is_used_and_follows_file_and_words(tmp_path, monkeypatch):
    path, cache = tmp_path / "g.txt", tmp_path / "cache"
    write_glove(path)
    first = load_vectors(path, WORDS, cache_dir=cache)
    np.testing.assert_array_equal(first.matrix, load_vectors(path, WORDS).matrix)
    (kept,) = cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("common.data.embeddings._look_up", None)  # calling it would raise
        again = load_vectors(path, WORDS, cache_dir=cache)
        np.testing.assert_array_equal(again.matrix, first.matrix)
        np.testing.assert_array_equal(again.found, first.found)
    kept.write_bytes(b"PK not an archive")
    np.testing.assert_array_equal(load_vectors(path, WORDS, cache_dir=cache).matrix, first.matrix)
    load_vectors(path, WORDS[::-1], cache_dir=cache)
    path.write_text(lines() + "more 1 1\n")
    load_vectors(path, WORDS, cache_dir=cache)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 1\n", r"g\.txt:2: expected a word and 2 numbers, found 1"),
        ("a 1 2\nb 1 2 3\n", r":2: expected a word and 2 numbers, found 3"),
        ("a 1 2\n\n", r":2: expected a word and 2 numbers, found 0"),
        ("a 1 2\nb 1 x\n", r":2: expected 2 numbers after the word, but .*'x'"),
        ("a 1 2\nb 1 nan\n", r":2: expected 2 numbers after the word, but one is not finite"),
        ("a\n", r":1: expected a word and its numbers, found 0"),
        ("<<<<<<< HEAD\na 1 2\n", r":1: expected a word and its numbers, found 1"),
        ("2 4\na 1:0.5 3:0.1\n", r":2: expected a word and 4 numbers, found 2"),  # sparse
        ("", "found an empty file"),
        ("3 2\na 1 2\n", "promises 3 rows, found 1"),
    ],
)
def test_bad_text_is_named_with_its_line(tmp_path, content, message):
    (tmp_path / "g.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        load_vectors(tmp_path / "g.txt", ["a", "b"])


@pytest.mark.parametrize("line", ["a,1,2", "a"])
def test_a_line_without_columns_is_not_a_matter_of_dimension(line, tmp_path):
    (tmp_path / "g.csv").write_text(f"{line}\n")
    with pytest.raises(
        InputError, match=r":1: expected a word and 2 numbers, found 0; repair the line"
    ):
        load_vectors(tmp_path / "g.csv", ["a"], 2)


def test_bad_files(tmp_path):
    latin, cut, broken, pickled = (
        tmp_path / name for name in ("g.txt", "w.bin", "g.txt.gz", "p.npz")
    )
    latin.write_bytes("\xe9 1 2\n\xea 1 2\n".encode("latin-1"))
    with pytest.raises(
        InputError,
        match="g.txt: expected lines of a word and its numbers, found none that is UTF-8",
    ):
        load_vectors(latin, ["a"])
    write_binary(cut)
    cut.write_bytes(cut.read_bytes()[:-4])
    with pytest.raises(InputError, match="row 4 is cut"):
        load_vectors(cut, ["a"])
    cut.write_bytes(b"\x00\x01")
    with pytest.raises(InputError, match="a first line 'rows D'"):
        load_vectors(cut, ["a"])
    broken.write_bytes(gzip.compress(lines().encode())[:-12])
    with pytest.raises(InputError, match="whole gzip file"):
        load_vectors(broken, ["a"])
    np.savez(pickled, words=np.array(["a", 1], object), vectors=np.zeros((2, 2), np.float32))
    with pytest.raises(InputError, match="without pickles"):
        load_vectors(pickled, ["a"])
    np.savez(pickled, words=np.array(["a"]), vectors=np.zeros((2, 2), np.float32))
    with pytest.raises(InputError, match=r"found <U1 \[1\] and float32 \[2, 2\]"):
        load_vectors(pickled, ["a"])
    pickled.write_bytes(b"")
    with pytest.raises(InputError, match="without pickles"):
        load_vectors(pickled, ["a"])


def binary(*rows, header="", newline=b""):
    packed = (word + b" " + struct.pack(f"<{len(row)}f", *row) + newline for word, row in rows)
    return (header or f"{len(rows)} {len(rows[0][1])}").encode() + b"\n" + b"".join(packed)


ROWS = (b"the", (1, 2, 3, 4)), (b"film", (5, 6, 7, 8)), (b"fine", (9, 9, 9, 9))
SPACED = (b"fine wine", (1, 2, 3, 4))
LETTERS = struct.unpack("<f", b"abc>")[0]  # .22
NUMBER = (
    r", row {}: expected a word and \d floats, but one is \de\+\d\d: has a word a space in it\?"
    r" Write the vectors as text"
)
PROMISE = r": expected \d rows of \d floats and then its end, as it promises, but "
FRAMES = {
    "a space in the last word": (binary(*ROWS[:2], SPACED), NUMBER.format(3)),
    "a space in the first word": (binary(SPACED, *ROWS[:2]), NUMBER.format(1)),
    "a space, and lines": (binary(*ROWS[:2], SPACED, *ROWS, newline=b"\n"), NUMBER.format(3)),
    "a space, no letter behind it": (
        binary((b"1 2", (1, 2, 3, 4)), *ROWS[:2]),
        PROMISE + "row 1 is no word and numbers: has .*",
    ),
    "a space, lines": (
        binary((b"a bcd", (1, 2, 3, LETTERS)), *ROWS[:2], newline=b"\n"),
        PROMISE + "of the rows 2 and 3 one alone .*",
    ),
    "more rows than promised": (
        binary(*ROWS, header="2 4"),
        PROMISE + "21 bytes follow; get the file again",
    ),
    "fewer rows than promised": (
        binary(*ROWS, header="4 4"),
        PROMISE + "row 4 is cut; get the file again",
    ),
    "fewer numbers than promised": (binary(*ROWS, header="3 3"), PROMISE + "4 bytes follow; .*"),
    "more numbers than promised": (binary(*ROWS, header="3 5"), NUMBER.format(1)),
    "no space at all": (
        b"2 4\n" + b"x" * 100_000,
        PROMISE + "row 1 begins with no word; get the file again",
    ),
}


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("name", FRAMES)
def test_a_binary_file_ends_where_it_says(name, gz, tmp_path):
    content, found = FRAMES[name]
    path = tmp_path / ("w.bin.gz" if gz else "w.bin")
    path.write_bytes(gzip.compress(content) if gz else content)
    with pytest.raises(InputError) as refused:
        load_vectors(path, ["the"], cache_dir=tmp_path)
    assert re.fullmatch(re.escape(str(path)) + found, str(refused.value)), refused.value
    assert [path.name for path in tmp_path.iterdir()] == [path.name]  # nothing is kept of it


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_a_space_in_any_word_is_found(newline, tmp_path):
    """Ordinary vectors, 200 words, of which one has a space; blocks of few rows, so that all ways
    are gone.
    """
    rng = np.random.default_rng(0)
    for trial in range(200):
        rows = [(b"w%d" % i, rng.normal(0, 0.3, 12).astype(np.float32)) for i in range(20)]
        at, end = rng.integers(20), bytes(rng.choice(list(b"abcdefghij1234.-"), rng.integers(1, 8)))
        rows[at] = (b"new " + end, rows[at][1])
        (tmp_path / "w.bin").write_bytes(binary(*rows, newline=newline))
        with pytest.raises(InputError, match="has a word a space in it|bytes follow"):
            load_vectors(tmp_path / "w.bin", ["w3"])
            pytest.fail(f"{trial}: {rows[at][0]} in row {at + 1}")


@pytest.mark.parametrize("bad", [1e22, float("inf"), float("nan")])
def test_numbers_that_are_none_are_named_with_their_row(bad, tmp_path):
    (tmp_path / "w.bin").write_bytes(binary((b"a", (1, 2)), (b"the", (1, bad))))
    with pytest.raises(
        InputError,
        match=r"w\.bin, row 2: expected a word and 2 floats, but one is (1e\+22|inf|nan): has",
    ):
        load_vectors(tmp_path / "w.bin", ["the"])


def test_a_word_that_is_not_utf8_costs_its_row_alone(tmp_path, capsys):
    rows = (b"a", (1, 2)), (b"caf\xe9", (3, 4)), (b"\xff", (3, 4)), (b"b", (5, 6))
    (tmp_path / "w.bin").write_bytes(binary(*rows, newline=b"\n"))
    (tmp_path / "g.txt").write_bytes(b"".join(b"%s %d %d\n" % (word, *row) for word, row in rows))
    for name, unit in (("w.bin", "row"), ("g.txt", "line")):
        assert load_vectors(tmp_path / name, ["a", "b"], dim=2).matrix.tolist() == [[1, 2], [5, 6]]
        said = (
            f"warning: {tmp_path / name}: 2 of 4 words are not UTF-8, the first in {unit} 2: they"
            " are left out\n"
        )
        assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("content", "dim", "words"),
    [
        # the header's D
        (
            "3 2\narea 51 3 4\nthe 1 2\n51 5 6\n",
            None,
            {"area 51": [3, 4], "the": [1, 2], "51": [5, 6]},
        ),
        (". . 1 2\nthe 3 4\n", 2, {". .": [1, 2], "the": [3, 4]}),  # the flag's
        ("area 51 3 4\nthe 1 2\n", 2, {"area 51": [3, 4], "the": [1, 2]}),
        # neither: the numbers that the first line ends in
        (". . 1 2\nthe 3 4\n", None, {". .": [1, 2], "the": [3, 4]}),
        ("the\t1 2\n New  York 3\t4 \r\n", None, {"the": [1, 2], "New York": [3, 4]}),
        ("2 2\n2 2 2\n3 3 3\n", 2, {"2": [2, 2], "3": [3, 3]}),
    ],
)
def test_what_stands_before_the_numbers_is_the_word(content, dim, words, tmp_path):
    (tmp_path / "g.txt").write_bytes(content.encode())
    assert load_vectors(tmp_path / "g.txt", list(words), dim=dim).matrix.tolist() == list(
        words.values()
    )


@pytest.mark.parametrize(
    "content", ["the 1 2 3\ncat 1 2 3\n", "the 1\ncat 1\n", "2 3\nthe 1 2 3\ncat 1 2 3\n"]
)
def test_a_file_of_another_dimension_is_not_read_by_the_flag(content, tmp_path):
    (tmp_path / "g.txt").write_text(content)
    with pytest.raises(
        InputError, match=r"g\.txt: expected vectors of dimension 2, found [13]; change the size"
    ):
        load_vectors(tmp_path / "g.txt", ["the"], dim=2)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"PK\x03\x04", "a zip file; unpack it and give what was in it"),
        (b"BZh91AY", "a bzip2 file; unpack it .*"),
        (b"\0\5\x16\7\0", r"what macOS keeps beside a file .*; give the file itself"),
        (b"\xba\x16O/", r"a model in fastText's own format; give its \.vec file"),
        (b"<!DOCTYPE html>", "a web page; download the file itself"),
    ],
)
def test_what_is_no_file_of_vectors_is_named(head, found, tmp_path):
    for name in ("g.txt", "w.bin"):
        (tmp_path / name).write_bytes(head + b"\n\xff 1 2\n")
        with pytest.raises(InputError, match=rf"{name}: expected word vectors, found {found}"):
            load_vectors(tmp_path / name, ["a"])


def test_bad_arguments(tmp_path):
    write_glove(tmp_path / "g.txt")
    with pytest.raises(InputError, match="dimension 3, found 2"):
        load_vectors(tmp_path / "g.txt", ["a"], dim=3)
    with pytest.raises(InputError, match="found nothing there"):
        load_vectors(tmp_path / "nowhere.txt", ["a"])
    with pytest.raises(InputError, match="a file or a dimension"):
        load_vectors("", ["a"])


def test_distributed_files(data_dir):
    glove = load_vectors(
        data_dir / "embeddings/glove.6B.100d.partial_conll.txt", ["the", "The", "qqqqq"], dim=100
    )
    assert glove.found.tolist() == [1, 2, 0]
    np.testing.assert_allclose(glove.matrix[0, :3], [-0.038194, -0.24487, 0.72812])
    news = load_vectors(
        data_dir / "embeddings/googlenews_w2v_300d_8000w.npz", ["in", "zzzzz"], dim=300
    )
    assert news.found.tolist() == [1, 0]
    np.testing.assert_allclose(news.matrix[0, :3], [0.070312, 0.086914, 0.087891], rtol=1e-4)


def test_one_zero_word_is_a_word():
    found = load_vectors("", ["pad", "<pad>"], dim=2, zero_words="<pad>").matrix
    assert found[0].all() and not found[1].any()


@pytest.mark.parametrize("name", ["V.BIN", "V.NPZ", "V.TXT.GZ"])
def test_endings_in_capitals(name, tmp_path):
    row = np.array([1, 2], "<f4")
    content = {
        "V.BIN": b"1 2\na " + row.tobytes(),
        "V.TXT.GZ": gzip.compress(b"a 1 2\n"),
    }
    if name == "V.NPZ":
        with open(tmp_path / name, "wb") as file:
            np.savez(file, words=np.array(["a"]), vectors=row[None])
    else:
        (tmp_path / name).write_bytes(content[name])
    assert load_vectors(tmp_path / name, ["a"]).matrix.tolist() == [[1, 2]]
