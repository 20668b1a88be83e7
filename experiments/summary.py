"""The summary in README and page: a row with the main results of each of the paper's tables."""

from experiments import read_results, selection, sentences
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
    """For each table of SUMMARY, the values of the columns TITLES; empty if not run.

    A dynamic row's value is followed by its difference to the LSTM.
    """
    found = []
    for key, (metric, dynamic_skip) in SUMMARY.items():
        table = TABLES[key]
        best = selection.best_on_dev(key, "dynamic_skip")
        others = [read_results.mean_and_seeds(key, name, metric) for name in ("lstm", "attention")]
        better = "the same" if best else ""
        if best not in ("", dynamic_skip):
            better = _beside_the_lstm(key, best, f": {read_results.short_label(key, best)}")
        theirs = [table.rows[name].paper.get(metric) for name in ("lstm", dynamic_skip)]
        paper = "" if None in theirs else " → ".join(map(str, theirs))
        ours = _beside_the_lstm(key, dynamic_skip)
        found.append([table.title, *others, ours, better, paper, f"`{key}`"])
    return found


def _beside_the_lstm(key: str, name: str, label: str = "") -> str:
    """A row's value and, if both were run with two seeds or more, its difference to the LSTM."""
    metric = SUMMARY[key][0]
    value = read_results.mean_and_seeds(key, name, metric) + label
    return "; ".join(filter(None, [value, sentences.verdict(key, name, "lstm", metric).amount]))


def text() -> str:
    """Sentences: the dynamic row best on dev against random skips and attention in each table."""
    said = {
        "Compared with random skips, the dynamic row best on dev is {}.": _against("random_skip"),
        "Compared with attention, it is {}.": _against("attention"),
    }
    return " ".join(template.format(one) for template, one in said.items() if one)


def _against(cell: str) -> str:
    """Clauses about the best dynamic row of each table and that of a cell, where both were run."""
    verdicts = []
    for key, (metric, _) in SUMMARY.items():
        name, other = (selection.best_on_dev(key, one) for one in ("dynamic_skip", cell))
        if other and name and read_results.by_seed(key, name, metric):
            verdicts.append(sentences.of_table(key, name, other, metric, with_seeds=False))
    return sentences.clauses(verdicts, sentences.IN_TABLES)
