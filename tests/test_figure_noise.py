"""Bias and noise of the estimators: draws agree with the exact gradient."""

import csv

import numpy as np
import pytest

from experiments import figure_noise
from experiments.figure_noise import NoiseConfig


@pytest.fixture(scope="module")
def every():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_noise, "T", 2)
        patch.setattr(figure_noise, "K", 2)
        patch.setattr(figure_noise, "B", 2)
        yield figure_noise.enumerate_choices(0)


def test_all_choices(every):
    np.testing.assert_allclose(every.probs.sum(1), 1, atol=1e-6)
    # the gradient of a sum of probabilities, which is 1
    np.testing.assert_allclose(np.einsum("bn,bntp->bp", every.probs, every.scores), 0, atol=1e-5)


@pytest.mark.parametrize("name, n_samples", [("none", 1), ("leave_one_out", 1), ("samples", 3)])
def test_draws_are_unbiased(every, name, n_samples):
    draws, exact = figure_noise.by_reward(every, 300, n_samples, name, 1), every.exact()
    error = np.abs(draws.mean(0) - exact) / (draws.std(0) / np.sqrt(len(draws)) + 1e-9)
    assert error.max() < 5 and np.abs(exact).max() > 1e-4


def test_the_figure(every, tmp_path, monkeypatch):
    monkeypatch.setattr(figure_noise, "enumerate_choices", lambda seed: every)
    paths = figure_noise.draw(NoiseConfig(draws=50, networks=1, out=str(tmp_path / "n")))
    assert sorted(path.suffix for path in paths) == [".csv", ".json", ".png", ".svg"]
    with open(tmp_path / "n.csv", encoding="utf-8") as file:
        rows = {row["estimator"]: row for row in csv.DictReader(file)}
    noise = [float(row["noise"]) for row in rows.values()]
    assert noise[2] < noise[1] and noise[2] < noise[0]  # samples of one input have the least
    assert all(float(row["bias"]) == 0 for row in list(rows.values())[:3])
    assert all(float(row["bias"]) > 0 for row in list(rows.values())[3:])
