"""The README's tables and the report are what the results say; a table's runs are what its rows say."""

import importlib
import json
import re

import pytest

from common import run as flags
from common.errors import InputError
from experiments import charts, html_report, read_results, report, tables
from experiments import run as experiments
from experiments.tables import TABLES

ROWS = [(key, name) for key, table in TABLES.items() for name, row in table.rows.items() if not row.quoted]


@pytest.fixture
def three_seeds(tmp_path, monkeypatch):
    """Results of numbers11's lstm row: accuracies .90, .92, .97."""
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    (tmp_path / "numbers11").mkdir()
    for seed, accuracy in enumerate((0.90, 0.92, 0.97)):
        result = {"dev_accuracy_sampled": accuracy, "test_accuracy_sampled": accuracy, "test_accuracy_greedy": 1.0}
        result |= {"n_weights": 1234, "wall_seconds": 90.0, "versions": {"tensorflow": "2.21.0"}, "commit": "0123456789abcdef"}
        result |= {"hardware": {"cores": 2, "processor": "a processor"}}
        result["records"] = [{"epoch": i, "dev_accuracy_sampled": accuracy * i / 2, "train_task_loss": 1.0 / i} for i in (1, 2)]
        path = tmp_path / "numbers11" / f"lstm-seed{seed}.json"
        path.write_text(json.dumps(result))
    return tmp_path


def test_the_readme_is_what_the_results_say():
    text = report.README.read_text(encoding="utf-8")
    assert report.rendered(text) == text, "run python experiments/report.py and commit README.md"


def test_the_report_is_what_the_results_say():
    committed = report.REPORT.read_bytes()
    assert html_report.render().encode() == committed, "run python experiments/report.py and commit experiments/report.html"


def test_the_report_asks_nothing_of_the_network():
    page = html_report.render()
    outside = re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"|url\((?!#)([^)]*)\)|@import|<script|<link', page)
    assert not outside
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_every_table_has_its_place_in_the_readme():
    text = report.README.read_text(encoding="utf-8")
    for key in TABLES:
        assert f"<!-- results:{key} -->" in text and f"<!-- /results:{key} -->" in text


def test_summary(three_seeds):
    assert "T = 11: accuracy (%) | 93.00 ± 3.61 (70.4) | not run here (72.5) | not run here (90.5) |" in report.summary()
    row = '<td>93.00 ± 3.61<small>paper 70.4</small></td><td class="none">not run here<small>paper 72.5</small></td>'
    assert f"<tr><td>Number prediction, T = 11: accuracy (%)</td>{row}" in html_report.render()


def test_mean_and_deviation_over_seeds(three_seeds):
    table = TABLES["numbers11"]
    cells = report.row_cells(table, "lstm", table.rows["lstm"], "numbers11")
    assert cells == ["LSTM", "93.00 ± 3.61 (69.6)", "93.00 ± 3.61 (70.4)", "100.00 ± 0.00", "3", "1,234", "1.5"]
    assert "not run here" in report.row_cells(table, "attention", table.rows["attention"], "numbers11")[1]
    assert read_results.spread([1.0, None], 2) == "not finite"
    assert report.row_cells(TABLES["cells"], "lstm", TABLES["cells"].rows["lstm"], "cells")[1] == "93.00 ± 3.61"  # the same runs


def test_what_was_not_run_stands_there_with_its_command_and_hours(three_seeds):
    text = report.markdown("numbers11")
    others = ",".join(name for name in TABLES["numbers11"].rows if name != "lstm")
    assert f"Not run here: `python experiments/run.py numbers11 --rows {others}`, about 0.1 hours a run" in text
    nothing = report.markdown("lm")
    assert "Not run here: `python experiments/run.py lm`, about 14 hours a run" in nothing
    assert nothing.startswith("<details><summary>Language modelling") and nothing.endswith("</details>") and "<details>" not in text
    page = html_report.render()
    assert "python LanguageModeling/RL_train.py --preset=paper --cell=lstm --seed=0" in page
    assert "| Jump LSTM (Yu et al. 2017) | not" not in report.markdown("imdb") and "quoted (89.4)" in report.markdown("imdb")


def test_a_result_of_other_flags_says_so_and_is_not_done(three_seeds):
    path = three_seeds / "numbers11" / "lstm-seed2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"flags": {"cell": "lstm", "length": 10, "max_epochs": 5}}))
    table = TABLES["numbers11"]
    assert report.row_cells(table, "lstm", table.rows["lstm"], "numbers11")[0] == "LSTM (max_epochs 5)"
    config = experiments.RunTableConfig(table="numbers11", rows=["lstm"])
    assert experiments.missing(config) == [("lstm", 2)]


def test_a_broken_result_is_named(three_seeds):
    path = three_seeds / "numbers11" / "lstm-seed1.json"
    path.write_text(path.read_text()[:100])
    for reads in (lambda: report.markdown("numbers11"), lambda: experiments.missing(experiments.RunTableConfig(table="numbers11"))):
        with pytest.raises(InputError, match="lstm-seed1.json: expected the result of a run as JSON"):
            reads()


@pytest.mark.parametrize("key", TABLES)
def test_the_commands_of_a_table_are_accepted(key, tmp_path):
    """Every row's flags are read by the task's own config."""
    for name in (name for table, name in ROWS if table == key):
        assert parsed(key, name).seed == 1


@pytest.mark.parametrize(("key", "name"), [(key, name) for key, name in ROWS if TABLES[key].rows[name].of])
def test_a_row_with_another_rows_runs_asks_for_the_same(key, name):
    assert parsed(key, name) == parsed(*tables.source(key, name))


def parsed(key, name):
    """The config that a row's command gives."""
    table = TABLES[key]
    presets = importlib.import_module(f"{table.task}.{'presets' if table.script == 'RL_train.py' else 'recall_presets'}")
    config_class = next(c for c in vars(presets).values() if isinstance(c, type) and getattr(c, "task", "task") != "task")
    command = experiments.command(table, table.rows[name], 1, "a_folder", "data")
    return flags.parse(config_class, presets.PRESETS, command[1:])


def test_the_scale_names_the_table():
    assert tables.at_scale("lm", "small") == tables.at_scale("lm_small", "small") == tables.at_scale("lm_small", "full") == "lm_small"
    assert tables.at_scale("numbers11", "full") == "numbers11"
    with pytest.raises(InputError, match="--scale small expects a table that has a small scale .lm"):
        tables.at_scale("recall", "small")


def test_a_chart_puts_values_where_they_belong():
    svg = charts.line_chart({"a & b": [[(1, 0.0), (2, 10.0), (3, float("nan"))]], "c": [[(3, 5.0)]]}, "epoch", "y")
    left, bottom, right, top = charts._LEFT, charts.HEIGHT - charts._BOTTOM, charts.WIDTH - charts._RIGHT, charts._TOP
    assert f"M{left:.1f} {bottom:.1f}L{(left + right) / 2:.1f} {top:.1f}" in svg  # epoch 2 of 1 to 3 lies in the middle, 10 at the top
    assert f'cx="{right:.1f}" cy="{(top + bottom) / 2:.1f}"' in svg
    assert "<title>a &amp; b</title>" in svg and charts.line_chart({"a": []}, "x", "y") == ""
    ticks, low, high = charts._log_axis([80.0, 700.0])
    assert (low, high) == (70.0, 700.0) and ticks[:3] == [70.0, 100.0, 150.0]
