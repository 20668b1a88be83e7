"""Summary, tables and page are what the results say; a table's runs are what its rows say."""

import dataclasses
import functools
import importlib
import json
import math
import re

import numpy as np
import pytest
from helpers import stand_in_results

from common.config import parse
from common.errors import InputError
from experiments import (
    charts,
    html_report,
    paired,
    read_results,
    report,
    row_flags,
    selection,
    sentences,
    status,
    tables,
    tasks,
    trial,
)
from experiments import run as experiments
from experiments.tables import TABLES

ROWS = [
    (key, name)
    for key, table in TABLES.items()
    for name, row in table.rows.items()
    if not row.quoted
]


@pytest.fixture
def three_seeds(tmp_path, monkeypatch):
    """Results of numbers11's lstm row: accuracies .90, .92, .97."""
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    for seed, accuracy in enumerate((0.90, 0.92, 0.97)):
        found = {
            "dev_accuracy_sampled": accuracy,
            "test_accuracy_sampled": accuracy,
            "test_accuracy_greedy": 1.0,
        }
        found["records"] = [
            {"epoch": i, "dev_accuracy_sampled": accuracy * i / 2, "train_task_loss": 1.0 / i}
            for i in (1, 2)
        ]
        stand_in_results.write(tmp_path, "numbers11", "lstm", seed, **found)
    return tmp_path / "numbers11"


def row_of(key, name):
    """A row of a table, as cells."""
    label = TABLES[key].rows[name].label
    (line,) = [line for line in report.markdown(key).splitlines() if line.startswith(f"| {label}")]
    return line[2:-2].split(" | ")


def test_what_is_committed_is_what_the_results_say():
    readme = report.README.read_text(encoding="utf-8")
    again = "run python experiments/report.py and commit what it wrote"
    assert report.rendered(readme) == readme and report.in_short() in readme, again
    assert report.RESULTS.read_text(encoding="utf-8") == report.results(), again
    assert report.SPEED.read_text(encoding="utf-8") == report.speed(), again


def test_numbers_in_prose_are_those_of_the_results():
    """README and RELEASE.md say in a sentence how far the paper's formula and the preset get."""
    literal, preset = (
        read_results.mean_and_seeds("numbers11", name, "test_accuracy_sampled").rpartition(" (")[0]
        for name in ("literal_lamda0.5", "dynamic_skip_lamda0.5")
    )
    release = (report.RESULTS.parent / "RELEASE.md").read_text(encoding="utf-8")
    assert f"it reaches {literal.replace(' 0.', ' .')} %" in release
    assert f"and the preset {preset.partition(' ')[0]} (" in release
    readme = report.README.read_text(encoding="utf-8")
    assert f"reaches {float(literal.partition(' ')[0]):.1f} at T = 11" in readme


def test_the_page_is_written_where_it_is_asked_for(three_seeds, tmp_path, capsys):
    path = tmp_path / "new" / "page.html"
    report.run(report.ReportConfig(html=True, out=str(path)))
    assert (
        path.read_text(encoding="utf-8") == html_report.render()
        and capsys.readouterr().out == f"{path}\n"
    )


