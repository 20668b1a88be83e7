"""Pretrained word vectors for a vocabulary, from the files that GloVe and word2vec are distributed as.

Read as a stream: what is kept is the rows asked for, never the file (GoogleNews is 3.6 GB, GloVe 840B is 5.6 GB).
"""

import gzip
import hashlib
import os
import pathlib
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from ..errors import InputError
from ..files import atomic_write, read_npz
from .text import PADDING

_MISSING, _EXACT, _LOWER = 0, 1, 2


class WordVectors(NamedTuple):
    """matrix [V, D] float32; found [V] int8: 1 for a word found as written, 2 for one found in lower case, else 0."""

    matrix: np.ndarray
    found: np.ndarray

    def summary(self) -> str:
        """One line for the log: how many words have a vector."""
        n, exact, lower = len(self.found), int(np.sum(self.found == _EXACT)), int(np.sum(self.found == _LOWER))
        share = 100 * (exact + lower) / max(n, 1)
        return (
            f"{exact + lower:,} of {n:,} words ({share:.1f} %) have a pretrained vector: "
            f"{exact:,} as written, {lower:,} in lower case"
        )


def load_vectors(
    path: str | os.PathLike,
    words: Sequence[str],
    dim: int | None = None,
    bound: float | None = 0.25,
    seed: int = 0,
    zero_words: Collection[str] = (PADDING,),
    cache_dir: str | os.PathLike = "",
    form: Callable[[str], str] = str,
) -> WordVectors:
    """The vector of each word: as it is written, else of its lower-case form, else drawn from U(-bound, bound).

    The random rows depend on the seed, V and D alone, not on which words the file has.

    Args:
      path: a text file of GloVe or word2vec ("word x_1 ... x_D" lines, word2vec's after a line "rows D"), word2vec's
        binary file (`.bin`), either of them with `.gz`, or an `.npz` with `words [V]` (text) and `vectors [V, D]`. With
        "" there is no file and every row is random.
      words: the vocabulary, in the order of the rows.
      dim: D, checked against the file; needed without one.
      bound: half-width of the uniform distribution; .25 is Kim's (2014), None is sqrt(3 / D), Ma & Hovy's (2016).
      seed: of the random rows.
      zero_words: words whose row is zero.
      cache_dir: where to keep the rows that were found, for the next run on the same file and words; "" keeps none.
      form: how the vocabulary spells a word of the file, such as "0000" for "1996". Of words that become the same the
        first counts: files are sorted by frequency.

    Raises:
      InputError: if the file is missing, not of its format (with the line), or not of dimension `dim`. Numbers are
        checked on the lines that are used, columns on all.
    """
    if path:
        found, vectors = _cached(pathlib.Path(path), words, cache_dir, form)
        if dim not in (None, vectors.shape[1]):
            raise InputError(f"{path}: expected vectors of dimension {dim}, found {vectors.shape[1]}; change either")
    elif dim is None:
        raise InputError("word vectors need a file or a dimension, found neither; name one of them")
    else:
        found, vectors = np.zeros(len(words), np.int8), np.zeros((0, dim), np.float32)
    dim = vectors.shape[1]
    bound = np.sqrt(3 / dim) if bound is None else bound
    matrix = np.random.default_rng(seed).random((len(words), dim), np.float32)
    matrix = (2 * matrix - 1) * np.float32(bound)
    matrix[found != _MISSING] = vectors
    matrix[[word in zero_words for word in words]] = 0
    return WordVectors(matrix, found)


def _cached(
    path: pathlib.Path, words: Sequence[str], cache_dir: str | os.PathLike, form: Callable[[str], str]
) -> tuple[np.ndarray, np.ndarray]:
    """`_look_up`, kept in `cache_dir` under a name made of the file's name, size and time, the vocabulary and the form's name."""
    if not path.is_file():
        raise InputError(f"expected a file of word vectors at {path}, found nothing there; check the path")
    if not cache_dir:
        return _look_up(path, words, form)
    stat = path.stat()
    key = "\n".join([path.name, str(stat.st_size), str(stat.st_mtime_ns), form.__qualname__, *words])
    kept = pathlib.Path(cache_dir) / f"vectors-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    try:
        arrays = read_npz(kept)
        return arrays["found"], arrays["vectors"]
    except (OSError, ValueError, KeyError):  # absent, or not what was written
        found, vectors = _look_up(path, words, form)
    kept.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(kept, lambda file: np.savez(file, found=found, vectors=vectors))
    return found, vectors


