"""The committed results, as the tables and the figures read them."""

import json
import pathlib
import re
import statistics
from collections.abc import Sequence
from typing import Any

from common.errors import InputError
from experiments import tables
from experiments.tables import TABLES, Row, Table

SUMMARY_TITLES = ("", "LSTM", "attention over the K states", "dynamic skips")
RESULTS = pathlib.Path(__file__).resolve().parent / "results"

NOT_RUN, QUOTED, NOT_FINITE = "not run here", "quoted", "not finite"


def result_path(table: str, row: str, seed: int) -> pathlib.Path:
    """Where a finished run's result lies: with the row whose runs these are."""
    table, row = tables.source(table, row)
    return RESULTS / table / f"{row}-seed{seed}.json"


def results_of(table: str, row: str) -> list[dict[str, Any]]:
    """The results of a row, by seed; each with the records of its epochs."""
    folder, name = tables.source(table, row)
    paths = [path for path in (RESULTS / folder).glob(f"{name}-seed*.json") if re.fullmatch(rf"{re.escape(name)}-seed\d+", path.stem)]
    return [read(path) for path in sorted(paths, key=lambda path: int(path.stem.rpartition("seed")[2]))]


def read(path: pathlib.Path) -> dict[str, Any]:
    """The result in a file. Raises `InputError` if there is none in it."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: expected the result of a run as JSON, found {error}; remove it and run that row again") from None


def spread(values: Sequence[float | None], decimals: int) -> str:
    """Mean and standard deviation over seeds; None stands for what is not finite."""
    if None in values:
        return NOT_FINITE
    mean = f"{statistics.fmean(values):.{decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else mean


def measured(table: Table, row: Row, results: Sequence[dict[str, Any]]) -> list[tuple[str, float | None]]:
    """Of each metric of a table what a row's runs gave, in words, and the paper's number (None where it has none)."""
    cells = []
    for metric, _, decimals, factor in table.metrics:
        found = [result[metric] for result in results if metric in result]
        values = [None if value is None else factor * value for value in found]
        ours = QUOTED if row.quoted else spread(values, decimals) if values else NOT_RUN
        cells.append((ours, row.paper.get(metric)))
    return cells


def summary() -> list[tuple[str, list[tuple[str, float | None]]]]:
    """Of each table of `tables.SUMMARY` its title, and of LSTM, attention and dynamic skips what `measured` says of its metric."""
    rows = []
    for key, (metric, dynamic_skip) in tables.SUMMARY.items():
        table = TABLES[key]
        column = [name for name, *_ in table.metrics].index(metric)
        cells = [measured(table, table.rows[name], results_of(key, name))[column] for name in ("lstm", "attention", dynamic_skip)]
        rows.append((table.title, cells))
    return rows


def label(table: Table, row: Row, results: Sequence[dict[str, Any]]) -> str:
    """A row's name, with the flags in which its results are not what the row asks for now, and the source of a quoted one."""
    if row.quoted:
        return f"{row.label} ({row.quoted})"
    other = {f"{name} {value}" for result in results for name, value in tables.differing(table, row, result).items()}
    return f"{row.label} ({', '.join(sorted(other))})" if other else row.label


def cost(results: Sequence[dict[str, Any]]) -> tuple[str, str, str]:
    """How many seeds were run, the network's weights, the minutes of a run."""
    if not results:
        return "0", "", ""
    minutes = statistics.fmean(result["wall_seconds"] for result in results) / 60
    return str(len(results)), f"{results[0]['n_weights']:,}", f"{minutes:.1f}"


def rows_not_run(key: str) -> list[str]:
    """The rows of a table without any result."""
    return [name for name, row in TABLES[key].rows.items() if not row.quoted and not results_of(key, name)]


def how_to_run(key: str) -> str:
    """The command that runs what a table lacks."""
    lacking = rows_not_run(key)
    whole = len(lacking) == sum(not row.quoted for row in TABLES[key].rows.values())
    return f"python experiments/run.py {key}" + (f" --rows {','.join(lacking)}" if lacking and not whole else "")


def provenance(results: Sequence[dict[str, Any]]) -> str:
    """Versions, hardware and commits of results, as a sentence; nothing of none."""
    if not results:
        return ""
    commits = sorted({result["commit"][:10] for result in results if result.get("commit")})
    machines = sorted({_machine(result["hardware"]) for result in results})
    versions = sorted({f"TensorFlow {result['versions']['tensorflow']}" for result in results})
    return f"Run with {', '.join(versions)} on {'; '.join(machines)}; commit {', '.join(commits)}."


def _machine(hardware: dict[str, Any]) -> str:
    cores = hardware["cores"]
    return ", ".join([f"{cores} core{'s' * (cores > 1)}", hardware["processor"], *hardware.get("gpus", [])])


def all_results(key: str) -> list[dict[str, Any]]:
    """The results of all rows of a table."""
    return [result for row in TABLES[key].rows for result in results_of(key, row)]


def entropy(record: dict[str, Any]) -> float | None:
    """The agent's entropy in the record of an epoch, in nats, or the mean of both directions' agents'; None without an agent."""
    values = [value for name, value in record.items() if name.startswith("train_entropy")]
    return sum(values) / len(values) if values and None not in values else None
