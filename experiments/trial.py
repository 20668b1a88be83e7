"""The trial: in each of its tables, the best dynamic row beside LSTM, random skips and attention.

The best row is the one with the best mean on dev, never on test, of the `selection.candidates`.
"""

from collections.abc import Callable, Collection

from experiments import paired, read_results, selection, sentences, tables
from experiments.tables import TABLES, TRIAL

TITLE = "Do learned connections help?"
TITLES = (
    "test, sampled",
    "LSTM",
    "random skips",
    "attention, best row on dev",
    "dynamic skips, best row on dev",
    "its difference to the LSTM [95 %]",
    "its difference to random skips [95 %]",
    "its difference to attention [95 %]",
    "`python experiments/run.py`",
)
_CELLS = ("random_skip", "attention", "dynamic_skip")


def rows() -> list[list[str]]:
    """For each table of TRIAL, the values of the columns TITLES."""
    return [_row(key) for key in TRIAL]


def _row(key: str) -> list[str]:
    metric, _, decimals, _ = read_results.test_metric(key)
    others = [selection.best_on_dev(key, cell) for cell in _CELLS]
    lstm, (random, attention, best) = paired.lstm(key, metric), others
    shown = [
        read_results.mean_and_seeds(key, name, metric) if name else "" for name in (lstm, *others)
    ]
    if best:
        shown[-1] += f": {read_results.short_label(key, best)}{_chosen_of(key)}"
    found = [
        paired.difference(key, best, name, metric) if best else None
        for name in (lstm, random, attention)
    ]
    differences = [one.text(decimals) if one else "" for one in found]
    return [TABLES[key].title, *shown, *differences, f"`{key}`"]


def _chosen_of(key: str) -> str:
    """Among how many rows dev chose, if there are several; of a tuned table, all had a seed."""
    n = len(selection.candidates(key, "dynamic_skip"))
    if TABLES[key].tuned:
        tried = len(selection.rows_of(key, "dynamic_skip"))
        return f" (of {tried} settings{f', {n} of them with as many seeds' if n > 1 else ''})"
    return f" (of {n} rows)" if n > 1 else ""


def text() -> list[str]:
    """Sentences: in which tables the best dynamic row is better than the others."""
    found = {
        "the LSTM": _verdicts(paired.lstm),
        "random skips": _verdicts(lambda key, _: selection.best_on_dev(key, "random_skip")),
        "attention": _verdicts(lambda key, _: selection.best_on_dev(key, "attention")),
    }
    said = [
        f"Compared with {other}, the dynamic row that is best on dev is {clauses}."
        for other, verdicts in found.items()
        if (clauses := sentences.clauses(verdicts, sentences.IN_TABLES))
    ]
    ahead = [{one.name for one in verdicts if one.way == "better"} for verdicts in found.values()]
    two, three = set.intersection(*ahead[:2]), set.intersection(*ahead)
    said.append(
        f"It is better than LSTM and random skips in {_tables(two)}, than all three in"
        f" {_tables(three)}."
    )
    once: dict[tuple, list[str]] = {}
    for key in TRIAL:
        metric, *_ = read_results.test_metric(key)
        best, lstm = selection.best_on_dev(key, "dynamic_skip"), paired.lstm(key, metric)
        if best and lstm:
            runs = (tables.source(key, best), tables.source(key, lstm))
            once.setdefault(runs, []).append(f"`{key}`")
    said += [
        f"{_tables(names)} have the same runs of both: one result, not {len(names)}."
        for names in once.values()
        if len(names) > 1
    ]
    empty = {f"`{key}`" for key in TRIAL if not read_results.all_results(key)}
    said.append(
        "In `ner_tuned_small`, `imdb_small`, `imdb_tuned_small`, `imdb_last_small` and, of"
        " attention, `lm_small_dropout` two seeds were added since three did not tell two of these"
        " rows apart; the intervals do not account for that choice."
        " An empty cell was not run, is no row of the table, or has not two seeds in common."
    )
    return said + ([f"Not run at all: {_tables(empty)}."] if empty else [])


def _tables(names: Collection[str]) -> str:
    found = [name for key in TRIAL if (name := f"`{key}`") in names]
    return sentences.listed(found) if found else "no table"


def _verdicts(other: Callable[[str, str], str]) -> list[sentences.Verdict]:
    """The best dynamic rows against the row that `other` names, of a table and its metric."""
    found = []
    for key in TRIAL:
        metric, *_ = read_results.test_metric(key)
        best, name = selection.best_on_dev(key, "dynamic_skip"), other(key, metric)
        if best and name:
            found.append(sentences.of_table(key, best, name, metric))
    return found
