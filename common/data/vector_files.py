"""Reads the formats of word vectors: text of GloVe and word2vec, word2vec's binary file, `.npz`.

Files are streamed: only the requested rows are kept in memory (GoogleNews is 3.6 GB, GloVe 840B is
5.6 GB). None of the formats marks where a word ends, and words may contain spaces; so what a file
declares (rows, D) is checked against all of its content, and against what was asked for.
"""

import gzip
import os
import pathlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from ..errors import InputError, warn
from ..files import read_npz
from .text import no_text, words_of

_LARGEST = 1e9  # letters read as a float are 1e20 and more
_SMALLEST = 1e-15  # and a space among them 1e-19
_SPACE = ": has a word a space in it? Write the vectors as text"
_BLOCK = 1000  # rows
_LARGEST_DIM = 1 << 20
_LONGEST_WORD = 1 << 16  # bytes; GoogleNews has words of some hundred

_Rows = tuple[int, dict[str, np.ndarray]]


def read_vectors(
    path: pathlib.Path, wanted: set[str], dim: int | None, form: Callable[[str], str]
) -> _Rows:
    """D, and the vectors [D] float32 of the words of a file whose spelling by `form` is wanted.

    Arguments and errors are those of `load_vectors`.
    """
    names = path.name.lower().removesuffix(".gz")
    if names.endswith(".npz"):
        return _from_npz(path, wanted, form)
    read = _from_binary if names.endswith(".bin") else _from_text
    try:
        with _open(path) as file:
            return read(path, file, wanted, dim, form)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: expected a whole gzip file, found a broken one ({error}); get it again"
        ) from error


def check_dim(path: str | os.PathLike, asked: int | None, found: int) -> None:
    """Raises `InputError` if another dimension was asked for than the file has."""
    if asked not in (None, found):
        raise InputError(
            f"{path}: expected vectors of dimension {asked}, found {found}; change the size of the"
            " words' vectors (--word_size), or the file"
        )


def _from_npz(path: pathlib.Path, wanted: set[str], form: Callable[[str], str]) -> _Rows:
    try:
        arrays = read_npz(path)
        names, vectors = arrays["words"], arrays["vectors"]
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path}: expected `words` and `vectors` in an .npz without pickles, but {error}"
        ) from error
    numeric = vectors.dtype.kind == "f" and vectors.ndim == 2 and np.isfinite(vectors).all()
    if names.dtype.kind != "U" or not numeric or names.shape != vectors.shape[:1]:
        raise InputError(
            f"{path}: expected words [V] of text and vectors [V, D] of finite floats, "
            f"found {names.dtype} {list(names.shape)} and {vectors.dtype} {list(vectors.shape)}; "
            "write it anew"
        )
    rows: dict[str, np.ndarray] = {}
    for name, vector in zip(names.tolist(), vectors, strict=True):
        word = form(name)
        if word in wanted:
            rows.setdefault(word, vector)
    return vectors.shape[1], rows


def _open(path: pathlib.Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path)
    with open(path, "rb") as file:
        head = file.read(512)
    if known := no_text(head):
        raise InputError(f"{path}: expected word vectors, found {known}")
    return open(path, "rb")


def _from_text(
    path: pathlib.Path,
    file: BinaryIO,
    wanted: set[str],
    asked: int | None,
    form: Callable[[str], str],
) -> _Rows:
    """Rows of a text file: the last D columns of a line are the numbers, the rest is the word.

    D is what the first line declares, else what was asked for, else the number of numbers at the
    end of the first line.
    """
    dim, declared, number, fits, columns = asked, None, 0, False, 0
    rows: dict[str, np.ndarray] = {}
    undecodable: list[int] = []
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip(" \t\r\n")
        except UnicodeDecodeError:
            undecodable.append(number)
            continue
        columns, word = line.count(" "), line.partition(" ")[0]
        if columns != dim or "\t" in word or number == 1:
            line = " ".join(words_of(line))
            columns = line.count(" ")  # behind the first word
        if number == 1 and columns == 1 and line.replace(" ", "").isdecimal():
            declared, dim = map(int, line.split(" "))
            check_dim(path, asked, dim)
            continue
        dim = _numbers_at_the_end(line) if dim is None else dim
        if number == 1 and asked and 0 < columns == _numbers_at_the_end(line) < asked:
            check_dim(path, asked, columns)
        word = line.partition(" ")[0] if columns == dim else line.rsplit(" ", dim)[0]
        # One number more than D may belong to the word ("area 51"), unless it does in every line.
        odd = declared is None and columns > dim and _is_number(word.rpartition(" ")[2])
        if columns < dim or not dim or (odd and asked is None):
            raise InputError(
                f"{path}:{number}: expected a word and {dim or 'its'} numbers, found {columns}; "
                "repair the line"
            )
        fits = fits or not odd
        numbers, word = line[len(word) + 1 :], form(word)
        if word in wanted and word not in rows:
            try:
                rows[word] = _sane(np.array(numbers.split(" "), np.float32))
            except ValueError as error:
                raise InputError(
                    f"{path}:{number}: expected {dim} numbers after the word, but {error}"
                ) from error
    if declared is None and not columns:
        found = "none that is UTF-8" if undecodable else "an empty file"
        raise InputError(
            f"{path}: expected lines of a word and its numbers, found {found}; get it again"
        )
    if declared not in (None, number - 1):
        raise InputError(
            f"{path}: the first line promises {declared} rows, found {number - 1}; get the file "
            "again"
        )
    if declared is None and not fits:
        check_dim(path, asked, columns)
    _say_left_out(path, undecodable, number, "line")
    return dim, rows


