"""The README's tables are what the results say; a table's runs are what its rows say."""

import json

import pytest

from common import run as flags
from common.errors import InputError
from experiments import report
from experiments import run as experiments
from experiments.tables import TABLES


def test_the_readme_is_what_the_results_say():
    text = report.README.read_text(encoding="utf-8")
    assert report.rendered(text) == text, "run python experiments/report.py and commit README.md"


def test_every_table_has_its_place_in_the_readme():
    text = report.README.read_text(encoding="utf-8")
    for key in TABLES:
        assert f"<!-- results:{key} -->" in text and f"<!-- /results:{key} -->" in text


def test_mean_and_deviation_over_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    (tmp_path / "numbers11").mkdir()
    for seed, accuracy in enumerate((0.90, 0.92, 0.97)):
        result = {"dev_accuracy_sampled": accuracy, "test_accuracy_sampled": accuracy, "test_accuracy_greedy": 1.0}
        result |= {"n_weights": 1234, "wall_seconds": 90.0}
        (tmp_path / "numbers11" / f"lstm-seed{seed}.json").write_text(json.dumps(result))
    table = TABLES["numbers11"]
    cells = report.row_cells(table, "lstm", table.rows["lstm"], "numbers11")
    assert cells == ["LSTM", "93.00 ± 3.61 (69.6)", "93.00 ± 3.61 (70.4)", "100.00 ± 0.00", "3", "1,234", "1.5"]
    assert "not run here" in report.row_cells(table, "attention", table.rows["attention"], "numbers11")[1]


@pytest.mark.parametrize("key", TABLES)
def test_the_commands_of_a_table_are_accepted(key, tmp_path):
    """Every row's flags are read by the task's own config."""
    import importlib

    table = TABLES[key]
    presets = importlib.import_module(f"{table.task}.{'presets' if table.script == 'RL_train.py' else 'recall_presets'}")
    config_class = next(c for c in vars(presets).values() if isinstance(c, type) and getattr(c, "task", "task") != "task")
    for row in table.rows.values():
        command = experiments.command(table, row, 1, tmp_path, "data")
        assert flags.parse(config_class, presets.PRESETS, command[1:]).seed == 1


def test_what_is_done_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "RESULTS", tmp_path)
    config = experiments.RunTableConfig(table="numbers11", rows=["lstm"], seeds=3)
    (tmp_path / "numbers11").mkdir()
    (tmp_path / "numbers11" / "lstm-seed1.json").write_text("{}")
    assert experiments.missing(config) == [("lstm", 0), ("lstm", 2)]
    shards = [experiments.missing(experiments.RunTableConfig(table="numbers11", shard=f"{i}/2")) for i in (0, 1)]
    assert sorted(shards[0] + shards[1]) == sorted(experiments.missing(experiments.RunTableConfig(table="numbers11")))
    with pytest.raises(InputError, match="--rows expects some of"):
        experiments.missing(experiments.RunTableConfig(table="numbers11", rows=["nonsense"]))
