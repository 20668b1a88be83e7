"""The README's tables and the report are what the results say; a table's runs are what its rows say."""

import functools
import importlib
import json
import re

import pytest
import stand_in_results

from common.config import parse
from common.errors import InputError
from experiments import charts, html_report, read_results, report, row_flags, tables
from experiments import run as experiments
from experiments.tables import TABLES

ROWS = [(key, name) for key, table in TABLES.items() for name, row in table.rows.items() if not row.quoted]


@pytest.fixture
def three_seeds(tmp_path, monkeypatch):
    """Results of numbers11's lstm row: accuracies .90, .92, .97."""
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    for seed, accuracy in enumerate((0.90, 0.92, 0.97)):
        found = {"dev_accuracy_sampled": accuracy, "test_accuracy_sampled": accuracy, "test_accuracy_greedy": 1.0}
        found["records"] = [{"epoch": i, "dev_accuracy_sampled": accuracy * i / 2, "train_task_loss": 1.0 / i} for i in (1, 2)]
        stand_in_results.write(tmp_path, "numbers11", "lstm", seed, **found)
    return tmp_path / "numbers11"


def row_of(key, name):
    """A row of a table in the README, as cells."""
    (line,) = [line for line in report.markdown(key).splitlines() if line.startswith(f"| {TABLES[key].rows[name].label}")]
    return line[2:-2].split(" | ")


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
    assert "T = 11: accuracy (%) | 93.00 ± 3.61, 3 seeds (70.4) | not run here (72.5) | not run here (90.5) |" in report.summary()
    assert "CoNLL-2003: F1 (%) | not run here (91.21, Ma & Hovy 2016) |" in report.summary()
    row = '<td>93.00 ± 3.61, 3 seeds<small>paper: 70.4</small></td><td class="none">not run here<small>paper: 72.5</small></td>'
    page = html_report.render()
    assert f"<tr><td>Number prediction, T = 11: accuracy (%)</td>{row}" in page
    assert "<small>Ma &amp; Hovy 2016: 91.21</small>" in page and "<small>Mongia: 0.00366</small>" in page
    (three_seeds / "lstm-seed0.json").unlink()
    (three_seeds / "lstm-seed2.json").unlink()
    assert "| 92.00, 1 seed (70.4) |" in report.summary()


def test_mean_and_deviation_over_seeds(three_seeds):
    cells = ["LSTM", "93.00 ± 3.61 (69.6)", "93.00 ± 3.61 (70.4)", "100.00 ± 0.00", "3", "1,234", "8.0", "1.5"]
    assert row_of("numbers11", "lstm") == cells
    assert row_of("numbers11", "attention")[1] == "not run here (71.3)"
    assert read_results.spread([1.0, None], 2) == "not finite"
    assert row_of("cells", "lstm")[1] == "93.00 ± 3.61"  # the same runs


def test_times_are_of_the_fastest_run_on_one_kind_of_machine(three_seeds):
    """Seed 2 ran on a faster machine than the others, and attention on that one alone."""
    assert "Times:" not in report.markdown("numbers11")
    fast = {"hardware": {"cores": 8, "processor": "a processor", "gpus": ["a GPU"]}, "commit": "0123456789abcdef-dirty"}
    stand_in_results.change(three_seeds / "lstm-seed1.json", seconds_per_epoch=6.0, wall_seconds=120.0)
    stand_in_results.change(three_seeds / "lstm-seed2.json", seconds_per_epoch=1.0, wall_seconds=30.0, **fast)
    metrics = {name: 0.5 for name, *_ in TABLES["numbers11"].metrics} | {"records": [{"epoch": 1}]}
    stand_in_results.write(three_seeds.parent, "numbers11", "attention", 0, **metrics, **fast)
    stand_in_results.write(three_seeds.parent, "numbers11", "dynamic_skip_lamda1", 0, **metrics)
    assert row_of("numbers11", "lstm")[-2:] == ["6.0", "1.5"]
    assert row_of("numbers11", "attention")[-4:] == ["1", "1,234", "", ""]
    text = report.markdown("numbers11")
    assert "on 1 core, a processor; 8 cores, a processor, a GPU; commit 0123456789, 0123456789-dirty." in text
    assert "Times: on 1 core, a processor, the fastest run." in text and "Times: on 1 core" in html_report.render()


