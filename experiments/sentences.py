"""The text below a table: its main result, what was not run, and how it was made."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments import paired, read_results, selection
from experiments.tables import TABLES

HOW_TO_READ = """A difference to another row is the mean over the seeds that both have (a seed draws
the training examples, too, where a small scale has a part of them), in square brackets its 95 %
interval: Student's t of the pairs, not corrected for the number of comparisons, so that of twenty
rows that equal the other one about one is called better or worse. A row is called so only where
that interval excludes zero, which two seeds seldom allow; a single pair has its difference and no
verdict. *Best on dev*: among the rows of a cell that have all seeds of their table, or as many as
any of them has, the one with the best mean on dev."""


def comparison(key: str) -> list[str]:
    """Sentences: a table's learned connections against its LSTM, then against its random skips
    (the row of these that dev chose); those with a control of their own against that.

    Without learned connections, all rows; without an LSTM, against the first row; of a tuned table
    the row of each cell that dev chose. Empty for a table without results.
    """
    metric, title, *_ = read_results.test_metric(key)
    base = paired.base(key, metric)
    if not base:
        return []
    others = [name for name in read_results.shown_rows(key) if name != base]
    others = [name for name in others if read_results.by_seed(key, name, metric)]
    others = [name for name in others if not TABLES[key].rows[name].other_data]
    if TABLES[key].tuned:
        others = [name for name in others if selection.is_best_of_cell(key, name)]
    if not others:
        return [f"No other row has a result to compare {_name(key, base)} with."]
    cells = {name: read_results.cell_of(key, name) for name in others}
    learned = [name for name in others if cells[name] in ("attention", "dynamic_skip")]
    control = selection.best_on_dev(key, "random_skip")
    against = {name: paired.against(key, name, metric) for name in learned or others}
    found = []
    for one in dict.fromkeys([base, *against.values()]):
        if not read_results.by_seed(key, one, metric):
            continue  # a row's own control, which was not run
        # the intervals stand in the table
        said = [
            verdict(key, name, one, metric)._replace(amount="")
            for name, other in against.items()
            if other == one
        ]
        if said:
            found.append(f"Compared with {_name(key, one)} ({title}), {clauses(said, _SAYING)}.")
    same = [name for name in learned if against[name] == base]
    if same and control in others:
        said = [verdict(key, name, control, metric) for name in same]
        found.append(f"Compared with {_name(key, control)}, {clauses(said, _SAYING)}.")
    return found


class Verdict(NamedTuple):
    """A row against another: "better", "worse", "level", "single" or "no" (pair), and the evidence.

    `amount` is the difference with its interval, empty without two pairs; `pairs` says how many
    seeds both have, or the difference in a single one.
    """

    name: str
    way: str
    amount: str
    pairs: str


def verdict(key: str, name: str, other: str, metric: str) -> Verdict:
    """What the seeds that two rows have in common say of them."""
    decimals = next(digits for one, _, digits, _ in TABLES[key].metrics if one == metric)
    found, label = paired.difference(key, name, other, metric), _name(key, name)
    if found is None:
        return Verdict(label, "no", "", "")
    way = "better" if (found.mean < 0) == read_results.lower_is_better(metric) else "worse"
    if found.pairs == 1:
        return Verdict(label, "single", "", f"{found.mean:+z.{decimals}f}")
    way = way if found.excludes_zero else "level"
    return Verdict(label, way, found.text(decimals), f"{found.pairs} seeds")


def of_table(key: str, name: str, other: str, metric: str, with_seeds: bool = True) -> Verdict:
    """The same under the table's name, without the difference; of a single pair that, anyway."""
    found = verdict(key, name, other, metric)
    seeds = found.pairs if with_seeds or found.way == "single" else ""
    pairs = ", ".join(filter(None, [seeds, _other_settings(key, name, other)]))
    return found._replace(name=f"`{key}`", amount="", pairs=pairs)


def _other_settings(key: str, name: str, other: str) -> str:
    """Says that the row `other`, of K states too, was run at another K or lamda; else empty."""
    if read_results.cell_of(key, other) not in ("random_skip", "attention"):
        return ""
    ours, theirs = (read_results.results_of(key, one)[0]["flags"] for one in (name, other))
    return ", ".join(
        f"{sign} {ours[flag]:g} against {theirs[flag]:g}"
        for flag, sign in (("n_actions", "K ="), ("lamda", "lamda"))
        if ours[flag] != theirs[flag]
    )


_SAYING = {
    "better": "{0} {1} better",
    "worse": "{0} {1} worse",
    "level": "{0} cannot be told apart from it",
    "single": "with one seed in common nothing can be told apart: {0}",
    "no": "no seed in common: {0}",
}


# The same, of a row that stands in several tables.
IN_TABLES = {
    "better": "better in {0}",
    "worse": "worse in {0}",
    "level": "not told apart in {0}",
    "single": "one seed in {0}",
    "no": "no seed in common in {0}",
}


def clauses(verdicts: Sequence[Verdict], saying: Mapping[str, str]) -> str:
    """Names, differences and seeds, grouped by verdict."""
    found = []
    for way, template in saying.items():
        evidence = {
            one.name: ", ".join(filter(None, [one.amount, one.pairs]))
            for one in verdicts
            if one.way == way
        }
        items = [f"{name} ({text})" if text else name for name, text in evidence.items()]
        if items:
            found.append(template.format(listed(items), "is" if len(items) == 1 else "are"))
    return "; ".join(found)


def _name(key: str, row: str) -> str:
    table = TABLES[key]
    return f"*{read_results.label(table, table.rows[row], read_results.results_of(key, row))}*"


def listed(items: Sequence[str]) -> str:
    """Items as a sentence names them."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


def not_run(key: str) -> str:
    """One sentence: rows without a result, the paper's numbers for them, and the command."""
    table, rows = TABLES[key], selection.rows_not_run(key)
    if not rows:
        return ""
    metric = read_results.test_metric(key)[0]
    names = []
    for row in (table.rows[name] for name in rows):
        beside = f" ({row.source or 'paper'}: {row.paper[metric]})" if metric in row.paper else ""
        names.append(f"*{row.label}*{beside}")
    command = selection.how_to_run(key, rows)
    hours = f"{table.hours:g} hour{'s' * (table.hours != 1)}"
    return f"Not run: {listed(names)}; `{command}`, about {hours} a run on two CPU cores."


def _on_gpu(key: str) -> str:
    """A sentence on which rows have runs on a GPU, where other rows have none; else empty."""
    with_results = [
        name for name in read_results.shown_rows(key) if read_results.results_of(key, name)
    ]
    found = [
        _name(key, name)
        for name in with_results
        if any(result["hardware"].get("gpus") for result in read_results.results_of(key, name))
    ]
    if not found or len(found) == len(with_results):
        return ""
    return f"On a GPU: {listed(found)}; the other rows on a CPU."


def below(key: str) -> list[str]:
    """The paragraphs below a table; for a table without results, only its command."""
    table, found = TABLES[key], read_results.all_results(key)
    if not found:
        return [not_run(key)]
    incomplete = ""
    if rows := selection.rows_incomplete(key):
        incomplete = (
            f"Fewer seeds than the {table.seeds} asked for: `{selection.how_to_run(key, rows)}`."
        )
    made = [f"`python experiments/run.py {key}`.", read_results.provenance(found)]
    made = " ".join(filter(None, [table.note, *made, _on_gpu(key), read_results.times(found)]))
    paragraphs = [*comparison(key), not_run(key), incomplete, made]
    return [text.strip() for text in paragraphs if text]
