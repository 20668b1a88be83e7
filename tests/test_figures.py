"""The figures: gradients against arithmetic, distances counted by hand, and what is drawn from
results stands in the CSV.
"""

import csv
import functools
import json
import re
import shlex
import shutil
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import stand_in_results, tiny_runs
from helpers.marks import LONG, long_but

from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.config import parse
from common.errors import InputError
from common.layers.fast_lstm import FastLSTM
from common.layers.random_skip_lstm import RandomSkipLSTM
from experiments import (
    connections_page,
    figure_distances,
    figure_files,
    figure_gradients,
    figure_growth,
    figure_numbers,
    figure_parity,
    figure_sweep,
    figure_training,
    html_report,
    read_results,
    show_skips,
    tables,
)
from experiments.word_classes import NAMES, word_class


def loss(h):
    return tf.reduce_sum(h * [1.0, 2.0], -1)


def test_gradients_of_a_linear_recurrence():
    """h_t = h_{t-1} / 2 + x_t: dL / dh_t is (1/2)^(T - t) dL / dh_T."""
    halves = keras.initializers.Constant(0.5 * np.eye(2))
    layer = keras.layers.SimpleRNN(2, activation=None, recurrent_initializer=halves)
    x = tf.random.stateless_normal([3, 4, 5], [1, 2])
    layer(x)
    expected = 0.5 ** np.arange(3.0, -1, -1)
    np.testing.assert_allclose(
        figure_gradients.norms(figure_gradients.Probe(layer, x, None, loss)),
        expected / expected.sum(),
        rtol=1e-5,
    )


def test_a_state_that_nothing_connects_to_has_no_gradient():
    """T = 5, every step two back: the last one reaches 5, 3, 1.

    The nudge of a state is the difference that it makes.
    """
    keras.utils.set_random_seed(1)
    layer = keras.layers.RNN(DynamicSkipLSTMCell(2, n_actions=3))
    x = tf.random.stateless_normal([2, 5, 3], [1, 2])
    layer(x)
    found = figure_gradients.norms(figure_gradients.Probe(layer, x, tf.fill([2, 5], 2), loss))
    assert (
        found[1] == found[3] == 0 and np.all(found[[0, 2, 4]] > 0) and abs(found.sum() - 1) < 1e-6
    )


def test_the_layers_gradient_is_that_of_finite_differences():
    keras.utils.set_random_seed(1)
    layer = FastLSTM(2, return_sequences=True, return_state=True, jit_compile=False)
    x = tf.random.stateless_normal([1, 3, 3], [1, 2])
    _, h, c = layer(x[:, :1])

    def after(first):
        return loss(layer(x[:, 1:], initial_state=[first, c])[0][:, -1]).numpy()[0]

    steps = [
        [after(h + sign * 1e-2 * direction) for sign in (-1, 1)]
        for direction in np.eye(2, dtype="f4")[:, None]
    ]
    expected = np.linalg.norm([(high - low) / 2e-2 for low, high in steps])
    found = figure_gradients.norms(figure_gradients.Probe(layer, x, None, loss))
    # |dL / dh_T| is |(1, 2)|
    assert found[0] / found[2] == pytest.approx(expected / np.sqrt(5), rel=1e-2)


def test_word_classes():
    words = {
        "the": "determiner",
        "The": "determiner",
        "who": "pronoun",
        "of": "preposition",
        "and": "conjunction",
        "would": "auxiliary",
    }
    words |= {
        "<eos>": "end of sentence",
        "<unk>": "unknown word",
        "N": "number",
        "1998": "number",
        "'s": "auxiliary",
        ",": "punctuation",
    }
    words |= {"company": "other word", "U.N.": "other word"}
    assert {word: word_class(word) for word in words} == words
    assert set(words.values()) == set(NAMES)


