"""Which row of a table dev chooses for a cell, and which runs a table still asks for."""

import statistics
from collections.abc import Sequence

from experiments import read_results
from experiments.tables import TABLES


def rows(key: str) -> list[str]:
    """The rows of a table that can be run."""
    return [name for name, row in TABLES[key].rows.items() if not row.quoted]


def rows_of(key: str, cell: str) -> list[str]:
    """The rows of a table that can be run, with results of a --cell."""
    return [
        name
        for name in rows(key)
        if read_results.results_of(key, name) and read_results.cell_of(key, name) == cell
    ]


def best_on_dev(key: str, cell: str) -> str:
    """The row of a cell with the best mean on dev; empty if none has one.

    Rows with fewer seeds than the table asks for stand behind those with more: a mean of one seed
    is the luckiest too easily, and has no interval. In a tuned table seed 0 alone decides, which
    every row has.
    """
    metric = TABLES[key].metrics[0][0]
    assert not metric.startswith("test"), f"{key} has no metric of dev to choose by"
    found = {name: read_results.by_seed(key, name, metric) for name in rows_of(key, cell)}
    if TABLES[key].tuned:
        found = {name: {0: one[0]} for name, one in found.items() if 0 in one}
    most = min(TABLES[key].seeds, max(map(len, found.values()), default=0))
    means = {n: statistics.fmean(one.values()) for n, one in found.items() if len(one) >= most > 0}
    best = min if read_results.lower_is_better(metric) else max
    return best(means, key=means.get) if means else ""


def is_best_of_cell(key: str, name: str) -> bool:
    """Whether dev chooses a row, which has results, among those of its cell."""
    return name == best_on_dev(key, read_results.cell_of(key, name))


def seeds_of(key: str, name: str) -> int:
    """How many seeds a table asks for of a row.

    In a tuned table one, and once all rows have that, more of those that dev chose.
    """
    table = TABLES[key]
    if not table.tuned or (not rows_not_run(key) and is_best_of_cell(key, name)):
        return table.seeds
    return 1


def rows_not_run(key: str) -> list[str]:
    """The rows of a table without any result."""
    return [name for name in rows(key) if not read_results.results_of(key, name)]


def rows_incomplete(key: str) -> list[str]:
    """The rows of a table with some but not all of the results that it asks for."""
    not_run = rows_not_run(key)
    return [
        name
        for name in rows(key)
        if name not in not_run
        and not all(read_results.is_done(key, name, seed) for seed in range(seeds_of(key, name)))
    ]


def how_to_run(key: str, some: Sequence[str]) -> str:
    """The command for the missing runs of some rows of a table."""
    whole = len(some) == len(rows(key))
    return f"python experiments/run.py {key}" + ("" if whole else f" --rows {','.join(some)}")
