"""The summary in README and page: a row with the main results of each of the paper's tables."""

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


def rows() -> list[list[str]]:
    """For each table of SUMMARY, the values of the columns TITLES; empty if not run."""
    found = []
    for key, (metric, dynamic_skip) in SUMMARY.items():
        table = TABLES[key]
        best = read_results.best_on_dev(key, "dynamic_skip")
        ours = [
            read_results.mean_and_seeds(key, name, metric)
            for name in ("lstm", "attention", dynamic_skip)
        ]
        better = "the same" if best else ""
        if best not in ("", dynamic_skip):
            better = read_results.mean_and_seeds(key, best, metric)
            better += f": {read_results.short_label(key, best)}"
        theirs = [table.rows[name].paper.get(metric) for name in ("lstm", dynamic_skip)]
        paper = "" if None in theirs else " → ".join(map(str, theirs))
        found.append([table.title, *ours, better, paper, f"`{key}`"])
    return found


def sentence() -> str:
    """One sentence: dynamic skips against the LSTM in each table that has both."""
    verdicts = []
    for key, (metric, dynamic_skip) in SUMMARY.items():
        if all(read_results.by_seed(key, name, metric) for name in ("lstm", dynamic_skip)):
            found = sentences.verdict(key, dynamic_skip, "lstm", metric)
            verdicts.append(found._replace(name=f"`{key}`"))
    found = sentences.clauses(verdicts, sentences.IN_TABLES)
    return f"Compared with the LSTM, dynamic skips are {found}." if found else ""
