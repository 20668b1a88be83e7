"""IMDB reviews and the Stanford Sentiment Treebank as they are distributed, and texts as padded
integer arrays.

IMDB: Maas et al. (2011), "Learning Word Vectors for Sentiment Analysis": 25,000 reviews to train
and 25,000 to test, half of each favourable, none of them neutral. SST: Socher et al. (2013),
"Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank": sentences as trees
with a label from 0 (very negative) to 4 at every node.
"""

import hashlib
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from common.data.download import fetch, read_tar
from common.data.generated_corpus import labelled_reviews
from common.data.text import (
    PADDING,
    UNKNOWN,
    Vocabulary,
    decode,
    lines,
    notice_reserved,
    read_lines,
    words_of,
)
from common.errors import InputError
from common.files import atomic_write, is_hidden, seen_from, still_packed
from Sentiment.tokens import split_text, tokenise
from Sentiment.trees import phrases_of

DATASETS = ("imdb", "sst5", "sst2")
DEV_SHARE = 0.15
GENERATED = (4000, 400, 400)

IMDB_ARCHIVE = "aclImdb_v1.tar.gz"
IMDB_URL = f"https://ai.stanford.edu/~amaas/data/sentiment/{IMDB_ARCHIVE}"
IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
IMDB_PER_CLASS = 12_500
SST_ARCHIVE = "trainDevTestTrees_PTB.zip"
SST_URL = f"https://nlp.stanford.edu/sentiment/{SST_ARCHIVE}"
SST_SHA256 = "5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc"

_LABELS = {"neg": 0, "pos": 1}
_CLASSES = tuple((part, sign) for part in ("train", "test") for sign in _LABELS)
_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos)/([^/]+\.txt)")
# of `tokenise` and of the file: a change of either makes what was cached worthless
_CACHE_VERSION = 1


class Example(NamedTuple):
    """The words of a text and the number of its class, from 0; the higher, the more favourable."""

    words: Sequence[str]
    label: int


class Corpus(NamedTuple):
    """Three lists of examples, and the number of classes."""

    train: list[Example]
    dev: list[Example]
    test: list[Example]
    classes: int


class Arrays(NamedTuple):
    """words [B, T], 0 beyond a text, labels [B], lengths [B]; all int32."""

    words: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray


def load(
    dataset: str,
    data_dir: str | os.PathLike = "",
    seed: int = 0,
    max_tokens: int = 400,
    phrases: bool = False,
    cache_dir: str | os.PathLike = "",
) -> Corpus:
    """A data set by name; of a longer text the last `max_tokens` tokens are kept, where its verdict
    mostly stands.

    Args:
      dataset: "imdb", "sst5" (five classes) or "sst2" (favourable or not, neutral texts left out).
      data_dir: the folder that has the data set as distributed (aclImdb_v1.tar.gz or aclImdb/;
        train.txt, dev.txt and test.txt or their zip), or the folder above it if it is called imdb
        or sst. An archive that is not there is downloaded into it. "" generates a small corpus of
        two classes, whatever the data set.
      seed: which 15 % of IMDB's training reviews, the same share of both classes, are kept to
      validate.
      max_tokens: T at most.
      phrases: SST only: train on every different phrase of the training trees, not on the sentences
      alone.
      cache_dir: where to keep IMDB tokenised, which otherwise takes a while every time; "" keeps
      none.

    Raises:
      InputError: if the files cannot be had, are not of their format, or are not complete.
    """
    if dataset not in DATASETS:
        raise InputError(
            f"expected a data set among {', '.join(DATASETS)}, found {dataset!r}; name one of them"
        )
    if not data_dir:
        made = [
            Example(split_text(text, "imdb", max_tokens), label)
            for text, label in labelled_reviews(sum(GENERATED), seed=0)
        ]
        return Corpus(
            made[: GENERATED[0]], made[GENERATED[0] : -GENERATED[2]], made[-GENERATED[2] :], 2
        )
    folder = pathlib.Path(data_dir)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: expected the folder that has the data, found none{seen_from(folder)}; check"
            " the path"
        )
    if dataset == "imdb":
        train, test = read_imdb(_imdb_source(folder), max_tokens, cache_dir=cache_dir)
        return Corpus(*split(train, DEV_SHARE, seed), test, 2)
    parts = {}
    for part, (name, text) in _sst_texts(folder).items():
        whole = read_trees(name, text, phrases and part == "train")
        parts[part] = [Example(words[-max_tokens:], label) for words, label in whole]
    if dataset == "sst2":
        parts = {
            part: [Example(e.words, int(e.label > 2)) for e in parts[part] if e.label != 2]
            for part in parts
        }
    return Corpus(**parts, classes=2 if dataset == "sst2" else 5)


