"""Results as run.py keeps them, with the flags that their rows ask for and the numbers that a test
gives.
"""

import dataclasses
import json
import pathlib
from typing import Any

from common.files import to_json
from experiments import row_flags, tables

ONE_CORE = {"cores": 1, "processor": "a processor", "gpus": []}


def write(
    folder: pathlib.Path,
    table: str,
    name: str,
    seed: int,
    flags: dict[str, Any] | None = None,
    **values: Any,
) -> pathlib.Path:
    """The file of a run of a table's row, where results lie in `folder`.

    `flags` are those that the row has not (now).
    """
    asked = tables.TABLES[table]
    config = row_flags.config(asked, asked.rows[name], seed=seed, **row_flags.data(asked, "data"))
    result = {
        "n_weights": 1234,
        "seconds_per_epoch": 8.0,
        "wall_seconds": 90.0,
        "seed": seed,
        "commit": "0123456789abcdef",
        "records": [],
        "versions": {"tensorflow": "2.21.0"},
        "hardware": ONE_CORE,
        "flags": dataclasses.asdict(config) | (flags or {}),
    }
    path = folder / table / f"{name}-seed{seed}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_json(result | values))
    return path


def change(path: pathlib.Path, **values: Any) -> None:
    """Give a result other values."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