def test_the_report_asks_nothing_of_the_network():
    page = html_report.render()
    outside = re.findall(
        r'(?:src|href)="(?!#|data:)([^"]*)"|url\((?!#)([^)]*)\)|@import|<script|<link', page
    )
    assert not outside
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_summary(three_seeds):
    """Of a table without results what the paper has and the command; the best learned row where it
    is another.
    """
    title = "| Number prediction, T = 11: accuracy (%) |"
    assert f"{title} 93.00 ± 3.61 (3) |  |  |  | 70.4 → 90.5 | `numbers11` |" in report.in_short()
    assert "CoNLL-2003: F1 (%) |  |  |  |  | 91.21 → 91.56 | `ner` |" in report.in_short()
    for name, accuracy in (
        ("dynamic_skip_lamda0.5", 0.5),
        ("dynamic_skip_lamda1", 0.6),
        ("released", 0.1),
    ):
        for seed in (0, 1):
            found = {
                "dev_accuracy_sampled": accuracy,
                "test_accuracy_sampled": accuracy + seed / 100,
                "test_accuracy_greedy": 1,
            }
            stand_in_results.write(
                three_seeds.parent, "numbers11", name, seed, records=[{"epoch": 1}], **found
            )
    row = (
        f"{title} 93.00 ± 3.61 (3) |  | 50.50 ± 0.71 (2); -40.50 [-46.85, -34.15]"
        " | 60.50 ± 0.71 (2): lamda 1; -30.50 [-36.85, -24.15] | 70.4 → 90.5 |"
    )
    assert row in report.in_short()
    for accuracy in (0.4, 0.55):
        metrics = dict.fromkeys(("dev_accuracy_sampled", "test_accuracy_sampled"), accuracy)
        metrics["records"] = [{"epoch": 1}]
        for seed in (0, 1):
            stand_in_results.write(three_seeds.parent, "cells", "random_skip", seed, **metrics)
        # .20 +- .06 and .05 +- .06 above
        found = "better" if accuracy < 0.5 else "not told apart"
        told = f"Compared with random skips, the dynamic row best on dev is {found} in"
        assert f"{told} `numbers11`." in report.in_short()
    page = html_report.render()
    shown = "93.00 ± 3.61 (3)</td><td></td><td>50.50 ± 0.71 (2); -40.50 [-46.85, -34.15]</td>"
    assert f"<td>Number prediction, T = 11: accuracy (%)</td><td>{shown}" in page
    assert f"best on dev is {found} in <code>numbers11</code>." in page
    assert "<small>paper: 70.4</small>" in page
    for seed in (0, 1):
        found = {
            "dev_accuracy_sampled": 0.9,
            "test_accuracy_sampled": 0.5,
            "records": [{"epoch": 1}],
        }
        stand_in_results.write(
            three_seeds.parent, "numbers11", "dynamic_skip_lamda0.5", seed, **found
        )
    same = "50.00 ± 0.00 (2); -41.00 [-53.71, -28.29] | the same | 70.4 → 90.5 |"
    assert same in report.in_short()
    assert "best on dev is worse in `numbers11` (lamda 0.5 against 1)." in report.in_short()


def test_the_interval_of_a_paired_difference():
    """By hand: pairs -4, -4, -1: mean -3, variance 3, so 4.303 sqrt(3 / 3) with 2 degrees."""
    ours, theirs = {0: 1.0, 1: 3.0, 2: 8.0, 7: 99.0}, {2: 9.0, 1: 7.0, 0: 5.0, 5: 0.0}
    found = paired.of_values(ours, theirs)
    assert found == pytest.approx((-3, 4.303, 3, 3)) and not found.excludes_zero
    assert found.text(2) == "-3.00 [-7.30, +1.30]"
    # -4, -6: mean -5, variance 2, 12.706 sqrt(2 / 2) with 1 degree
    assert paired.of_values({0: 1, 1: 1}, {0: 5, 1: 7}) == pytest.approx((-5, 12.706, 2, 2))
    same = paired.of_values({0: 1, 1: 2}, {0: 5, 1: 6})
    assert same == (-4, 0, 2, 0) and same.excludes_zero
    assert not paired.of_values({0: 1, 1: 2}, {0: 1, 1: 2}).excludes_zero
    alike = paired.Difference(-0.001, 0.002, 2, 0.001)  # no minus zero
    assert alike.text(2) == "+0.00 (each of 2 pairs)"
    single = paired.of_values({0: 1, 1: 2}, {0: 5})
    assert single == (-4, math.inf, 1, 0) and not single.excludes_zero and single.text(2) == ""
    assert paired.of_values({0: 1}, {1: 1}) is None
    many = {seed: float(seed % 2) for seed in range(100)}  # their variance is 25/99
    assert paired.of_values(many, dict.fromkeys(many, 0.0)).half == pytest.approx(
        2.042 * (25 / 99 / 100) ** 0.5
    )


def test_the_quantiles_are_those_of_students_t():
    """Half of the mass below the quantile and above 0 is .475, integrated over the angle.

    With x = sqrt(n) tan(angle) the density is proportional to cos(angle) ** (n - 1).
    """
    for n, quantile in enumerate(paired.T95, 1):
        ends = (math.atan(quantile / n**0.5), math.pi / 2)
        below, whole = (
            np.trapezoid(np.cos(angles) ** (n - 1), angles)
            for angles in (np.linspace(0, end, 10_001) for end in ends)
        )
        assert below / whole == pytest.approx(0.95, abs=1e-4), n


