"""Which row of a table dev chooses for a cell, and which runs a table still asks for."""

import statistics
from collections.abc import Mapping, Sequence

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


def candidates(key: str, cell: str) -> list[str]:
    """The rows of a cell that dev chooses among: with the most seeds.

    Not those of other data than the table's, nor of settings that need a control of their own. No
    more count than the table asks for. A mean of fewer is the luckiest too easily, and that of
    one seed has no interval.
    """
    found = {
        name: len(_on_dev(key, name))
        for name in rows_of(key, cell)
        if not (TABLES[key].rows[name].other_data or TABLES[key].rows[name].control)
    }
    most = min(TABLES[key].seeds, max(found.values(), default=0))
    return [name for name, n in found.items() if n >= most > 0]


def best_on_dev(key: str, cell: str) -> str:
    """The row of a cell with the best mean on dev, of its `candidates`; empty if none has one."""
    return _best(key, {name: _on_dev(key, name) for name in candidates(key, cell)})


def is_best_of_cell(key: str, name: str) -> bool:
    """Whether dev chooses a row, which has results, among those of its cell."""
    return name == best_on_dev(key, read_results.cell_of(key, name))


def _on_dev(key: str, name: str) -> dict[int, float]:
    """By seed, the metric of dev that rows are chosen by."""
    metric = TABLES[key].metrics[0][0]
    assert not metric.startswith("test"), f"{key} has no metric of dev to choose by"
    return read_results.by_seed(key, name, metric)


def _best(key: str, found: Mapping[str, Mapping[int, float]]) -> str:
    """The row with the best mean."""
    means = {name: statistics.fmean(one.values()) for name, one in found.items()}
    best = min if read_results.lower_is_better(TABLES[key].metrics[0][0]) else max
    return best(means, key=means.get) if means else ""


def _leads_at_seed_0(key: str, name: str) -> bool:
    """Whether a row is the best on dev of those of its cell, by seed 0 alone."""
    rows = rows_of(key, read_results.cell_of(key, name))
    found = {one: _on_dev(key, one) for one in rows}
    return name == _best(key, {one: {0: on[0]} for one, on in found.items() if 0 in on})


def seeds_of(key: str, name: str) -> int:
    """How many seeds a table asks for of a row.

    In a tuned table one, and once all rows have that, more of those that lead on dev.
    """
    table = TABLES[key]
    if not table.tuned or (not rows_not_run(key) and _leads_at_seed_0(key, name)):
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
