"""The summary in README and page: a row with the main results of each of the paper's tables."""

import statistics

from experiments import read_results, sentences
from experiments.tables import SUMMARY, TABLES

TITLES = (
    "test set, sampled",
    "LSTM",
    "attention",
    "dynamic skips",
    "best dynamic row on dev",
    "paper: LSTM → dynamic",
    "`python experiments/run.py`",
)
_SAYING = {
    "better": "better in {0}",
    "worse": "worse in {0}",
    "level": "not to be told apart from it in {0}",
    "single": "of one seed, which tells nothing apart, in {0}",
}


def rows() -> list[list[str]]:
    """For each table of SUMMARY, the values of the columns TITLES; empty if not run."""
    found = []
    for key, (metric, dynamic_skip) in SUMMARY.items():
        table = TABLES[key]
        best = best_learned(key)
        ours = [_in_summary(key, name, metric) for name in ("lstm", "attention", dynamic_skip)]
        better = (
            f"{_in_summary(key, best, metric)}: "
            + table.rows[best].label.removeprefix("dynamic skips, ")
            if best not in ("", dynamic_skip)
            else ""
        )
        theirs = [table.rows[name].paper.get(metric) for name in ("lstm", dynamic_skip)]
        paper = "" if None in theirs else " → ".join(map(str, theirs))
        found.append([table.title, *ours, better, paper, f"`{key}`"])
    return found


def _in_summary(key: str, name: str, metric: str) -> str:
    """Mean and standard deviation of a metric, and in brackets the number of seeds."""
    _, _, decimals, factor = next(one for one in TABLES[key].metrics if one[0] == metric)
    found = [
        None if one is None else factor * one for one in read_results.values(key, name, metric)
    ]
    return f"{read_results.spread(found, decimals)} ({len(found)})" if found else ""


def best_learned(key: str) -> str:
    """The row with learned dynamic skips that is best on dev; or empty."""
    metric = TABLES[key].metrics[0][0]
    means = {}
    for name in TABLES[key].rows:
        found = read_results.by_seed(key, name, metric)
        if found and read_results.cell_of(key, name) == "dynamic_skip":
            means[name] = statistics.fmean(found.values())
    best = min if read_results.lower_is_better(metric) else max
    return best(means, key=means.get) if means else ""


def sentence() -> str:
    """One sentence: dynamic skips against the LSTM in each table that has both."""
    verdicts = []
    for key, (metric, dynamic_skip) in SUMMARY.items():
        if all(read_results.by_seed(key, name, metric) for name in ("lstm", dynamic_skip)):
            found = sentences.verdict(key, dynamic_skip, "lstm", metric)
            verdicts.append(found._replace(name=f"`{key}`"))
    found = sentences.clauses(verdicts, _SAYING)
    return f"Compared with the LSTM, dynamic skips are {found}." if found else ""
