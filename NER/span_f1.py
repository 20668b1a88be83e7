"""Precision, recall and F1 over entities, counted as the shared task's script `conlleval` does.

A predicted entity is right if its first token, its last token and its type are those of a gold
entity (Tjong Kim Sang & De Meulder 2003, "Introduction to the CoNLL-2003 Shared Task", section 3).
"""

import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from common.files import atomic_write, make_folder

Span = tuple[str, int, int]
"""Type, first token, one past the last token."""


class Counts(NamedTuple):
    """Numbers of entities: gold, predicted, and correct; the three scores are in percent."""

    gold: int
    predicted: int
    correct: int

    @property
    def precision(self) -> float:
        """Percent of the predicted entities that are right; 0 if none was predicted."""
        return 100.0 * self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Percent of the gold entities that were found; 0 if there is none."""
        return 100.0 * self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent: 2 correct / (gold + predicted)."""
        return 200.0 * self.correct / (self.gold + self.predicted) if self.correct else 0.0


class SpanScores(NamedTuple):
    """The counts over all entities, and those of each type, in alphabetical order."""

    overall: Counts
    by_type: dict[str, Counts]


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities of one sentence, in order.

    Reads IOB1, BIO (IOB2), BIOES and sequences that are none of these. A token continues an entity
    if its tag begins with I or E, the tag before begins with B or I, and both have one type; every
    other token that is not O begins an entity. So "O I-PER" and "B-LOC I-PER" begin a PER, as in
    conlleval.
    """
    found: list[Span] = []
    before = "O"
    for t, tag in enumerate(tags):
        if tag[0] in "IE" and before[0] in "BI" and tag[2:] == before[2:]:
            kind, first, _ = found.pop()
            found.append((kind, first, t + 1))
        elif tag != "O":
            found.append((tag[2:], t, t + 1))
        before = tag
    return found


def to_tags(entities: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of a sentence of `length` tokens with these entities.

    `scheme`: "BIOES" or "BIO" (IOB2).
    """
    first, last, single = {"BIOES": "BES", "BIO": "BIB"}[scheme]
    tags = ["O"] * length
    for kind, start, stop in entities:
        tags[start:stop] = [f"I-{kind}"] * (stop - start)
        tags[stop - 1] = f"{last}-{kind}"
        tags[start] = f"{first if stop - start > 1 else single}-{kind}"
    return tags


def span_f1(gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> SpanScores:
    """Scores of predicted tags against gold tags, sentence by sentence.

    The two may be of different schemes.

    Raises:
        ValueError: if the numbers of sentences, or of tokens in a sentence, differ.
    """
    in_gold, in_predicted, correct = Counter(), Counter(), Counter()
    for truth, guess in zip(gold, predicted, strict=True):
        if len(truth) != len(guess):
            raise ValueError(
                f"a sentence of {len(truth)} gold tags has {len(guess)} predicted tags"
            )
        truth, guess = set(spans(truth)), set(spans(guess))
        for counter, entities in (
            (in_gold, truth),
            (in_predicted, guess),
            (correct, truth & guess),
        ):
            counter.update(kind for kind, _, _ in entities)
    kinds = sorted(in_gold | in_predicted)
    by_type = {kind: Counts(in_gold[kind], in_predicted[kind], correct[kind]) for kind in kinds}
    return SpanScores(Counts(in_gold.total(), in_predicted.total(), correct.total()), by_type)


def write_conll(
    path: str | os.PathLike,
    sentences: Iterable[Sequence[str]],
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
) -> None:
    """Write the input of `conlleval`: "token gold predicted" lines, blank lines after sentences.

    Tags are converted to BIO, because the script does not know S tags; the entities stay the same.
    """
    lines = []
    for words, truth, guess in zip(sentences, gold, predicted, strict=True):
        columns = [to_tags(spans(tags), len(words), "BIO") for tags in (truth, guess)]
        lines += [" ".join(row) for row in zip(words, *columns, strict=True)] + [""]
    make_folder(pathlib.Path(path).parent)
    atomic_write(path, "".join(line + "\n" for line in lines))
