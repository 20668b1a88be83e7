"""benchmarks/: what is timed, in which order, and how it is written down.

The sizes are tiny; speed itself is not tested.
"""

import functools
import json
import runpy
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG, long_but

from benchmarks import inference, layers, speed, systems, timing
from benchmarks.networks import language_models, sentiment_networks, taggers
from experiments import figure_growth, report

TINY = layers.Size(batch=2, n_steps=3, features=4, units=5, n_actions=2, agent_units=3)


def test_runs_are_interleaved_and_ratios_are_of_one_round():
    calls = []
    seconds = timing.interleaved(
        {name: lambda name=name: calls.append(name) for name in "ab"}, runs=2, warm_up=1
    )
    assert calls == ["a", "b"] * 3 and {name: len(values) for name, values in seconds.items()} == {
        "a": 2,
        "b": 2,
    }
    assert timing.ratio({"a": [1.0, 2.0, 30.0], "b": [2.0, 4.0, 10.0]}, "a", "b") == 0.5
    assert timing.milliseconds([0.003, 0.001, 0.002]) == 2.0


def test_without_jax_one_line_says_what_is_missing(root, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jax", None)  # as if it were not installed
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(root / "benchmarks" / "without_tensorflow" / "run_hlo.py"))
    assert left.value.code == 2
    assert (
        capsys.readouterr().err
        == "error: expected JAX, found none: pip install jax, or jax[cuda13]\n"
    )


OPERATIONS = {"lstm": 4, "gru": 3}  # of each unit's gates and candidate


def test_operations_of_an_lstm():
    """T B rows through [D + H, 4 H], a multiplication and an addition each; twice as much on the
    way back.
    """
    assert TINY.operations == 3 * 2 * (3 * 2) * (4 + 5) * (4 * 5)
    found = layers.operations_of_cells(TINY)
    assert found["lstm"] == TINY.operations
    assert found["gru"] / found["lstm"] == OPERATIONS["gru"] / OPERATIONS["lstm"]
    assert found["leaky"] * 4 == found["lstm"]


@LONG
def test_every_layer_takes_a_step(monkeypatch):
    # the others run by test_cells.py
    monkeypatch.setattr(layers, "CELLS", ("dynamic_skip", "gru"))
    # one that is compiled once, of both tables
    monkeypatch.setattr(layers, "dynamic_skip", functools.cache(layers.dynamic_skip))
    gradients = {
        name: step() for name, step in (layers.candidates(TINY) | layers.all_cells(TINY)).items()
    }
    assert {
        "DynamicSkipLSTM",
        "keras LSTM, XLA",
        "matrix products alone",
        "dynamic_skip",
        "gru",
    } <= gradients.keys()
    layer = {
        name: gradients[name][0]
        for name in ("DynamicSkipLSTM", "FastLSTM", "keras LSTM, graph", "gru")
    }
    assert all(np.all(np.isfinite(g)) and np.any(g) for g in layer.values())


def test_the_tagger_around_keras_layers_has_as_many_weights(monkeypatch):
    models = []
    make = taggers.NERModel
    monkeypatch.setattr(taggers, "NERModel", lambda *args: models.append(make(*args)) or models[-1])
    taggers.our_steps(cell="lstm", rnn_size=5)
    taggers.keras_steps(rnn_size=5)
    ours, theirs = (
        [tuple(weight.shape) for weight in model.trainable_variables] for model in models
    )
    assert sorted(ours) == sorted(theirs)
    assert type(models[1].forward).__module__.startswith("keras.")


NETWORKS = {  # whose model is made where, and a tiny size without dropout
    "tagger of Lample et al.": (taggers, "NERModel", {"char_rnn_size": 2, "max_chars": 4}),
    "dilated convolutions": (taggers, "NERModel", {"filters": 4}),
    "attention pooling": (sentiment_networks, "SentimentModel", {"max_tokens": 3}),
    "variational LSTM": (
        language_models,
        "LanguageModel",
        {"num_unroll_steps": 3, "word_dropout": 0.0, "state_dropout": 0.0},
    ),
}


