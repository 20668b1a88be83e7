"""Pretrained word vectors for a vocabulary, from files of GloVe or word2vec."""

import hashlib
import os
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..files import atomic_write, read_npz, seen_from
from .text import PADDING
from .vector_files import check_dim, read_vectors

_CACHE_VERSION = "2"  # to be raised when a reader changes: older caches are then ignored
_MISSING, _EXACT, _LOWER = 0, 1, 2


class WordVectors(NamedTuple):
    """The vectors of a vocabulary, and how each was found.

    matrix: [V, D] float32. found: [V] int8, 1 for a word found as written, 2 for one found in lower
    case, 0 for a random vector.
    """

    matrix: np.ndarray
    found: np.ndarray

    def summary(self) -> str:
        """One line for the log: how many words have a vector."""
        n, exact, lower = (
            len(self.found),
            int(np.sum(self.found == _EXACT)),
            int(np.sum(self.found == _LOWER)),
        )
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
    """The vector of each word: as written, else in lower case, else drawn from U(-bound, bound).

    The random rows depend only on the seed, V and D, not on which words the file has.

    Args:
        path: a text file of GloVe or word2vec ("word x_1 ... x_D" lines, word2vec's after a line
            "rows D"), word2vec's binary file (`.bin`), either of them with `.gz`, or an `.npz` with
            `words [V]` (text) and `vectors [V, D]`. With "" there is no file and every row is
            random. A word that is not UTF-8 is left out, with a warning.
        words: the vocabulary, in the order of the rows.
        dim: D, checked against the file; required if there is no file. A text file that does not
            declare D is read with it, since words may contain spaces.
        bound: half-width of the uniform distribution; .25 is Kim's (2014), None is sqrt(3 / D), Ma
            & Hovy's (2016).
        seed: of the random rows.
        zero_words: words whose row is zero, or one such word.
        cache_dir: where to store the rows that were found, for the next run on the same file and
            words; "" for no cache.
        form: the vocabulary's spelling of a word of the file, such as "0000" for "1996". Of words
            with the same spelling the first counts: files are sorted by frequency. A function that
            has no name of its own, such as a lambda, is not cached.

    Raises:
        InputError: if the file is missing, not of its format (with the line), or not of dimension
            `dim`. Numbers are checked on the lines that are used, the number of columns on all, and
            that the file ends where its first line says.
    """
    if path:
        found, vectors = _cached(pathlib.Path(path), words, dim, cache_dir, form)
        check_dim(path, dim, vectors.shape[1])
    elif dim is None:
        raise InputError("word vectors need a file or a dimension, found neither; name one of them")
    else:
        found, vectors = np.zeros(len(words), np.int8), np.zeros((0, dim), np.float32)
    dim = vectors.shape[1]
    bound = np.sqrt(3 / dim) if bound is None else bound
    matrix = np.random.default_rng(seed).random((len(words), dim), np.float32)
    matrix = (2 * matrix - 1) * np.float32(bound)
    matrix[found != _MISSING] = vectors
    zero_words = {zero_words} if isinstance(zero_words, str) else set(zero_words)
    matrix[[word in zero_words for word in words]] = 0
    return WordVectors(matrix, found)


def _cached(
    path: pathlib.Path,
    words: Sequence[str],
    dim: int | None,
    cache_dir: str | os.PathLike,
    form: Callable[[str], str],
) -> tuple[np.ndarray, np.ndarray]:
    """`_look_up`, stored in `cache_dir`.

    The name of the cache is a hash of the file's name, size and time, the vocabulary and the form's
    name.
    """
    if not path.is_file():
        found = f"nothing there{seen_from(path)}; check the path"
        if path.exists():
            found = f"{'a folder' if path.is_dir() else 'a pipe'}; give the file itself"
        raise InputError(f"expected a file of word vectors at {path}, found {found}")
    if not cache_dir or "<" in getattr(form, "__qualname__", "<"):  # <lambda>, <locals>, partial
        return _look_up(path, words, dim, form)
    stat = path.stat()
    key = "\n".join(
        [
            _CACHE_VERSION,
            path.name,
            str(stat.st_size),
            str(stat.st_mtime_ns),
            form.__qualname__,
            *words,
        ]
    )
    kept = pathlib.Path(cache_dir) / f"vectors-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    try:
        arrays = read_npz(kept)
        return arrays["found"], arrays["vectors"]
    except (OSError, ValueError, KeyError):  # absent or broken
        found, vectors = _look_up(path, words, dim, form)
    kept.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(kept, lambda file: np.savez(file, found=found, vectors=vectors))
    return found, vectors


def _look_up(
    path: pathlib.Path, words: Sequence[str], dim: int | None, form: Callable[[str], str]
) -> tuple[np.ndarray, np.ndarray]:
    """How each word was found, int8 [V], and the found vectors, float32 [number found, D]."""
    dim, rows = read_vectors(path, set(words) | {word.lower() for word in words}, dim, form)
    found = np.array(
        [_EXACT if w in rows else _LOWER if w.lower() in rows else _MISSING for w in words], np.int8
    )
    vectors = np.zeros((np.count_nonzero(found), dim), np.float32)
    hits = (
        word if word in rows else word.lower()
        for word in words
        if word in rows or word.lower() in rows
    )
    for i, word in enumerate(hits):
        vectors[i] = rows[word]
    return found, vectors
