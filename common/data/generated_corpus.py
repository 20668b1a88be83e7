"""A small generated English, for runs and tests without any download.

Each of its three kinds of text has dependencies over several words, so that a network must remember
earlier words. Texts are drawn from a probabilistic grammar; the same seed gives the same text. In
most word lists, earlier words are drawn more often, as in real text.

`language_model_text` has number agreement and a repeated word. n is singular or plural, drawn anew
for each NP unless given; "that" VP(n) agrees with the noun before it, whatever stands between them:

    S     -> Core 0.6 | "about the" TOPIC Core "so the" TOPIC "stays" ADJ 0.4   the same TOPIC twice
    Core  -> NP(n) VP(n)
    NP(n) -> DET(n) [ADJ 0.3] NOUN(n) [PP 0.25 | RC 0.25]   the brackets end at depth 2
    PP    -> PREPOSITION NP
    RC    -> "that" VP(n) 0.5 | "that" NP(m) TRANSITIVE(m) 0.5
    VP(n) -> INTRANSITIVE(n) [ADVERB 0.4] 0.4 | TRANSITIVE(n) NP 0.4 | "is"/"are" ADJ 0.2

`tagged_sentences` has names that do not reveal their type, and, several words before or after each,
a cue that does:

    S      -> Clause "." | Clause ("and" | "while") Clause "."
    Clause -> BEFORE(type) "," Filler "," NAME | NAME "," Filler "," AFTER(type)
    Filler -> one to three phrases;   NAME -> one or two words;   type -> PER | LOC | ORG | MISC

`labelled_reviews` has one verdict among neutral sentences. Its sign is the sign of its adjective
times that of its opening. A second verdict may stand beside it, which does not count because it is
the conceded one:

    Review  -> Neutral{0,3} Verdict "." Neutral{0,3}
    Verdict -> V 0.5 | "although" V' "," V | V "although" V' | V' "," "but" V   label: sign of V
    V       -> Opening(+1 0.7 | -1 0.3) Filler Closing ADJECTIVE(+1 0.5 | -1 0.5)

An adjective alone makes one label more probable: word counts classify about two reviews in three
correctly, the whole verdict classifies all. If both kinds of opening were equally frequent, no
single word would say anything about the label: the networks here do not learn such a parity from
thousands of reviews.
"""

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .generated_words import (
    ADJECTIVES,
    ADVERBS,
    AFTER,
    BEFORE,
    CONCESSIONS,
    DETERMINERS,
    FILLERS,
    INTRANSITIVE,
    IRREGULAR_PLURALS,
    NAMES,
    NEGATIVE,
    NEUTRAL,
    NOUNS,
    OPENINGS,
    POSITIVE,
    PREPOSITIONS,
    REVIEW_FILLERS,
    SUBJECTS,
    TOPICS,
    TRANSITIVE,
)


def plural(noun: str) -> str:
    """The plural of one of `NOUNS`."""
    return IRREGULAR_PLURALS.get(noun, noun + "s")


def third_person(verb: str) -> str:
    """The singular form of a verb: "watch" -> "watches"."""
    return verb + ("es" if verb.endswith(("ch", "sh")) else "s")


def _random(n: int, seed: int | Sequence[int]) -> np.random.Generator:
    if n < 1:
        raise InputError(f"expected at least one sentence to generate, found {n}")
    return np.random.default_rng(seed)


def _pick(random: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(len(words) * random.random())]


def _pick_skewed(random: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(len(words) * random.random() ** 2)]