def test_distances_are_counted_per_class(tmp_path):
    pairs = [("the", 1)] * 15 + [("a", 3)] * 5 + [("house", 2)] * 30 + [("of", 1)] * 19
    found = figure_distances.counts(pairs, 3)
    assert {name: row.tolist() for name, row in found.items()} == {
        "determiner": [15, 0, 5],
        "other word": [0, 30, 0],
    }
    paths = figure_distances.write(found, "left to right", 7, "A caption", tmp_path / "d")
    assert [path.suffix for path in paths] == [".png", ".svg", ".csv", ".json"]
    assert paths[2].read_text().splitlines()[:4] == [
        "class,distance,words",
        "determiner,1,15",
        "determiner,2,0",
        "determiner,3,5",
    ]
    assert "in 7 texts" in json.loads(paths[3].read_text())["caption"]


def test_the_sweep_is_drawn_from_results(tmp_path, monkeypatch):
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    with pytest.raises(InputError, match="found none: python experiments/run.py lm_sweep_small"):
        figure_sweep.draw(figure_sweep.SweepConfig())
    for name, table, value in (
        ("lstm", "lm_small", 115.0),
        ("dynamic_skip", "lm_small", 112.0),
        ("K2", "lm_sweep_small", 113.0),
    ):
        for seed in (0, 1):
            stand_in_results.write(
                tmp_path,
                table,
                name,
                seed,
                valid_perplexity=value + seed,
                test_perplexity=value - 2,
            )
    not_finite = {"valid_perplexity": None, "test_perplexity": None}
    stand_in_results.write(tmp_path, "lm_sweep_small", "K3", 0, **not_finite)
    paths = figure_sweep.draw(figure_sweep.SweepConfig(out=str(tmp_path / "sweep")))
    table = [
        row for row in csv.DictReader(paths[2].read_text().splitlines()) if row["split"] == "valid"
    ]
    rows = [
        (row["against"], float(row["value"]), float(row["perplexity"]))
        for row in table
        if row["seeds"] != "0"
    ]
    assert len(rows) == len(table) - 1 and rows == [
        ("K", 1, 115.5),
        ("K", 2, 113.5),
        ("K", 5, 112.5),
        ("lamda", 0, 115.5),
        ("lamda", 1, 112.5),
    ]


def test_entropy_and_reward_are_drawn_from_results(tmp_path, monkeypatch):
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    records = [{"epoch": i, "train_task_loss": 2.0 / i, "train_entropy": 1.0 / i} for i in (1, 2)]
    gone = [*records[:1], records[1] | {"train_entropy": None}]  # not finite at the end
    assert figure_training.agents("numbers11", []) == {}
    stand_in_results.write(tmp_path, "numbers11", "dynamic_skip_lamda0.5", 0, records=gone)
    assert list(figure_training.agents("numbers11", [])) == ["dynamic_skip_lamda0.5"]
    (tmp_path / "numbers11" / "dynamic_skip_lamda0.5-seed0.json").unlink()
    stand_in_results.write(tmp_path, "numbers11", "dynamic_skip_lamda1", 3, records=records)
    # whose reward is not its loss
    stand_in_results.write(tmp_path, "numbers11", "released", 0, records=records)
    config = figure_training.TrainingConfig(table="numbers11", out=str(tmp_path / "t"))
    paths = figure_training.draw(config)
    rows = [
        "dynamic_skip_lamda1,3,1,1.0,-2.0",
        "dynamic_skip_lamda1,3,2,0.5,-1.0",
        "released,0,1,1.0,",
        "released,0,2,0.5,",
    ]
    assert paths[2].read_text().splitlines()[1:] == rows
    assert "where it is the log-likelihood" in json.loads(paths[3].read_text())["caption"]
    table = tables.TABLES["numbers11"]
    page = html_report._curves(
        table,
        {
            name: read_results.results_of("numbers11", name)
            for name in ("dynamic_skip_lamda1", "released")
        },
    )
    entropy, reward = re.findall(r"<svg viewBox.*?</svg>", page, re.DOTALL)[-2:]
    assert entropy.count('class="line"') == 2 and reward.count('class="line"') == 1
    with pytest.raises(InputError, match="found none"):
        figure_training.draw(figure_training.TrainingConfig(table="numbers21"))


