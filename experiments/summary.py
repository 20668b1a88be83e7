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
    """For each table of SUMMARY, the values of the columns TITLES; empty if not run."""
    found = []
    for key, (metric, dynamic_skip) in SUMMARY.items():
        table = TABLES[key]
        best = selection.best_on_dev(key, "dynamic_skip")
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


def text() -> str:
    """Sentences: dynamic skips against LSTM, random skips and attention in each table.

    Of the row of the table's preset, and of the one that dev chose.
    """
    rows = {key: name for key, (_, name) in SUMMARY.items()}
    best = {key: selection.best_on_dev(key, "dynamic_skip") for key in SUMMARY}
    others = {key: name for key, name in best.items() if name != rows[key]}
    said = {
        "Compared with the LSTM, dynamic skips are {}.": _against_the_lstm(rows),
        "Where dev chose another dynamic row, it is {}.": _against_the_lstm(others),
        "Dynamic skips are above random skips in {}.": _above(rows, "random_skip"),
        "The row best on dev is in {}.": _above(best, "random_skip"),
        "It is above attention in {}.": _above(best, "attention"),
    }
    return " ".join(template.format(one) for template, one in said.items() if one)


def _above(rows: dict[str, str], cell: str) -> str:
    """The tables in which a row is better than the best row of a cell on dev, and the others."""
    found = {True: [], False: []}
    for key, name in rows.items():
        metric, other = SUMMARY[key][0], selection.best_on_dev(key, cell)
        if other and name and read_results.by_seed(key, name, metric):
            way = sentences.verdict(key, name, other, metric).way
            found[way == "better"].append(f"`{key}`")
    if not any(found.values()):
        return ""
    above = sentences.listed(found[True]) if found[True] else "no table"
    others = f", not shown in {sentences.listed(found[False])}" if all(found.values()) else ""
    return above + others


def _against_the_lstm(rows: dict[str, str]) -> str:
    """Clauses about a row of each table.

    With the interval of a difference where it excludes zero, else with how many seeds it is of.
    """
    verdicts = []
    for key, name in rows.items():
        metric = SUMMARY[key][0]
        if name and all(read_results.by_seed(key, one, metric) for one in ("lstm", name)):
            found = sentences.verdict(key, name, "lstm", metric)
            left_out = "pairs" if found.amount and found.way != "level" else "amount"
            verdicts.append(found._replace(name=f"`{key}`", **{left_out: ""}))
    return sentences.clauses(verdicts, sentences.IN_TABLES)
