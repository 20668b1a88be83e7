"""The recall task: its loss by hand, what it learns, its batches, its script."""

import json
import runpy
import sys

import numpy as np
import pytest
import tensorflow as tf

from common.config import parse
from common.data import bucketing
from common.errors import InputError
from common.training import loop
from NumberPrediction import reader
from NumberPrediction.recall import experiment as recall_experiment
from NumberPrediction.recall import model as recall_model
from NumberPrediction.recall.presets import PRESETS, RecallConfig

TINY = (
    "--rnn_size=8 --n_train=50 --n_dev=20 --n_test=30 --max_epochs=1 --batch_size=10"
    " --nojit_compile --notensorboard".split()
)


def config(*arguments) -> RecallConfig:
    return parse(RecallConfig, PRESETS, ["train_recall.py", *TINY, *arguments])


def test_a_skip_recalls_a_short_sequence_s_first_input(tmp_path):
    flags = [
        "--preset=C",
        "--length=5",
        "--n_train=2000",
        "--rnn_size=20",
        "--max_epochs=6",
        "--learning_rate=1e-2",
    ]
    result = loop.run(config(*flags, f"--run_dir={tmp_path / 'run'}"), recall_experiment.build)
    assert result["test_mse_greedy"] == result["test_mse_sampled"]  # nothing to sample
    assert result["test_mse_sampled"] < 0.2 * result["test_mse_trivial"]
    assert abs(result["test_mse_trivial"] - 1 / 12) < 0.04


@pytest.mark.parametrize(
    "preset, expected",
    [
        ("A", (1, None, 100)),
        ("B", (2, None, 100)),
        ("C", (1, 2, 100)),
        ("D", (2, 2, 100)),
        ("special", (4, 4, 500)),
    ],
)
def test_the_source_s_versions(preset, expected):
    made = config(f"--preset={preset}")
    assert (made.n_matrices, made.skip, made.length) == expected
    cell = recall_model.RecallModel(config(f"--preset={preset}", "--length=3")).recurrent.cell
    assert (cell.n_matrices, cell.skip, cell.base) == (*expected[:2], "rnn")
    np.testing.assert_allclose(np.std(cell.recurrent_kernels[0]), 0.01, rtol=0.5)


def test_loss_by_hand():
    """Squared error; the agent is rewarded with its negative at the last step."""
    flags = [
        "--cell=dynamic_skip",
        "--n_actions=2",
        "--length=3",
        "--baseline=none",
        "--rl_weight=0.5",
    ]
    model = recall_model.RecallModel(config(*flags))
    sequences, targets = reader.recall(4, 3, 1, "train")
    seed = tf.constant([1, 2])
    predictions, trace = model(sequences, training=True, seed=seed)
    error = (predictions.numpy() - targets) ** 2
    loss, metrics, _ = model.training_loss(
        {"sequences": tf.constant(sequences), "targets": tf.constant(targets)}, (), seed, {}
    )
    # less log pi times less the error
    agent = (trace.log_probs.numpy() * 0.5 * error[:, None]).mean()
    np.testing.assert_allclose(metrics["mse"][0], error.mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, error.mean() + agent, rtol=1e-5)


def test_batches():
    sequences, targets = reader.recall(57, 3, 0, "train")
    arrays = {"sequences": sequences, "targets": targets}
    first, other = (bucketing.shuffled(arrays, 10, 0, epoch) for epoch in (0, 1))
    assert first["sequences"].shape == (5, 10, 3, 6) and first["targets"].shape == (5, 10)
    np.testing.assert_array_equal(first["sequences"][:, :, 0, 0], first["targets"])
    assert len(np.unique(first["targets"])) == 50 and (first["targets"] != other["targets"]).any()
    with pytest.raises(InputError, match="at least --batch_size 58"):
        bucketing.shuffled(arrays, 58, 0, 0)
    many, their_targets = reader.recall(501, 2, 0, "dev")
    batches = bucketing.in_order(
        {"sequences": many, "targets": their_targets}, recall_experiment.EVALUATION_BATCH
    )
    assert batches["sequences"].shape == (2, 500, 2, 6) and batches["weights"].sum() == 501
    np.testing.assert_array_equal(
        batches["targets"].ravel()[batches["weights"].ravel() == 1], their_targets
    )


def test_script(root, tmp_path, monkeypatch, capsys):
    """In this process, since starting TensorFlow takes longest."""

    def script(*arguments):
        monkeypatch.setattr(
            sys, "argv", [str(root / "NumberPrediction" / "train_recall.py"), *TINY, *arguments]
        )
        runpy.run_path(sys.argv[0], run_name="__main__")

    monkeypatch.chdir(tmp_path)
    script("--length=4", "--preset=C", "--cell=lstm", "--run_dir=run")  # without the preset's skip
    assert json.loads((tmp_path / "run" / "result.json").read_text())["task"] == "Recall"
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        script("--preset=C", "--cell=lstm", "--n_matrices=1")
    expected = (
        "error: --n_matrices belongs to --cell skip_rnn, the cell here is lstm: leave it out, or"
        " change the cell\n"
    )
    assert (left.value.code, capsys.readouterr().err) == (2, expected)
