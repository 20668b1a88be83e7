"""Reads the committed results for tables and figures."""

import functools
import json
import pathlib
import re
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from common.errors import InputError
from common.files import read_object
from experiments import row_flags, tables
from experiments.tables import TABLES, Row, Table

RESULTS = pathlib.Path(__file__).resolve().parent / "results"

NOT_FINITE = "not finite"
COST_TITLES = ("seeds", "weights", "seconds an epoch", "minutes a run", "memory, MiB")


class Cell(NamedTuple):
    """A cell of a table: the text of a row's results, and the number to compare with, if any.

    The number is from `source`, or from the paper if that is empty.
    """

    ours: str
    reference: float | None = None
    source: str = ""


class Line(NamedTuple):
    """A row of a table as it is shown; `cost` belongs to the columns COST_TITLES."""

    label: str
    cells: list[Cell]
    cost: list[str]


def result_path(table: str, row: str, seed: int) -> pathlib.Path:
    """The file of a finished run's result; for a shared run, that of the row it belongs to."""
    table, row = tables.source(table, row)
    return RESULTS / table / f"{row}-seed{seed}.json"


def results_of(table: str, row: str) -> list[dict[str, Any]]:
    """The results of a row, by seed; each with the records of its epochs."""
    folder, name = tables.source(table, row)
    paths = [
        path
        for path in (RESULTS / folder).glob(f"{name}-seed*.json")
        if re.fullmatch(rf"{re.escape(name)}-seed\d+", path.stem)
    ]
    return [
        read(path) for path in sorted(paths, key=lambda path: int(path.stem.rpartition("seed")[2]))
    ]


def read(path: pathlib.Path) -> dict[str, Any]:
    """The result in a file. Raises `InputError` if there is none."""
    do = "remove it and run that row again"
    result = read_object(path, do, *_KEYS, loads=_loads)
    if not isinstance(result["flags"], dict):
        raise InputError(f"{path} is damaged (flags are no object): {do}")
    return result


_KEYS = ("flags", "seed", "records", "hardware")
_loads = functools.cache(json.loads)  # a page asks for each result many times


def is_done(table: str, row: str, seed: int, vectors: str = "") -> bool:
    """Whether there is a result of a run with the flags that its row has now.

    `vectors`: word vectors instead of the table's.
    """
    path = result_path(table, row, seed)
    return path.exists() and not row_flags.differing(
        TABLES[table], TABLES[table].rows[row], read(path), vectors
    )


def spread(values: Sequence[float | None], decimals: int) -> str:
    """Mean and sample standard deviation over seeds; None if a value is not finite."""
    if None in values:
        return NOT_FINITE
    mean = f"{statistics.fmean(values):.{decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else mean


def test_metric(key: str) -> tuple[str, str, int, float]:
    """The metric that compares the rows of a table: its first one on the test set."""
    return next(one for one in TABLES[key].metrics if one[0].startswith("test"))


def lower_is_better(metric: str) -> bool:
    """Whether lower is better: for perplexity, bits and error, not for accuracy and F1."""
    return any(word in metric for word in ("perplexity", "bits", "mse"))


def shown_rows(key: str) -> list[str]:
    """The names of the rows of a table that were run or are quoted."""
    rows = TABLES[key].rows.items()
    return [name for name, row in rows if row.quoted or results_of(key, name)]


def lines(key: str) -> list[Line]:
    """The rows of a table that were run or are quoted."""
    table, machine = TABLES[key], _machine_of_times(all_results(key))
    found = {name: results_of(key, name) for name in shown_rows(key)}
    return [
        Line(label(table, table.rows[name], results), measured(key, name), cost(results, machine))
        for name, results in found.items()
    ]


def mean_and_seeds(key: str, name: str, metric: str) -> str:
    """Mean and standard deviation of a metric, and in brackets the number of seeds."""
    _, _, decimals, factor = next(one for one in TABLES[key].metrics if one[0] == metric)
    found = [None if one is None else factor * one for one in values(key, name, metric)]
    return f"{spread(found, decimals)} ({len(found)})" if found else ""


def short_label(key: str, name: str) -> str:
    """The label of a row with dynamic skips where that is said already."""
    text = label(TABLES[key], TABLES[key].rows[name], results_of(key, name))
    return text.removeprefix("dynamic skips, ")


def cell_of(key: str, name: str) -> str | None:
    """The --cell of a row's results; None if the row's script has no such flag."""
    return results_of(key, name)[0]["flags"].get("cell")


def values(key: str, name: str, metric: str) -> list[float | None]:
    """The values of a metric in a row's results, if they have it; None for one not finite."""
    return [result[metric] for result in results_of(key, name) if metric in result]