def test_what_a_table_shows(three_seeds):
    """By hand: pairs with lstm 1, 1 and 7, 5; of the two -6, -4, variance 2: 12.706 sqrt(2 / 2)."""

    def write(name, *values):
        for seed, accuracy in enumerate(values):
            path = (three_seeds.parent, "cells", name, seed)
            accuracies = dict.fromkeys(("dev_accuracy_sampled", "test_accuracy_sampled"), accuracy)
            stand_in_results.write(*path, **accuracies, records=[{"epoch": 1}])

    # the table `cells` has random skips, and lstm's runs are those of numbers11
    alone = "No other row has a result to compare *lstm* with."
    assert sentences.comparison("cells") == [alone] and sentences.comparison("lm") == []
    assert "difference" not in report.markdown("cells")
    write("straight_through", 0.91, 0.93)
    write("random_skip", 0.97, 0.97)
    write("gru", 0.1)
    difference = "test, sampled: difference to lstm [95 %]"
    assert f"| test, greedy | {difference} | seeds |" in report.markdown("cells")
    page = html_report.render()
    assert f"<th>{difference}</th>" in page and difference in status.table("cells")
    assert row_of("cells", "straight_through")[-5] == "+1.00 (each of 2 pairs)"
    assert row_of("cells", "random_skip")[-5] == "+6.00 [-6.71, +18.71]"
    assert row_of("cells", "lstm")[-5] == row_of("cells", "gru")[-5] == ""
    straight = TABLES["cells"].rows["straight_through"].label
    said = [
        f"Compared with *lstm* (test, sampled), *{straight}* (2 seeds) is better.",
        f"Compared with *random_skip, lamda 1*, *{straight}* (-5.00 [-17.71, +7.71], 2 seeds)"
        " cannot be told apart from it.",
    ]
    assert sentences.comparison("cells") == said
    assert set(said) <= set(report.markdown("cells").splitlines())  # paragraphs
    assert page.count("Compared with <em>lstm</em> (test") == 1
    for seed in (0, 1):
        (three_seeds.parent / "cells" / f"straight_through-seed{seed}.json").unlink()
    stand_in_results.write(
        three_seeds.parent, "cells", "straight_through", 2, test_accuracy_sampled=0.5
    )
    assert sentences.comparison("cells") == [
        "Compared with *lstm* (test, sampled), with one seed in common nothing can be told apart:"
        f" *{straight}* (-47.00).",
        f"Compared with *random_skip, lamda 1*, no seed in common: *{straight}*.",
    ]


def test_less_perplexity_is_better(three_seeds):
    for name, values in {"lstm": (113.0, 115.0), "dynamic_skip": (99.0, 101.0)}.items():
        for seed, perplexity in enumerate(values):
            stand_in_results.write(
                three_seeds.parent, "lm", name, seed, test_perplexity=perplexity, valid_perplexity=1
            )
    assert "*dynamic skips, K = 5, lamda 1* (2 seeds) is better." in report.markdown("lm")
    assert selection.best_on_dev("lm", "dynamic_skip") == "dynamic_skip"


def test_the_control_is_the_random_row_that_is_best_on_dev(tmp_path, monkeypatch):
    """The one of K = 10, which is the worse on test: nothing is chosen by that."""
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    on_dev_and_test = {
        "lstm": (0.5, 0.5),
        "random_skip": (0.6, 0.7),
        "random_skip_10": (0.7, 0.6),
        "straight_through_10": (0.8, 0.8),
    }
    for name, (on_dev, on_test) in on_dev_and_test.items():
        found = {"dev_accuracy_sampled": on_dev, "test_accuracy_sampled": on_test}
        for seed in range(2):
            stand_in_results.write(tmp_path, "imdb_last_small", name, seed, **found)
    assert (
        "*random skips, K = 10, lamda 0.5 (control)*" in sentences.comparison("imdb_last_small")[1]
    )


def test_a_row_of_one_seed_is_not_the_best_on_dev_beside_one_of_more(three_seeds):
    for name, seeds in (("straight_through_lamda0.5", (0,)), ("dynamic_skip", (0, 1))):
        for seed in seeds:
            found = {"test_perplexity": 90.0, "valid_perplexity": 80.0 + 10 * len(seeds)}
            stand_in_results.write(three_seeds.parent, "lm", name, seed, **found)
    assert selection.best_on_dev("lm", "dynamic_skip") == "dynamic_skip"
    found["valid_perplexity"] = 90.0
    stand_in_results.write(three_seeds.parent, "lm", "straight_through_lamda0.5", 1, **found)
    assert selection.best_on_dev("lm", "dynamic_skip") == "straight_through_lamda0.5"