class _Agreement:
    """The grammar of `language_model_text`; each method is one of its rules and returns words."""

    def __init__(self, random: np.random.Generator):
        self.random = random

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, words: Sequence[str]) -> str:
        return _pick_skewed(self.random, words)

    def sentence(self) -> list[str]:
        if self.chance(0.6):
            return self.core()
        topic = self.pick(TOPICS)
        return [
            "about",
            "the",
            topic,
            *self.core(),
            "so",
            "the",
            topic,
            "stays",
            self.pick(ADJECTIVES),
        ]

    def core(self) -> list[str]:
        many = self.chance(0.5)
        return self.noun_phrase(many, 0) + self.verb_phrase(many, 0)

    def noun_phrase(self, many: bool, depth: int) -> list[str]:
        noun = self.pick(NOUNS)
        adjective = [self.pick(ADJECTIVES)] if self.chance(0.3) else []
        words = [self.pick(DETERMINERS[many]), *adjective, plural(noun) if many else noun]
        kind = self.random.random() if depth < 2 else 1.0
        if kind < 0.25:
            return [*words, self.pick(PREPOSITIONS), *self.noun_phrase(self.chance(0.5), depth + 1)]
        if kind < 0.5:
            return [*words, "that", *self.relative_clause(many, depth + 1)]
        return words

    def relative_clause(self, many: bool, depth: int) -> list[str]:
        if self.chance(0.5):
            return self.verb_phrase(many, depth)
        other = self.chance(0.5)
        return [*self.noun_phrase(other, depth), self.verb(TRANSITIVE, other)]

    def verb_phrase(self, many: bool, depth: int) -> list[str]:
        kind = self.random.random()
        if kind < 0.4:
            return [
                self.verb(INTRANSITIVE, many),
                *([self.pick(ADVERBS)] if self.chance(0.4) else []),
            ]
        if kind < 0.8:
            return [self.verb(TRANSITIVE, many), *self.noun_phrase(self.chance(0.5), depth + 1)]
        return ["are" if many else "is", self.pick(ADJECTIVES)]

    def verb(self, verbs: Sequence[str], many: bool) -> str:
        verb = self.pick(verbs)
        return verb if many else third_person(verb)


def language_model_text(n_sentences: int, seed: int | Sequence[int]) -> list[str]:
    """Sentences without punctuation, one per line, in the form of PTB's files.

    The vocabulary has a few hundred words.
    """
    grammar = _Agreement(_random(n_sentences, seed))
    return [" ".join(grammar.sentence()) for _ in range(n_sentences)]


def tagged_sentences(n: int, seed: int | Sequence[int]) -> list[tuple[list[str], list[str]]]:
    """Sentences with PER, LOC, ORG and MISC entities, words and tags of the same length.

    The tags are B- on an entity's first word and I- on its others, else O. No two entities touch,
    so a reader of IOB1 takes them for the same entities.
    """
    random = _random(n, seed)
    sentences = []
    for _ in range(n):
        tagged = _clause(random)
        if random.random() < 0.5:
            tagged += [(_pick(random, ("and", "while")), "O"), *_clause(random)]
        tagged.append((".", "O"))
        words, tags = map(list, zip(*tagged, strict=True))
        words[0] = words[0][0].upper() + words[0][1:]
        sentences.append((words, tags))
    return sentences


def _clause(random: np.random.Generator) -> list[tuple[str, str]]:
    kind = _pick(random, tuple(BEFORE))
    first = random.random() < 0.5
    cue = _outside(_pick(random, (BEFORE if first else AFTER)[kind]))
    filler = _outside(f", {_phrases(random, FILLERS)} ,")
    name = [
        (_pick_skewed(random, NAMES), f"{mark}-{kind}")
        for mark in ("BI" if random.random() < 0.4 else "B")
    ]
    return cue + filler + name if first else name + filler + cue


def _outside(text: str) -> list[tuple[str, str]]:
    return [(word, "O") for word in text.split()]


def _phrases(random: np.random.Generator, phrases: Sequence[str]) -> str:
    """One to three different phrases."""
    return " ".join(
        phrases[place] for place in random.permutation(len(phrases))[: random.integers(1, 4)]
    )


def labelled_reviews(n: int, seed: int | Sequence[int]) -> list[tuple[str, int]]:
    """Reviews with their labels: 1 if the verdict is favourable, else 0.

    Words and punctuation are separated by spaces.
    """
    random = _random(n, seed)
    return [_review(random) for _ in range(n)]


def _review(random: np.random.Generator) -> tuple[str, int]:
    verdict, favourable = _verdict(random)
    conceded, _ = _verdict(random)
    form = _pick(random, CONCESSIONS) if random.random() < 0.5 else "{v}"
    neutral = [NEUTRAL[place] for place in random.permutation(len(NEUTRAL))]
    before, after = random.integers(0, 4, 2)
    sentences = [
        *neutral[:before],
        form.format(v=verdict, c=conceded),
        *neutral[before : before + after],
    ]
    return " . ".join(sentences) + " .", favourable


def _verdict(random: np.random.Generator) -> tuple[str, int]:
    deny, good = random.random() < 0.3, random.random() < 0.5
    openings, closing = OPENINGS[int(len(OPENINGS) * random.random())]
    middle = closing.format(_pick(random, SUBJECTS), _phrases(random, REVIEW_FILLERS))
    return f"{openings[deny]} {middle} {_pick(random, POSITIVE if good else NEGATIVE)}", int(
        good != deny
    )
