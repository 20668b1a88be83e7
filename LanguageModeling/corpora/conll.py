"""Reads the stories of CoNLL-2003 as text, an empty line between them."""

import pathlib

from common.data.text import read_lines, words_of
from common.errors import InputError

FILES = {"train": "eng.train", "valid": "eng.testa", "test": "eng.testb"}
_START = "-DOCSTART-"


def is_there(folder: pathlib.Path) -> bool:
    """Whether a folder has the files of CoNLL-2003."""
    return all((folder / name).is_file() for name in FILES.values())


def documents(path: pathlib.Path) -> list[str]:
    """The sentences of a file of CoNLL-2003, lower-case, an empty line between its documents.

    Each digit is a 0: the stories are full of results, dates and prices.

    Raises `InputError` for a file without a document.
    """
    found: list[str] = []
    words: list[str] = []
    for line in [*read_lines(path), ""]:
        cells = words_of(line)
        begins = cells[:1] == [_START]
        if cells and not begins:
            words.append("".join("0" if a.isdigit() else a for a in cells[0].lower()))
        elif words:
            found.append(" ".join(words))
            words = []
        if begins and found and found[-1]:
            found.append("")
    if not found:
        raise InputError(f"{path}: expected sentences, found none; get the file again")
    return found
