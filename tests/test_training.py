"""common/training.py: a run cut off anywhere ends as one that was not; bounds, a loss that is not finite, a finished run."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from common import checkpoint, run, training
from common.errors import InputError
from NumberPrediction import model
from NumberPrediction.presets import PRESETS, NumberConfig

FLAGS = dict(
    n_train=400, n_dev=60, n_test=60, rnn_size=8, length=10, n_actions=3, agent_units=4, batch_size=20, max_epochs=3,
    checkpoint_seconds=0.0, entropy_weight=0.01, tensorboard=False, jit_compile=False,
)  # fmt: skip
STEPS = 20  # in an epoch: 6 calls of 3 steps and one of 2


def build(config):
    """The task's experiment, in calls so short that a run can be met in the middle of an epoch."""
    return dataclasses.replace(model.build(config), steps_per_call=3)


def train(config):
    training.run(config, build)


def start(root, run_dir):
    """The task's entrypoint, with the `build` above, in a process of its own."""
    flags = [f"--{name}={value}" for name, value in FLAGS.items()] + [f"--run_dir={run_dir}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    command = [sys.executable, "-m", "test_training", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def saved_steps(run_dir):
    return [int(path.stem.split("-")[1]) for path in run_dir.glob("checkpoints/checkpoint-*.npz")]


def cut_off(process, run_dir, step, number):
    """Send the signal as soon as a checkpoint of at least `step` is there; returns exit status and stderr."""
    deadline = time.monotonic() + 120
    while max(saved_steps(run_dir), default=0) < step:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    return process.returncode, error.splitlines()[-1:]


def records(run_dir):
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in open(run_dir / "metrics.jsonl")]


def result(run_dir):
    found = json.loads((run_dir / "result.json").read_text())
    return {k: v for k, v in found.items() if k.startswith(("dev_", "test_")) or k in ("best_epoch", "epochs", "n_weights")}


def weights(run_dir, name):
    return checkpoint.load(run_dir / "checkpoints" / f"{name}.npz")[1]


def assert_equal_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes(), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing cut off."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    training.run(NumberConfig(**FLAGS, run_dir=str(run_dir)), build)
    return run_dir


def test_a_run_killed_twice_ends_as_one_that_was_not(root, whole, tmp_path):
    """SIGTERM in the first epoch, SIGKILL in the second, then to the end; bit for bit."""
    run_dir = tmp_path / "run"
    status, line = cut_off(start(root, run_dir), run_dir, 5, signal.SIGTERM)
    assert (status, line) == (143, ["interrupted: run the same command to go on"])
    stopped = max(saved_steps(run_dir))
    assert 5 <= stopped < STEPS and not (run_dir / "metrics.jsonl").exists()

    status, _ = cut_off(start(root, run_dir), run_dir, STEPS + 4, signal.SIGKILL)
    assert status == -signal.SIGKILL
    killed = max(saved_steps(run_dir))
    assert STEPS + 4 <= killed < 3 * STEPS and killed % STEPS  # within an epoch
    assert not (run_dir / "result.json").exists()

    last = start(root, run_dir)
    out, error = last.communicate(timeout=120)
    assert last.returncode == 0, error
    assert out.startswith(f"resuming after step {killed}\n")
    assert records(run_dir) == records(whole)
    assert result(run_dir) == result(whole)
    for name in (f"checkpoint-{3 * STEPS}", "best"):
        assert_equal_bits(weights(run_dir, name), weights(whole, name))


def test_a_signal_waits_for_the_number_of_its_step(tmp_path, monkeypatch):
    """The signal comes while the compiled call runs: what is saved must be the step after it, with its weights."""
    trains = training.Trainer.train

    def train(self, *args):
        inner = self._train

        def call(*args):
            found = inner(*args)
            if int(args[4]) == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return found

        self._train = call
        return trains(self, *args)

    config = NumberConfig(**FLAGS, run_dir=str(tmp_path / "run"))
    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "train", train)
        with pytest.raises(KeyboardInterrupt):
            training.run(config, build)
    assert max(saved_steps(tmp_path / "run")) == 6
    path = tmp_path / "run" / "checkpoints" / "checkpoint-6.npz"
    iterations = [a for name, a in checkpoint.load(path)[1].items() if "iteration" in name]
    assert iterations == [6]  # the optimizer's own count
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_finished_run_is_left_alone(whole, capsys):
    def times():
        return {path: path.stat().st_mtime_ns for path in whole.rglob("*.*") if path.name != ".lock"}

    before = times()
    found = training.run(NumberConfig(**FLAGS, run_dir=str(whole)), build)
    assert found == json.loads((whole / "result.json").read_text())
    assert "finished before" in capsys.readouterr().out
    assert times() == before


def test_max_train_steps(whole, tmp_path):
    """Stops within a call, at exactly that step; until then it is the same run."""
    config = NumberConfig(**FLAGS, run_dir=str(tmp_path / "run"), max_train_steps=STEPS + 4)
    training.run(config, build)
    found = records(tmp_path / "run")
    assert [record["step"] for record in found] == [STEPS, STEPS + 4]
    assert found[0] == records(whole)[0]
    assert saved_steps(tmp_path / "run")[-1:] and max(saved_steps(tmp_path / "run")) == STEPS + 4
    assert result(tmp_path / "run")["epochs"] == 2


def test_a_loss_that_is_not_finite(tmp_path):
    """One line that says where; the last good checkpoint stays as it was."""
    config = NumberConfig(**FLAGS, run_dir=str(tmp_path / "run"))

    def knobs(epoch, records):
        return {"learning_rate": 1e-3, "entropy_weight": float("nan") if epoch else 0.0}

    def build_breaking(config):
        return dataclasses.replace(build(config), knobs=knobs)

    expected = rf"^step {STEPS}: .*agent_loss.* not finite; the last good checkpoint stays in .*checkpoints: try"
    with pytest.raises(InputError, match=expected):
        training.run(config, build_breaking)
    step, arrays, _ = checkpoint.load_latest(tmp_path / "run" / "checkpoints")
    assert step == STEPS and all(np.isfinite(a).all() for a in arrays.values())
    assert len(records(tmp_path / "run")) == 1 and not (tmp_path / "run" / "result.json").exists()


def test_best_epoch():
    found = [{"a": 1.0}, {"a": 3.0}, {"a": 3.0}, {"a": 2.0}]
    assert training._best(found, "a") == 1 and training._best(found, "-a") == 0


def test_a_checkpoint_of_another_model(whole):
    class Variable:
        path, shape = "other", (3, 3)

    with pytest.raises(InputError, match=r"another model: expected other of shape \(3, 3\), found shape"):
        training.restore([Variable()], weights(whole, "best"))


if __name__ == "__main__":
    run.main(NumberConfig, PRESETS, train)
