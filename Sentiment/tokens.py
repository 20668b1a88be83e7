"""Labelled texts as lists of words, split as each data set splits them."""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from common.data.treebank import split_words

SENTENCE_ENDS = (".", "!", "?")
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]|_")


class Example(NamedTuple):
    """The words of a text and its class, numbered from 0; in IMDB and SST 0 is the worst."""

    words: Sequence[str]
    label: int


def split_text(text: str, dataset: str, max_tokens: int) -> list[str]:
    """The words of a typed text, split as in that data set; at most the last `max_tokens`."""
    words = _treebank_words(text) if dataset in ("sst5", "sst2") else tokenise(text)
    return words[-max_tokens:]


def _treebank_words(text: str) -> list[str]:
    words = split_words(text.lower())
    quotes = itertools.cycle(("``", "''"))
    return [next(quotes) if word == '"' else word.replace("’", "'") for word in words]


def tokenise(text: str) -> list[str]:
    """Lower-case words and punctuation marks: "It's <br />GOOD..." is it's, good, and three dots.

    A word is a run of letters and digits, with apostrophes inside it; HTML line breaks are dropped.
    """
    return _TOKEN.findall(text.replace("<br />", " ").lower())