def test_a_result_without_a_metric_of_its_table_is_named(three_seeds):
    text = json.loads((three_seeds / "lstm-seed1.json").read_text())
    del text["test_accuracy_greedy"]
    (three_seeds / "lstm-seed1.json").write_text(json.dumps(text))
    with pytest.raises(InputError, match="lstm-seed1.json: expected test_accuracy_greedy, found none"):
        report.markdown("numbers11")


def test_what_is_missing_stands_there_with_its_command(three_seeds):
    text = report.markdown("numbers11")
    assert "Incomplete" not in text
    (three_seeds / "lstm-seed1.json").unlink()
    assert "Incomplete (seeds asked for: 3): `python experiments/run.py numbers11 --rows lstm`. Not run" in report.markdown("numbers11")
    others = ",".join(name for name in TABLES["numbers11"].rows if name != "lstm")
    assert f"Not run here: `python experiments/run.py numbers11 --rows {others}`, about 0.1 hours a run" in text
    nothing = report.markdown("lm")
    assert "Not run here: `python experiments/run.py lm`, about 14 hours a run" in nothing
    assert nothing.startswith("<details><summary>Language modelling") and nothing.endswith("</details>") and "<details>" not in text
    page = html_report.render()
    assert "python LanguageModeling/RL_train.py --preset=paper --cell=lstm --seed=0" in page
    assert "| Jump LSTM | quoted | quoted (89.4, Yu et al. 2017) | quoted |" in report.markdown("imdb")


def test_a_result_of_other_flags_says_so_and_is_not_done(three_seeds):
    """Flags that the row leaves to preset and defaults count too; not the seed, nor what does not affect the result, nor an agent's."""
    flags = json.loads((three_seeds / "lstm-seed2.json").read_text())["flags"]
    missing = functools.partial(experiments.missing, experiments.RunTableConfig(table="numbers11", rows=["lstm"]))
    stand_in_results.change(three_seeds / "lstm-seed2.json", flags=flags | {"run_dir": "elsewhere", "print_every": 7, "rl_weight": 7})
    assert missing() == []
    for name, other, said in (("max_epochs", 5, "5"), ("batch_size", 7, "7"), ("of_old", None, "none")):
        stand_in_results.change(three_seeds / "lstm-seed2.json", flags=flags | {name: other})
        assert row_of("numbers11", "lstm")[0] == f"LSTM ({name} {said})"
        assert missing() == [("lstm", 2)]
    for newer, is_missing in (("batch_size", []), ("length", []), ("max_epochs", []), ("cell", [("lstm", 2)])):  # its default is another
        stand_in_results.change(three_seeds / "lstm-seed2.json", flags={name: flags[name] for name in flags if name != newer})
        assert missing() == is_missing


def test_of_data_and_vectors_the_names_count(tmp_path, monkeypatch):
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    flags = {"data_dir": "/elsewhere/conll2003", "vectors": "/elsewhere/glove.6B.100d.partial_conll.txt"}
    stand_in_results.write(tmp_path, "ner", "lstm", 0, flags)
    config = {"table": "ner", "rows": ["lstm"], "seeds": 1}
    assert experiments.missing(experiments.RunTableConfig(**config)) == []
    assert experiments.missing(experiments.RunTableConfig(**config, vectors="none")) == [("lstm", 0)]
    metrics = {name: 0.5 for name, *_ in TABLES["ner"].metrics}
    stand_in_results.write(tmp_path, "ner", "lstm", 0, flags | {"vectors": ""}, **metrics)
    assert experiments.missing(experiments.RunTableConfig(**config, vectors="none")) == []
    assert row_of("ner", "lstm")[0] == "BiLSTM-CNN-CRF (vectors none)"


@pytest.mark.parametrize("text", ['{"flags": {"cell"', "[1]", '{"seed": 0}', '{"flags": 1}'])
def test_a_broken_result_is_named(three_seeds, text):
    (three_seeds / "lstm-seed1.json").write_text(text)
    for reads in (lambda: report.markdown("numbers11"), lambda: experiments.missing(experiments.RunTableConfig(table="numbers11"))):
        with pytest.raises(InputError, match="lstm-seed1.json: expected the result of a run as JSON, found"):
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
    presets = importlib.import_module(f"{table.task}.{table.presets}")
    command = experiments.command(table, table.rows[name], 1, "a_folder", "data")
    return parse(type(row_flags.config(table, table.rows[name])), presets.PRESETS, command[1:])


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
