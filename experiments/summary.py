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
    said = (
        _against_the_lstm(rows),
        _against_the_lstm({key: name for key, name in best.items() if name != rows[key]}),
    )
    templates = (
        "Compared with the LSTM, dynamic skips are {}.",
        "Where dev chose another dynamic row, it is {}.",
    )
    return " ".join(
        template.format(one) for template, one in zip(templates, said, strict=True) if one
    )


def _against_the_lstm(rows: dict[str, str]) -> str:
    """Clauses about a row of each table; a difference has its interval where it excludes zero."""
    verdicts = []
    for key, name in rows.items():
        metric = SUMMARY[key][0]
        if name and all(read_results.by_seed(key, one, metric) for one in ("lstm", name)):
            found = sentences.verdict(key, name, "lstm", metric)
            amount = "" if found.way == "level" else found.amount
            verdicts.append(found._replace(name=f"`{key}`", amount=amount))
    return sentences.clauses(verdicts, sentences.IN_TABLES)