def test_the_jump_agent_is_drawn_below_the_entropy_of_its_own_choices(tmp_path, monkeypatch):
    """Jumps of 0 to 40 words, whatever the cell's K."""
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    records = [{"epoch": 1, "train_task_loss": 0.5, "train_entropy": 3.7}]
    stand_in_results.write(tmp_path, "skimming_small", "jump_20_5", 0, records=records)
    axes = []
    subplots = figure_training.plots.figure
    monkeypatch.setattr(
        figure_training.plots,
        "figure",
        lambda *given, **how: axes.append(subplots(*given, **how)) or axes[0],
    )
    figure_training.draw(
        figure_training.TrainingConfig(table="skimming_small", out=str(tmp_path / "t"))
    )
    left = axes[0][1][0]
    assert left.get_ylim()[1] > np.log(41) > 3.7
    assert [text.get_text() for text in left.texts] == ["uniform over 41 choices"]


def test_rates_that_are_as_good_are_not_told_apart_by_what_is_shown(monkeypatch, tmp_path):
    """Or the best of the shown accuracies would be shown."""
    found = {0.1: [1.0, 0.9], 0.03: [1.0, 0.99]}
    monkeypatch.setattr(figure_parity, "accuracies", lambda kind, n, rate, config: found[rate])
    config = figure_parity.ParityConfig(bits=[4], rates=[0.1, 0.03], out=str(tmp_path / "p"))
    figure_parity.draw(config)
    rows = (tmp_path / "p.csv").read_text().splitlines()[1:]
    assert len(rows) == 3 and all(row.endswith("0.9") for row in rows)


FROM_RESULTS = {
    "figure_training.py": (figure_training, figure_training.TrainingConfig, ["table"]),
    "figure_sweep.py": (figure_sweep, figure_sweep.SweepConfig, ["table"]),
    "figure_growth.py": (figure_growth, figure_growth.GrowthConfig, []),
}


