"""The flags of a row's runs, and how those of a stored result differ from them."""

import dataclasses
import functools
import importlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from common.config import RunConfig, of_today, parse, settings
from common.files import to_json
from experiments.tables import Row, Table

DATA = ("data_dir", "vectors")  # those that name data and word vectors


def arguments(table: Table, row: Row, **more: Any) -> list[str]:
    """The row's flags, and `more`, as arguments of its command."""
    return [f"--{name}={value}" for name, value in {**table.flags, **row.flags, **more}.items()]


def data(table: Table, data_dir: str, vectors: str = "") -> dict[str, pathlib.Path]:
    """The flags for a table's data and word vectors.

    `vectors`: instead of the table's; "none" for none.
    """
    found = {}
    if table.data:
        found["data_dir"] = pathlib.Path(data_dir, table.data)
    if table.vectors and vectors != "none":
        found["vectors"] = pathlib.Path(vectors or pathlib.Path(data_dir, table.vectors))
    return found


def command(
    table: Table, row: Row, seed: int, run_dir: str | pathlib.Path, data_dir: str, vectors: str = ""
) -> list[str]:
    """The command of one run, without `python`; the script's path is relative to the checkout."""
    flags = arguments(table, row, seed=seed, run_dir=run_dir, **data(table, data_dir, vectors))
    return [f"{table.task}/{table.script}", *flags]


def config(table: Table, row: Row, **more: Any) -> Any:
    """All settings of a row's runs: its flags and `more`, over the task's presets and defaults."""
    return _parsed(f"{table.task}.{table.presets}", *arguments(table, row, **more))


@functools.cache  # a page asks for those of each result several times
def _parsed(presets: str, *flags: str) -> Any:
    module = importlib.import_module(presets)
    classes = [
        one for one in vars(module).values() if isinstance(one, type) and issubclass(one, RunConfig)
    ]
    (config_class,) = set(classes) - {RunConfig}
    return parse(config_class, module.PRESETS, ["", *flags])


def differing(
    table: Table, row: Row, result: Mapping[str, Any], vectors: str = ""
) -> dict[str, Any]:
    """The flags in which a result differs from what its row asks for now, with the result's values.

    Such a result was made before something was changed. Only flags that affect the result count,
    not the seed, and none that the row's cell does not read; of data and word vectors only the file
    names. `vectors`: instead of the table's. {} for a row that can no longer be run.
    """
    if row.quoted:
        return {}
    asked = config(table, row, **data(table, "data", vectors))
    known = settings(type(asked))
    free = {"seed", *asked.unread, *(name for name, one in known.items() if not one.affects_result)}
    made_with = _plain(of_today(type(asked), result["flags"]))
    now = _plain(dataclasses.asdict(asked))
    return {
        name: value
        for name, value in made_with.items()
        if name not in free and (name not in now or value != now[name])
    }


def _plain(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Flags as JSON has them; files and folders by their last name."""
    flags = json.loads(to_json(flags))
    return flags | {name: pathlib.PurePath(flags[name]).name for name in DATA if name in flags}
