"""The tables: which runs make each row, and what the paper reports beside it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import InputError


@dataclasses.dataclass(frozen=True)
class Row:
    """A row: flags of the task's RL_train.py, and the numbers to compare with by metric (empty where there are none).

    The numbers are the paper's own, or those of `source`. `of` names the row ("table/row") whose runs these are, where another table has
    the same ones. A row that is `quoted` is shown for comparison and cannot be run.
    """

    label: str
    flags: Mapping[str, Any]
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    source: str = ""
    of: str = ""
    quoted: bool = False


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
    vectors: str = ""  # file of word vectors below the data folder
    hours: float = 0.1
    script: str = "RL_train.py"
    presets: str = "presets"  # the script's module of settings
    seeds: int = 3
    note: str = ""


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
_F1 = (
    ("dev_f1_sampled", "dev, sampled", 2, 1.0),
    ("test_f1_sampled", "test, sampled", 2, 1.0),
    ("test_f1_greedy", "test, greedy", 2, 1.0),
)

_LSTM, _ATTENTION = "LSTM", "attention over the K states"
_RANDOM, _FIXED_3, _FIXED_5 = "random skips, K = 5 (control)", "fixed skip 3", "fixed skip 5"


def _numbers(dev: float, test: float) -> dict[str, float]:
    return {"dev_accuracy_sampled": dev, "test_accuracy_sampled": test}


def _perplexity(valid: float, test: float) -> dict[str, float]:
    return {"valid_perplexity": valid, "test_perplexity": test}


def _without_paper(rows: Mapping[str, Row]) -> dict[str, Row]:
    """The rows at a reduced scale: the paper's numbers belong to the full one alone, and so do those that it quotes."""
    return {name: dataclasses.replace(row, paper={}) for name, row in rows.items() if not row.quoted}


def _released(**flags: Any) -> dict[str, Row]:
    """The released program, on data whose labels follow the paper's rule and on its own, whose labels are noise."""
    released = {"preset": "released", **flags}
    return {
        "released_corrected": Row("the released program, its data mended", {**released, "label_rule": "paper"}),
        "released": Row("the released program as it is (its labels are noise)", {**released, "label_rule": "released"}),
    }


_LM_ROWS = {
    "lstm": Row(_LSTM, {"cell": "lstm"}, _perplexity(86.2, 82.7)),
    "random_skip": Row(_RANDOM, {"cell": "random_skip"}),
    "fixed_skip_3": Row(_FIXED_3, {"cell": "fixed_skip", "skip": 3}, _perplexity(85.3, 81.5)),
    "fixed_skip_5": Row(_FIXED_5, {"cell": "fixed_skip", "skip": 5}, _perplexity(86.2, 82.0)),
    "attention": Row(_ATTENTION, {"cell": "attention"}, _perplexity(85.1, 81.4)),
    "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, _perplexity(82.5, 78.5)),
}

_CHARLM_ROWS = {
    "lstm": Row("CharLM (LSTM)", {"cell": "lstm"}, _perplexity(82.0, 78.9)),
    "fixed_skip_3": Row(_FIXED_3, {"cell": "fixed_skip", "skip": 3}, _perplexity(83.6, 80.2)),
    "fixed_skip_5": Row(_FIXED_5, {"cell": "fixed_skip", "skip": 5}, _perplexity(84.9, 80.9)),
    "attention": Row(_ATTENTION, {"cell": "attention"}, _perplexity(82.2, 79.0)),
    "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, _perplexity(79.9, 76.5)),
}

_NER_ROWS = {
    "lstm": Row("BiLSTM-CNN-CRF", {"cell": "lstm"}, {"test_f1_sampled": 91.21}, "Ma & Hovy 2016"),
    "fixed_skip_3": Row(_FIXED_3, {"cell": "fixed_skip", "skip": 3}, {"test_f1_sampled": 91.14}),
    "fixed_skip_5": Row(_FIXED_5, {"cell": "fixed_skip", "skip": 5}, {"test_f1_sampled": 91.16}),
    "attention": Row(_ATTENTION, {"cell": "attention"}, {"test_f1_sampled": 91.23}),
    "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, {"test_f1_sampled": 91.56}),
    "straight_through": Row("the same, straight-through", {"estimator": "straight_through"}),
}