def _look_up(path: pathlib.Path, words: Sequence[str], form: Callable[[str], str]) -> tuple[np.ndarray, np.ndarray]:
    """How each word was found [V] int8, and the vectors of those that were, in order [number found, D] float32."""
    wanted = set(words) | {word.lower() for word in words}
    names = path.name.removesuffix(".gz")
    try:
        if names.endswith(".npz"):
            dim, rows = _from_npz(path, wanted, form)
        else:
            with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
                dim, rows = (_from_binary if names.endswith(".bin") else _from_text)(path, file, wanted, form)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: expected a whole gzip file, found a broken one ({error}); get it again") from error
    found = np.array([_EXACT if w in rows else _LOWER if w.lower() in rows else _MISSING for w in words], np.int8)
    vectors = np.zeros((np.count_nonzero(found), dim), np.float32)
    hits = (word if word in rows else word.lower() for word in words if word in rows or word.lower() in rows)
    for i, word in enumerate(hits):
        vectors[i] = rows[word]
    return found, vectors


def _from_npz(path: pathlib.Path, wanted: set[str], form: Callable[[str], str]) -> tuple[int, dict[str, np.ndarray]]:
    try:
        arrays = read_npz(path)
        names, vectors = arrays["words"], arrays["vectors"]
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: expected `words` and `vectors` in an .npz without pickles, but {error}") from error
    numeric = vectors.dtype.kind == "f" and vectors.ndim == 2 and np.isfinite(vectors).all()
    if names.dtype.kind != "U" or not numeric or names.shape != vectors.shape[:1]:
        raise InputError(
            f"{path}: expected words [V] of text and vectors [V, D] of finite floats, "
            f"found {names.dtype} {list(names.shape)} and {vectors.dtype} {list(vectors.shape)}; write it anew"
        )
    rows: dict[str, np.ndarray] = {}
    for name, vector in zip(names.tolist(), vectors, strict=True):
        word = form(name)
        if word in wanted:
            rows.setdefault(word, vector)
    return vectors.shape[1], rows


def _from_text(
    path: pathlib.Path, file: BinaryIO, wanted: set[str], form: Callable[[str], str]
) -> tuple[int, dict[str, np.ndarray]]:
    dim, declared, number = 0, None, 0
    rows: dict[str, np.ndarray] = {}
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip()  # without a byte order mark
        except UnicodeDecodeError as error:
            raise InputError(f"{path}:{number}: expected UTF-8 text, found {error}; convert the file") from error
        word, _, numbers = line.partition(" ")
        columns = numbers.count(" ") + 1 if numbers else 0
        if number == 1 and columns == 1 and word.isdecimal() and numbers.isdecimal():
            declared, dim = int(word), int(numbers)
            continue
        dim = dim or columns
        if columns > dim and not _is_number(numbers.partition(" ")[0]):  # GloVe 840B has words with spaces in them
            word, *rest = line.rsplit(" ", dim)
            numbers, columns = " ".join(rest), len(rest)
        if columns != dim or not dim:
            raise InputError(
                f"{path}:{number}: expected a word and {dim or 'its'} numbers, found {columns}; repair the line"
            )
        word = form(word)
        if word in wanted and word not in rows:
            try:
                rows[word] = _finite(np.array(numbers.split(" "), np.float32))
            except ValueError as error:
                raise InputError(f"{path}:{number}: expected {dim} numbers after the word, but {error}") from error
    if not dim:
        raise InputError(f"{path}: expected lines of a word and its numbers, found an empty file; get it again")
    if declared not in (None, number - 1):
        raise InputError(f"{path}: the first line promises {declared} rows, found {number - 1}; get the file again")
    return dim, rows


def _from_binary(
    path: pathlib.Path, file: BinaryIO, wanted: set[str], form: Callable[[str], str]
) -> tuple[int, dict[str, np.ndarray]]:
    """A text line "rows D", then for each row the word, a space, D little-endian float32, often a newline."""
    header = file.readline(100).split()
    if len(header) != 2 or not all(part.isdigit() for part in header):
        raise InputError(f"{path}: expected word2vec's binary format, a first line 'rows D', found {header}; check it")
    n_rows, dim = map(int, header)
    rows: dict[str, np.ndarray] = {}
    for number, (name, numbers) in enumerate(_binary_rows(path, file, n_rows, 4 * dim), 1):
        try:
            word = form(name.decode())
            if word in wanted and word not in rows:
                rows[word] = _finite(np.frombuffer(numbers, "<f4"))
        except ValueError as error:
            raise InputError(f"{path}, row {number}: expected a UTF-8 word and {dim} floats, but {error}") from error
    return dim, rows


def _binary_rows(path: pathlib.Path, file: BinaryIO, n_rows: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    buffer, at = b"", 0
    for number in range(1, n_rows + 1):
        while (space := buffer.find(b" ", at)) < 0 or len(buffer) < space + 1 + size:
            more = file.read(1 << 20)
            if not more:
                raise InputError(f"{path}: expected {n_rows} rows as promised, row {number} is cut; get the file again")
            buffer, at = buffer[at:] + more, 0
        yield buffer[at:space].lstrip(b"\n"), buffer[space + 1 : space + 1 + size]
        at = space + 1 + size


def _finite(vector: np.ndarray) -> np.ndarray:
    if not np.isfinite(vector).all():
        raise ValueError("one is not finite")
    return vector


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
