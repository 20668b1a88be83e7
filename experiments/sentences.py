"""The text below a table: its main result, what was not run, and how it was made."""

import math
import statistics
from collections.abc import Mapping, Sequence

from experiments import read_results
from experiments.tables import TABLES

HOW_TO_READ = """Below a table, "3 seeds tell 0.62 apart" gives the smallest difference of two means
that these seeds can tell from chance: half of Welch's two-sided 95 % confidence interval, for each
comparison by itself."""

# Student's t, two-sided 95 %, of 1 to 10 degrees of freedom. More count as ten: a little too wide.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def resolution(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The smallest difference of two means that is significant for these numbers and spreads.

    Half of the 95 % confidence interval of Welch (1947), its degrees of freedom rounded down;
    infinite if one side is a single value.
    """
    if min(len(ours), len(theirs)) < 2:
        return math.inf
    a, b = (statistics.variance(values) / len(values) for values in (ours, theirs))
    if a + b == 0:
        return 0.0
    freedom = (a + b) ** 2 / (a**2 / (len(ours) - 1) + b**2 / (len(theirs) - 1))
    return _T95[min(int(freedom + 1e-9), len(_T95)) - 1] * math.sqrt(a + b)


def comparison(key: str) -> str:
    """One sentence: the learned connections of a table, or else all its rows, against its LSTM.

    Without an LSTM, against the first row. Empty for a table without results.
    """
    metric, title, *_ = read_results.test_metric(key)
    found = {
        name: values
        for name in TABLES[key].rows
        if (values := read_results.finite_values(key, name, metric))
    }
    if not found:
        return ""
    cells = {name: read_results.results_of(key, name)[0]["flags"].get("cell") for name in found}
    base = next((name for name in found if cells[name] == "lstm"), next(iter(found)))
    others = [name for name in found if name != base]
    learned = [name for name in others if cells[name] in ("attention", "dynamic_skip")]
    if not others:
        return f"{_name(key, base)} alone was run: there is nothing to compare it with."
    verdicts = [(_name(key, name), *verdict(key, name, base, metric)) for name in learned or others]
    reference = f"{_name(key, base)} ({seeds(found[base])}; {title})"
    return f"Compared with {reference}, {clauses(verdicts, _SAYING)}."


def verdict(key: str, name: str, base: str, metric: str) -> tuple[str, str]:
    """A row against another: "better", "worse", "level" or "single" (value), and by how much."""
    decimals = next(digits for one, _, digits, _ in TABLES[key].metrics if one == metric)
    ours, theirs = (read_results.finite_values(key, row, metric) for row in (name, base))
    difference, least = statistics.fmean(ours) - statistics.fmean(theirs), resolution(ours, theirs)
    way = "better" if (difference < 0) == read_results.lower_is_better(metric) else "worse"
    size = f"{abs(difference):.{decimals}f}"
    if least == math.inf:
        return "single", f"({size} {way})"
    tells = f"{seeds(ours)} tell {least:.{decimals}f} apart"
    return (
        (way, f"(by {size}; {tells})")
        if abs(difference) > least
        else ("level", f"({size} {way}; {tells})")
    )


_SAYING = {
    "better": "{0} {1} better",
    "worse": "{0} {1} worse",
    "level": "{0} cannot be told apart from it",
    "single": "with one seed nothing can be told apart: {0}",
}


def clauses(verdicts: Sequence[tuple[str, str, str]], saying: Mapping[str, str]) -> str:
    """Names, verdicts and differences, grouped by verdict."""
    found = []
    for way, template in saying.items():
        items = [f"{name} {size}" for name, one, size in verdicts if one == way]
        if items:
            found.append(template.format(_listed(items), "is" if len(items) == 1 else "are"))
    return "; ".join(found)


def seeds(values: Sequence) -> str:
    """The number of seeds in words."""
    return f"{len(values)} seed{'s' * (len(values) > 1)}"


def _name(key: str, row: str) -> str:
    table = TABLES[key]
    return f"*{read_results.label(table, table.rows[row], read_results.results_of(key, row))}*"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


def not_run(key: str) -> str:
    """One sentence: rows without a result, the paper's numbers for them, and the command."""
    table, rows = TABLES[key], read_results.rows_not_run(key)
    if not rows:
        return ""
    metric = read_results.test_metric(key)[0]
    names = []
    for row in (table.rows[name] for name in rows):
        beside = f" ({row.source or 'paper'}: {row.paper[metric]})" if metric in row.paper else ""
        names.append(f"*{row.label}*{beside}")
    command = read_results.how_to_run(key, rows)
    hours = f"{table.hours:g} hour{'s' * (table.hours != 1)}"
    return f"Not run: {_listed(names)}; `{command}`, about {hours} a run on two CPU cores."


def below(key: str) -> list[str]:
    """The paragraphs below a table; for a table without results, only its command."""
    table, found = TABLES[key], read_results.all_results(key)
    if not found:
        return [not_run(key)]
    incomplete = ""
    if rows := read_results.rows_incomplete(key):
        incomplete = (
            f"Fewer seeds than the {table.seeds} asked for: `{read_results.how_to_run(key, rows)}`."
        )
    made = [f"`python experiments/run.py {key}`.", read_results.provenance(found)]
    made = " ".join([table.note, *made, read_results.times(found)])
    paragraphs = [comparison(key), not_run(key), incomplete, made]
    return [text.strip() for text in paragraphs if text]
