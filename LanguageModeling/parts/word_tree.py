"""The words of a text that is read by characters, found while it is read: `--model mixed`."""

from typing import NamedTuple

import numpy as np

from common.data.text import EOS, UNKNOWN, Vocabulary, words_of
from common.errors import InputError

FILE = "words.txt"  # in the run's folder
MOST_PLACES = 2**28
_LETTERS = {EOS: "\n", UNKNOWN: "\ufffd"}


def _letters(characters: Vocabulary) -> list[str]:
    return [_LETTERS.get(one, one) for one in characters.words]


def as_text(ids: np.ndarray, characters: Vocabulary) -> str:
    """Characters [N] as a string of N: the end of a line is one, and so is an unknown one."""
    letters = _letters(characters)
    return "".join(letters[i] for i in ids)


def find(ids: np.ndarray, characters: Vocabulary, n_words: int) -> Vocabulary:
    """`<unk>` and the `n_words` most frequent words of a text [N]: what blanks and lines part."""
    return Vocabulary.build(words_of(as_text(ids, characters)), n_words + 1, specials=UNKNOWN)


class WordTree(NamedTuple):
    """The tree of the beginnings of W words; its places are states of a reader of characters.

    after: [S, V] int32, the place after each character. 0 is between words, S - 1 behind what no
    word begins with. words: [S] int32, which word it is if a blank or the end of a line follows.
    n_words: W.
    """

    after: np.ndarray
    words: np.ndarray
    n_words: int


def tree_of(words: Vocabulary, characters: Vocabulary) -> WordTree:
    """The tree of words among which is `<unk>`, over characters.

    Raises `InputError` for a tree that is too large for any machine.
    """
    ids = {letter: i for i, letter in enumerate(_letters(characters))}
    places = {"": 0}
    for word in words.words:
        if word != UNKNOWN:
            for end in range(1, len(word) + 1):
                places.setdefault(word[:end], len(places))
    if (len(places) + 1) * len(characters) > MOST_PLACES:
        raise InputError(
            f"--model mixed: {len(places):,} beginnings of words, {len(characters):,} characters"
            " after each; give a larger --min_count or a smaller --frequent_words"
        )
    after = np.full((len(places) + 1, len(characters)), len(places), np.int32)
    for beginning, place in places.items():
        if beginning:
            after[places[beginning[:-1]], ids[beginning[-1]]] = place
    after[:, [i for letter, i in ids.items() if not words_of(letter)]] = 0
    unknown = words.ids[UNKNOWN]
    ended = [*(words.ids.get(beginning, unknown) for beginning in places), unknown]
    return WordTree(after, np.array(ended, np.int32), len(words))
