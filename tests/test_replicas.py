"""common/ops/replicas.py and the trainer on several devices: the same weights as on one, dropout
and sampled distances included.
"""

import subprocess
import sys

import pytest
import tensorflow as tf
from helpers.marks import LONG

from common.errors import InputError
from common.ops import replicas
from common.training.strategy import Workers, _cluster


@LONG
@pytest.mark.parametrize(
    "tasks",
    [
        "words",
        "numbers tags texts mixed numbers_random_skip numbers_skip_lstm tags_skip_lstm"
        " texts_skip_lstm fit fit_masked fit_cell",
    ],
)
def test_two_devices_train_the_weights_of_one(tasks, root, tmp_path):
    """50 steps on the same batches; virtual devices have to be made before TensorFlow starts, hence
    the process.
    """
    command = [
        sys.executable,
        str(root / "tests" / "helpers" / "on_replicas.py"),
        str(tmp_path),
        *tasks.split(),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if " weights " in line]
    assert [line[0] for line in lines] == tasks.split()
    for task, _, weights, _, metrics, _, moved in lines:
        assert float(weights) < 1e-5 < 1e-3 < float(moved), task
        assert float(metrics) < 1e-5, task


def test_outside_a_strategy_nothing_changes():
    a = tf.constant([[1.0, 2.0], [3.0, 6.0]])
    assert replicas.count() == 1 and replicas.index() == 0 and replicas.total(a) is a
    assert float(replicas.part_of_mean(a)) == 3
    drawn = []
    assert replicas.rows(lambda shape: drawn.append(shape) or a, [2, 2]) is a and drawn == [[2, 2]]
    workers = Workers(None)
    assert (
        workers.is_chief and workers.from_chief([1.0, 2.0]) == [1.0, 2.0] and not workers.any(False)
    )


@pytest.mark.parametrize(
    "nodes, tasks, place, expected",
    [
        ("n[1-2]", "2(x2)", 2, ["n1:8888", "n1:8889", "n2:8888", "n2:8889"]),
        ("a,b", "2,1", 0, ["a:8888", "a:8889", "b:8888"]),
        ("host", "3", 1, ["host:8888", "host:8889", "host:8890"]),
    ],
)
def test_workers_that_slurm_names(nodes, tasks, place, expected, monkeypatch):
    """On machines without GPUs too."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in {
        "PROCID": place,
        "STEP_NODELIST": nodes,
        "STEP_TASKS_PER_NODE": tasks,
        "STEP_NUM_TASKS": len(expected),
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    resolver = _cluster()
    assert resolver.cluster_spec().as_dict() == {"worker": expected}
    assert resolver.get_task_info() == ("worker", place)


def test_slurm_s_environment_is_not_whole(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setenv("SLURM_PROCID", "0")
    for name in ("SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="cannot read Slurm's environment"):
        _cluster()