def test_the_trial_shows_the_row_that_dev_chose(three_seeds):
    """Not the one that is best on test; by hand: pairs -14, -14 and -3, -1, variance 2."""
    rows = {
        "lstm": (113.0, 115.0),
        "random_skip": (102.0, 102.0),
        "dynamic_skip": (99.0, 101.0),
        "straight_through_lamda0.5": (90.0, 90.0),
    }
    for dev, (name, values) in enumerate(rows.items()):
        for seed, perplexity in enumerate(values):
            found = {
                "test_perplexity": perplexity,
                "valid_perplexity": dev,
                "records": [{"epoch": 1}],
            }
            stand_in_results.write(three_seeds.parent, "lm", name, seed, **found)
    found = {"test_perplexity": 99.0, "valid_perplexity": 9, "records": [{"epoch": 1}]}
    for name in ("straight_through_lamda0.5", "lstm_mc_dropout"):
        stand_in_results.write(three_seeds.parent, "lm_small_dropout", name, 0, **found)
    shown = {row[-1]: row for row in trial.rows()}
    row = shown["`lm`"]
    assert shown["`lm_small_dropout`"][1] == ""
    assert row[1:] == [
        "114.0 ± 1.4 (2)",
        "102.0 ± 0.0 (2)",
        "",
        "100.0 ± 1.4 (2): K = 5, lamda 1 (of 2 rows)",
        "-14.0 (each of 2 pairs)",
        "-2.0 [-14.7, +10.7]",
        "",
        "`lm`",
    ]
    best = "the dynamic row that is best on dev is"
    assert trial.text()[:3] == [
        f"Compared with the LSTM, {best} better in `lm` (2 seeds).",
        f"Compared with random skips, {best} not told apart in `lm` (2 seeds).",
        "It is better than LSTM and random skips in no table, than all three in no table.",
    ]
    assert "`lm_small`, `charlm_small`" in trial.text()[-1].replace(" and", ",")
    for seed in (0, 1):
        path = three_seeds.parent / "lm" / f"random_skip-seed{seed}.json"
        stand_in_results.change(path, test_perplexity=120.0 + seed)
    assert trial.text()[2].startswith("It is better than LSTM and random skips in `lm`, than all")
    for seed in (0, 1):
        found = {"test_perplexity": 130.0 + seed, "valid_perplexity": 9, "records": [{"epoch": 1}]}
        stand_in_results.write(three_seeds.parent, "lm", "attention", seed, **found)
    assert trial.text()[2] == f"Compared with attention, {best} better in `lm` (2 seeds)."
    assert trial.text()[3].endswith("skips in `lm`, than all three in `lm`.")
    assert f"## {trial.TITLE}\n" in report.results() and trial.text()[0] in report.results()
    assert "<td>100.0 ± 1.4 (2): K = 5, lamda 1 (of 2 rows)</td>" in html_report.render()


def test_a_tuned_table_asks_for_seeds_of_what_leads_at_seed_0(tmp_path, monkeypatch):
    """The rows chosen on dev have all seeds, the others one, and the LSTM is the one chosen.

    Where several of a cell have all seeds, their means decide.
    """
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    key, rows = "imdb_tuned_small", list(TABLES["imdb_tuned_small"].rows)
    monkeypatch.setitem(TABLES, key, dataclasses.replace(TABLES[key], seeds=3))

    def write(name, seed, dev, test):
        found = {"dev_accuracy_sampled": dev, "test_accuracy_sampled": test, "records": []}
        stand_in_results.write(tmp_path, *tables.source(key, name), seed, **found)

    def asked():
        return experiments.missing(experiments.RunTableConfig(table=key))

    for i, name in enumerate(rows[1:], 1):
        write(name, 0, 0.5 + 0.01 * (i % 4), 0.9 if i % 4 == 2 else 0.8)
    assert asked() == [(rows[0], 0)]
    write(rows[0], 0, 0.5, 0.9)
    chosen = [name for name in rows if name.endswith("_0.001_0.5")]
    assert len(chosen) == 4 and asked() == [(name, seed) for seed in (1, 2) for name in chosen]
    assert selection.rows_incomplete(key) == chosen
    for i, name in enumerate(chosen):
        for seed in (1, 2):  # worse on dev than another row's seed 0
            write(name, seed, 0.4, 0.8 + 0.01 * i)
    assert asked() == [] and selection.rows_incomplete(key) == []
    (row,) = [row for row in trial.rows() if row[-1] == f"`{key}`"]
    assert row[1] == "80.00 ± 0.00 (3)" and row[4].endswith("dropout 0.5 (of 4 settings)")
    assert row[5] == "+2.00 [-2.30, +6.30]"
    (against_lstm, against_random) = sentences.comparison(key)
    for said, name in ((against_lstm, chosen[0]), (against_random, chosen[1])):
        assert said.startswith(f"Compared with *{TABLES[key].rows[name].label}*")
        assert re.findall(r"\*[^*]+\*", said)[1:] == [
            f"*{TABLES[key].rows[name].label}*" for name in chosen[2:]
        ]
    other = chosen[0].replace("_0.5", "_0.2")  # leads by its mean, not at seed 0
    for seed in (1, 2):
        write(other, seed, 0.45, 0.8)
        write(chosen[3].replace("_0.5", "_0.2"), seed, 0.3, 0.8)
    assert selection.best_on_dev(key, "lstm") == other and asked() == []
    (row,) = [row for row in trial.rows() if row[-1] == f"`{key}`"]
    assert row[4].endswith("dropout 0.5 (of 4 settings, 2 of them with as many seeds)")