def _from_binary(
    path: pathlib.Path,
    file: BinaryIO,
    wanted: set[str],
    asked: int | None,
    form: Callable[[str], str],
) -> _Rows:
    """Rows of word2vec's binary file.

    A line "rows D"; then for each row the word, a space, D little-endian float32, and often a
    newline.
    """
    header = file.readline(100).split()
    if (
        len(header) != 2
        or not all(part.isdigit() for part in header)
        or not 0 < int(header[1]) <= _LARGEST_DIM
    ):
        raise InputError(
            f"{path}: expected word2vec's binary format, a first line 'rows D', found {header}; "
            "check it"
        )
    n_rows, dim = map(int, header)
    check_dim(path, asked, dim)
    rows: dict[str, np.ndarray] = {}
    undecodable: list[int] = []
    block: list[bytes] = []  # numbers yet to be checked: many rows at once, which is fast
    before, wrong, number = b"", "", 0
    try:
        for number, (name, numbers) in enumerate(_binary_rows(file, n_rows, 4 * dim), 1):
            block.append(numbers)
            if len(block) == _BLOCK:
                _check_block(path, block, number, dim)
                block.clear()
            try:
                word = form(name.decode())
            except UnicodeDecodeError:
                undecodable.append(number)
                # If the row before had a space in its word, letters were read as numbers there,
                # and what was left of the numbers stands before this word.
                sizes = np.abs(np.frombuffer(before, "<f4"))
                if np.any((sizes > 0) & (sizes < _SMALLEST)):
                    raise _Unframed(f"row {number - 1} is no word and numbers{_SPACE}") from None
            else:
                if word in wanted and word not in rows:
                    rows[word] = np.frombuffer(numbers, "<f4")
            before = numbers
    except _Unframed as error:
        wrong = str(error)
    _check_block(path, block, number, dim)
    if wrong:
        raise InputError(
            f"{path}: expected {n_rows} rows of {dim} floats and then its end, as it promises, "
            f"but {wrong}"
        )
    _say_left_out(path, undecodable, n_rows, "row")
    return dim, rows


class _Unframed(Exception):
    """A binary file in which a row does not begin or end where it should."""


def _binary_rows(file: BinaryIO, n_rows: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The bytes of each row's word and numbers.

    Either all rows but the first begin with a newline, or none does.
    """
    buffer, at, lines = b"", 0, None
    for number in range(1, n_rows + 1):
        while (space := buffer.find(b" ", at)) < 0 or len(buffer) < space + 1 + size:
            if space < 0 and len(buffer) - at > _LONGEST_WORD:
                raise _Unframed(f"row {number} begins with no word; get the file again")
            more = file.read(1 << 20)
            if not more:
                raise _Unframed(f"row {number} is cut; get the file again")
            buffer, at = buffer[at:] + more, 0
        line = buffer.startswith(b"\n", at)
        if number > 2 and line != lines:
            raise _Unframed(
                f"of the rows {number - 1} and {number} one alone begins on a line of its "
                f"own{_SPACE}"
            )
        lines = line
        yield buffer[at:space].lstrip(b"\n"), buffer[space + 1 : space + 1 + size]
        at = space + 1 + size
    rest = buffer[at:] + file.read(1 << 20)
    if rest not in (b"", b"\n", b"\r\n"):
        more = "or more " if len(rest) >= 1 << 20 else ""
        raise _Unframed(f"{len(rest):,} bytes {more}follow; get the file again")


def _check_block(path: pathlib.Path, block: Sequence[bytes], last: int, dim: int) -> None:
    """Raises `InputError` for the first row with NaN or huge numbers."""
    largest = np.abs(np.frombuffer(b"".join(block), "<f4").reshape(-1, dim)).max(1)
    odd = np.flatnonzero(~(largest <= _LARGEST))  # what is not a number is not smaller
    if odd.size:
        row, found = last - len(block) + 1 + odd[0], largest[odd[0]]
        raise InputError(
            f"{path}, row {row}: expected a word and {dim} floats, but one is {found:.0e}{_SPACE}"
        )


def _say_left_out(path: pathlib.Path, undecodable: Sequence[int], n_rows: int, unit: str) -> None:
    if undecodable:
        n, first = len(undecodable), undecodable[0]
        warn(
            f"{path}: {n:,} of {n_rows:,} words are not UTF-8, the first in {unit} {first}: they "
            "are left out"
        )


def _sane(vector: np.ndarray) -> np.ndarray:
    if not np.isfinite(vector).all():
        raise ValueError("one is not finite")
    if (largest := np.abs(vector).max(initial=0)) > _LARGEST:
        raise ValueError(f"one is as large as {largest:.0e}")
    return vector


def _numbers_at_the_end(line: str) -> int:
    behind = line.split(" ")[:0:-1]  # the last first, without the first word
    return next((n for n, text in enumerate(behind) if not _is_number(text)), len(behind))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