_IMDB_ROWS = {
    "lstm": Row(_LSTM, {"cell": "lstm"}, {"test_accuracy_sampled": 89.1}),
    "skip_lstm": Row("Skip LSTM", {"cell": "skip_lstm"}, {"test_accuracy_sampled": 86.6}, "Campos et al. 2017"),
    "jump_lstm": Row("Jump LSTM", {}, {"test_accuracy_sampled": 89.4}, "Yu et al. 2017", quoted=True),
    "fixed_skip_3": Row(_FIXED_3, {"cell": "fixed_skip", "skip": 3}, {"test_accuracy_sampled": 89.6}),
    "fixed_skip_5": Row(_FIXED_5, {"cell": "fixed_skip", "skip": 5}, {"test_accuracy_sampled": 89.3}),
    "attention": Row(_ATTENTION, {"cell": "attention"}, {"test_accuracy_sampled": 89.4}),
    "dynamic_skip": Row("dynamic skips, K = 3, lamda 0.5", {}, {"test_accuracy_sampled": 90.1}),
    "lstm_last": Row("LSTM, its last output instead of the mean", {"cell": "lstm", "pooling": "last"}),
}


def _sst_rows() -> dict[str, Row]:
    rows = {"lstm": Row(_LSTM, {"cell": "lstm"}), "dynamic_skip": Row("dynamic skips, K = 3, lamda 0.5", {})}
    kinds = {"A": (1, None), "B": (2, None), "C": (1, 2), "D": (2, 2)}
    for base, unit in (("rnn", "RNN"), ("lstm", "LSTM")):
        for kind, (n_matrices, skip) in kinds.items():
            flags = {"cell": "skip_rnn", "base": base, "n_matrices": n_matrices} | ({"skip": skip} if skip else {})
            matrices = "one matrix" if n_matrices == 1 else "two matrices"
            rows[f"{kind}_{base}"] = Row(f"{kind}, {unit}: {matrices}, {f'skip {skip}' if skip else 'no skip'}", flags)
    return rows


def _sweep(source: str = "") -> dict[str, Row]:
    """The rows of figure 5: K at lamda 1, and lamda at K = 5. What is a row of the table `source` too has its runs from there."""
    rows = {"K1": Row("K = 1 (the LSTM)", {"cell": "lstm"}, of=source and f"{source}/lstm")}
    for k in (2, 3, 5, 7, 10):
        rows[f"K{k}"] = Row(f"K = {k}, lamda 1", {"n_actions": k}, of=f"{source}/dynamic_skip" if source and k == 5 else "")
    for lamda in (0.25, 0.5, 0.75):
        rows[f"lamda{lamda}"] = Row(f"K = 5, lamda {lamda}", {"lamda": lamda})
    return rows