def test_another_k_or_lamda_is_named(tmp_path, monkeypatch):
    """Of what is compared, whether distances are drawn or attended to."""
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    key = "imdb_last_small"
    names = "straight_through", "attention", "attention_10", "random_skip_10", "lstm"
    for name in names:
        for seed in (0, 1):
            accuracy = {"test_accuracy_sampled": 0.8 + 0.01 * seed}
            stand_in_results.write(tmp_path, *tables.source(key, name), seed, **accuracy)
    metric, *_ = read_results.test_metric(key)
    found = {
        name: sentences.of_table(key, "straight_through", name, metric).pairs for name in names
    }
    assert found["attention"] == found["lstm"] == "2 seeds"
    assert found["attention_10"] == found["random_skip_10"] == "2 seeds, K = 3 against 10"
    cell = {"flags": {"cell": "attention", "lamda": 1.0, "n_actions": 3}}
    for seed in (0, 1):
        stand_in_results.change(tmp_path / key / f"attention-seed{seed}.json", **cell)
    verdict = sentences.of_table(key, "straight_through", "attention", metric)
    assert verdict.pairs == "2 seeds, lamda 0.5 against 1"


def test_mean_and_deviation_over_seeds(three_seeds):
    cells = [
        "LSTM",
        "93.00 ± 3.61 (69.6)",
        "93.00 ± 3.61 (70.4)",
        "100.00 ± 0.00",
        "3",
        "1,234",
        "8.0",
        "1.5",
        "1,235",
    ]
    for seed, peak in enumerate((None, 987.6, 1234.6)):  # older results have none
        path = three_seeds / f"lstm-seed{seed}.json"
        stand_in_results.change(path, **({"peak_memory_mib": peak} if seed else {}))
    assert row_of("numbers11", "lstm") == cells
    assert read_results.spread([1.0, None], 2) == "not finite"
    assert row_of("cells", "lstm")[1] == "93.00 ± 3.61"  # the same runs


def test_times_are_of_the_shortest_epoch_and_run_on_one_kind_of_machine(three_seeds):
    """Seed 2 ran on a faster machine than the others, and attention on that one alone."""
    assert "Times:" not in report.markdown("numbers11")
    fast = {
        "hardware": {"cores": 8, "processor": "a processor", "gpus": ["a GPU"]},
        "commit": "0123456789abcdef-dirty",
    }
    stand_in_results.change(
        three_seeds / "lstm-seed1.json",
        records=[{"epoch": 1, "seconds": 9.0}, {"epoch": 2, "seconds": 6.0}],
        starts=[{"commit": "fedcba9876543210"}, {"commit": "0123456789abcdef"}],
        wall_seconds=120.0,
    )
    stand_in_results.change(
        three_seeds / "lstm-seed2.json", seconds_per_epoch=1.0, wall_seconds=30.0, **fast
    )
    metrics = {name: 0.5 for name, *_ in TABLES["numbers11"].metrics} | {"records": [{"epoch": 1}]}
    stand_in_results.write(three_seeds.parent, "numbers11", "attention", 0, **metrics, **fast)
    stand_in_results.write(three_seeds.parent, "numbers11", "dynamic_skip_lamda1", 0, **metrics)
    assert row_of("numbers11", "lstm")[-2:] == ["6.0", "1.5"]
    assert row_of("numbers11", "attention")[-4:] == ["1", "1,234", "", ""]
    text = report.markdown("numbers11")
    assert (
        "on 1 core, a processor; 8 cores, a processor, a GPU; commit 0123456789, 0123456789-dirty, "
        "fedcba9876." in text
    )
    assert "On a GPU: *LSTM* and *attention over the K states, lamda 1*; the other rows" in text
    assert "Times: on 1 core, a processor." in text and "Times: on 1 core" in html_report.render()


