"""The tables: which runs make each row, and what the paper reports beside it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """A row: flags of the task's RL_train.py, and the paper's numbers by metric (empty where it has none)."""

    label: str
    flags: Mapping[str, Any]
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: the task's folder and script, what is shown of each result, and its rows by name.

    `metrics` are (key in result.json, column title, decimals, factor); `hours` is what one run of a row takes on two CPU cores.
    """

    title: str
    task: str
    metrics: Sequence[tuple[str, str, int, float]]
    rows: Mapping[str, Row]
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: str = ""  # folder below the data folder
    hours: float = 0.1
    script: str = "RL_train.py"


_ACCURACY = (
    ("dev_accuracy_sampled", "dev, sampled", 2, 100.0),
    ("test_accuracy_sampled", "test, sampled", 2, 100.0),
    ("test_accuracy_greedy", "test, greedy", 2, 100.0),
)
_PERPLEXITY = (
    ("valid_perplexity", "valid, sampled", 1, 1.0),
    ("test_perplexity", "test, sampled", 1, 1.0),
    ("test_perplexity_greedy", "test, greedy", 1, 1.0),
)


def _numbers(dev: float, test: float) -> dict[str, float]:
    return {"dev_accuracy_sampled": dev, "test_accuracy_sampled": test}


def _perplexity(valid: float, test: float) -> dict[str, float]:
    return {"valid_perplexity": valid, "test_perplexity": test}


def _language_rows(paper: bool) -> dict[str, Row]:
    """The rows of the language-modelling table; the paper's numbers belong to the full scale alone."""
    rows = {
        "lstm": Row("LSTM", {"cell": "lstm"}, _perplexity(86.2, 82.7)),
        "random_skip": Row("random skips, K = 5 (control)", {"cell": "random_skip"}),
        "fixed_skip_3": Row("fixed skip 3", {"cell": "fixed_skip", "skip": 3}, _perplexity(85.3, 81.5)),
        "fixed_skip_5": Row("fixed skip 5", {"cell": "fixed_skip", "skip": 5}, _perplexity(86.2, 82.0)),
        "attention": Row("attention over the K states", {"cell": "attention"}, _perplexity(85.1, 81.4)),
        "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, _perplexity(82.5, 78.5)),
    }
    return rows if paper else {name: dataclasses.replace(row, paper={}) for name, row in rows.items()}


TABLES = {
    "numbers11": Table(
        "Number prediction, T = 11: accuracy (%)",
        "NumberPrediction",
        _ACCURACY,
        {
            "lstm": Row("LSTM", {"cell": "lstm"}, _numbers(69.6, 70.4)),
            "attention": Row("attention over the K states", {"cell": "attention"}, _numbers(71.3, 72.5)),
            "dynamic_skip_lamda1": Row("dynamic skips, lamda 1", {"lamda": 1.0, "max_epochs": 5}, _numbers(79.6, 80.5)),
            "dynamic_skip_lamda0.5": Row("dynamic skips, lamda 0.5", {"lamda": 0.5}, _numbers(90.4, 90.5)),
        },
        {"length": 10, "max_epochs": 10},
    ),
    "numbers21": Table(
        "Number prediction, T = 21: accuracy (%)",
        "NumberPrediction",
        _ACCURACY,
        {
            "lstm": Row("LSTM", {"cell": "lstm"}, _numbers(26.2, 26.4)),
            "attention": Row("attention over the K states", {"cell": "attention"}, _numbers(26.7, 26.9)),
            "dynamic_skip_lamda1": Row("dynamic skips, lamda 1", {"lamda": 1.0}, _numbers(77.6, 77.7)),
            "dynamic_skip_lamda0.5": Row("dynamic skips, lamda 0.5", {"lamda": 0.5}, _numbers(87.7, 88.5)),
        },
        {"preset": "paper21"},
        hours=0.5,
    ),
    "recall": Table(
        "Recall of the first input's first component (Mongia): mean squared error; 1/12 = 0.0833 without looking",
        "NumberPrediction",
        (("dev_mse_sampled", "dev", 5, 1.0), ("test_mse_sampled", "test", 5, 1.0)),
        {
            "A": Row("A: one matrix, no skip", {"preset": "A"}),
            "B": Row("B: two matrices, no skip", {"preset": "B"}),
            "C": Row("C: one matrix, skip 2", {"preset": "C"}),
            "D": Row("D: two matrices, skip 2", {"preset": "D"}),
            "special": Row("four matrices, skip 4, length 500", {"preset": "special"}, {"test_mse_sampled": 0.00366}),
        },
        script="train_recall.py",
        hours=0.5,
    ),
    "lm_small": Table(
        "Language modelling, PTB, small scale (2 x 200, 20 steps, 13 epochs): perplexity",
        "LanguageModeling",
        _PERPLEXITY,
        _language_rows(paper=False),
        {"preset": "small"},
        data="ptb",
        hours=0.8,
    ),
    "lm": Table(
        "Language modelling, PTB, 2 x 650: perplexity",
        "LanguageModeling",
        _PERPLEXITY,
        _language_rows(paper=True),
        {"preset": "paper"},
        data="ptb",
        hours=16.0,
    ),
}
