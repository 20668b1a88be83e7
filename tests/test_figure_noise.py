"""Bias and noise of the estimators: draws agree with the exact gradient."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from helpers.marks import LONG

from common.errors import InputError
from experiments import figure_noise, noise_in_training
from experiments.figure_noise import NoiseConfig
from LanguageModeling.presets import LanguageConfig
from tests.helpers import tiny_runs


@pytest.fixture(scope="module")
def every():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_noise, "T", 2)
        patch.setattr(figure_noise, "K", 2)
        patch.setattr(figure_noise, "B", 2)
        yield figure_noise.enumerate_choices(0)


@LONG
def test_all_choices(every):
    np.testing.assert_allclose(every.probs.sum(1), 1, atol=1e-6)
    # the gradient of a sum of probabilities, which is 1
    np.testing.assert_allclose(np.einsum("bn,bntp->bp", every.probs, every.scores), 0, atol=1e-5)


@LONG
@pytest.mark.parametrize("name, n_samples", [("none", 1), ("leave_one_out", 1), ("samples", 3)])
def test_draws_are_unbiased(every, name, n_samples):
    exact = every.exact()
    draws = figure_noise.by_reward(every, 300, n_samples, name, 1)
    error = np.abs(draws.mean(0) - exact) / (draws.std(0) / np.sqrt(len(draws)) + 1e-9)
    assert error.max() < 5 and np.abs(exact).max() > 1e-4


@LONG
def test_the_figure(every, tmp_path, monkeypatch):
    monkeypatch.setattr(figure_noise, "enumerate_choices", lambda seed: every)
    paths = figure_noise.draw(NoiseConfig(draws=50, networks=1, out=str(tmp_path / "n")))
    assert sorted(path.suffix for path in paths) == [".csv", ".json", ".png", ".svg"]
    with open(tmp_path / "n.csv", encoding="utf-8") as file:
        rows = {row["estimator"]: row for row in csv.DictReader(file)}
    noise = [float(row["noise"]) for row in rows.values()]
    assert noise[2] < noise[1] and noise[2] < noise[0]  # samples of one input have the least
    biased = [float(row["bias"]) > 0 for row in rows.values()]
    assert biased == [False] * 3 + [True] * 2


# --------------------------------------------------------------------------------------- in a run


def test_mean_noise_and_time_of_draws():
    draws = np.random.default_rng(0).normal([3, -4, 0], [1, 2, 2], (4_000, 3))
    found = noise_in_training.noise_of(draws, [0.1, 0.3, 0.2] * 3)
    assert found == pytest.approx((5, 3, 0.2), rel=0.03)
    assert noise_in_training.noise_of([[1.0], [-1.0]], [1])[:2] == pytest.approx((0, 2**0.5))


@pytest.mark.parametrize("regularisation", ["dropout", "variational", "awd"])
def test_nothing_is_dropped_or_penalised_in_what_is_measured(regularisation):
    """Masks are noise, but none of the estimators', and penalties belong to no reward."""
    more = {"mc_dropout": True, "eval_samples": 2} if regularisation == "dropout" else {}
    config = LanguageConfig(regularisation=regularisation, zoneout=[0.5, 0.05], dropout=0.3, **more)
    found = dataclasses.replace(config, **noise_in_training.objective(config))
    model = {"dropout", "word_dropout", "state_dropout", "weight_dropout", "zoneout"}
    rates = [getattr(found, name) for name in (*model, "activation_l2", "slowness_l2")]
    assert not any(np.any(rate) for rate in rates if rate is not None)
    assert found.regularisation == regularisation and found.rl_weight == found.num_unroll_steps


def test_a_text_of_one_window_is_told(tmp_path):
    texts = tiny_runs.write_texts(tmp_path / "data")
    run = tiny_runs.make("LanguageModeling", tmp_path / "run", texts)
    path = tmp_path / "run" / "flags.json"
    stored = json.loads(path.read_text())
    n_tokens = len(" <eos> ".join(tiny_runs.SENTENCES).split()) + 1
    stored["flags"] |= {"batch_size": 1, "num_unroll_steps": n_tokens - 1}
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match="expected a training text of two windows of"):
        noise_in_training.measure(str(run), 1, 2)


@LONG
def test_a_language_models_run(tmp_path, monkeypatch):
    """A line for each estimator, and what it was measured with."""
    texts = tiny_runs.write_texts(tmp_path / "data")
    run = tiny_runs.make("LanguageModeling", tmp_path / "run", texts)
    variants = noise_in_training.variants(2)
    few = {name: variants[name] for name in ("samples", "reinmax")}
    monkeypatch.setattr(noise_in_training, "variants", lambda n_samples: few)
    paths = figure_noise.draw(NoiseConfig(run=str(run), draws=3, out=str(tmp_path / "n")))
    with open(paths[2], encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["estimator"][:8] for row in rows] == ["policy g", "ReinMax"]
    assert all(float(row[name]) > 0 for row in rows for name in ("noise", "seconds"))
    assert {"command", "commit", "versions", "hardware"} <= {
        *json.loads(paths[3].read_text())["measured"]
    }
