"""Differences of two rows of a table, paired by seed, with their 95 % intervals."""

import itertools
import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from experiments import read_results, selection
from experiments.tables import TABLES

# Student's t, two-sided 95 %, of 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of
# Statistical Methods, 1.3.6.7.2). More count as 30: a little too wide.
T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


class Difference(NamedTuple):
    """The mean of paired differences, half of its 95 % interval, how many, how far apart."""

    mean: float
    half: float
    pairs: int
    spread: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all of the interval lies on one side of zero."""
        return abs(self.mean) > self.half

    def text(self, decimals: int) -> str:
        """The mean and, in square brackets, the interval; empty for a single pair.

        Pairs that differ by the same amount, as far as it is shown, have no interval.
        """
        if self.half == math.inf:
            return ""
        if max(self.half, self.spread) < 0.5 * 10**-decimals:
            return f"{self.mean:+z.{decimals}f} (each of {self.pairs} pairs)"
        ends = (self.mean - self.half, self.mean + self.half)
        mean, low, high = (f"{value:+z.{decimals}f}" for value in (self.mean, *ends))
        return f"{mean} [{low}, {high}]"


def of_values(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference | None:
    """Ours less theirs, by seed; None without a common seed.

    The interval is that of Student's t for the mean of the pairs; of one pair it is infinite.
    """
    found = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not found:
        return None
    n, mean = len(found), statistics.fmean(found)
    if n == 1:
        return Difference(mean, math.inf, 1, 0.0)
    quantile = T95[min(n - 1, len(T95)) - 1]
    half = quantile * statistics.stdev(found) / math.sqrt(n)
    return Difference(mean, half, n, max(found) - min(found))


def shown(key: str) -> tuple[list[str], list[read_results.Line]]:
    """A table's column titles and rows, without metrics that none of its results has.

    After the metrics, if any two rows have two seeds in common, the paired difference of the test
    metric to that of the row in `against`.
    """
    results, rows = read_results.all_results(key), read_results.lines(key)
    there = [any(name in result for result in results) for name, *_ in TABLES[key].metrics]
    titles = [title for _, title, _, _ in itertools.compress(TABLES[key].metrics, there)]
    rows = [line._replace(cells=[*itertools.compress(line.cells, there)]) for line in rows]
    title, differences = _differences(key)
    if any(differences):
        titles.append(title)
        both = zip(rows, differences, strict=True)
        rows = [line._replace(cells=[*line.cells, read_results.Cell(text)]) for line, text in both]
    cost = read_results.COST_TITLES
    if not any(line.cost[-1] for line in rows):  # none of the runs measured its memory
        cost, rows = cost[:-1], [line._replace(cost=line.cost[:-1]) for line in rows]
    return [*titles, *cost], rows


def _differences(key: str) -> tuple[str, list[str]]:
    """The title of a column, and for each row of `shown_rows` the difference to that in `against`.

    Nothing without a metric on the test set.
    """
    if not any(metric.startswith("test") for metric, *_ in TABLES[key].metrics):
        return "", []
    metric, title, decimals, _ = read_results.test_metric(key)
    rows, of_table = TABLES[key].rows, base(key, metric)
    texts = []
    for name in read_results.shown_rows(key):
        found = difference(key, name, against(key, name, metric), metric)
        text = found.text(decimals) if found else ""
        own = rows[name].control
        texts.append(f"{text} to {rows[own].label}" if text and own else text)
    label = rows[of_table].label if of_table else ""
    return f"{title}: difference to {label} [95 %]", texts


def lstm(key: str, metric: str) -> str:
    """A table's row of the plain LSTM, its first one; empty if that was not run.

    In a tuned table the one that is best on dev.
    """
    if TABLES[key].tuned:
        return selection.best_on_dev(key, "lstm")
    rows = TABLES[key].rows
    found = next((name for name in rows if rows[name].flags.get("cell") == "lstm"), "")
    return found if found and read_results.by_seed(key, found, metric) else ""


def base(key: str, metric: str) -> str:
    """The row that a table's others are compared with: its LSTM, or else its first row.

    Of those that have the metric; empty if none has.
    """
    found = (name for name in TABLES[key].rows if read_results.by_seed(key, name, metric))
    return lstm(key, metric) or next(found, "")


def against(key: str, name: str, metric: str) -> str:
    """The row that one of a table is compared with: its `control`, or else the table's `base`."""
    return TABLES[key].rows[name].control or base(key, metric)


def difference(key: str, name: str, other: str, metric: str) -> Difference | None:
    """A row's metric less another's, paired by seed.

    None for a row and itself, for no other, and for one of other data.
    """
    if name == other or not other or TABLES[key].rows[name].other_data:
        return None
    return of_values(
        read_results.by_seed(key, name, metric), read_results.by_seed(key, other, metric)
    )
