"""Reads the Stanford Sentiment Treebank as it is distributed.

Socher et al. (2013), "Recursive Deep Models for Semantic Compositionality Over a Sentiment
Treebank": sentences as trees with a label from 0 (very negative) to 4 at every node.
"""

import pathlib
import zipfile
import zlib
from collections.abc import Iterable

from common.data.download import fetch_data_set
from common.data.text import decode, lines, notice_reserved, read_lines, words_of
from common.errors import InputError
from Sentiment.tokens import Example
from Sentiment.trees import phrases_of

ARCHIVE = "trainDevTestTrees_PTB.zip"
URL = f"https://nlp.stanford.edu/sentiment/{ARCHIVE}"
SHA256 = "5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc"


def read_trees(name: str, text: Iterable[str], phrases: bool = False) -> list[Example]:
    """The sentences of bracketed trees, one per line, with the label of the root.

    With `phrases`, every different phrase. Words are in lower case, with the treebank's escapes
    undone: -LRB- is a bracket, a backslash before / or * is removed. Raises InputError, with `name`
    and the line number, for a malformed tree.
    """
    examples: dict[tuple[tuple[str, ...], int], None] = {}
    sentences: list[Example] = []
    for number, line in enumerate(text, 1):
        if not words_of(line):
            continue
        try:
            found = phrases_of(line)
        except ValueError as error:
            raise InputError(
                f"{name}:{number}: expected a tree such as (3 (2 so) (4 good)), found {error};"
                " repair the line"
            ) from None
        sentences.append(Example(*found[-1]))
        if phrases:
            examples.update(((tuple(words), label), None) for words, label in reversed(found))
    if not sentences:
        raise InputError(f"{name}: expected trees, found none; get the file again")
    notice_reserved(name, (word for sentence in sentences for word in sentence.words))
    return [Example(list(words), label) for words, label in examples] if phrases else sentences


def texts(folder: pathlib.Path) -> dict[str, tuple[str, list[str]]]:
    """Name and lines of each split's file, read from the folder or from the archive in it."""
    names = {"train": "train.txt", "dev": "dev.txt", "test": "test.txt"}
    for parent in (folder, folder / "sst"):
        for place in (parent, parent / "trees"):
            if (place / "train.txt").is_file():
                return {
                    part: (str(place / name), read_lines(place / name))
                    for part, name in names.items()
                }
    archive = next((p / ARCHIVE for p in (folder, folder / "sst") if (p / ARCHIVE).is_file()), None)
    archive = archive or fetch_data_set(URL, folder / ARCHIVE, SHA256, "train", "trees")
    try:
        with zipfile.ZipFile(archive) as trees:
            contents = {part: trees.read(f"trees/{name}") for part, name in names.items()}
    except (
        zipfile.BadZipFile,
        KeyError,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise InputError(
            f"{archive}: expected a zip file with trees/train.txt, found: {error}; get it again"
        ) from None
    return {
        part: (f"{archive}/trees/{names[part]}", lines(decode(contents[part], names[part])))
        for part in names
    }
