"""Reads CoNLL-2003 or other data of columns; makes padded integer arrays of sentences."""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from common.data.generated_corpus import tagged_sentences
from common.data.text import PADDING, UNKNOWN, Vocabulary, read_lines
from common.errors import InputError
from common.files import atomic_write, seen_from, still_packed
from NER.conll import COLUMNS, FORM, SAY_WHICH, Sentence, read_conll
from NER.features import MOST_FEATURES, features
from NER.span_f1 import spans, to_tags

FILE_NAMES = (("eng.train", "eng.testa", "eng.testb"), ("train.txt", "valid.txt", "test.txt"))
GENERATED = (2000, 400, 400)
UNKNOWN_ID = 1  # of an encoder's words and characters; 0 is padding
# CoNLL-2000's, column 3
_CHUNKS = {"ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP"}
_DIGIT = re.compile(r"[0-9]")


class Corpus(NamedTuple):
    """Three lists of sentences."""

    train: list[Sentence]
    dev: list[Sentence]
    test: list[Sentence]


class Arrays(NamedTuple):
    """Sentences as int32 arrays, padded with 0.

    words: [B, T]. chars: [B, T, C]. tags: [B, T]. lengths: [B]. features: [B, T, F], F = 0 without.
    """

    words: np.ndarray
    chars: np.ndarray
    tags: np.ndarray
    lengths: np.ndarray
    features: np.ndarray


def load(
    data_dir: str | os.PathLike = "",
    scheme: str = "BIOES",
    columns: Sequence[int] = COLUMNS,
    keep: Sequence[int] = (),
) -> Corpus:
    """The three parts of CoNLL-2003 or of data of that form, tags converted to `scheme`.

    Args:
        data_dir: the folder that has eng.train, eng.testa, eng.testb (or train.txt, valid.txt or
            dev.txt, test.txt), or the folder above it if it is called conll2003; "" generates a
            small corpus.
        scheme: "BIOES" or "BIO".
        columns, keep: see `read_conll`.

    Raises:
        InputError: if the files are not there, or not of the format (with the line).
    """
    if not data_dir:
        made = [
            Sentence(words, to_tags(spans(tags), len(tags), scheme))
            for words, tags in tagged_sentences(sum(GENERATED), seed=0)
        ]
        at = np.cumsum(GENERATED)
        return Corpus(made[: at[0]], made[at[0] : at[1]], made[at[1] :])
    for folder in (pathlib.Path(data_dir), pathlib.Path(data_dir) / "conll2003"):
        both = [names[0] for names in FILE_NAMES], ["valid.txt", "dev.txt"]
        for pair in both:
            if all((folder / name).is_file() for name in pair):
                raise InputError(f"{folder}: expected {' or '.join(pair)}, found both; remove one")
        for names in FILE_NAMES:
            if (folder / names[0]).is_file():
                if not (folder / names[1]).is_file() and (folder / "dev.txt").is_file():
                    names = names[0], "dev.txt", names[2]
                corpus = Corpus(
                    *(read_conll(folder / name, scheme, columns, keep) for name in names)
                )
                _check_entities(folder / names[0], entity_types(corpus.train), columns)
                return corpus
    packed = still_packed(data_dir) or still_packed(pathlib.Path(data_dir) / "conll2003")
    raise InputError(
        f"{data_dir}: expected {' '.join(FILE_NAMES[0])} or {' '.join(FILE_NAMES[1])}, found"
        f" neither{seen_from(data_dir)}{packed and f', {packed}'}; CoNLL-2003 is licensed: follow"
        " https://www.clips.uantwerpen.be/conll2003/ner/ and put its files there"
    )


def _check_entities(path: pathlib.Path, found: Sequence[str], columns: Sequence[int]) -> None:
    """Phrases may be meant where the columns are other ones than CoNLL-2003's."""
    if not found or (tuple(columns) == COLUMNS and not set(found) - _CHUNKS):
        what = f"kinds of phrase ({', '.join(found)})" if found else "the tag O alone"
        raise InputError(
            f"{path}: expected entity tags such as I-PER in column {columns[1]}, found {what};"
            f" write the columns as {FORM}, or {SAY_WHICH}"
        )


