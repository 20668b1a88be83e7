"""Reviews as texts with a class each: IMDB's with their label or rating, or generated ones."""

import functools
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from common.data.generated_corpus import labelled_reviews
from common.data.text import decode
from common.errors import InputError
from Sentiment import imdb
from Sentiment.tokens import SENTENCE_ENDS, tokenise

# The classes' names by --condition. No review of IMDB is rated 5 or 6.
CLASSES = {
    "label": ("negative", "positive"),
    "rating": ("1", "2", "3", "4", "7", "8", "9", "10"),
}
POSITIVE = 7  # from this rating on
_GENERATED = {"train": 4000, "valid": 400, "test": 400}
_RATING = re.compile(r"\d+_(\d+)\.txt")
_SHARE = 10  # valid and test have a tenth of the reviews


class Condition(NamedTuple):
    """What of a review a language model is given, a key of `CLASSES` or "none"; how many reviews.

    max_documents: training reviews at most, 0 for all; of valid and test there are a tenth as many.
    sentences: a sentence a line, an empty line between the reviews, instead of a review a line.
    """

    kind: str = "none"
    max_documents: int = 0
    sentences: bool = False

    @classmethod
    def of(cls, config: Any) -> "Condition":
        """What a run reads, of its `LanguageConfig`."""
        return cls(config.condition, config.max_documents, config.model == "document")


NONE = Condition()
SENTENCES = Condition(sentences=True)


class Reviews(NamedTuple):
    """A split: where it is from, a review a line, their classes [n] unless they are not read."""

    name: str
    lines: list[str]
    classes: np.ndarray | None


def is_there(folder: pathlib.Path) -> bool:
    """Whether a folder has IMDB's reviews, packed or not."""
    return imdb.found(folder) is not None


def is_positive(condition: str) -> np.ndarray:
    """Of each class whether its reviews are favourable."""
    if condition == "label":
        return np.array([False, True])
    return np.array([int(rating) >= POSITIVE for rating in CLASSES["rating"]])


def load(data_dir: str, condition: Condition) -> dict[str, Reviews]:
    """The splits, of the folder's reviews or generated ones if it is empty.

    They are drawn, always the same, as many of each label.

    Raises `InputError` for a folder without reviews, or for ratings of generated ones.
    """
    if data_dir:
        return _of_imdb(data_dir, *condition)
    if condition.kind == "rating":
        raise InputError(
            "--condition rating expects --data_dir with IMDB's reviews; generated ones have labels"
            " alone: give the folder, or --condition label"
        )
    limit = condition.max_documents
    sizes = _sizes(limit) if limit else _GENERATED.values()
    made = {}
    for place, (split, n) in enumerate(zip(_GENERATED, sizes, strict=True)):
        texts, labels = zip(*labelled_reviews(n, seed=[1, place]), strict=True)
        made[split] = Reviews(f"generated {split} reviews", list(texts), np.array(labels))
    return made


def with_classes(cut: Callable, tokens: np.ndarray, *size: int) -> tuple[np.ndarray, ...]:
    """What `cut` (`reader.streams`, `padded_streams`) makes of words [N] or, with classes, [N, 2].

    There the inputs are [n_batches, B, T, 2]: each word with the class of its target.
    """
    if tokens.ndim == 1:
        return cut(tokens, *size)
    words, *rest = cut(tokens[:, 0], *size)
    return np.stack([words, cut(tokens[:, 1], *size)[1]], -1), *rest


def _sizes(max_documents: int) -> tuple[int, int, int]:
    fewer = max(1, max_documents // _SHARE)
    return max_documents, fewer, fewer


@functools.lru_cache(maxsize=2)  # a run asks for its splits one by one, and an archive takes long
def _of_imdb(
    data_dir: str, condition: str, max_documents: int, sentences: bool
) -> dict[str, Reviews]:
    folder = pathlib.Path(data_dir)
    if not is_there(folder):
        raise InputError(
            f"{folder}: --condition {condition} expects {imdb.ARCHIVE} or the folder aclImdb, found"
            " neither; get it from https://ai.stanford.edu/~amaas/data/sentiment/"
        )
    source = imdb.find(folder)
    found: dict[tuple[str, str], list[tuple[str, bytes]]] = {
        (part, sign): [] for part in ("train", "test") for sign in ("neg", "pos")
    }
    for part, sign, name, data in imdb.review_files(source):
        found[part, sign].append((name, data))
    for (part, sign), files in found.items():
        least = 2 if part == "train" else 1  # those of valid are in train, too
        if len(files) < least:
            raise InputError(
                f"{source}: expected at least {least} reviews in {part}/{sign}, found {len(files)};"
                " get it again"
            )
    there = 2 * min(len(found["train", "neg"]), len(found["train", "pos"]))
    most = there - max(2, there // _SHARE)  # the others are for valid
    n_train, n_valid, n_test = _sizes(min(max_documents or most, most))
    cut = {"train": ("train", 0, n_train), "valid": ("train", max(2, n_train), n_valid)}
    cut["test"] = ("test", 0, n_test if max_documents else 25_000)
    made = {}
    for split, (part, start, n) in cut.items():
        kept = []
        for sign in ("neg", "pos"):
            files = sorted(found[part, sign])
            order = np.random.default_rng(0).permutation(len(files))[start // 2 :]
            kept += [(sign, *files[i]) for i in order[: max(1, n // 2)]]
        kept = [kept[i] for i in np.random.default_rng(1).permutation(len(kept))]
        texts = [decode(data, f"{source}/{name}") for _, name, data in kept]
        lines, classes = [_plain(text) for text in texts], None
        if sentences:
            lines = [line for text in texts for line in ("", *_sentences(text))][1:]
        if condition != "none":
            given = [_class_of(sign, name, condition) for sign, name, _ in kept]
            classes = np.array(given, np.int32)
        made[split] = Reviews(f"{source}/{part}", lines, classes)
    return made


def _sentences(text: str) -> list[str]:
    """The sentences of a review, in the words that Sentiment reads: each up to . ! ? in a row."""
    found: list[list[str]] = [[]]
    for word in tokenise(text):
        if word not in SENTENCE_ENDS and found[-1] and found[-1][-1] in SENTENCE_ENDS:
            found.append([])
        found[-1].append(word)
    return [" ".join(words) for words in found if words]


def _plain(text: str) -> str:
    return " ".join(text.replace("<br />", " ").split())


def _class_of(sign: str, name: str, condition: str) -> int:
    if condition == "label":
        return int(sign == "pos")
    rating = _RATING.fullmatch(name)
    if not rating or rating[1] not in CLASSES["rating"]:
        raise InputError(
            f"{name}: expected NUMBER_RATING.txt with a rating of {', '.join(CLASSES['rating'])};"
            " get the reviews again"
        )
    return CLASSES["rating"].index(rating[1])