def vocabulary(
    train: Iterable[Example], max_size: int | None = None, min_count: int = 1
) -> Vocabulary:
    """The words of the training texts, most frequent first, after padding (0) and the unknown word
    (1).
    """
    words = (word for example in train for word in example.words)
    return Vocabulary.build(words, max_size, min_count, specials=(PADDING, UNKNOWN))


def encode(examples: Sequence[Example], words: Vocabulary, length: int | None = None) -> Arrays:
    """Texts as padded arrays of `length` steps, by default the longest text's.

    Raises InputError for a longer one.
    """
    lengths = np.array([len(example.words) for example in examples], np.int32)
    length = int(lengths.max(initial=1)) if length is None else length
    if lengths.max(initial=0) > length:
        raise InputError(
            f"expected texts of at most {length} tokens, found {lengths.max()}; load with"
            " max_tokens"
        )
    ids = np.zeros((len(examples), length), np.int32)
    for row, example in zip(ids, examples, strict=True):
        row[: len(example.words)] = words.encode(example.words, PADDING)
    return Arrays(ids, np.array([example.label for example in examples], np.int32), lengths)


def split(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """The examples in two lists; the second has `share` of each class, drawn with the seed.

    Order is kept.
    """
    labels = np.array([example.label for example in examples])
    second = np.zeros(len(examples), bool)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        second[members[: round(share * len(members))]] = True
    return tuple([examples[i] for i in np.flatnonzero(chosen)] for chosen in (~second, second))


# --------------------------------------------------------------------------------------------- IMDB


def read_imdb(
    source: str | os.PathLike,
    max_tokens: int = 400,
    per_class: int | None = IMDB_PER_CLASS,
    cache_dir: str | os.PathLike = "",
) -> tuple[list[Example], list[Example]]:
    """The training and the test reviews, each negative before positive and then by file name.

    Args:
      source: aclImdb_v1.tar.gz, read and never extracted, or the folder aclImdb.
      max_tokens: of a longer review the last so many tokens are kept.
      per_class: how many of each class each part must have; None for any number.
      cache_dir: where to keep the tokens for the next time; "" keeps none.

    Raises:
      InputError: if reviews are missing, are not UTF-8, or the archive is broken.
    """
    source = pathlib.Path(source)
    if not source.exists():
        raise InputError(
            f"{source}: expected {IMDB_ARCHIVE} or its folder, found nothing; check the path"
        )
    counts, words, ids, ends = _cached_tokens(source, cache_dir)
    for (part, sign), found in zip(_CLASSES, counts, strict=True):
        if found != per_class and (per_class is not None or not found):
            wanted = "some" if per_class is None else f"{per_class:,}"
            raise InputError(
                f"{source}: expected {wanted} reviews in {part}/{sign}, found {found:,}; get it"
                " again"
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
    """`_tokens`, kept in `cache_dir` under a name made of the sizes and times of what is read."""
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
        with np.load(kept, allow_pickle=False) as arrays:
            return (
                arrays["counts"],
                arrays["words"].tobytes().decode().split("\n"),
                arrays["ids"],
                arrays["ends"],
            )
    # absent, or not what was written
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        counts, words, ids, ends = _tokens(source)
    kept.parent.mkdir(parents=True, exist_ok=True)
    # an array of strings gives each the longest one's room
    text = np.frombuffer("\n".join(words).encode(), np.uint8)
    atomic_write(kept, lambda file: np.savez(file, counts=counts, words=text, ids=ids, ends=ends))
    return counts, words, ids, ends


def _tokens(source: pathlib.Path) -> _Tokens:
    numbers: dict[str, int] = {}
    reviews: dict[tuple[str, str, str], np.ndarray] = {}
    for part, sign, name, data in _review_files(source):
        tokens = tokenise(decode(data, f"{source}/{part}/{sign}/{name}"))
        reviews[part, sign, name] = np.array(
            [numbers.setdefault(token, len(numbers)) for token in tokens], np.int32
        )
    order = [key for c in _CLASSES for key in sorted(key for key in reviews if key[:2] == c)]
    counts = np.array([sum(key[:2] == c for key in order) for c in _CLASSES])
    ids = np.concatenate([reviews[key] for key in order]) if order else np.zeros(0, np.int32)
    ends = np.cumsum([len(reviews[key]) for key in order], dtype=np.int64)
    return counts, list(numbers), ids, ends


def _review_files(source: pathlib.Path) -> Iterator[tuple[str, str, str, bytes]]:
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


def _imdb_source(folder: pathlib.Path) -> pathlib.Path:
    for parent in (folder, folder / "imdb"):
        for place in (parent, parent / "aclImdb"):
            if (place / "train" / "pos").is_dir():
                return place
        if (parent / IMDB_ARCHIVE).is_file():
            return parent / IMDB_ARCHIVE
    return _fetch(IMDB_URL, folder / IMDB_ARCHIVE, IMDB_SHA256, "aclImdb")


def _fetch(url: str, path: pathlib.Path, sha256: str, *stems: str) -> pathlib.Path:
    """`fetch`, unless what is looked for lies there in another form."""
    if packed := still_packed(path.parent, *stems):
        raise InputError(
            f"{path.parent}: expected {path.name} or what is in it, found neither, {packed}"
        )
    return fetch(url, path, sha256)


# ---------------------------------------------------------------------------------------------- SST


def read_trees(name: str, text: Iterable[str], phrases: bool = False) -> list[Example]:
    """The sentences of bracketed trees, one a line, with the label of the root; with `phrases`
    every different phrase.

    Words come in lower case, with the treebank's escapes undone: -LRB- is a bracket, a backslash
    before / or * goes. Raises InputError, with `name` and the line number, for a malformed tree.
    """
    examples: dict[tuple[tuple[str, ...], int], None] = {}
    sentences: list[Example] = []
    for number, line in enumerate(text, 1):
        if not words_of(line):
            continue
        try:
            found = phrases_of(line)
        except ValueError as error:
            raise InputError(
                f"{name}:{number}: expected a tree such as (3 (2 so) (4 good)), found {error};"
                " repair the line"
            ) from None
        sentences.append(Example(*found[-1]))
        if phrases:
            examples.update(((tuple(words), label), None) for words, label in reversed(found))
    if not sentences:
        raise InputError(f"{name}: expected trees, found none; get the file again")
    notice_reserved(name, (word for sentence in sentences for word in sentence.words))
    return [Example(list(words), label) for words, label in examples] if phrases else sentences


def _sst_texts(folder: pathlib.Path) -> dict[str, tuple[str, list[str]]]:
    """Name and lines of the three files, from where they lie or from the archive that has them."""
    names = {"train": "train.txt", "dev": "dev.txt", "test": "test.txt"}
    for parent in (folder, folder / "sst"):
        for place in (parent, parent / "trees"):
            if (place / "train.txt").is_file():
                return {
                    part: (str(place / name), read_lines(place / name))
                    for part, name in names.items()
                }
    archive = next(
        (p / SST_ARCHIVE for p in (folder, folder / "sst") if (p / SST_ARCHIVE).is_file()), None
    )
    archive = archive or _fetch(SST_URL, folder / SST_ARCHIVE, SST_SHA256, "train", "trees")
    try:
        with zipfile.ZipFile(archive) as trees:
            contents = {part: trees.read(f"trees/{name}") for part, name in names.items()}
    except (
        zipfile.BadZipFile,
        KeyError,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise InputError(
            f"{archive}: expected a zip file with trees/train.txt, found: {error}; get it again"
        ) from None
    return {
        part: (f"{archive}/trees/{names[part]}", lines(decode(contents[part], names[part])))
        for part in names
    }
