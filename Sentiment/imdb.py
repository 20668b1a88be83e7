"""Reads the IMDB reviews as they are distributed, and caches their tokens.

Maas et al. (2011), "Learning Word Vectors for Sentiment Analysis": 25,000 reviews to train and
25,000 to test, half of each favourable, none of them neutral.
"""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from common.data.download import fetch_data_set, read_tar
from common.data.text import decode
from common.errors import InputError
from common.files import atomic_write, is_hidden, read_npz
from Sentiment.tokens import Example, tokenise

ARCHIVE = "aclImdb_v1.tar.gz"
URL = f"https://ai.stanford.edu/~amaas/data/sentiment/{ARCHIVE}"
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
PER_CLASS = 12_500

_LABELS = {"neg": 0, "pos": 1}
_CLASSES = tuple((part, sign) for part in ("train", "test") for sign in _LABELS)
_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos)/([^/]+\.txt)")
# To be raised when `tokenise` or the layout of the file changes: older caches are then ignored.
_CACHE_VERSION = 1


def read_imdb(
    source: str | os.PathLike,
    max_tokens: int = 400,
    per_class: int = PER_CLASS,
    cache_dir: str | os.PathLike = "",
) -> tuple[list[Example], list[Example]]:
    """The training and the test reviews, each sorted by label, negative first, then by file name.

    Args:
        source: aclImdb_v1.tar.gz, which is never extracted, or the folder aclImdb.
        max_tokens: of a longer review the last `max_tokens` tokens are kept.
        per_class: the number of reviews that each class of each part must have.
        cache_dir: where to store the tokens for the next time; "" for no cache.

    Raises:
        InputError: if reviews are missing or not UTF-8, or the archive is broken.
    """
    source = pathlib.Path(source)
    if not source.exists():
        raise InputError(
            f"{source}: expected {ARCHIVE} or its folder, found nothing; check the path"
        )
    counts, words, ids, ends = _cached_tokens(source, cache_dir)
    for (part, sign), found in zip(_CLASSES, counts, strict=True):
        if found != per_class:
            raise InputError(
                f"{source}: expected {per_class:,} reviews in {part}/{sign}, found {found:,}; get"
                " it again"
            )
    starts = np.maximum(np.concatenate([[0], ends[:-1]]), ends - max_tokens)
    labels = np.repeat([_LABELS[sign] for _, sign in _CLASSES], counts)
    reviews = [
        Example([words[i] for i in ids[start:stop].tolist()], label)
        for start, stop, label in zip(starts, ends, labels.tolist(), strict=True)
    ]
    n_train = int(counts[0] + counts[1])
    return reviews[:n_train], reviews[n_train:]


# Reviews in each of `_CLASSES`, the different words, the tokens of all reviews as numbers, where
# each review ends.
_Tokens = tuple[np.ndarray, list[str], np.ndarray, np.ndarray]


def _cached_tokens(source: pathlib.Path, cache_dir: str | os.PathLike) -> _Tokens:
    """`_tokens`, stored in `cache_dir` under a hash of the sizes and times of the files."""
    if not cache_dir:
        return _tokens(source)
    files = (
        [source]
        if source.is_file()
        else [path for c in _CLASSES for path in _texts_in(source.joinpath(*c))]
    )
    stats = [
        (str(file.relative_to(source.parent)), file.stat().st_size, file.stat().st_mtime_ns)
        for file in files
    ]
    key = (_CACHE_VERSION, sorted(stats))
    kept = (
        pathlib.Path(cache_dir) / f"imdb-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.npz"
    )
    try:
        arrays = read_npz(kept)
        words = arrays["words"].tobytes().decode().split("\n")
        return arrays["counts"], words, arrays["ids"], arrays["ends"]
    except (OSError, ValueError, KeyError):  # absent or broken
        counts, words, ids, ends = _tokens(source)
    kept.parent.mkdir(parents=True, exist_ok=True)
    # as bytes: an array of strings reserves the length of the longest for each
    text = np.frombuffer("\n".join(words).encode(), np.uint8)
    atomic_write(kept, lambda file: np.savez(file, counts=counts, words=text, ids=ids, ends=ends))
    return counts, words, ids, ends


def _tokens(source: pathlib.Path) -> _Tokens:
    numbers: dict[str, int] = {}
    reviews: dict[tuple[str, str, str], np.ndarray] = {}
    for part, sign, name, data in review_files(source):
        tokens = tokenise(decode(data, f"{source}/{part}/{sign}/{name}"))
        reviews[part, sign, name] = np.array(
            [numbers.setdefault(token, len(numbers)) for token in tokens], np.int32
        )
    order = [key for c in _CLASSES for key in sorted(key for key in reviews if key[:2] == c)]
    counts = np.array([sum(key[:2] == c for key in order) for c in _CLASSES])
    ids = np.concatenate([reviews[key] for key in order]) if order else np.zeros(0, np.int32)
    ends = np.cumsum([len(reviews[key]) for key in order], dtype=np.int64)
    return counts, list(numbers), ids, ends


def review_files(source: pathlib.Path) -> Iterator[tuple[str, str, str, bytes]]:
    """Part, sign, file name and content of every labelled review, in the order of the source."""
    if source.is_dir():
        for part, sign in _CLASSES:
            for path in _texts_in(source / part / sign):
                yield part, sign, path.name, path.read_bytes()
        return
    for name, data in read_tar(
        source, lambda name: _REVIEW.fullmatch(name) and not is_hidden(name.removeprefix("./"))
    ):
        yield *_REVIEW.fullmatch(name).groups(), data


def _texts_in(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.glob("*.txt") if not is_hidden(path.name)]


def found(folder: pathlib.Path) -> pathlib.Path | None:
    """The data set in a folder, unpacked or else the archive, if it is there."""
    # Some tools unpack it below a folder with the archive's name.
    for place in (
        folder,
        *sorted(folder.glob("aclImdb*")),
        *sorted(folder.glob("aclImdb*/aclImdb")),
    ):
        if (place / "train" / "pos").is_dir():
            return place
    return folder / ARCHIVE if (folder / ARCHIVE).is_file() else None


def find(folder: pathlib.Path) -> pathlib.Path:
    """The data set in a folder or in `imdb` below it; it is fetched where it is in neither."""
    return (
        found(folder)
        or found(folder / "imdb")
        or fetch_data_set(URL, folder / ARCHIVE, SHA256, "aclImdb")
    )