# What number prediction makes of every other --cell. The steps of the flags not given are the cells' defaults.
_CELL_ROWS = {
    "dynamic_skip": Row("dynamic_skip, lamda 0.5", {"lamda": 0.5}, of="numbers11/dynamic_skip_lamda0.5"),
    "dynamic_skip_lamda1": Row("dynamic_skip, lamda 1", {"lamda": 1.0}, of="numbers11/dynamic_skip_lamda1"),
    "straight_through": Row("dynamic_skip, lamda 1, straight-through", {"lamda": 1.0, "estimator": "straight_through"}),
    "attention": Row("attention, lamda 1", {"cell": "attention"}, of="numbers11/attention"),
    "random_skip": Row("random_skip, lamda 1", {"cell": "random_skip"}),
    "fixed_skip": Row("fixed_skip, distance 3, lamda 1", {"cell": "fixed_skip"}),
    "lstm": Row("lstm", {"cell": "lstm"}, of="numbers11/lstm"),
    "gru": Row("gru", {"cell": "gru"}),
    "skip_lstm": Row("skip_lstm", {"cell": "skip_lstm"}),
    "skip_gru": Row("skip_gru", {"cell": "skip_gru"}),
    "time_delay": Row("time_delay, delay 5", {"cell": "time_delay"}),
    "leaky": Row("leaky", {"cell": "leaky"}),
    "clockwork": Row("clockwork, periods 1 2 4 8", {"cell": "clockwork"}),
    "skip_rnn": Row("skip_rnn, two matrices, skip 2", {"cell": "skip_rnn", "n_matrices": 2, "skip": 2}),
    "peephole_lstm": Row("peephole_lstm, vanilla", {"cell": "peephole_lstm"}),
    "highway_lstm": Row("highway_lstm, two layers", {"cell": "highway_lstm"}),
    "grid_lstm": Row("grid_lstm, two levels", {"cell": "grid_lstm"}),
}

_NUMBERS11 = {"length": 10, "max_epochs": 10}
_GLOVE = "embeddings/glove.6B.100d.partial_conll.txt"
_GLOVE_NOTE = "Word vectors: 10,877 of GloVe's, for 81 % of the tokens; the others random."
_WORD2VEC = "embeddings/googlenews_w2v_300d_8000w.npz"
_WORD2VEC_NOTE = "Word vectors: the 8,000 of word2vec that were at hand, the others random."