def by_seed(key: str, name: str, metric: str) -> dict[int, float]:
    """The same by seed, in the table's unit; empty if one of them is not finite."""
    factor = next(factor for one, _, _, factor in TABLES[key].metrics if one == metric)
    found = {one["seed"]: one[metric] for one in results_of(key, name) if metric in one}
    if None in found.values():
        return {}
    return {seed: factor * value for seed, value in found.items()}


def measured(key: str, name: str) -> list[Cell]:
    """For each metric of a table, the text of a row's results and the number to compare with.

    Empty if no run has the metric; if only some have it, the cell says how many.
    """
    row, n_runs, cells = TABLES[key].rows[name], len(results_of(key, name)), []
    for metric, _, decimals, factor in TABLES[key].metrics:
        found = [None if one is None else factor * one for one in values(key, name, metric)]
        ours = spread(found, decimals) if found else ""
        if 0 < len(found) < n_runs:
            ours += f", {len(found)} of {n_runs} seeds"
        cells.append(Cell(ours, row.paper.get(metric), row.source))
    return cells


def label(table: Table, row: Row, results: Sequence[dict[str, Any]]) -> str:
    """A row's name, and the flags in which its results differ from what the row asks for now."""
    differing = [row_flags.differing(table, row, result) for result in results]
    other = {
        f"{name} {'none' if value in ('', None) else value}"
        for found in differing
        for name, value in found.items()
    }
    return f"{row.label} ({', '.join(sorted(other))})" if other else row.label


def cost(results: Sequence[dict[str, Any]], machine: str) -> list[str]:
    """Seeds, weights, shortest epoch and run on one machine, the memory of the largest run."""
    there = [result for result in results if _machine(result["hardware"]) == machine]
    times = (
        [
            min(_shortest_epoch(result) for result in there),
            min(result["wall_seconds"] for result in there) / 60,
        ]
        if there
        else []
    )
    weights = f"{results[0]['n_weights']:,}" if results else ""
    n = str(len(results)) if results else ""
    peaks = [one["peak_memory_mib"] for one in results if one.get("peak_memory_mib")]
    memory = f"{max(peaks):,.0f}" if peaks else ""
    return [n, weights, *([f"{time:.1f}" for time in times] or ["", ""]), memory]


def _shortest_epoch(result: dict[str, Any]) -> float:
    """Seconds of a run's shortest epoch: others compile, or share their cores."""
    found = [record["seconds"] for record in result["records"] if "seconds" in record]
    return min(found, default=result["seconds_per_epoch"])


def provenance(results: Sequence[dict[str, Any]]) -> str:
    """A sentence on versions, hardware and commits of results; empty if there are none.

    A run that was interrupted has a commit for each of its starts.
    """
    if not results:
        return ""
    starts = [start for result in results for start in (result, *result.get("starts", []))]
    commits = sorted(
        {re.sub(r"^(\w{10})\w*", r"\1", one["commit"]) for one in starts if one.get("commit")}
    )
    machines = sorted({_machine(result["hardware"]) for result in results})
    packages = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
    versions = sorted(
        {
            f"{name} {result['versions'][package]}"
            for result in results
            for package, name in packages.items()
            if result["versions"].get(package)
        },
        reverse=True,
    )
    return f"Run with {', '.join(versions)} on {'; '.join(machines)}; commit {', '.join(commits)}."


def times(results: Sequence[dict[str, Any]]) -> str:
    """A sentence on the machine of a table's times, if its results are of several machines."""
    several = len({_machine(result["hardware"]) for result in results}) > 1
    return f"Times: on {_machine_of_times(results)}." if several else ""


def _machine_of_times(results: Sequence[dict[str, Any]]) -> str:
    """The most frequent machine of results: times of different ones are not comparable."""
    return statistics.mode(_machine(result["hardware"]) for result in results) if results else ""


def _machine(hardware: dict[str, Any]) -> str:
    cores = hardware["cores"]
    return ", ".join(
        [f"{cores} core{'s' * (cores > 1)}", hardware["processor"], *hardware.get("gpus", [])]
    )


def all_results(key: str) -> list[dict[str, Any]]:
    """The results of all rows of a table."""
    return [result for row in TABLES[key].rows for result in results_of(key, row)]


def entropy(record: dict[str, Any]) -> float | None:
    """The agents' mean entropy in an epoch's record, in nats; None without an agent."""
    values = [value for name, value in record.items() if name.startswith("train_entropy")]
    return sum(values) / len(values) if values and None not in values else None


def reward(result: dict[str, Any], record: dict[str, Any]) -> float | None:
    """The agent's mean reward in an epoch's record, in nats.

    None unless the reward is the log-likelihood, which is minus the task loss; the loss of --model
    mixed is of characters, the agent's reward of words.
    """
    loss, flags = record.get("train_task_loss"), result["flags"]
    minus_it = flags["reward"] == "log_likelihood" and flags.get("model") != "mixed"
    return -loss if minus_it and loss is not None else None
