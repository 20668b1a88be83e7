"""The generated text against its grammar, by a parser of its own, and against readers that look at
words one by one.
"""

import collections

import numpy as np
import pytest

from common.data import generated_corpus as corpus
from common.errors import InputError


class Parser:
    """Recursive descent over the grammar in the module's docstring.

    Counts noun-verb pairs and the words between.
    """

    nouns = {noun: False for noun in corpus.NOUNS} | {
        corpus.plural(noun): True for noun in corpus.NOUNS
    }
    transitive = {corpus.third_person(v): False for v in corpus.TRANSITIVE} | {
        v: True for v in corpus.TRANSITIVE
    }
    intransitive = {corpus.third_person(v): False for v in corpus.INTRANSITIVE} | {
        v: True for v in corpus.INTRANSITIVE
    }

    def __init__(self, line):
        self.words, self.at, self.pairs = line.split(), 0, []

    def peek(self):
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, allowed=None):
        word = self.peek()
        assert word and (allowed is None or word in allowed), (self.words, self.at, word)
        self.at += 1
        return word

    def sentence(self):
        topic = None
        if self.peek() == "about":
            self.at += 2
            topic = self.take(corpus.TOPICS)
        self.verb_phrase(*self.noun_phrase())
        if topic:
            assert [self.take() for _ in range(4)] == ["so", "the", topic, "stays"]
            self.take(corpus.ADJECTIVES)
        assert self.at == len(self.words), self.words
        return self.pairs

    def noun_phrase(self):
        determiner = self.take()
        if self.peek() in corpus.ADJECTIVES:
            self.at += 1
        place, many = self.at, self.nouns[self.take()]
        assert determiner in corpus.DETERMINERS[many]
        if self.peek() in corpus.PREPOSITIONS:
            self.at += 1
            self.noun_phrase()
        elif self.peek() == "that":
            self.at += 1
            if self.peek() in corpus.DETERMINERS[False] + corpus.DETERMINERS[True]:
                other_place, other = self.noun_phrase()
                self.agree(other_place, other, self.transitive)
            else:
                self.verb_phrase(place, many)
        return place, many

    def agree(self, place, many, verbs):
        assert verbs[self.take()] == many, (self.words, self.at)
        self.pairs.append(self.at - 1 - place)

    def verb_phrase(self, place, many):
        if self.peek() in ("is", "are"):
            self.agree(place, many, {"is": False, "are": True})
            self.take(corpus.ADJECTIVES)
        elif self.peek() in self.intransitive:
            self.agree(place, many, self.intransitive)
            if self.peek() in corpus.ADVERBS:
                self.at += 1
        else:
            self.agree(place, many, self.transitive)
            self.noun_phrase()


def test_word_classes_do_not_overlap():
    classes = [
        Parser.nouns,
        Parser.transitive,
        Parser.intransitive,
        corpus.ADJECTIVES,
        corpus.ADVERBS,
        corpus.PREPOSITIONS,
        corpus.TOPICS,
        {*corpus.DETERMINERS[False], *corpus.DETERMINERS[True]},
        ["is", "are", "that", "about", "so"],
    ]
    assert max(collections.Counter(word for words in classes for word in words).values()) == 1
    assert corpus.plural("child") == "children" and corpus.plural("dog") == "dogs"
    assert corpus.third_person("watch") == "watches" and corpus.third_person("see") == "sees"


def test_every_sentence_agrees():
    lines = corpus.language_model_text(3000, 0)
    distances = [distance for line in lines for distance in Parser(line).sentence()]
    # a good part of the verbs stand far from their nouns
    assert np.mean(np.array(distances) >= 4) > 0.15
    words = collections.Counter(word for line in lines for word in line.split())
    assert 200 < len(words) < 500 and max(map(len, map(str.split, lines))) < 40


def test_the_parser_can_fail():
    assert Parser("the dog that the men see sleeps").sentence() == [1, 5]
    for wrong in (
        "the dog that the men see sleep",
        "the dogs that the men see sleeps",
        "the dog sleeps the",
        "about the harbor the dog sleeps so the budget stays old",
        "a dogs sleep",
    ):
        with pytest.raises(AssertionError):
            Parser(wrong).sentence()


