"""The state of every table: finished and running runs, and the hours left."""

import pathlib
import statistics
from collections.abc import Callable, Sequence

from common.training.provenance import hardware
from common.training.run_directory import RunDirectory
from experiments import launchers, paired, read_results, selection, tables
from experiments.tables import TABLES

STATES = ("done", "running", "stale", "missing")
_HOURS = "{:.1f}"


def overview(
    seeds: int | None, vectors: str, folder: Callable[[str, str, int], pathlib.Path]
) -> str:
    """For every table, the number of runs in each of `STATES`, and the hours still needed.

    Args:
        seeds: runs of each row; None for as many as the table asks for.
        vectors: word vectors instead of the tables'.
        folder: (table, row, seed) -> the folder of that run, of the row that it belongs to.
    """
    kind = hardware()
    # by run, since one that two tables have is made once
    left: dict[pathlib.Path, float] = {}
    state_of: dict[pathlib.Path, str] = {}
    lines = [["table", *STATES, "hours left"]]
    for name in TABLES:
        runs = [
            (row, seed)
            for row in selection.rows(name)
            for seed in range(seeds or selection.seeds_of(name, row))
        ]
        states = [state(name, row, seed, vectors, folder(name, row, seed)) for row, seed in runs]
        paths = [read_results.result_path(name, *run) for run in runs]
        own = {
            path: hours(name, row, kind)
            if found == "stale"  # what its folder holds is not wanted
            else hours_left(name, row, folder(name, row, seed), kind)
            for path, (row, seed), found in zip(paths, runs, states, strict=True)
            if found != "done"
        }
        left |= own
        state_of |= zip(paths, states, strict=True)
        lines.append(
            [name, *(str(states.count(one)) for one in STATES), _HOURS.format(sum(own.values()))]
        )
    lines.append(
        [
            "all",
            *(str([*state_of.values()].count(one)) for one in STATES),
            _HOURS.format(sum(left.values())),
        ]
    )
    below = (
        "Hours: one run after another, as long as finished runs took on this kind of processor, or "
        "as the table says; a run of two tables is in both lines, and once in the last.\n"
        "python experiments/run.py TABLE ... runs what is stale or missing; delete the folder of a"
        " stale run in --runs_dir before."
    )
    return f"{grid(lines)}\n{below}"


def state(name: str, row: str, seed: int, vectors: str, run_dir: pathlib.Path) -> str:
    """The state of a run, one of `STATES`."""
    if read_results.is_done(name, row, seed, vectors):
        return "done"
    if launchers.is_running(run_dir):
        return "running"
    return "stale" if read_results.result_path(name, row, seed).exists() else "missing"


def hours_left(name: str, row: str, run_dir: pathlib.Path, kind: dict) -> float:
    """Hours that a run still needs: those of the whole run less those of its epochs so far."""
    return max(hours(name, row, kind) - _hours_spent(run_dir), 0.0)


def hours(name: str, row: str, kind: dict) -> float:
    """Hours of a run: the median over the row's finished runs here, or its table's, or an estimate.

    Here means on the processor `kind` (see `provenance.hardware`), with as many cores if there are
    such runs. Runs on a GPU do not count: without TensorFlow, this process cannot see a GPU.
    """
    name, row = tables.source(name, row)
    for rows in ([row], TABLES[name].rows):
        found = [result for one in rows for result in _finished(name, one)]
        found = [
            result
            for result in found
            if result["hardware"]["processor"] == kind["processor"]
            and not result["hardware"].get("gpus")
        ]
        same = [result for result in found if result["hardware"]["cores"] == kind["cores"]]
        if found:
            return statistics.median(result["wall_seconds"] for result in same or found) / 3600
    return TABLES[name].hours


def _finished(name: str, row: str) -> list[dict]:
    """The results of a row, without those made with other flags."""
    return [
        result
        for result in read_results.results_of(name, row)
        if read_results.is_done(name, row, result["seed"])
    ]


def _hours_spent(run_dir: pathlib.Path) -> float:
    """Hours of the epochs that a run has finished."""
    return sum(one.get("seconds", 0.0) for one in RunDirectory(run_dir).read_metrics()) / 3600


def table(name: str) -> str:
    """The rows of a table as they are shown."""
    titles, lines = paired.shown(name)
    rows = [[line.label, *map(_cell, line.cells), *line.cost] for line in lines]
    title = f"{TABLES[name].title} (in brackets: the paper's, or the source's)"
    return f"{title}\n{grid([['row', *titles], *rows])}"


def _cell(cell: read_results.Cell) -> str:
    return cell.ours if cell.reference is None else f"{cell.ours} ({cell.reference})".strip()


def grid(lines: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for line in lines
    )
