"""Number prediction: the paper's two tables, every cell, and recall (Mongia)."""

from typing import Any

from experiments.tables.table import ACCURACY, ATTENTION, LITERAL, LSTM, MIXTURE, Row, Table


def _numbers(dev: float, test: float) -> dict[str, float]:
    return {"dev_accuracy_sampled": dev, "test_accuracy_sampled": test}


def _released(**flags: Any) -> dict[str, Row]:
    """The released program: on labels by the paper's rule, and on its own, which are noise."""
    released = {"preset": "released", **flags}
    return {
        "released_corrected": Row(
            "the released program, corrected labels", {**released, "label_rule": "paper"}
        ),
        "released": Row(
            "the released program as it is (its labels are noise)",
            {**released, "label_rule": "released"},
            other_data=True,
        ),
    }


# What number prediction makes of every other --cell; flags not given are the cells' defaults.
_CELL_ROWS = {
    "dynamic_skip": Row(
        "dynamic_skip, lamda 0.5", {"lamda": 0.5}, of="numbers11/dynamic_skip_lamda0.5"
    ),
    "dynamic_skip_lamda1": Row(
        "dynamic_skip, lamda 1", {"lamda": 1.0}, of="numbers11/dynamic_skip_lamda1"
    ),
    "straight_through": Row(
        "dynamic_skip, lamda 1, straight-through", {"lamda": 1.0, "estimator": "straight_through"}
    ),
    "attention": Row("attention, lamda 1", {"cell": "attention"}, of="numbers11/attention"),
    "random_skip": Row("random_skip, lamda 1", {"cell": "random_skip"}),
    "fixed_skip": Row("fixed_skip, distance 3, lamda 1", {"cell": "fixed_skip"}),
    "lstm": Row("lstm", {"cell": "lstm"}, of="numbers11/lstm"),
    "gru": Row("gru", {"cell": "gru"}),
    "rnn": Row("rnn", {"cell": "rnn"}),
    "deep_rnn": Row("deep_rnn", {"cell": "deep_rnn"}),
    "skip_lstm": Row("skip_lstm", {"cell": "skip_lstm"}),
    "skip_gru": Row("skip_gru", {"cell": "skip_gru"}),
    "time_delay": Row("time_delay, delay 5", {"cell": "time_delay"}),
    "leaky": Row("leaky", {"cell": "leaky"}),
    "clockwork": Row("clockwork, periods 1 2 4 8", {"cell": "clockwork"}),
    "skip_rnn": Row(
        "skip_rnn, two matrices, skip 2", {"cell": "skip_rnn", "n_matrices": 2, "skip": 2}
    ),
    "peephole_lstm": Row("peephole_lstm, vanilla", {"cell": "peephole_lstm"}),
    "highway_lstm": Row("highway_lstm, two layers", {"cell": "highway_lstm"}),
    "grid_lstm": Row("grid_lstm, two levels", {"cell": "grid_lstm"}),
}

_NUMBERS11 = {"length": 10, "max_epochs": 10, **MIXTURE}