def entities(tags):
    """(first, end, type) of B- I- I- runs."""
    found = []
    for place, tag in enumerate(tags):
        if tag[0] == "B":
            found.append((place, place + 1, tag[2:]))
        elif tag[0] == "I":
            first, end, kind = found.pop()
            assert end == place and kind == tag[2:]
            found.append((first, place + 1, kind))
    return found


def test_tagged_sentences():
    kinds, distances = collections.Counter(), []
    for words, tags in corpus.tagged_sentences(2000, 0):
        assert len(words) == len(tags) and words[0][0].isupper() and words[-1] == "."
        assert [tag != "O" for tag in tags] == [word in corpus.NAMES for word in words]
        found = entities(tags)
        clauses = [
            clause.split(" , ")
            for clause in " ".join(words[:-1]).replace(" while ", " and ").split(" and ")
        ]
        assert len(found) == len(clauses)
        for (first, end, kind), (start, filler, last) in zip(found, clauses, strict=True):
            kinds[kind] += 1
            distances.append(len(filler.split()) + 2)
            name = " ".join(words[first:end])
            if last == name:
                assert start.lower() in [cue.lower() for cue in corpus.BEFORE[kind]]
            else:
                assert start == name and last in corpus.AFTER[kind]
    assert set(kinds) == {"PER", "LOC", "ORG", "MISC"} and min(kinds.values()) > 0.2 * sum(
        kinds.values()
    )
    assert min(distances) == 4 and np.mean(distances) > 7


def test_names_do_not_tell_their_type():
    counts = collections.defaultdict(collections.Counter)
    for words, tags in corpus.tagged_sentences(4000, 1):
        for word, tag in zip(words, tags, strict=True):
            if tag != "O":
                counts[word][tag[2:]] += 1
    right = sum(max(kinds.values()) for kinds in counts.values())
    assert right / sum(sum(kinds.values()) for kinds in counts.values()) < 0.35


def sign(verdict):
    adjective = verdict.split()[-1]
    assert (adjective in corpus.POSITIVE) != (adjective in corpus.NEGATIVE)
    opening = next(pair for pair, _ in corpus.OPENINGS if verdict.startswith(pair))
    return (adjective in corpus.POSITIVE) == verdict.startswith(opening[0])


def test_reviews_mean_their_label():
    for text, label in corpus.labelled_reviews(2000, 0):
        assert text.endswith(" .")
        (verdict,) = (part for part in text[:-2].split(" . ") if part not in corpus.NEUTRAL)
        if verdict.startswith("although "):
            verdict = verdict.split(" , ")[1]
        elif " , but " in verdict:
            verdict = verdict.split(" , but ")[1]
        assert sign(verdict.split(" although ")[0]) == label


def test_counts_of_words_say_something_about_the_label_and_not_all():
    reviews = corpus.labelled_reviews(3000, 2)
    words = sorted({word for text, _ in reviews for word in text.split()})
    place = {word: i for i, word in enumerate(words)}
    counts = np.zeros((len(reviews), len(words) + 1))
    counts[:, -1] = 1
    for row, (text, _) in zip(counts, reviews, strict=True):
        for word in text.split():
            row[place[word]] += 1
    labels = np.array([label for _, label in reviews])
    assert abs(labels.mean() - 0.5) < 0.05
    weights = np.linalg.lstsq(counts[:2000], labels[:2000] - 0.5, rcond=None)[0]
    # 0.5 would be a parity, which no network here learns
    assert 0.58 < np.mean((counts[2000:] @ weights > 0) == labels[2000:]) < 0.72


@pytest.mark.parametrize(
    "make", [corpus.language_model_text, corpus.tagged_sentences, corpus.labelled_reviews]
)
def test_seeds(make):
    assert make(50, 3) == make(50, 3) == make(80, 3)[:50]
    assert make(50, 3) != make(50, 4) and make(50, [3, 0]) != make(50, [3, 1])
    with pytest.raises(InputError, match="at least one"):
        make(0, 0)
