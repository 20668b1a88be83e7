"""Reads text for language models and cuts it into batches.

The text is PTB, another corpus in its format, or a generated one.
"""

import dataclasses
import math
import pathlib

import numpy as np

from common.data.download import read_tar
from common.data.generated_corpus import language_model_text
from common.data.text import (
    EOS,
    UNKNOWN,
    Vocabulary,
    decode,
    lines,
    notice_reserved,
    read_lines,
    words_of,
)
from common.data.treebank import split_words
from common.errors import InputError, warn
from common.files import seen_from, still_packed
from LanguageModeling.corpora import conll, reviews
from LanguageModeling.corpora.reviews import NONE, Condition, Reviews

SPLITS = ("train", "valid", "test")
# What the tokens of a line are, by the value of --tokens.
TOKENS = {"spaces": words_of, "words": split_words, "characters": list}

_GENERATED_SENTENCES = {"train": 10_000, "valid": 1_000, "test": 1_000}
_ARCHIVE = "simple-examples.tgz"
_WHAT_TO_GET = (
    f"get the Penn Treebank as Mikolov prepared it ({_ARCHIVE}, published with the RNNLM toolkit)"
    " and put it, or ptb.train.txt, ptb.valid.txt and ptb.test.txt from it, into that folder; its"
    " licence does not allow us to ship it"
)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Word ids of the three splits, int32 [N] each, and the vocabulary of the training text.

    `<eos>` follows every line. Of texts with classes [N, 2], each word's class beside it.
    """

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    vocabulary: Vocabulary


def load(
    data_dir: str = "", tokens: str = "spaces", min_count: int = 1, condition: Condition = NONE
) -> Corpus:
    """The corpus in a folder, or a generated one if `data_dir` is empty.

    The folder has ptb.train.txt, ptb.valid.txt and ptb.test.txt, or the same without "ptb.", or the
    archive simple-examples.tgz as it is distributed: a sentence per line, with or without an
    `<eos>` at its end; or the files of CoNLL-2003 (`corpora/conll.py`), or IMDB's reviews. A token
    that is not in the training text becomes `<unk>`, if there is one.

    Args:
        data_dir: see above.
        tokens: how a line is split: at "spaces"; into "words", with punctuation apart as in the
            Penn Treebank; or into "characters".
        min_count: from 2 on, tokens that are rarer in the training text become `<unk>`.
        condition: how reviews are read, and whether with their classes.

    Raises `InputError` for missing or unusable files and, with file and line, for a word that has
    no id.
    """
    name, texts = _texts(data_dir, condition)
    if condition.max_documents and not isinstance(texts["train"], Reviews):
        raise InputError(
            f"--max_documents {condition.max_documents} is a number of reviews, found none in the"
            f" corpus ({name}): give --max_documents 0, or --data_dir with IMDB's reviews"
        )
    sentences = {split: _sentences(*text[:2], tokens) for split, text in texts.items()}
    vocabulary = Vocabulary.build(
        (word for words in sentences["train"] for word in (*words, EOS)),
        min_count=min_count,
        specials=(EOS, UNKNOWN) if min_count > 1 else (),
    )
    ids = {split: _encode(sentences[split], vocabulary, *texts[split][::2]) for split in SPLITS}
    return Corpus(name, **ids, vocabulary=vocabulary)


def load_split(
    data_dir: str,
    split: str,
    vocabulary: Vocabulary,
    tokens: str = "spaces",
    condition: Condition = NONE,
) -> np.ndarray:
    """One split of what `load` reads, as ids of the given vocabulary; raises as `load` does."""
    name, text, *classes = _texts(data_dir, condition)[1][split]
    return _encode(_sentences(name, text, tokens), vocabulary, name, *classes)


def _texts(data_dir: str, condition: Condition = NONE) -> tuple[str, dict[str, tuple]]:
    """The name of the corpus; for each split its file's name, lines and, if asked for, classes."""
    if condition.kind != "none":
        return "reviews", reviews.load(data_dir, condition)
    return _read(pathlib.Path(data_dir), condition) if data_dir else ("generated", _generated())


def _generated() -> dict[str, tuple[str, list[str]]]:
    return {
        split: (
            f"generated {split} text",
            language_model_text(_GENERATED_SENTENCES[split], [0, place]),
        )
        for place, split in enumerate(SPLITS)
    }


def _read(folder: pathlib.Path, condition: Condition) -> tuple[str, dict[str, tuple]]:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: expected a folder with a corpus, found none{seen_from(folder)}; check"
            f" --data_dir, or {_WHAT_TO_GET}"
        )
    if (folder / "ptb.train.txt").is_file() and (folder / "train.txt").is_file():
        raise InputError(f"{folder}: expected ptb.train.txt or train.txt, found both; remove one")
    for name, prefix in (("ptb", "ptb."), (folder.resolve().name, "")):
        paths = {split: folder / f"{prefix}{split}.txt" for split in SPLITS}
        missing = [path.name for path in paths.values() if not path.is_file()]
        if not missing:
            return name, {split: (str(path), read_lines(path)) for split, path in paths.items()}
        if len(missing) < len(SPLITS):
            packed = still_packed(folder, *missing)
            what = f"found no {' and no '.join(missing)}{f', {packed}' if packed else '; add it'}"
            raise InputError(f"{folder}: expected all three texts, {what}")
    if (folder / _ARCHIVE).is_file():
        return "ptb", _read_archive(folder / _ARCHIVE)
    if conll.is_there(folder):
        paths = {split: folder / name for split, name in conll.FILES.items()}
        return "conll2003", {s: (str(path), conll.documents(path)) for s, path in paths.items()}
    if reviews.is_there(folder):
        return "reviews", reviews.load(str(folder), condition)
    if packed := still_packed(folder):
        raise InputError(f"{folder}: expected ptb.train.txt or train.txt, found neither, {packed}")
    raise InputError(
        f"{folder}: expected ptb.train.txt or train.txt, found neither; {_WHAT_TO_GET}"
    )