def test_a_row_of_other_data_is_compared_with_none(tmp_path, monkeypatch):
    """That of sequences five times as long, whose trivial error is another one."""
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    for name, error in {"A": 0.08, "C": 0.01, "special": 0.02}.items():
        for seed in (0, 1):
            found = {"test_mse_sampled": error, "dev_mse_sampled": error, "records": []}
            stand_in_results.write(tmp_path, "recall", name, seed, **found)
    assert "-0.07000 (each of 2 pairs)" in row_of("recall", "C")
    assert "" in row_of("recall", "special")
    assert "skip 4" not in " ".join(sentences.comparison("recall"))
    for name in ("dynamic_skip_lamda1", "released"):
        stand_in_results.write(tmp_path, "numbers11", name, 0, dev_accuracy_sampled=0.5)
    assert selection.candidates("numbers11", "dynamic_skip") == ["dynamic_skip_lamda1"]


def test_a_row_with_a_control_of_its_own_is_compared_with_that_alone(tmp_path, monkeypatch):
    """Settings that the table's LSTM does not have would look like what skips gain.

    By hand: 58, 60 of the modern rows less 61, 61; the control less the LSTM: 61, 61 less 80, 84.
    """
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    rows = {
        "lstm": (80.0, 84.0),
        "random_skip": (79.0, 79.0),
        "dynamic_skip": (81.0, 83.0),
        "dynamic_skip_modern": (58.0, 60.0),
    }

    def write(name, values):
        for seed, value in enumerate(values):
            found = {"test_perplexity": value, "valid_perplexity": value, "records": [{"epoch": 1}]}
            stand_in_results.write(tmp_path, "lm", name, seed, **found)

    for name, values in rows.items():
        write(name, values)
    label = "dynamic skips, K = 5, preset modern"
    assert label not in " ".join(sentences.comparison("lm"))  # nothing to compare it with yet
    assert row_of("lm", "dynamic_skip_modern")[3] == ""
    write("lstm_modern", (61.0, 61.0))
    assert row_of("lm", "lstm_modern")[3] == "-21.0 [-46.4, +4.4]"
    assert row_of("lm", "dynamic_skip_modern")[3] == "-2.0 [-14.7, +10.7] to LSTM, preset modern"
    said = sentences.comparison("lm")
    assert said[1].startswith(f"Compared with *LSTM, preset modern* (test, sampled), *{label}* (2")
    assert label not in said[0] + said[2] and len(said) == 3
    assert selection.best_on_dev("lm", "dynamic_skip") == "dynamic_skip"
    assert "of 2 rows" not in trial.rows()[-3][4]


def test_a_control_is_a_row_of_its_table_with_other_flags_for_the_cell_alone():
    cells = {"cell", "rl_weight", "entropy_weight", "previous_bias", "topics"}
    found = [(key, name) for key, name in ROWS if TABLES[key].rows[name].control]
    assert ("lm_small_systems", "dynamic_skip_awd") in found
    for key, name in found:
        rows = TABLES[key].rows
        ours, theirs = rows[name].flags, rows[rows[name].control].flags
        differing = {one for one, _ in ours.items() ^ theirs.items()}
        assert differing and differing <= cells, (key, name)


def test_a_line_of_the_page():
    assert html_report._inline("*x* [why](../a.md#b), `c` 1 [2, 3]") == (
        "<em>x</em> why, <code>c</code> 1 [2, 3]"
    )


def test_a_metric_that_is_newer_than_a_result(three_seeds):
    """Some have it: how many. None of a row has it: an empty cell. None at all: no column."""
    paths = [three_seeds / f"lstm-seed{seed}.json" for seed in range(3)]
    for path in paths:
        text = json.loads(path.read_text())
        del text["test_accuracy_greedy"]
        path.write_text(json.dumps(text))
    assert "| dev, sampled | test, sampled | seeds |" in report.markdown("numbers11")
    assert "memory" not in report.markdown("numbers11")
    for path, peak in zip(paths[1:], (2000.4, 1000.0), strict=True):
        stand_in_results.change(path, peak_memory_mib=peak)
    assert "| minutes a run | memory, MiB |" in report.markdown("numbers11")
    assert row_of("numbers11", "lstm")[-1] == "2,000"
    stand_in_results.write(
        three_seeds.parent, "numbers11", "attention", 0, test_accuracy_greedy=0.5
    )
    assert row_of("numbers11", "lstm")[1:5] == [
        "93.00 ± 3.61 (69.6)",
        "93.00 ± 3.61 (70.4)",
        "",
        "3",
    ]
    assert row_of("numbers11", "attention")[1:4] == ["(71.3)", "(72.5)", "50.00"]
    stand_in_results.change(paths[1], test_accuracy_greedy=0.25)
    assert row_of("numbers11", "lstm")[3] == "25.00, 1 of 3 seeds"