TABLES = {
    "numbers11": Table(
        "Number prediction, T = 11: accuracy (%)",
        "NumberPrediction",
        _ACCURACY,
        {
            "lstm": Row(_LSTM, {"cell": "lstm"}, _numbers(69.6, 70.4)),
            "attention": Row(_ATTENTION, {"cell": "attention"}, _numbers(71.3, 72.5)),
            "dynamic_skip_lamda1": Row("dynamic skips, lamda 1", {"lamda": 1.0}, _numbers(79.6, 80.5)),
            "dynamic_skip_lamda0.5": Row("dynamic skips, lamda 0.5", {"lamda": 0.5}, _numbers(90.4, 90.5)),
            **_released(),
        },
        _NUMBERS11,
        note="The same ten epochs for every row.",
    ),
    "numbers21": Table(
        "Number prediction, T = 21: accuracy (%)",
        "NumberPrediction",
        _ACCURACY,
        {
            "lstm": Row(_LSTM, {"cell": "lstm"}, _numbers(26.2, 26.4)),
            "attention": Row(_ATTENTION, {"cell": "attention"}, _numbers(26.7, 26.9)),
            # At lamda 1 and equal odds no step follows the one before it, and nothing is learned: the agent begins near a plain LSTM.
            "dynamic_skip_lamda1": Row(
                "dynamic skips, lamda 1",
                {"lamda": 1.0, "previous_bias": 3.0, "entropy_weight": 0.003},
                _numbers(77.6, 77.7),
            ),
            "dynamic_skip_lamda0.5": Row("dynamic skips, lamda 0.5", {"lamda": 0.5}, _numbers(87.7, 88.5)),
            **_released(length=20, max_epochs=40),
        },
        {"preset": "paper21"},
        hours=0.5,
        note="The same 40 epochs, at three times the rate of T = 11, for every row (NumberPrediction/README.md says why).",
    ),
    "cells": Table(
        "Every cell on number prediction, T = 11: accuracy (%)",
        "NumberPrediction",
        _ACCURACY,
        _CELL_ROWS,
        _NUMBERS11,
        hours=0.2,
        seeds=2,
        note="The same ten epochs, units and learning rate for every row.",
    ),
    "cells21": Table(
        "Learned connections against others on number prediction, T = 21: accuracy (%)",
        "NumberPrediction",
        _ACCURACY,
        {
            "dynamic_skip": Row("dynamic_skip", {}, of="numbers21/dynamic_skip_lamda0.5"),
            "straight_through": Row("dynamic_skip, straight-through", {"estimator": "straight_through"}),
            "random_skip": Row("random_skip", {"cell": "random_skip"}),
            "fixed_skip": Row("fixed_skip, distance 3", {"cell": "fixed_skip"}),
            "attention": Row("attention", {"cell": "attention"}, of="numbers21/attention"),
            "skip_lstm": Row("skip_lstm", {"cell": "skip_lstm"}),
            "lstm": Row("lstm", {"cell": "lstm"}, of="numbers21/lstm"),
        },
        {"preset": "paper21"},
        hours=0.5,
        seeds=1,
        note="The same 40 epochs, units and learning rate for every row; lamda 0.5 where a cell has one.",
    ),
    "recall": Table(
        "Recall of the first input's first component (Mongia): mean squared error",
        "NumberPrediction",
        (("dev_mse_sampled", "dev", 5, 1.0), ("test_mse_sampled", "test", 5, 1.0), ("test_mse_trivial", "test, always 1/2", 5, 1.0)),
        {
            "A": Row("A: one matrix, no skip", {"preset": "A"}),
            "B": Row("B: two matrices, no skip", {"preset": "B"}),
            "C": Row("C: one matrix, skip 2", {"preset": "C"}),
            "D": Row("D: two matrices, skip 2", {"preset": "D"}),
            "special": Row("four matrices, skip 4, length 500", {"preset": "special"}, {"test_mse_sampled": 0.00366}, "Mongia"),
        },
        script="train_recall.py",
        presets="recall_presets",
        hours=0.1,
    ),
    "lm_small": Table(
        "Language modelling, PTB, small scale (2 x 200, 20 steps, 13 epochs): perplexity",
        "LanguageModeling",
        _PERPLEXITY,
        {
            **_without_paper(_LM_ROWS),
            "dynamic_skip_settled": Row("the same, its agent driven to certainty", {"rl_weight": 0.3, "entropy_weight": 0.02}),
            "lstm_bfloat16": Row("LSTM, products in bfloat16", {"cell": "lstm", "mixed_precision": True}),
            "dynamic_skip_bfloat16": Row("dynamic skips, products in bfloat16", {"mixed_precision": True}),
        },
        {"preset": "small"},
        data="ptb",
        hours=0.8,
    ),
    "lm": Table(
        "Language modelling, PTB, 2 x 650: perplexity",
        "LanguageModeling",
        _PERPLEXITY,
        _LM_ROWS,
        {"preset": "paper"},
        data="ptb",
        hours=14.0,
    ),
    "lm_first_epoch": Table(
        "Language modelling, PTB, 2 x 650, what the first epoch alone reaches: perplexity",
        "LanguageModeling",
        _PERPLEXITY,
        {name: row for name, row in _without_paper(_LM_ROWS).items() if name in ("lstm", "dynamic_skip")},
        {"preset": "paper", "max_epochs": 1},
        data="ptb",
        hours=0.2,
        seeds=1,
    ),
    "lm_sweep_generated": Table(
        "Perplexity against K and lamda (figure 5), generated corpus (2 x 48, 20 steps, 4 epochs)",
        "LanguageModeling",
        _PERPLEXITY,
        _sweep(),
        {"preset": "small", "rnn_size": 48, "agent_units": 20, "max_epochs": 4},
        hours=0.02,
    ),
    "lm_sweep_small": Table(
        "Perplexity against K and lamda (figure 5), PTB, small scale",
        "LanguageModeling",
        _PERPLEXITY,
        _sweep("lm_small"),
        {"preset": "small"},
        data="ptb",
        hours=0.8,
        seeds=1,
    ),
    "lm_sweep": Table(
        "Perplexity against K and lamda (figure 5), PTB, 2 x 650",
        "LanguageModeling",
        _PERPLEXITY,
        _sweep("lm"),
        {"preset": "paper"},
        data="ptb",
        hours=14.0,
        seeds=1,
    ),
    "charlm_small": Table(
        "Language modelling from characters, PTB, small scale: perplexity",
        "LanguageModeling",
        _PERPLEXITY,
        _without_paper(_CHARLM_ROWS),
        {"preset": "char_small"},
        data="ptb",
        hours=1.0,
        seeds=1,
    ),
    "charlm": Table(
        "Language modelling from characters, PTB, 2 x 650: perplexity",
        "LanguageModeling",
        _PERPLEXITY,
        _CHARLM_ROWS,
        {"preset": "char"},
        data="ptb",
        hours=5.0,
    ),
    "ner_small": Table(
        "Named-entity recognition, CoNLL-2003, small scale (3,000 training sentences, 10 epochs): F1 (%)",
        "NER",
        _F1,
        _without_paper(_NER_ROWS),
        {"preset": "paper", "max_train_examples": 3000, "max_epochs": 10},
        data="conll2003",
        vectors=_GLOVE,
        hours=0.3,
        note=_GLOVE_NOTE,
    ),
    "ner": Table(
        "Named-entity recognition, CoNLL-2003: F1 (%)",
        "NER",
        _F1,
        _NER_ROWS,
        {"preset": "paper"},
        data="conll2003",
        vectors=_GLOVE,
        hours=0.8,
        note=_GLOVE_NOTE,
    ),
    "imdb_small": Table(
        "Sentiment, IMDB, small scale (5,000 training reviews, 200 tokens, 5 epochs): accuracy (%)",
        "Sentiment",
        _ACCURACY,
        _without_paper(_IMDB_ROWS),
        {"preset": "paper", "dataset": "imdb", "max_train_examples": 5000, "max_tokens": 200, "max_epochs": 5},
        data="imdb",
        vectors=_WORD2VEC,
        hours=0.5,
        note=_WORD2VEC_NOTE,
    ),
    "imdb": Table(
        "Sentiment, IMDB: accuracy (%)",
        "Sentiment",
        _ACCURACY,
        _IMDB_ROWS,
        {"preset": "paper", "dataset": "imdb"},
        data="imdb",
        vectors=_WORD2VEC,
        hours=0.4,
        note=_WORD2VEC_NOTE,
    ),
    "sst5": Table(
        "Sentiment, SST, five classes: accuracy (%)",
        "Sentiment",
        _ACCURACY,
        _sst_rows(),
        {"preset": "sst"},
        data="sst",
        vectors=_WORD2VEC,
        hours=0.02,
        note=_WORD2VEC_NOTE,
    ),
}


