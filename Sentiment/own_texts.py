"""Texts of one's own with any number of classes: tab-separated columns, or JSON lines."""

import functools
import json
import pathlib
from collections.abc import Iterator, Sequence

from common.data.text import read_lines
from common.errors import InputError, warn
from common.files import still_packed
from Sentiment.tokens import Example, tokenise

PARTS = ("train", "dev", "test")
ENDINGS = (".tsv", ".jsonl")
TEXT, LABEL = "text", "label"
_JSON = '{"text": "so good", "label": "favourable"}'


def read_parts(
    folder: pathlib.Path, max_tokens: int, classes: Sequence[str] = ()
) -> tuple[dict[str, list[Example]], tuple[str, ...]]:
    """The examples of each part that is there, and the names of the classes.

    Args:
      folder: has PART.tsv or PART.jsonl of the three `PARTS`, of which "dev" may be missing, and
        where the classes are known all but one. A TSV file's first line names its columns, `text`
        and `label` among them; nothing is quoted. A line of JSON is an object with these two. A
        label is a text or a whole number.
      max_tokens: of a longer text the last so many tokens are kept.
      classes: their names, in order, if they are known; else those of the training texts, in the
        order of the numbers, if all are numbers, or of the alphabet.

    Raises:
      InputError: for a file that is missing or not of this form, with the line.
    """
    files = {part: _file(folder, part, bool(classes)) for part in PARTS}
    if not any(files.values()):
        raise InputError(f"{folder}: expected a part such as test.tsv, found none; add it")
    rows = {part: list(_rows(path)) for part, path in files.items() if path}
    if not classes:
        found = {label for _, _, label in rows["train"]}
        numbers = all(label.removeprefix("-").isdecimal() for label in found)
        classes = sorted(sorted(found), key=int if numbers else None)
        if len(classes) < 2:
            raise InputError(
                f"{files['train']}: expected texts of at least two classes, found {classes[0]!r}"
                " alone; add texts of another"
            )
        if len(classes) > max(20, len(rows["train"]) / 4):
            warn(
                f"{files['train']}: {len(rows['train']):,} texts have {len(classes):,} different"
                f" labels: is {LABEL} the right column?"
            )
    place = {name: i for i, name in enumerate(classes)}
    parts: dict[str, list[Example]] = {part: [] for part in rows}
    for part, found in rows.items():
        for number, text, label in found:
            if label not in place:
                some = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
                raise InputError(
                    f"{files[part]}:{number}: expected a label of the training texts ({some}),"
                    f" found {label!r}; correct it, or leave the line out"
                )
            words = tokenise(text)[-max_tokens:]
            if not words:
                raise InputError(
                    f"{files[part]}:{number}: expected a text with at least one word, found"
                    f" {text!r}; leave the line out"
                )
            parts[part].append(Example(words, place[label]))
    return parts, tuple(classes)


def read_texts(path: str | pathlib.Path) -> list[str]:
    """The texts of a file: of a TSV or JSON-lines file its `text`, elsewhere its lines.

    A label is not needed. Raises `InputError` for a file that is missing or not of this form.
    """
    path = pathlib.Path(path)
    if path.suffix not in ENDINGS:
        return read_lines(path)
    return [text for _, text in _rows(path, (TEXT,))]


def _file(folder: pathlib.Path, part: str, optional: bool) -> pathlib.Path | None:
    """The file of a part; None for one that is not there and is "dev", or `optional`."""
    names = [f"{part}{ending}" for ending in ENDINGS]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) == 2:
        raise InputError(f"{folder}: expected {names[0]} or {names[1]}, found both; remove one")
    if found or optional or part == "dev":
        return found[0] if found else None
    packed = still_packed(folder, *names)
    raise InputError(
        f"{folder}: expected {names[0]} or {names[1]}, found neither"
        f"{f', {packed}' if packed else '; add it'}"
    )


def _rows(path: pathlib.Path, names: Sequence[str] = (TEXT, LABEL)) -> Iterator[tuple]:
    """The line number, and what is asked for by `names`, of each line that is not empty."""
    lines = enumerate(read_lines(path), 1)
    read, n_rows = functools.partial(_of_json, names), 0
    if path.suffix == ".tsv":
        columns = next(lines)[1].split("\t")
        for name in names:
            if columns.count(name) != 1:
                raise InputError(
                    f"{path}:1: expected a first line that names the columns,"
                    f" {' and '.join(names)} among them, found {' '.join(columns)[:60]!r}; write"
                    " it so"
                )
        read = functools.partial(_of_columns, columns, names)
    for number, line in lines:
        if not line.strip(" "):
            continue
        try:
            found = [_checked(*one) for one in zip(names, read(line), strict=True)]
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}; repair the line") from None
        n_rows += 1
        yield number, *found
    if not n_rows:
        raise InputError(f"{path}: expected labelled texts, found none; add some")


def _of_columns(columns: Sequence[str], names: Sequence[str], line: str) -> list[str]:
    cells = line.split("\t")
    if len(cells) != len(columns):
        raise ValueError(
            f"expected {len(columns)} columns between tabs, as in the first line, found"
            f" {len(cells)}"
        )
    return [cells[columns.index(name)] for name in names]


def _of_json(names: Sequence[str], line: str) -> list[object]:
    try:
        found = json.loads(line)
        return [found[name] for name in names]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"expected JSON such as {_JSON}, found {line[:60]!r}") from None


def _checked(name: str, value: object) -> str:
    """As text; a label without the spaces around it."""
    if name == LABEL and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"expected text as {name}, found {value!r:.60}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"expected text as {name}, found half of a surrogate pair")
    if name == LABEL and not (0 < len(value := value.strip()) <= 100 and value.isprintable()):
        raise ValueError(f"expected a label of 1 to 100 characters, found {value!r:.60}")
    return value