def test_what_is_missing_is_one_line_with_its_command(three_seeds):
    text = report.markdown("numbers11")
    assert "Fewer seeds" not in text and "| attention" not in text
    others = ",".join(name for name in TABLES["numbers11"].rows if name != "lstm")
    (line,) = [line for line in text.splitlines() if line.startswith("Not run: ")]
    assert line.startswith(
        "Not run: *attention over the K states, lamda 1* (paper: 72.5), *dynamic skips, lamda 1*"
        " (paper: 80.5), "
    )
    hours = f"about {TABLES['numbers11'].hours:g} hours a run on two CPU cores."
    assert line.endswith(f"; `python experiments/run.py numbers11 --rows {others}`, {hours}")
    (three_seeds / "lstm-seed1.json").unlink()
    fewer = "Fewer seeds than the 3 asked for: `python experiments/run.py numbers11 --rows lstm`."
    assert fewer in report.markdown("numbers11").splitlines()
    nothing = report.markdown("lm").splitlines()
    assert nothing[:2] == ["## lm", ""] and len(nothing) == 3
    assert nothing[2].startswith(
        "**Language modelling, PTB, 2 x 650: perplexity**. Not run: *LSTM* (paper: 82.7), "
    )
    assert nothing[2].endswith(
        f"`python experiments/run.py lm`, about {TABLES['lm'].hours:g} hours a run on two CPU"
        " cores."
    )
    page = html_report.render()
    assert re.search(
        "<code>python LanguageModeling/RL_train.py --preset=[^<]*--cell=lstm --seed=0", page
    )
    stand_in_results.write(three_seeds.parent, "imdb", "lstm", 0, test_accuracy_sampled=0.5)
    label = "attention by predicted reading times (of eye tracking)"
    assert row_of("imdb", "cba") == [label, "(89.4, Long et al. 2017)", "", "", "", ""]


def test_a_result_of_other_flags_says_so_and_is_not_done(three_seeds):
    """Flags that the row leaves to preset and defaults count too; not the seed, nor what does not
    affect the result, nor an agent's.
    """
    flags = json.loads((three_seeds / "lstm-seed2.json").read_text())["flags"]
    missing = functools.partial(
        experiments.missing, experiments.RunTableConfig(table="numbers11", rows=["lstm"])
    )
    stand_in_results.change(
        three_seeds / "lstm-seed2.json",
        flags=flags | {"run_dir": "elsewhere", "print_every": 7, "rl_weight": 7},
    )
    assert missing() == []
    for name, other, said in (
        ("max_epochs", 5, "5"),
        ("batch_size", 7, "7"),
        ("of_old", None, "none"),
    ):
        stand_in_results.change(three_seeds / "lstm-seed2.json", flags=flags | {name: other})
        assert row_of("numbers11", "lstm")[0] == f"LSTM ({name} {said})"
        assert missing() == [("lstm", 2)]
    # its default is another
    for newer, is_missing in (
        ("batch_size", []),
        ("length", []),
        ("max_epochs", []),
        ("cell", [("lstm", 2)]),
    ):
        stand_in_results.change(
            three_seeds / "lstm-seed2.json",
            flags={name: flags[name] for name in flags if name != newer},
        )
        assert missing() == is_missing


def test_of_data_and_vectors_the_names_count(tmp_path, monkeypatch):
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    flags = {
        "data_dir": "/elsewhere/conll2003",
        "vectors": "/elsewhere/glove.6B.100d.partial_conll.txt",
    }
    stand_in_results.write(tmp_path, "ner", "lstm", 0, flags)
    config = {"table": "ner", "rows": ["lstm"], "seeds": 1}
    assert experiments.missing(experiments.RunTableConfig(**config)) == []
    assert experiments.missing(experiments.RunTableConfig(**config, vectors="none")) == [
        ("lstm", 0)
    ]
    metrics = {name: 0.5 for name, *_ in TABLES["ner"].metrics}
    stand_in_results.write(tmp_path, "ner", "lstm", 0, flags | {"vectors": ""}, **metrics)
    assert experiments.missing(experiments.RunTableConfig(**config, vectors="none")) == []
    assert row_of("ner", "lstm")[0] == "BiLSTM-CNN-CRF (vectors none)"


