"""Files of columns, CoNLL-2003 as it is distributed among them.

Tjong Kim Sang & De Meulder (2003), "Introduction to the CoNLL-2003 Shared Task". The files have a
token a line in four columns (word, part of speech, chunk, entity tag), a blank line after each
sentence and `-DOCSTART-` lines between documents. The entity tags are IOB1 as distributed and BIO
(IOB2) in many copies; both are read, and BIOES too. Files with other columns are read likewise.
"""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from common.data.text import notice_reserved, read_lines, words_of
from common.errors import InputError, warn
from NER.span_f1 import spans, to_tags

COLUMNS = (1, 4)  # of the words and of the tags, from 1
FORM = "word, part of speech, chunk, entity tag"
SAY_WHICH = "say with --columns which have words and tags"
_TAG = re.compile(r"O|[BIES]-\S+")
_LONGEST_SENTENCE = 1000


class Sentence(NamedTuple):
    """The words as written, and their tags in the chosen scheme; no tags for unlabelled text.

    classes: of each word what stands in further columns, such as its part of speech and its chunk;
    none where they were not asked for.
    """

    words: Sequence[str]
    tags: Sequence[str] = ()
    classes: Sequence[Sequence[str]] = ()


def _check_words(path: str | os.PathLike, sentences: Sequence[Sentence], column: int) -> None:
    if all(len(sentence.words) == 1 for sentence in sentences):
        return
    for first in (0, 1):
        if all(
            word == str(i) for sentence in sentences for i, word in enumerate(sentence.words, first)
        ):
            raise InputError(
                f"{path}: expected the word in column {column}, found {first}, {first + 1}, ... in"
                f" every sentence; write the columns as {FORM}, or {SAY_WHICH}"
            )


def read_conll(
    path: str | os.PathLike,
    scheme: str = "BIOES",
    columns: Sequence[int] = COLUMNS,
    keep: Sequence[int] = (),
) -> list[Sentence]:
    """The sentences of one file of columns, tags converted to `scheme`, `-DOCSTART-` lines left
    out.

    The conversion goes by entities, read as `conlleval` reads them (`NER.span_f1.spans`), so that
    the file's scheme need not be known.

    Args:
      path: a token a line, its columns between spaces or tabs, as many in every line; four unless
        `columns` says otherwise.
      columns: which have the words and the tags, from 1. Where that of the words is not the first,
        a line that begins with # is a comment.

    Raises:
      InputError: with the line, for another number of columns or a tag that is none.
    """
    word, tag = (column - 1 for column in columns)
    width = 4 if tuple(columns) == COLUMNS else 0
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    classes: list[tuple[str, ...]] = []
    for number, line in enumerate([*read_lines(path), ""], 1):
        cells = words_of(line)
        if cells and word and cells[0].startswith("#"):
            continue
        if not cells or cells[0] == "-DOCSTART-":
            if words:
                converted = to_tags(spans(tags), len(tags), scheme)
                sentences.append(Sentence(words, converted, classes if keep else ()))
                words, tags, classes = [], [], []
            continue
        if not width and len(cells) < max(columns):
            raise InputError(
                f"{path}:{number}: expected at least {max(columns)} columns, because of --columns"
                f" {columns[0]},{columns[1]}, found {len(cells)}; {SAY_WHICH}"
            )
        width = width or len(cells)
        if len(cells) != width:
            form, example = "as in the first line", ""
            if tuple(columns) == COLUMNS:
                form, example = FORM, ": 1,2" if len(cells) == 2 else ""
            raise InputError(
                f"{path}:{number}: expected {width} columns ({form}), found {len(cells)}; repair"
                f" the line, or {SAY_WHICH}{example}"
            )
        if not _TAG.fullmatch(cells[tag]):
            raise InputError(
                f"{path}:{number}: expected an entity tag such as O, I-PER or B-LOC in column"
                f" {columns[1]}, found {cells[tag]!r}; repair the line, or {SAY_WHICH}"
            )
        words.append(cells[word])
        tags.append(cells[tag])
        classes.append(tuple(cells[column - 1] for column in keep))
    if not sentences:
        raise InputError(f"{path}: expected sentences, found none; get the file again")
    _check_words(path, sentences, columns[0])
    if (longest := max(len(sentence.words) for sentence in sentences)) > _LONGEST_SENTENCE:
        warn(
            f"{path}: a sentence has {longest:,} words: is there a blank line between the"
            " sentences?"
        )
    notice_reserved(str(path), (word.lower() for sentence in sentences for word in sentence.words))
    return sentences
