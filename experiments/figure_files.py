"""Writes the files of a figure: pictures, numbers, and a description.

NAME.svg and NAME.png, the numbers as NAME.csv, and NAME.json with title, caption and command.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from common.figures import plots
from common.files import atomic_write
from common.training.provenance import command_line

FOLDER = pathlib.Path(__file__).resolve().parent / "figures"


def write(
    figure: Any,
    stem: str | os.PathLike,
    title: str,
    caption: str,
    columns: Mapping[str, Sequence],
    **more: Any,
) -> list[pathlib.Path]:
    """Write all files of a figure, its caption below the axes; returns the paths.

    `more`: what else NAME.json tells, such as where numbers were measured.
    """
    plots.caption(figure, caption)
    return [
        *plots.save(figure, stem),
        plots.write_csv(f"{stem}.csv", columns),
        describe(stem, title, caption, **more),
    ]


def describe(stem: str | os.PathLike, title: str, caption: str, **more: Any) -> pathlib.Path:
    """Write NAME.json: title, caption, and the command that is running."""
    path = pathlib.Path(f"{stem}.json")
    text = {"title": title, "caption": caption, "command": command_line(), **more}
    atomic_write(path, json.dumps(text, indent=1, ensure_ascii=False) + "\n")
    return path
