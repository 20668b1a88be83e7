"""The classes of a table and its rows, and what several tasks' tables have in common."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """A row: flags of the task's RL_train.py, and numbers to compare with, by metric.

    The numbers are the paper's own, or those of `source`. `of` names the row ("table/row") whose
    runs this row uses, if another table has the same ones. A row that is `quoted` is only shown for
    comparison and cannot be run: others' numbers, or results of something that is no longer here.
    One with `other_data` than the rest of its table is compared with none of them; one with a
    `control`, a row of the same table, with that one alone: both have settings that the other rows
    do not have, so that dev does not choose it for the table's agent either.
    """

    label: str
    flags: Mapping[str, Any]
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    source: str = ""
    of: str = ""
    quoted: bool = False
    other_data: bool = False
    control: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: the task's folder and script, what is shown of each result, and its rows by name.

    `metrics` are (key in result.json, column title, decimals, factor). `hours` estimates one run of
    a row on two CPU cores. Where a table is `tuned`, the rows of one cell differ in their settings
    alone, and the best of them on dev stands for the cell.
    """

    title: str
    task: str
    metrics: Sequence[tuple[str, str, int, float]]
    rows: Mapping[str, Row]
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: str = ""  # folder below the data folder
    vectors: str = ""  # file of word vectors below the data folder
    hours: float = 0.1
    script: str = "RL_train.py"
    presets: str = "presets"  # the script's module of settings
    seeds: int = 3
    note: str = ""
    tuned: bool = False


# Flags of all tables: besides a single chain of distances, the mixture of the predictions of 16.
MIXTURE = {"eval_samples": 16}
MIXED = "test, mixture of 16"
ACCURACY = (
    ("dev_accuracy_sampled", "dev, sampled", 2, 100.0),
    ("test_accuracy_sampled", "test, sampled", 2, 100.0),
    ("test_accuracy_greedy", "test, greedy", 2, 100.0),
    ("test_accuracy_mixture16", MIXED, 2, 100.0),
)
LSTM, ATTENTION = "LSTM", "attention over the K states"
# The paper's formula (see common/losses.py): each step has the whole reward, nothing is subtracted
# from it, and the entropy counts in full, as sampled.
LITERAL = {
    "credit": "total",
    "baseline": "none",
    "rl_weight": 1.0,
    "entropy": "sampled",
    "entropy_weight": 1.0,
    "entropy_decay": 1.0,
}
FIXED_3, FIXED_5 = "fixed skip 3", "fixed skip 5"
CONTROL = "random_skip_lamda0.5"  # name of the row of a trial that controls learned connections


def trial(n_actions: int) -> dict[str, Row]:
    """Further rows of a trial of estimators, at lamda 0.5, with the task's preset.

    Random skips are the control of learned connections, and masks of dropout that of mixtures.
    """
    connections = f"K = {n_actions}, lamda 0.5"
    return {
        "lstm_mc_dropout": Row(
            "LSTM, masks of dropout in the mixture (control)", {"cell": "lstm", "mc_dropout": True}
        ),
        CONTROL: Row(
            f"random skips, {connections} (control)", {"cell": "random_skip", "lamda": 0.5}
        ),
        "attention_lamda0.5": Row(f"{ATTENTION}, lamda 0.5", {"cell": "attention", "lamda": 0.5}),
        "literal_lamda0.5": Row(
            f"dynamic skips, {connections}, the paper's formula to the letter",
            {"lamda": 0.5, **LITERAL},
        ),
        "dynamic_skip_lamda0.5": Row(f"dynamic skips, {connections}", {"lamda": 0.5}),
        "samples_lamda0.5": Row(
            f"dynamic skips, {connections}, 4 samples of each example",
            {"lamda": 0.5, "train_samples": 4},
        ),
        "reinmax_lamda0.5": Row(
            f"dynamic skips, {connections}, ReinMax", {"lamda": 0.5, "estimator": "reinmax"}
        ),
    }


def without_paper(rows: Mapping[str, Row]) -> dict[str, Row]:
    """The rows at a reduced scale, without the paper's numbers and quoted rows."""
    return {
        name: dataclasses.replace(row, paper={}) for name, row in rows.items() if not row.quoted
    }


def tuned(
    rows: Mapping[str, Row], grid: Mapping[str, Sequence[Any]], of: str = ""
) -> dict[str, Row]:
    """Each row with each combination of a grid's values, by flag.

    The table named by `of` has the runs with the first values.
    """
    found = {}
    for (name, row), values in itertools.product(rows.items(), itertools.product(*grid.values())):
        flags = dict(zip(grid, values, strict=True))
        said = ", ".join(f"{flag.replace('_', ' ')} {value}" for flag, value in flags.items())
        first = all(value == grid[flag][0] for flag, value in flags.items())
        found["_".join([name, *map(str, values)])] = Row(
            f"{row.label}, {said}",
            {**row.flags, **flags},
            of=f"{of}/{name}" if of and first else "",
        )
    return found


def tuned_note(grid: Mapping[str, Sequence[Any]]) -> str:
    """How the rows of `tuned` were chosen."""
    tried = "; ".join(
        f"{flag.replace('_', ' ')} {', '.join(map(str, sorted(values)))}"
        for flag, values in grid.items()
    )
    return (
        f"The same settings of each cell ({tried}), one seed of each. The one that is best on dev "
        "has further seeds, which the same command runs when it is given once more. Where the grid "
        "was widened since, a cell may have two such settings: the one with the better mean on dev "
        "stands for it."
    )
