"""Finds which data of a table are missing, where to get them and where to put them."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from experiments import row_flags
from experiments.tables import TABLES
from LanguageModeling.reader import SPLITS
from NER.reader import FILE_NAMES


class Source(NamedTuple):
    """A data set: its name, sets of files of which one is enough, and where to get it."""

    what: str
    files: Sequence[Sequence[str]]
    where: str


SOURCES = {
    "ptb": Source(
        "Penn Treebank as Mikolov prepared it",
        [
            *([f"{prefix}{split}.txt" for split in SPLITS] for prefix in ("ptb.", "")),
            ["simple-examples.tgz"],
        ],
        "from simple-examples.tgz of the RNNLM toolkit (licensed)",
    ),
    "python": Source(
        "Python's standard library as one text",
        [[f"{split}.txt" for split in SPLITS]],
        "from python LanguageModeling/produce_text.py",
    ),
    "conll2003": Source(
        "CoNLL-2003", FILE_NAMES, "from https://www.clips.uantwerpen.be/conll2003/ner/ (licensed)"
    ),
}
DOWNLOADED = ("imdb", "sst")  # by their readers, into their folders
# What the tables name is a part of these; with the whole file more words have a vector.
VECTORS = {
    "glove": "glove.6B.100d.txt from https://nlp.stanford.edu/data/glove.6B.zip",
    "googlenews": (
        "GoogleNews-vectors-negative300.bin from https://code.google.com/archive/p/word2vec/"
    ),
}


def missing(names: Iterable[str], data_dir: str, vectors: str = "") -> list[str]:
    """A line for each missing file of the tables `names`: its place, its content, its source.

    Data that a reader downloads are not among them; if nothing else is missing, their folder is
    made.
    """
    lines: dict[str, None] = {}
    folders = []
    for name in names:
        wanted = row_flags.data(TABLES[name], data_dir, vectors)
        if TABLES[name].data in DOWNLOADED:
            folders.append(wanted["data_dir"])
        elif "data_dir" in wanted:
            source = SOURCES[TABLES[name].data]
            lines |= dict.fromkeys(_missing_files(wanted["data_dir"], source))
        if "vectors" in wanted and not wanted["vectors"].is_file():
            lines[_vectors(wanted["vectors"])] = None
    for folder in () if lines else folders:
        folder.mkdir(parents=True, exist_ok=True)
    return list(lines)


def _missing_files(folder: pathlib.Path, source: Source) -> list[str]:
    """The missing files of the first set, or of the set that is there in part."""
    absent = [[file for file in files if not (folder / file).exists()] for files in source.files]
    begun = [
        found for found, files in zip(absent, source.files, strict=True) if len(found) < len(files)
    ]
    return [
        f"{folder / file}: {source.what}, {source.where}"
        for file in min(begun or absent[:1], key=len)
    ]


def _vectors(path: pathlib.Path) -> str:
    whole = next((where for name, where in VECTORS.items() if path.name.startswith(name)), "")
    get = f"get {whole} and give --vectors FILE" if whole else "check --vectors"
    return f"{path}: word vectors; {get}, or --vectors none for random ones"
