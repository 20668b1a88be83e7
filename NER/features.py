"""Features of words as text, what a linear tagger sees.

Huang, Xu & Yu 2015, "Bidirectional LSTM-CRF Models for Sequence Tagging", section 4.2: spelling
features, and context features, connected directly to the tag scores (section 4.2.3).
"""

import itertools
import re
from collections.abc import Callable, Sequence

MOST_FEATURES = {"spelling": 20, "context": 16}  # of a word
_SHAPES = tuple((re.compile(of), to) for of, to in (("[A-Z]", "A"), ("[a-z]", "a"), ("[0-9]", "0")))
_EDGE = "<edge>"
_PAIRS = [(-1,), (1,), (-1, 0), (0, 1)]  # places around a word


def spelling(word: str) -> list[str]:
    """What a word's letters say: `lower=d56y-3`, `initial`, `suffix=-3`, `shape=A00a-0`, ...

    The word in lower case; whether it begins with a capital, has capitals alone, none, or one that
    is not the first; letters and digits; punctuation; prefixes and suffixes of 2 to 5 characters;
    an 's at its end; its letters alone, the rest alone, where it has both; its pattern, and its
    pattern with repetitions merged.
    """
    letters = "".join(filter(str.isalpha, word))
    rest = "".join(itertools.filterfalse(str.isalpha, word))
    shape = word
    for pattern, to in _SHAPES:
        shape = pattern.sub(to, shape)
    kinds = {
        "initial": word[:1].isupper(),
        "capitals": letters.isupper(),
        "lowercase": letters.islower(),
        "inner": any(map(str.isupper, word[1:])) and not letters.isupper(),
        "mixed": bool(letters) and any(map(str.isdigit, word)),
        "punctuation": any(not one.isalnum() for one in word),
        "possessive": word.endswith("'s"),
    }
    sizes = range(2, min(len(word), 5) + 1)
    return [
        f"lower={word.lower()}",
        *(name for name, is_so in kinds.items() if is_so),
        *(f"prefix={word[:n]}" for n in sizes),
        *(f"suffix={word[-n:]}" for n in sizes),
        *([f"letters={letters}", f"rest={rest}"] if letters and rest else []),
        f"shape={shape}",
        f"short={''.join(one for one, _ in itertools.groupby(shape))}",
    ]


def context(words: Sequence[str], classes: Sequence[Sequence[str]] = ()) -> list[list[str]]:
    """What stands around each word of a sentence: `word[-1,0]=lives|in`, `pos[-1,0,1]=VBZ|IN|NNP`.

    Both neighbours (in lower case), alone and together with the word; of parts of speech and chunks
    also the word's own, and all three. Beyond the ends stands `<edge>`. The paper does not say
    which neighbours; with these the training part of CoNLL-2003 has its number of features, to
    0.5 %.

    `classes`: of each word its part of speech and its chunk; empty if they are not known.
    """
    columns = {"word": ([word.lower() for word in words], _PAIRS)}
    for name, column in zip(("pos", "chunk"), zip(*classes, strict=True), strict=False):
        columns[name] = column, [*_PAIRS, (0,), (-1, 0, 1)]
    found: list[list[str]] = [[] for _ in words]
    for name, (column, windows) in columns.items():
        padded = [_EDGE, *column, _EDGE]
        for offsets in windows:
            where = ",".join(map(str, offsets))
            for t, features in enumerate(found, 1):
                joined = "|".join(padded[t + offset] for offset in offsets)
                features.append(f"{name}[{where}]={joined}")
    return found


def features(
    words: Sequence[str],
    classes: Sequence[Sequence[str]] = (),
    sets: Sequence[str] = tuple(MOST_FEATURES),
) -> list[list[str]]:
    """The features of each word of a sentence; arguments as for `context`, `sets` those wanted."""
    makers: dict[str, Callable] = {
        "spelling": lambda: [spelling(word) for word in words],
        "context": lambda: context(words, classes),
    }
    made = [makers[name]() for name in sets]
    return [sum(of_word, []) for of_word in zip(*made, strict=True)]
