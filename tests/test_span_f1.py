"""Span F1 against cases counted by hand, against seqeval on random tags, and against an alignment
by definition.
"""

import itertools

import numpy as np
import pytest

from NER import span_f1
from NER.span_f1 import Counts, spans, to_tags, write_conll


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O B-LOC", [("PER", 0, 2), ("LOC", 3, 4)]),
        ("B-PER B-PER", [("PER", 0, 1), ("PER", 1, 2)]),
        ("I-PER I-PER B-PER I-LOC", [("PER", 0, 2), ("PER", 2, 3), ("LOC", 3, 4)]),  # IOB1
        # BIOES
        ("B-PER I-PER E-PER S-PER B-LOC E-LOC", [("PER", 0, 3), ("PER", 3, 4), ("LOC", 4, 6)]),
        ("O I-PER", [("PER", 1, 2)]),  # broken: no B
        ("B-LOC I-PER", [("LOC", 0, 1), ("PER", 1, 2)]),  # broken: the type changes
        ("S-PER I-PER", [("PER", 0, 1), ("PER", 1, 2)]),  # broken: S is over
        ("E-PER E-PER", [("PER", 0, 1), ("PER", 1, 2)]),  # broken: ends without beginnings
        ("B-PER O I-PER", [("PER", 0, 1), ("PER", 2, 3)]),  # broken: a gap
        ("B-X-Y I-X-Y", [("X-Y", 0, 2)]),
    ],
)
def test_spans_by_hand(tags, expected):
    assert spans(tags.split()) == expected


@pytest.mark.parametrize("scheme", ["BIOES", "BIO"])
def test_tags_hold_the_same_spans(scheme):
    entities = [("PER", 0, 1), ("PER", 1, 3), ("LOC", 4, 7), ("LOC", 7, 8)]
    assert spans(to_tags(entities, 9, scheme)) == entities
    expected = {
        "BIOES": "S-PER B-PER E-PER O B-LOC I-LOC E-LOC S-LOC O",
        "BIO": "B-PER B-PER I-PER O B-LOC I-LOC I-LOC B-LOC O",
    }
    assert to_tags(entities, 9, scheme) == expected[scheme].split()


def test_scores_by_hand():
    """PER found; LOC cut short; MISC invented; ORG given the wrong type."""
    gold = ["B-PER I-PER O B-LOC I-LOC".split(), "O B-ORG".split(), ["O"]]
    guess = ["B-PER E-PER O S-LOC O".split(), "O S-MISC".split(), ["O"]]
    scores = span_f1.span_f1(gold, guess)
    assert scores.overall == Counts(gold=3, predicted=3, correct=1)
    assert scores.overall.f1 == pytest.approx(100 / 3)
    assert scores.by_type == {
        "LOC": Counts(1, 1, 0),
        "MISC": Counts(0, 1, 0),
        "ORG": Counts(1, 0, 0),
        "PER": Counts(1, 1, 1),
    }


def test_scores_in_percent_and_their_empty_cases():
    counts = Counts(gold=8, predicted=5, correct=4)
    assert (counts.precision, counts.recall, counts.f1) == (
        80.0,
        50.0,
        pytest.approx(2 * 80 * 50 / 130),
    )
    assert Counts(0, 0, 0)[:] == (0, 0, 0) and Counts(0, 0, 0).f1 == 0.0
    assert (Counts(0, 3, 0).recall, Counts(3, 0, 0).precision) == (0.0, 0.0)


def random_tags(rng, prefixes, n):
    alphabet = ["O", "O"] + [f"{p}-{kind}" for p in prefixes for kind in ("PER", "LOC", "ORG")]
    return [[str(tag) for tag in rng.choice(alphabet, rng.integers(1, 15))] for _ in range(n)]


def corrupt(rng, sentences, prefixes):
    noise = random_tags(rng, prefixes, len(sentences))
    return [
        [
            new if rng.random() < 0.2 else tag
            for tag, new in zip(tags, itertools.cycle(other), strict=False)
        ]
        for tags, other in zip(sentences, noise, strict=True)
    ]


@pytest.mark.parametrize("prefixes", ["BI", "BIES", "I"])
def test_equals_seqeval_on_random_mostly_broken_sequences(prefixes):
    reason = "no seqeval here: make extra-ci, then python -m pytest --last-skipped"
    seqeval = pytest.importorskip("seqeval.metrics", reason=reason)
    labeling = pytest.importorskip("seqeval.metrics.sequence_labeling", reason=reason)
    rng = np.random.default_rng(5)
    gold = random_tags(rng, prefixes, 300)
    guess = corrupt(rng, gold, prefixes)
    for tags in gold:
        assert spans(tags) == [
            (kind, first, last + 1) for kind, first, last in labeling.get_entities(tags)
        ]
    overall, by_type = span_f1.span_f1(gold, guess)
    assert 0 < overall.correct < overall.gold
    assert overall.precision == pytest.approx(100 * seqeval.precision_score(gold, guess))
    assert overall.recall == pytest.approx(100 * seqeval.recall_score(gold, guess))
    assert overall.f1 == pytest.approx(100 * seqeval.f1_score(gold, guess))
    report = seqeval.classification_report(gold, guess, output_dict=True)
    for kind, counts in by_type.items():
        assert counts.f1 == pytest.approx(100 * report[kind]["f1-score"])
        assert counts.gold == report[kind]["support"]


def test_spans_equal_the_rules_of_conlleval():
    """The script's own two tables (when a chunk ends, when one starts) over all pairs of
    neighbouring BIO tags.
    """
    ends = {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O")}
    starts = {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I")}
    for tags in itertools.product(["O", "B-X", "I-X", "B-Y", "I-Y"], repeat=4):
        found, first = [], None
        for t, (before, tag) in enumerate(itertools.pairwise(["O", *tags, "O"])):
            pair, changed = (before[0], tag[0]), before[2:] != tag[2:]
            if pair in ends or (before != "O" and changed):
                found.append((before[2:], first, t))
            if pair in starts or (tag != "O" and changed):
                first = t
        assert spans(tags) == found, tags


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 gold tags has 1 predicted"):
        span_f1.span_f1([["O", "O"]], [["O"]])
    with pytest.raises(ValueError):
        span_f1.span_f1([["O"]], [])


def test_write_conll(tmp_path):
    words, gold = [["U.N.", "chief", "Annan"], ["Oslo"]], [["S-ORG", "O", "S-PER"], ["S-LOC"]]
    guess = [["S-ORG", "O", "O"], ["I-LOC"]]
    write_conll(tmp_path / "out.txt", words, gold, guess)
    assert (
        tmp_path / "out.txt"
    ).read_text() == "U.N. B-ORG B-ORG\nchief O O\nAnnan B-PER O\n\nOslo B-LOC B-LOC\n\n"
