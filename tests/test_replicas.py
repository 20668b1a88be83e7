"""common/replicas.py and the trainer on several devices: the same weights as on one, dropout and sampled distances included."""

import os
import subprocess
import sys

import pytest

LONG = os.environ.get("DYNAMIC_SKIP_LONG")


@pytest.mark.parametrize(
    "tasks", ["words", pytest.param("numbers tags texts numbers_random_skip numbers_skip_lstm", marks=pytest.mark.skipif(
        not LONG, reason="two minutes: set DYNAMIC_SKIP_LONG=1"))],
)  # fmt: skip
def test_two_devices_train_the_weights_of_one(tasks, root, tmp_path):
    """50 steps on the same batches; virtual devices have to be made before TensorFlow starts, hence the process."""
    command = [sys.executable, str(root / "tests" / "on_replicas.py"), str(tmp_path), *tasks.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if " weights " in line]
    assert [line[0] for line in lines] == tasks.split()
    for task, _, weights, _, metrics, _, moved in lines:
        assert float(weights) < 1e-5 < 1e-3 < float(moved), task
        assert float(metrics) < 1e-5, task