# The first table of README and report: a metric of these tables, of the LSTM, of attention, and of the row with dynamic skips.
SUMMARY = {
    "numbers11": ("test_accuracy_sampled", "dynamic_skip_lamda0.5"),
    "numbers21": ("test_accuracy_sampled", "dynamic_skip_lamda0.5"),
    "ner": ("test_f1_sampled", "dynamic_skip"),
    "imdb": ("test_accuracy_sampled", "dynamic_skip"),
    "lm_small": ("test_perplexity", "dynamic_skip"),
    "lm": ("test_perplexity", "dynamic_skip"),
}


def at_scale(name: str, scale: str) -> str:
    """The name of the table at a scale, "full" or "small". Raises `InputError` for a table that has no small one."""
    if scale == "full" or name.endswith("_small"):
        return name
    if f"{name}_small" in TABLES:
        return f"{name}_small"
    small = ", ".join(key.removesuffix("_small") for key in TABLES if key.endswith("_small"))
    raise InputError(f"--scale small expects a table that has a small scale ({small}), got {name}: leave --scale out")


def source(name: str, row: str) -> tuple[str, str]:
    """The table and the row whose runs are those of a row: its own, or those of `Row.of`."""
    return tuple(TABLES[name].rows[row].of.split("/")) if TABLES[name].rows[row].of else (name, row)