@pytest.mark.parametrize("name", long_but(list(NETWORKS)[1:], NETWORKS))
def test_their_network_is_ours(name, monkeypatch):
    """With the same weights and without dropout it has the same loss, of padded texts too."""
    networks, model_class, flags = NETWORKS[name]
    monkeypatch.setattr(networks, "N_WORDS", 20)
    monkeypatch.setattr(taggers, "N_STEPS", 3)
    made, make = [], getattr(networks, model_class)
    keep = lambda *args: made.append(make(*args)) or made[-1]  # noqa: E731
    monkeypatch.setattr(networks, model_class, keep)
    flags |= {"dropout": 0.0, "batch_size": 2, "jit_compile": False}
    flags |= {} if name == "dilated convolutions" else {"rnn_size": 5}
    _, theirs = systems.SYSTEMS[name][0](**flags)
    ours = made[0]
    # the kernels, then the biases, by size; those of one size in order
    one, other = (
        sorted(weights, key=lambda v: ("bias" in v.path, np.prod(v.shape)))
        for weights in (ours.trainable_variables, theirs.weights)
    )
    random = np.random.default_rng(0)
    for a, b in zip(one, other, strict=True):
        a.assign(random.normal(0, 0.5, a.shape))
        b.assign(np.reshape(a, b.shape))
    batch = {key: array[0] for key, array in theirs.batches.items()}
    batch |= {key: batch[key] % 20 for key in ("words", "targets") if key in batch}
    if "lengths" in batch:
        batch["words"][1, 2], batch["lengths"][1] = 0, 2
    batch = {key: tf.constant(array) for key, array in batch.items()}
    state = ours.initial_state(2) if hasattr(ours, "initial_state") else ()
    loss, _, _ = ours.training_loss(batch, state, tf.zeros(2, tf.int32), {"learning_rate": 0.0})
    per_step = 3 if name == "variational LSTM" else 1  # its loss is a sum over the steps
    assert np.isclose(loss / per_step, theirs.loss(batch), rtol=1e-5)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder with the results of parts at a tiny size, and of nothing where the size grows."""
    monkeypatch.setattr(layers, "dynamic_skip", lambda size, **_: lambda: time.sleep(1e-3))
    # as where it is not installed
    monkeypatch.setattr(layers, "torch_step", lambda shape, units: None)
    monkeypatch.setattr(layers, "SMALL", TINY)
    monkeypatch.setattr(layers, "PTB", TINY)
    monkeypatch.setattr("benchmarks.memory.peak_mib", lambda case, n_steps: 0.5 * n_steps)
    speed.measure(
        speed.SpeedConfig(
            parts=["layer", "length", "batch", "units", "actions", "memory"],
            runs=1,
            results=str(tmp_path),
        )
    )
    return tmp_path


@LONG
def test_results_are_written_and_shown(results, monkeypatch):
    monkeypatch.setattr(report, "BENCHMARKS", results)
    text = report.speed()
    found = json.loads((results / "length.json").read_text())
    assert found["gflop_at"]["100"] == pytest.approx(TINY._replace(n_steps=100).operations / 1e9)
    assert f"| milliseconds | {found['milliseconds_at']['35']:.1f} | " in text
    assert (
        "| FastLSTM | " in text
        and "| torch LSTM" not in text
        and "## units" in text
        and "## step" not in text
    )
    assert "| DynamicSkipLSTM, K 5 | 2 | 3 | 6 |" in text  # MiB at T, 2 T, 4 T
    paths = figure_growth.draw(
        figure_growth.GrowthConfig(results=str(results), out=str(results / "growth"))
    )
    assert all(path.stat().st_size for path in paths)
    rows = (results / "growth.csv").read_text().splitlines()
    assert rows[0] == "of,against,at,measured,in_proportion" and len(rows) == 1 + 4 * 5 + 5 * 3


def test_tables_of_cells_and_of_ways_to_compile():
    cells = speed.by_cell(
        {
            "tagger": {"lstm": [0.001, 0.003], "gru": [0.002]},
            "sentiment": {"lstm": [0.5], "gru": [0.25]},
        }
    )
    assert report._speed_table(cells)[0] == "| milliseconds | tagger | sentiment |"
    assert report._speed_table(cells)[2:] == ["| lstm | 2.0 | 500.0 |", "| gru | 2.0 | 250.0 |"]
    shares = speed.per_operation({"tagger": {"lstm": [1], "gru": [0.9]}}, {"tagger": OPERATIONS})
    assert shares == {"lstm": {"tagger": 1.0}, "gru": {"tagger": 1.2}}
    one = {"milliseconds_of": {"gru": {"tagger": 2}}, "per_operation": shares}
    assert report._speed_table(one)[2] == "| gru | 2.0 (1.20) |"
    ways = {
        "ways": {
            "paper": {
                "XLA": {"compile_seconds": 3.14, "step_milliseconds": 10},
                "graph": {"compile_seconds": 1, "step_milliseconds": 9},
            }
        }
    }
    beside = {
        "milliseconds": {"a": 2.0, "b": 4.0},
        "reference_over": {"a": 1, "b": 0.5},
        "gflop_per_second": {"a": 80, "b": 40},
    }
    assert report._speed_table(beside)[0] == "|  | milliseconds | first row / this row | GFLOP/s |"
    assert report._speed_table(beside)[3] == "| b | 4.0 | 0.50 | 40 |"
    assert report._speed_table(ways)[2] == "| paper | 3.1 | 10.0 | 1.0 | 9.0 |"


def test_one_sentence_at_a_time(monkeypatch):
    """A word is generated from the state that the words before it left, in our network and in
    Keras'; the milliseconds are a word's, the ratios ours over theirs.
    """
    sizes = {"rnn_size": 4, "rnn_layers": 1, "agent_units": 3}
    monkeypatch.setattr(inference, "WORDS", 3)
    monkeypatch.setattr(inference.language_models, "N_WORDS", 50)
    for step, state in (
        make(inference.language_models.config_of("paper", **sizes))
        for make in (inference._ours, inference._keras)
    ):
        words = np.array([[3, 1, 4]], np.int32)
        whole, behind = step(words, state)[0].numpy(), state
        for t in range(3):
            logits, behind = step(words[:, t : t + 1], behind)
            np.testing.assert_allclose(logits[:, 0], whole[:, t], atol=1e-6)
    seconds = {"dynamic_skip": [0.006, 0.3, 0.009], "torch LSTM": [0.003] * 3}
    monkeypatch.setattr(timing, "interleaved", lambda functions, runs: seconds)
    for name in ("tag", "read", "generate"):
        monkeypatch.setattr(inference, name, dict)
    lines = report._speed_table(inference.measure(3))
    assert lines[0].startswith("| milliseconds (first row / this row) | tagging a sentence | ")
    assert lines[2:] == [
        "| dynamic_skip | 3.00 (1.00) | 3.00 (1.00) | 3.00 (1.00) |",
        "| torch LSTM | 1.00 (3.00) | 1.00 (3.00) | 1.00 (3.00) |",
    ]
