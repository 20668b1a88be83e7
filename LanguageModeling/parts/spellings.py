"""Spells words, for --model char."""

import dataclasses

import numpy as np

from common.data.text import EOS, PADDING, UNKNOWN, Vocabulary

WORD_START, WORD_END = "<word>", "</word>"  # characters of their own at the ends of every word


@dataclasses.dataclass(frozen=True)
class Spellings:
    """The characters of each word of a vocabulary.

    ids: [V, C] int32, 0 after a word's end; C is the length of the longest row. characters: the
    characters by id, padding first.
    """

    ids: np.ndarray
    characters: tuple[str, ...]


def spell(vocabulary: Vocabulary, max_chars: int) -> Spellings:
    """The characters of each word between two marks, as in Kim et al. (2016).

    Words are cut after `max_chars` characters in all. `<unk>` and `<eos>`, whose
    letters do not matter, are a single character each.
    """
    specials = [word for word in (UNKNOWN, EOS) if word in vocabulary]
    words = [[word] if word in specials else list(word) for word in vocabulary.words]
    letters = sorted({letter for word in words for letter in word} - set(specials))
    characters = (PADDING, WORD_START, WORD_END, *specials, *letters)
    place = {character: i for i, character in enumerate(characters)}
    rows = [
        [place[letter] for letter in (WORD_START, *word, WORD_END)][:max_chars] for word in words
    ]
    ids = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return Spellings(ids, characters)
