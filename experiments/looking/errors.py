"""Classes of a character model's errors (Karpathy, Johnson & Li 2015, section 4.4).

An error is a character that the network gave a probability below one half. Each belongs to the
first class that explains it.
"""

import collections
import re

import numpy as np

_WORD = re.compile(r"\w+")
WINDOWS = (100, 500, 1000, 5000)
RARE = 5
BOOSTS = (0.1, 0.2, 0.3, 0.4, 0.5)
CLASSES = (
    "an n-gram model gives it more than one half",
    *(f"in a word of the last {n:,} characters" for n in WINDOWS),
    "in a word that the training text lacks",
    f"in a word that it has at most {RARE} times",
    "first after a space, line end or quote",
    "punctuation, space or line end itself",
    *(f"any other, given more than {0.5 - boost:.1f}" for boost in BOOSTS),
)


def classes(text: str, p: np.ndarray, p_ngrams: np.ndarray, training_text: str) -> np.ndarray:
    """The class of each character of a text [N], its place in `CLASSES`; -1 where it is no error.

    Args:
        text: N characters.
        p: what the network gave each of them, [N].
        p_ngrams: the largest of what n-gram models gave, [N].
        training_text: of network and n-gram models.
    """
    n = len(text)
    since, seen = words(text, training_text)
    before = np.array([" ", *text[:-1]])
    begins = np.isin(before, [" ", "\n", "'", '"'])
    tests = [
        p_ngrams > 0.5,
        *(since <= window for window in WINDOWS),
        seen == 0,
        (0 < seen) & (seen <= RARE),
        begins,
        seen < 0,
        *(p > 0.5 - boost for boost in BOOSTS[:-1]),
        np.ones(n, bool),
    ]
    return np.where(p < 0.5, np.argmax(tests, 0), -1)


def words(text: str, training_text: str) -> tuple[np.ndarray, np.ndarray]:
    """Of the word that each character lies in: how far back it was last, how often in training.

    The distance [N] is from where the word begins to where it did then, infinite for a new word or
    between words; the count [N] is -1 between words.
    """
    since, seen = np.full(len(text), np.inf), np.full(len(text), -1)
    counts = collections.Counter(_WORD.findall(training_text))
    last: dict[str, int] = {}
    for word in _WORD.finditer(text):
        start, end = word.span()
        since[start:end] = start - last.get(word[0], -np.inf)
        seen[start:end] = counts[word[0]]
        last[word[0]] = start
    return since, seen
