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
    """Sentences: dynamic skips against the LSTM in each table that has both.

    First those of the table's preset, then, where dev chose another row, that one.
    """
    rows = {key: name for key, (_, name) in SUMMARY.items()}
    best = {key: selection.best_on_dev(key, "dynamic_skip") for key in SUMMARY}
    others = {key: name for key, name in best.items() if name != rows[key]}
    said = {
        "Compared with the LSTM, dynamic skips are {}.": _against_the_lstm(rows),
        "Nothing puts them above random skips in {}.": _not_above_random_skips(rows),
        "Where dev chose another dynamic row, it is {}.": _against_the_lstm(others),
    }
    return " ".join(template.format(one) for template, one in said.items() if one)


def _not_above_random_skips(rows: dict[str, str]) -> str:
    """The tables in which the seeds do not show that an agent is needed."""
    found = []
    for key, name in rows.items():
        metric, random = SUMMARY[key][0], selection.best_on_dev(key, "random_skip")
        if random and read_results.by_seed(key, name, metric):
            if sentences.verdict(key, name, random, metric).way != "better":
                found.append(f"`{key}`")
    return sentences.listed(found) if found else ""


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
