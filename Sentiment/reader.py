"""Loads a sentiment data set by name (IMDB, SST, your own or generated); its texts as padded
arrays.
"""

import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from common.data.generated_corpus import labelled_reviews
from common.data.text import PADDING, UNKNOWN, Vocabulary
from common.errors import InputError
from common.files import seen_from
from Sentiment import imdb, own_texts, sst
from Sentiment.presets import DATASETS
from Sentiment.tokens import Example, split_text

DEV_SHARE = 0.15
GENERATED = (4000, 400, 400)


class Corpus(NamedTuple):
    """Three lists of examples, the number of classes and, of own data, their names."""

    train: list[Example]
    dev: list[Example]
    test: list[Example]
    classes: int
    names: tuple[str, ...] = ()


class Arrays(NamedTuple):
    """Texts as int32 arrays, padded with 0.

    words: [B, T]. labels: [B]. lengths: [B].
    """

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
    names: Sequence[str] = (),
) -> Corpus:
    """A data set by name; texts are cut to their last `max_tokens` tokens.

    The verdict of a review mostly stands at its end.

    Args:
        dataset: "imdb", "sst5" (five classes), "sst2" (favourable or not, neutral texts left out)
            or "own" (`own_texts.read_parts`).
        data_dir: the folder with the data set as distributed (aclImdb_v1.tar.gz or aclImdb/;
            train.txt, dev.txt and test.txt or their zip), or the folder above it if it is called
            imdb or sst. A missing archive is downloaded into it. "" generates a small corpus of two
            classes, whatever the data set.
        seed: draws the 15 % of the training texts, of each class, that are the dev data where there
            are none (IMDB, perhaps your own).
        max_tokens: T at most.
        phrases: SST only: train on every different phrase of the training trees, not only on the
            sentences.
        cache_dir: where to store IMDB's tokens, which take a while to make; "" for no cache.
        names: of the classes of own data, where they are known: a part may then be missing, and
            is empty. Without test data the training texts are no data set to keep dev data of.

    Raises:
        InputError: if the files are missing, not of their format, or incomplete.
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
    if dataset == "own":
        known = bool(names)
        parts, names = own_texts.read_parts(folder, max_tokens, names)
        if {"train", "test"} <= parts.keys() and "dev" not in parts:
            parts["train"], parts["dev"] = split(parts["train"], DEV_SHARE, seed)
        if not known and not parts["dev"]:
            raise InputError(
                f"{folder}: expected enough training texts to keep {DEV_SHARE:.0%} of each class to"
                " validate, found too few; add dev.tsv or dev.jsonl"
            )
        parts = {part: parts.get(part, []) for part in own_texts.PARTS}
        return Corpus(**parts, classes=len(names), names=names)
    _check_kind(folder, dataset)
    if dataset == "imdb":
        train, test = imdb.read_imdb(imdb.find(folder), max_tokens, cache_dir=cache_dir)
        return Corpus(*split(train, DEV_SHARE, seed), test, 2)
    parts = {}
    for part, (name, text) in sst.texts(folder).items():
        whole = sst.read_trees(name, text, phrases and part == "train")
        parts[part] = [Example(words[-max_tokens:], label) for words, label in whole]
    if dataset == "sst2":
        parts = {
            part: [Example(e.words, int(e.label > 2)) for e in parts[part] if e.label != 2]
            for part in parts
        }
    return Corpus(**parts, classes=2 if dataset == "sst2" else 5)


def _check_kind(folder: pathlib.Path, dataset: str) -> None:
    """Raise `InputError` for a folder that holds another data set alone.

    What is asked for would be downloaded into it.
    """

    def first(*names: str) -> pathlib.Path | None:
        return next((folder / name for name in names if (folder / name).is_file()), None)

    held = {
        "own": first(*(f"train{end}" for end in own_texts.ENDINGS)),
        "sst5": first("train.txt", "trees/train.txt", sst.ARCHIVE),
        "imdb": imdb.found(folder),
    }
    below = {"sst5": folder / "sst", "imdb": folder / "imdb"}
    asked = "sst5" if dataset == "sst2" else dataset
    others = [name for name, place in held.items() if place and name != asked]
    if others and not held[asked] and not below[asked].is_dir():
        raise InputError(
            f"{folder}: expected the data of --dataset {dataset}, found {held[others[0]].name};"
            f" give another folder, or train with --dataset {others[0]}"
        )


def vocabulary(
    train: Iterable[Example], max_size: int | None = None, min_count: int = 1
) -> Vocabulary:
    """The words of the training texts, most frequent first.

    Ids 0 and 1 are padding and the unknown word.
    """
    words = (word for example in train for word in example.words)
    return Vocabulary.build(words, max_size, min_count, specials=(PADDING, UNKNOWN))


def encode(examples: Sequence[Example], words: Vocabulary, length: int | None = None) -> Arrays:
    """Texts as padded arrays of `length` steps, by default the longest text's.

    Raises InputError if a text is longer.
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

    Both keep the order.
    """
    labels = np.array([example.label for example in examples])
    second = np.zeros(len(examples), bool)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        second[members[: round(share * len(members))]] = True
    return tuple([examples[i] for i in np.flatnonzero(chosen)] for chosen in (~second, second))
