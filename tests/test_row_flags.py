"""experiments/row_flags.py: which results are what their rows ask for now."""

import dataclasses

import pytest

from common.config.run_config import RETIRED
from experiments import row_flags
from experiments.tables import TABLES, Row

CELLS21 = TABLES["cells21"]


def made(row, **changed):
    """A result that was made with the row's flags, but for those changed."""
    flags = dataclasses.asdict(row_flags.config(CELLS21, row)) | changed
    return row_flags.differing(CELLS21, row, {"flags": flags})


@pytest.mark.parametrize(
    "cell, given, stored, differing",
    [
        ("fixed_skip", {}, {"skip": None}, {}),
        ("fixed_skip", {"skip": 3}, {"skip": None}, {}),  # the default, asked for
        ("fixed_skip", {"skip": 2}, {"skip": None}, {"skip": 3}),
        ("fixed_skip", {}, {"skip": 2}, {"skip": 2}),
        ("skip_rnn", {"n_matrices": 1}, {"n_matrices": None, "base": None}, {}),
        ("skip_rnn", {"skip": 2}, {"skip": None}, {"skip": None}),
        ("clockwork", {}, {"periods": None}, {}),
        ("clockwork", {"periods": "1,2"}, {"periods": None}, {"periods": [1, 2, 4, 8]}),
        (
            "lstm",
            {},
            {"skip": 2, "lamda": 0.1, "agent_units": 7},
            {},
        ),  # nothing that the cell reads
        ("dynamic_skip", {}, {"previous_bias": None, "lamda": 0.1}, {"lamda": 0.1}),
        ("dynamic_skip", {"estimator": "straight_through"}, {"rl_weight": 9.0}, {}),
    ],
)
def test_null_stands_for_the_default_of_the_cell(cell, given, stored, differing):
    assert made(Row("a row", {"cell": cell, **given}), **stored) == differing


def test_a_retired_flag_that_changed_nothing(monkeypatch):
    monkeypatch.setitem(RETIRED, "gone", None)
    row = Row("a row", {"cell": "lstm"})
    assert made(row, gone=None) == {}
    assert made(row, gone=3) == {"gone": 3}