def _read_archive(path: pathlib.Path) -> dict[str, tuple[str, list[str]]]:
    """The texts in the archive, which is not extracted."""
    wanted = {f"simple-examples/data/ptb.{split}.txt": split for split in SPLITS}
    texts = {}
    for member, data in read_tar(path, lambda name: name.removeprefix("./") in wanted):
        name = member.removeprefix("./")
        texts[wanted[name]] = (f"{path}/{name}", lines(decode(data, f"{path}/{name}")))
    if len(texts) < len(SPLITS):
        raise InputError(
            f"{path}: expected {', '.join(wanted)} in it, found {len(texts)} of them; get it again"
        )
    return texts


def _sentences(name: str, text: list[str], tokens: str) -> list[list[str]]:
    """The tokens of each line, without a final `<eos>`, which is appended later."""
    sentences = [TOKENS[tokens](line) for line in text]
    ended = [words for words in sentences if words[-1:] == [EOS]]
    for words in ended:
        words.pop()
    if ended:
        warn(
            f"{name}: {len(ended):,} of {len(sentences):,} lines end in {EOS} already: it is not"
            " put there again"
        )
    inside = (word for words in sentences for word in words if word == EOS)
    notice_reserved(name, inside, {EOS: "inside a line, it is read as the end of a sentence"})
    return sentences


def _encode(
    sentences: list[list[str]], vocabulary: Vocabulary, name: str, classes: np.ndarray | None = None
) -> np.ndarray:
    ids = []
    for number, words in enumerate(sentences, 1):
        try:
            ids.append(vocabulary.encode([*words, EOS]))
        except InputError as error:
            raise InputError(f"{name}:{number}: {error}, or train with --min_count 2") from None
    if classes is None:
        return np.concatenate(ids)
    return np.stack([np.concatenate(ids), np.repeat(classes, [*map(len, ids)])], 1).astype(np.int32)


def read_tokens(path: str, vocabulary: Vocabulary, tokens: str = "spaces") -> np.ndarray:
    """The ids [N] of a text file with a sentence per line, `<eos>` after each.

    Raises `InputError` for a text that cannot be read.
    """
    return _encode(_sentences(path, read_lines(path), tokens), vocabulary, path)


def streams(tokens: np.ndarray, batch_size: int, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """B contiguous streams of the text, cut into windows of T steps, for training.

    Stream b continues from window to window, so that states can be carried over; targets are the
    next words. The remainder is dropped, as in the release.

    Returns inputs and targets, [n_batches, B, T] both. Raises `InputError` for a text shorter than
    one window per stream.
    """
    _check_sizes(batch_size, n_steps)
    length = len(tokens) // batch_size
    n_batches = (length - 1) // n_steps
    if n_batches < 1:
        raise InputError(
            f"expected at least batch_size x (steps + 1) = {batch_size} x {n_steps + 1} ="
            f" {batch_size * (n_steps + 1)} tokens, found {len(tokens)}; give more text, a smaller"
            " batch or fewer steps"
        )
    rows = np.reshape(tokens[: batch_size * length], (batch_size, length))
    span = n_batches * n_steps
    return _windows(rows[:, :span], n_steps), _windows(rows[:, 1 : span + 1], n_steps)


def padded_streams(
    tokens: np.ndarray, batch_size: int, n_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `streams`, but every token except the first is a target exactly once: for evaluation.

    Targets are divided into B contiguous streams whose lengths differ by one at most; each stream's
    first input is the token before its first target. Padding has weight 0 and id 0. One stream
    (B = 1) reads the text in order, with the whole history.

    Returns inputs, targets and weights (float32, 0 or 1), [n_batches, B, T] each. Raises
    `InputError` for a text with fewer than B + 1 tokens.
    """
    _check_sizes(batch_size, n_steps)
    n_targets = len(tokens) - 1
    if n_targets < batch_size:
        raise InputError(
            f"expected at least streams + 1 = {batch_size + 1} tokens, found {len(tokens)}; give"
            " more text or fewer streams (--streams of evaluate.py, --batch_size of RL_train.py)"
        )
    shortest, longer = divmod(n_targets, batch_size)
    lengths = np.full(batch_size, shortest) + (np.arange(batch_size) < longer)
    starts = np.cumsum(lengths) - lengths
    steps = np.arange(math.ceil(lengths.max() / n_steps) * n_steps)
    scored = steps < lengths[:, None]
    places = np.where(scored, starts[:, None] + steps, 0)
    inputs, targets = np.where(scored, tokens[places], 0), np.where(scored, tokens[places + 1], 0)
    return (
        _windows(inputs.astype(tokens.dtype), n_steps),
        _windows(targets.astype(tokens.dtype), n_steps),
        _windows(scored.astype(np.float32), n_steps),
    )


def _windows(rows: np.ndarray, n_steps: int) -> np.ndarray:
    """[B, n_batches * T] -> [n_batches, B, T]."""
    return np.ascontiguousarray(rows.reshape(len(rows), -1, n_steps).swapaxes(0, 1))


def _check_sizes(batch_size: int, n_steps: int) -> None:
    if min(batch_size, n_steps) < 1:
        raise InputError(
            f"expected batch_size and steps of at least 1, found {batch_size} and {n_steps}"
        )