def test_figures_of_committed_results_are_what_the_results_say(tmp_path):
    """Numbers and captions; the commands stand beside them."""
    drawn = 0
    for path in sorted(figure_files.FOLDER.glob("*.json")):
        committed = json.loads(path.read_text(encoding="utf-8"))
        script, *arguments = shlex.split(committed["command"])[1:]
        if script.removeprefix("experiments/") not in FROM_RESULTS:
            continue
        module, config_class, bare = FROM_RESULTS[script.removeprefix("experiments/")]
        config = parse(
            config_class, {}, [script, *arguments, f"--out={tmp_path / path.stem}"], bare
        )
        module.draw(config)
        said = json.loads((tmp_path / path.name).read_text(encoding="utf-8"))
        numbers = [
            (folder / f"{path.stem}.csv").read_text() for folder in (tmp_path, figure_files.FOLDER)
        ]
        again = f"run {committed['command']} and python experiments/report.py"
        assert numbers[0] == numbers[1] and said | {"command": committed["command"]} == committed, (
            again
        )
        drawn += 1
    assert drawn >= len(FROM_RESULTS)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Makes folders of runs that were not trained, each once."""
    folder = tmp_path_factory.mktemp("tiny")
    data = tiny_runs.write_texts(folder / "data")

    @functools.cache
    def make(task, *more):
        return str(tiny_runs.make(task, folder / "-".join([task, *more]), data, *more))

    return make


def test_gradients_of_runs(tiny, tmp_path):
    """The legend tells the runs apart, and the caption says only what holds for all."""
    runs = [tiny("NumberPrediction"), tiny("NumberPrediction", "--cell=fixed_skip", "--seed=1")]
    paths = figure_gradients.draw(
        figure_gradients.GradientsConfig(runs=runs, out=str(tmp_path / "g"))
    )
    rows = list(csv.DictReader(paths[2].read_text().splitlines()))
    names = ["dynamic_skip, K = 3, lamda 1, seed 0", "fixed_skip, lamda 1, skip 3, seed 1"]
    assert [row["run"] for row in rows] == [name for name in names for _ in range(11)]
    assert sum(float(row["norm"]) for row in rows) == pytest.approx(2)
    caption = json.loads(paths[3].read_text())["caption"]
    assert (
        caption.endswith("NumberPrediction, generated data, preset paper, H = 4, up to 1 epochs.")
        and "same 10 dev texts" in caption
    )


def test_gradients_through_random_distances_are_those_of_the_layer(monkeypatch):
    """One distance for each step, where its cell alone has one for all."""
    layer = RandomSkipLSTM(4, n_actions=3, return_sequences=True)
    x = tf.constant(np.random.default_rng(0).normal(size=[2, 6, 3]), tf.float32)
    expected, outputs = layer(x)[:, -1], []
    assert len(set(layer.trace.distances[0].numpy())) > 1

    def kept(h):
        outputs.append(h)
        return tf.reduce_sum(h, 1)

    figure_gradients.norms(figure_gradients.Probe(layer, x, None, kept))
    np.testing.assert_allclose(outputs[0], expected, atol=1e-6)


@LONG
def test_gradients_before_training(tiny, tmp_path):
    """These runs were not trained; an LSTM that forgets half at each step reaches less far back."""
    runs = []
    for more in ([], ["--cell=lstm"]):
        keras.utils.set_random_seed(0)  # as a run begins
        runs.append(tiny("NumberPrediction", "--batch_size=5", *more))
    config = figure_gradients.GradientsConfig(runs=runs, untrained=True, out=str(tmp_path / "g"))
    paths = figure_gradients.draw(config)
    found = {}
    for row in csv.DictReader(paths[2].read_text().splitlines()):
        found.setdefault((row["panel"], row["run"]), []).append(float(row["norm"]))
    after, before, without = ("after training", "before training", figure_gradients.WITHOUT_BIAS)
    skip = "dynamic_skip, K = 3, lamda 1"
    assert list(found) == [
        (panel, run) for panel in (after, before, without) for run in (skip, "lstm")
    ]
    for run in (skip, "lstm"):
        assert found[before, run] == pytest.approx(found[after, run], rel=1e-4)
    assert found[without, "lstm"][0] < found[before, "lstm"][0] / 5
    caption = json.loads(paths[3].read_text())["caption"]
    first = next(i for i, norm in enumerate(found[without, skip]) if norm)
    ratio = found[without, skip][first] / found[without, "lstm"][first]
    assert f"; {ratio:.{0 if ratio >= 10 else 1}f} times {without}." in caption


@pytest.mark.parametrize("task", long_but(["NER"], ["LanguageModeling", "NER"]))
def test_gradients_of_a_run_that_reads_words(tiny, tmp_path, task):
    config = figure_gradients.GradientsConfig(
        runs=[tiny(task)], steps=3, n_texts=2, out=str(tmp_path / "g")
    )
    rows = list(csv.DictReader(figure_gradients.draw(config)[2].read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "2", "3"] and sum(
        float(row["norm"]) for row in rows
    ) == pytest.approx(1)


@pytest.mark.parametrize(
    "other", [pytest.param(("LanguageModeling",), marks=LONG), ("NumberPrediction", "--n_dev=9")]
)
def test_gradients_of_runs_that_read_other_texts_are_refused(tiny, tmp_path, other):
    config = figure_gradients.GradientsConfig(
        runs=[tiny("NumberPrediction"), tiny(*other)], steps=3, out=str(tmp_path / "g")
    )
    with pytest.raises(
        InputError, match="found NumberPrediction, generated data, 10 dev texts of 11 steps (.*); "
    ):
        figure_gradients.draw(config)
    assert not list(tmp_path.iterdir())


@LONG
def test_where_a_run_looks_and_how_far_its_words_go(tiny, tmp_path):
    numbers = figure_numbers.draw(
        figure_numbers.NumbersConfig(run_dir=tiny("NumberPrediction"), out=str(tmp_path / "n"))
    )
    assert "K = 3, seed 0" in json.loads(numbers[-1].read_text())["caption"] and all(
        path.stat().st_size for path in numbers
    )
    distances = figure_distances.draw(
        figure_distances.DistancesConfig(run_dir=tiny("LanguageModeling"), out=str(tmp_path / "d"))
    )
    rows = list(csv.DictReader(distances[2].read_text().splitlines()))
    assert {row["distance"] for row in rows if row["class"] == "determiner"} == {"1", "2", "3"}
    for run, found in (
        (tiny("NumberPrediction"), "digits"),
        (tiny("LanguageModeling", "--tokens=characters"), "--tokens characters"),
    ):
        with pytest.raises(InputError, match=f"expected a run that reads words, found {found}"):
            figure_distances.draw(
                figure_distances.DistancesConfig(run_dir=run, out=str(tmp_path / "e"))
            )


@pytest.fixture(scope="module")
def page(tiny, tmp_path_factory):
    """The page of a run, as the command writes it."""
    stem = tmp_path_factory.mktemp("page") / "connections"
    config = show_skips.ShowConfig(
        run_dir=tiny("LanguageModeling"), html=True, samples=2, out=str(stem)
    )
    (path,) = show_skips.show(config)
    return path


def test_the_page_is_the_template_with_data_and_needs_no_other_file(page):
    text = page.read_text(encoding="utf-8")
    before, after = connections_page.TEMPLATE.read_text(encoding="utf-8").split("__DATA__")
    assert text.startswith(before) and text.endswith(after)
    data = json.loads(text[len(before) : -len(after)])
    assert (
        data["actions"] == 3
        and data["model"]["readers"]
        and data["texts"][0]["readings"][0]["probs"]
    )
    assert not re.findall(r"""(?:src|href)\s*=|@import|https?://""", text)