NUMBERS = {
    "numbers11": Table(
        "Number prediction, T = 11: accuracy (%)",
        "NumberPrediction",
        ACCURACY,
        {
            "lstm": Row(LSTM, {"cell": "lstm"}, _numbers(69.6, 70.4)),
            "attention": Row(f"{ATTENTION}, lamda 1", {"cell": "attention"}, _numbers(71.3, 72.5)),
            "dynamic_skip_lamda1": Row(
                "dynamic skips, lamda 1", {"lamda": 1.0}, _numbers(79.6, 80.5)
            ),
            "dynamic_skip_lamda0.5": Row(
                "dynamic skips, lamda 0.5", {"lamda": 0.5}, _numbers(90.4, 90.5)
            ),
            "random_skip": Row(
                "random skips, lamda 1 (control)", {"cell": "random_skip"}, of="cells/random_skip"
            ),
            "literal_lamda0.5": Row(
                "dynamic skips, lamda 0.5, the paper's formula to the letter",
                {"lamda": 0.5, **LITERAL},
            ),
            **_released(),
        },
        _NUMBERS11,
        note="The same ten epochs for every row.",
    ),
    "numbers21": Table(
        "Number prediction, T = 21: accuracy (%)",
        "NumberPrediction",
        ACCURACY,
        {
            "lstm": Row(LSTM, {"cell": "lstm"}, _numbers(26.2, 26.4)),
            "attention": Row(
                f"{ATTENTION}, lamda 0.5", {"cell": "attention"}, _numbers(26.7, 26.9)
            ),
            # At lamda 1 and equal odds no step follows the one before it, and nothing is learned:
            # the agent begins near a plain LSTM.
            "dynamic_skip_lamda1": Row(
                "dynamic skips, lamda 1, beginning near an LSTM",
                {"lamda": 1.0, "previous_bias": 3.0, "entropy_weight": 0.003},
                _numbers(77.6, 77.7),
            ),
            "dynamic_skip_lamda0.5": Row(
                "dynamic skips, lamda 0.5", {"lamda": 0.5}, _numbers(87.7, 88.5)
            ),
            "random_skip": Row(
                "random skips, lamda 0.5 (control)",
                {"cell": "random_skip"},
                of="cells21/random_skip",
            ),
            **_released(length=20, max_epochs=40),
        },
        {"preset": "paper21", **MIXTURE},
        hours=0.5,
        note=(
            "The same 40 epochs for every row, at three times the rate of T = 11 but for the "
            "released program's, which keeps its own, .001 "
            "([why](../NumberPrediction/README.md#twenty-digits))."
        ),
    ),
    "cells": Table(
        "Every cell on number prediction, T = 11: accuracy (%)",
        "NumberPrediction",
        ACCURACY,
        _CELL_ROWS,
        _NUMBERS11,
        hours=0.2,
        seeds=2,
        note="The same ten epochs, units and learning rate for every row.",
    ),
    "cells21": Table(
        "Learned connections against others on number prediction, T = 21: accuracy (%)",
        "NumberPrediction",
        ACCURACY,
        {
            "dynamic_skip": Row("dynamic_skip", {}, of="numbers21/dynamic_skip_lamda0.5"),
            "straight_through": Row(
                "dynamic_skip, straight-through", {"estimator": "straight_through"}
            ),
            "random_skip": Row("random_skip", {"cell": "random_skip"}),
            "fixed_skip": Row("fixed_skip, distance 3", {"cell": "fixed_skip"}),
            "attention": Row("attention", {"cell": "attention"}, of="numbers21/attention"),
            "skip_lstm": Row("skip_lstm", {"cell": "skip_lstm"}),
            "lstm": Row("lstm", {"cell": "lstm"}, of="numbers21/lstm"),
        },
        {"preset": "paper21", **MIXTURE},
        hours=0.5,
        seeds=1,
        note=(
            "The same 40 epochs, units and learning rate for every row; "
            "lamda 0.5 where a cell has one."
        ),
    ),
    "estimators21": Table(
        "Estimators of the agent's gradient, number prediction, T = 21, lamda 0.5: accuracy (%)",
        "NumberPrediction",
        ACCURACY,
        {
            "lstm": Row(LSTM, {"cell": "lstm"}, of="numbers21/lstm"),
            "policy_gradient": Row(
                "policy gradient, other inputs as baseline",
                {},
                of="numbers21/dynamic_skip_lamda0.5",
            ),
            "literal": Row("policy gradient, the paper's formula to the letter", LITERAL),
            # as many updates as the rows with samples
            "policy_gradient_25": Row(
                "policy gradient, other inputs as baseline, 25 examples a step", {"batch_size": 25}
            ),
            "samples": Row(
                "policy gradient, 4 samples of each example",
                {"train_samples": 4, "batch_size": 25},
            ),
            "straight_through": Row(
                "straight-through", {"estimator": "straight_through"}, of="cells21/straight_through"
            ),
            "reinmax": Row("ReinMax", {"estimator": "reinmax"}),
        },
        {"preset": "paper21", **MIXTURE},
        hours=0.8,
        note=(
            "Rows with 4 samples train on 25 examples a step in place of 100: a step costs the "
            "same, an epoch four times as much."
        ),
    ),
    "numbers101": Table(
        "Number prediction, T = 101: accuracy (%)",
        "NumberPrediction",
        ACCURACY,
        {
            "lstm": Row(LSTM, {"cell": "lstm"}),
            "attention": Row(
                f"{ATTENTION}, K = 100, lamda 1",
                {"cell": "attention", "n_actions": 100, "lamda": 1.0},
            ),
            "random_skip": Row(
                "random skips, K = 100, lamda 1 (control)",
                {"cell": "random_skip", "n_actions": 100, "lamda": 1.0},
            ),
            "dynamic_skip": Row(
                "dynamic skips, K = 100, lamda 1", {"n_actions": 100, "lamda": 1.0}
            ),
            "straight_through": Row(
                "dynamic skips, K = 100, lamda 1, straight-through",
                {"n_actions": 100, "lamda": 1.0, "estimator": "straight_through"},
            ),
            "reinmax": Row(
                "dynamic skips, K = 100, lamda 1, ReinMax",
                {"n_actions": 100, "lamda": 1.0, "estimator": "reinmax"},
            ),
            "straight_through_10": Row(
                "dynamic skips, K = 10, lamda 0.5, straight-through",
                {"estimator": "straight_through"},
            ),
        },
        {"preset": "paper21", "length": 100, "max_epochs": 3},
        hours=0.3,
        note=(
            "The same three epochs for every row. The digit lies 91 to 100 steps back; with K = 10 "
            "that is ten hops."
        ),
    ),
    "recall": Table(
        "Recall of the first input's first component (Mongia): mean squared error",
        "NumberPrediction",
        (
            ("dev_mse_sampled", "dev", 5, 1.0),
            ("test_mse_sampled", "test", 5, 1.0),
            ("test_mse_trivial", "test, always 1/2", 5, 1.0),
        ),
        {
            "A": Row("A: one matrix, no skip", {"preset": "A"}),
            "B": Row("B: two matrices, no skip", {"preset": "B"}),
            "C": Row("C: one matrix, skip 2", {"preset": "C"}),
            "D": Row("D: two matrices, skip 2", {"preset": "D"}),
            "special": Row(
                "four matrices, skip 4, length 500",
                {"preset": "special"},
                {"test_mse_sampled": 0.00366},
                "Mongia",
                other_data=True,
            ),
        },
        script="train_recall.py",
        presets="recall.presets",
        hours=0.1,
    ),
}