@pytest.mark.parametrize(
    "text",
    [
        *('{"flags": {"cell"', "[1]", '{"seed": 0}', '{"flags": 1}', '{"flags": {}}'),
        '{"flags": 1, "seed": 1, "records": [], "hardware": {}}',
    ],
)
def test_a_broken_result_is_named(three_seeds, text):
    (three_seeds / "lstm-seed1.json").write_text(text)
    for reads in (
        lambda: report.markdown("numbers11"),
        lambda: experiments.missing(experiments.RunTableConfig(table="numbers11")),
    ):
        with pytest.raises(
            InputError, match=r"lstm-seed1.json is damaged \(.*\): remove it and run that row again"
        ):
            reads()


@pytest.mark.parametrize("key", TABLES)
def test_the_commands_of_a_table_are_accepted(key, tmp_path):
    """Every row's flags are read by the task's own config."""
    for name in (name for table, name in ROWS if table == key):
        assert parsed(key, name).seed == 1


@pytest.mark.parametrize(
    ("key", "name"), [(key, name) for key, name in ROWS if TABLES[key].rows[name].of]
)
def test_a_row_with_another_rows_runs_asks_for_the_same(key, name):
    """But for the samples of the mixture, which are evaluated in the other's runs alone."""
    ours, theirs = parsed(key, name), parsed(*tables.source(key, name))
    assert dataclasses.replace(ours, eval_samples=theirs.eval_samples) == theirs


@pytest.mark.parametrize("task", tasks.TASKS)
def test_the_preset_best_is_the_row_that_dev_chose(task):
    """Of the committed results; but for how it is computed, and how often it is evaluated."""
    key = tables.BEST[task]
    table, name = TABLES[key], selection.best_on_dev(key, "dynamic_skip")
    same = ("preset", "run_dir", "eval_samples", "mixed_precision")
    chosen = row_flags.config(table, table.rows[name])
    best = dataclasses.replace(table, flags={"preset": "best"})
    best = row_flags.config(best, tables.Row("", {}))
    best = dataclasses.replace(best, **{flag: getattr(chosen, flag) for flag in same})
    assert table.task == task and best == chosen, (
        f"in the table {key} the row {name} is the best dynamic one on dev: give its flags to the"
        f" preset best in {task}/presets.py"
    )


def parsed(key, name):
    """The config that a row's command gives."""
    table = TABLES[key]
    presets = importlib.import_module(f"{table.task}.{table.presets}")
    command = row_flags.command(table, table.rows[name], 1, "a_folder", "data")
    return parse(type(row_flags.config(table, table.rows[name])), presets.PRESETS, command)


def test_every_table_is_of_a_task():
    assert {table.task for table in TABLES.values()} == set(tasks.TASKS)
    with pytest.raises(
        InputError, match="expected a task, one of LanguageModeling.*; found 'Translation'"
    ):
        tasks.module("Translation", "presets")


def test_the_scale_names_the_table():
    assert (
        tables.at_scale("lm", "small")
        == tables.at_scale("lm_small", "small")
        == tables.at_scale("lm_small", "full")
        == "lm_small"
    )
    assert tables.at_scale("numbers11", "full") == "numbers11"
    with pytest.raises(
        InputError, match="--scale small expects a table that has a small scale .lm"
    ) as refused:
        tables.at_scale("recall", "small")
    # each that is named has one
    named = re.search(r"[(](.*?)[)]", str(refused.value))[1].split(", ")
    assert all(tables.at_scale(name, "small") == f"{name}_small" for name in named)
    assert set(named) < set(tables.TABLES)


def test_a_chart_puts_values_where_they_belong():
    svg = charts.line_chart(
        {"a & b": [[(1, 0.0), (2, 10.0), (3, float("nan"))]], "c": [[(3, 5.0)]]}, "epoch", "y"
    )
    left, bottom, right, top = (
        charts._LEFT,
        charts.HEIGHT - charts._BOTTOM,
        charts.WIDTH - charts._RIGHT,
        charts._TOP,
    )
    # epoch 2 of 1 to 3 lies in the middle, 10 at the top
    assert f"M{left:.1f} {bottom:.1f}L{(left + right) / 2:.1f} {top:.1f}" in svg
    assert f'cx="{right:.1f}" cy="{(top + bottom) / 2:.1f}"' in svg
    assert "<title>a &amp; b</title>" in svg and charts.line_chart({"a": []}, "x", "y") == ""
    ticks, low, high = charts._log_axis([80.0, 700.0])
    assert (low, high) == (70.0, 700.0) and ticks[:3] == [70.0, 100.0, 150.0]