# Frames are as narrow as they are told to be, windows are not.
FRAMES = """
<iframe src="PAGE#word=3" style="width:320px"></iframe>
<iframe src="PAGE#word=3" style="width:360px"></iframe>
<script>onload = () => { document.title = [...document.querySelectorAll("iframe")].map((frame) => {
  const page = frame.contentDocument.documentElement,
    rows = page.querySelectorAll("#table tr").length;
  return `${rows} rows, ${page.scrollWidth - page.clientWidth} too wide`; }).join("; "); };</script>
"""


def test_the_page_fits_a_phone(page, tmp_path):
    browser = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if browser is None:
        pytest.skip(
            "no browser here: apt-get install chromium, then python -m pytest --last-skipped"
        )
    (tmp_path / "frames.html").write_text(FRAMES.replace("PAGE", page.as_uri()))
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--virtual-time-budget=3000",
        "--dump-dom",
    ]
    done = subprocess.run(
        [browser, *flags, (tmp_path / "frames.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (
        re.search("<title>(.*?)</title>", done.stdout)[1]
        == "4 rows, 0 too wide; 4 rows, 0 too wide"
    )


def test_every_committed_figure_is_whole():
    """Picture and numbers beside what describes them, and nothing in the descriptions that only one
    machine has.
    """
    described = sorted(figure_files.FOLDER.glob("*.json"))
    for path in described:
        assert all(path.with_suffix(kind).is_file() for kind in (".svg", ".png", ".csv")), path
        text = json.loads(path.read_text(encoding="utf-8"))
        assert (
            text["command"].startswith("python ")
            and " /" not in text["command"]
            and "=/" not in text["command"]
        )
    assert (
        len(html_report.figures()) == len(described) == len(list(figure_files.FOLDER.glob("*.svg")))
    )