def entity_types(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """The types of entity that occur, in alphabetical order."""
    return tuple(sorted({tag[2:] for sentence in sentences for tag in sentence.tags if tag != "O"}))


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Converts words and tags to numbers; saved with a model, so that it can tag text later.

    words, chars: their vocabularies; 0 is padding, 1 unknown. tags: the N tags, "O" first. scheme:
    "BIOES" or "BIO".
    lower, zero_digits: whether a word is looked up in lower case and with every digit as 0;
    characters stay as written.
    max_chars: C; longer words (1 in 10,000 has more than 20 characters) are cut at the end.
    feature_sets: the kinds of feature. features: those of the training sentences, padding first.
    """

    words: Vocabulary
    chars: Vocabulary
    tags: tuple[str, ...]
    scheme: str = "BIOES"
    lower: bool = True
    zero_digits: bool = True
    max_chars: int = 20
    feature_sets: tuple[str, ...] = ()
    features: Vocabulary = Vocabulary((PADDING,))

    @classmethod
    def build(
        cls,
        train: Sequence[Sentence],
        extra_words: Iterable[str] = (),
        min_count: int = 2,
        scheme: str = "BIOES",
        lower: bool = True,
        zero_digits: bool = True,
        max_chars: int = 20,
        feature_sets: Sequence[str] = (),
    ) -> "Encoder":
        """An encoder from the training sentences alone, and from other known words.

        Args:
            train: source of words, characters and types of entity. If one tag of a type occurs, all
                tags of that type are known.
            extra_words: further words, such as those of all parts that have a pretrained vector.
            min_count: training words seen less often, and not among the extra ones, become the
                unknown word, which thereby gets a trained vector.
            scheme: of the tags.
            lower, zero_digits, max_chars, feature_sets: as in the class.
        """
        seen = [
            normalise(word, lower, zero_digits) for sentence in train for word in sentence.words
        ]
        frequent = Vocabulary.build(seen, min_count=min_count, specials=(PADDING, UNKNOWN)).words
        extra = {normalise(word, lower, zero_digits) for word in extra_words}.difference(frequent)
        words = Vocabulary((*frequent, *sorted(extra)))
        characters = (
            character for sentence in train for word in sentence.words for character in word
        )
        chars = Vocabulary.build(characters, specials=(PADDING, UNKNOWN))
        tags = (
            "O",
            *(
                f"{prefix}-{kind}"
                for kind in entity_types(train)
                for prefix in scheme.replace("O", "")
            ),
        )
        seen = (
            feature
            for sentence in (train if feature_sets else ())
            for of_word in features(sentence.words, sentence.classes, feature_sets)
            for feature in of_word
        )
        known = Vocabulary.build(seen, specials=(PADDING,))
        options = (scheme, lower, zero_digits, max_chars, tuple(feature_sets))
        return cls(words, chars, tags, *options, known)

    def seen_once(self, train: Iterable[Sentence]) -> np.ndarray:
        """Which of the words [V] the training sentences have once, bool."""
        forms = self.words.encode(
            (
                normalise(word, self.lower, self.zero_digits)
                for sentence in train
                for word in sentence.words
            ),
            PADDING,
        )
        return np.bincount(forms, minlength=len(self.words)) == 1

    def encode(self, sentences: Sequence[Sentence], length: int | None = None) -> Arrays:
        """Sentences as padded arrays of `length` steps, by default the longest sentence's.

        Unknown words and characters become the unknown one, unknown features none. A tag of a type
        that training lacks becomes O: a model cannot predict it, but scores are counted on the tags
        as text, where it still counts as missed.

        Raises:
            InputError: if a sentence is empty or longer than `length`.
        """
        lengths = np.array([len(sentence.words) for sentence in sentences], np.int32)
        length = int(lengths.max(initial=1)) if length is None else length
        if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= length:
            found = f"{lengths.min()} to {lengths.max()}"
            raise InputError(
                f"expected sentences of 1 to {length} words, found {found}; split or drop them"
            )
        words = np.zeros((len(sentences), length), np.int32)
        chars = np.zeros((len(sentences), length, self.max_chars), np.int32)
        tags = np.zeros((len(sentences), length), np.int32)
        width = sum(MOST_FEATURES[name] for name in self.feature_sets)
        found = np.zeros((len(sentences), length, width), np.int32)
        tag_ids = {tag: i for i, tag in enumerate(self.tags)}
        for row, sentence in enumerate(sentences):
            n = len(sentence.words)
            known = (normalise(word, self.lower, self.zero_digits) for word in sentence.words)
            words[row, :n] = self.words.encode(known, PADDING)
            tags[row, : len(sentence.tags)] = [tag_ids.get(tag, 0) for tag in sentence.tags]
            for t, word in enumerate(sentence.words):
                ids = self.chars.encode(word[: self.max_chars])
                chars[row, t, : len(ids)] = ids
            if self.feature_sets:
                made = features(sentence.words, sentence.classes, self.feature_sets)
                for t, of_word in enumerate(made):
                    ids = [self.features.ids[one] for one in of_word if one in self.features]
                    found[row, t, : len(ids)] = ids
        return Arrays(words, chars, tags, lengths, found)

    def decode_tags(self, tags: np.ndarray, lengths: np.ndarray) -> list[list[str]]:
        """Tag numbers [B, T] as text, each sentence at its own length."""
        return [[self.tags[tag] for tag in row[:n]] for row, n in zip(tags, lengths, strict=True)]

    def save(self, path: str | os.PathLike) -> None:
        """Write the encoder to one JSON file."""
        fields = dataclasses.asdict(self)
        fields |= {name: getattr(self, name).words for name in ("words", "chars", "features")}
        atomic_write(path, json.dumps(fields, ensure_ascii=False))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Encoder":
        """Read what `save` wrote. Raises InputError for any other file."""
        text = "\n".join(read_lines(path))
        try:
            fields = json.loads(text)
            fields = {"feature_sets": (), "features": (PADDING,)} | fields  # files from before them
            vocabularies = {
                name: Vocabulary(tuple(fields.pop(name))) for name in ("words", "chars", "features")
            }
            tuples = {name: tuple(fields[name]) for name in ("tags", "feature_sets")}
            return cls(**vocabularies, **(fields | tuples))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: expected what Encoder.save wrote, but {error}; train the model again"
            ) from None


def normalise(word: str, lower: bool = True, zero_digits: bool = True) -> str:
    """The form in which a word is looked up: in lower case, with every digit 0, or both."""
    word = word.lower() if lower else word
    return digits_to_zero(word) if zero_digits else word


def digits_to_zero(word: str) -> str:
    """The word with every digit replaced by 0."""
    return _DIGIT.sub("0", word)
