"""common/training/loop.py: a run cut off anywhere ends as one that was not; bounds, numbers that
are not finite, a finished run.

The network is a small regression, so that what is tested here costs little;
tests/test_number_prediction.py and its like train the tasks.
"""

import dataclasses
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG
from tensorflow.core.util import event_pb2

from common import files
from common.config import RunConfig, main, setting
from common.errors import InputError
from common.ops.random import dropout
from common.training import checkpoint, loop, summaries
from common.training.compiled_steps import Trainer
from common.training.experiment import Experiment, best_epoch
from common.training.interrupts import Interrupt
from common.training.make_trainer import make_trainer, set_precision
from common.training.metrics import means
from common.training.restore import restore
from common.training.run_directory import RunDirectory
from common.training.run_state import RunState
from common.training.strategy import Workers

SIZE, BATCH, STEPS, EPOCHS = 3, 4, 20, 3  # steps in an epoch: 6 calls of 3 and one of 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyConfig(RunConfig):
    """Train a regression."""

    task = "Toy"
    pause: float = setting(0.0, "seconds a step takes", affects_result=False)


FLAGS = dict(
    max_epochs=EPOCHS,
    batch_size=BATCH,
    checkpoint_seconds=0.0,
    tensorboard=False,
    jit_compile=False,
    learning_rate=0.05,
)


class Toy(keras.Model):
    """y = D(x) w; carries the sum of the inputs from batch to batch, and a momentum in its
    optimizer.
    """

    def __init__(self):
        super().__init__(name="toy")
        self.w = self.add_weight(shape=(SIZE, 1), name="w", initializer="glorot_uniform")
        self.built = True

    def initial_state(self, batch_size):
        return [tf.zeros([batch_size, SIZE], self.compute_dtype)]

    def training_loss(self, batch, state, seed, schedule):
        x = dropout(batch["x"], 0.3, seed) + 0.01 * tf.cast(state[0], tf.float32)
        loss = tf.reduce_mean(((x @ tf.convert_to_tensor(self.w))[:, 0] - batch["y"]) ** 2)
        extra = schedule["learning_rate"] * batch["y"][0] * 0
        return (
            loss + extra,
            {"task_loss": (loss, 1.0), "extra": (extra, 1.0)},
            [state[0] + tf.cast(batch["x"], state[0].dtype)],
        )

    def evaluation_metrics(self, batch, state, seed, greedy):
        error = tf.reduce_sum(
            tf.abs((batch["x"] @ tf.convert_to_tensor(self.w))[:, 0] - batch["y"])
        )
        return {"error": (error, tf.cast(BATCH, tf.float32))}, state


def data(epoch):
    random = np.random.default_rng([7, epoch])
    x = random.normal(size=(STEPS, BATCH, SIZE)).astype(np.float32)
    return {"x": x, "y": (x @ np.array([1.0, -2.0, 0.5], np.float32)).astype(np.float32)}


def build(config, spoil=None):
    """`spoil` makes an epoch's batches bad."""
    model = Toy()

    def evaluate(trainer, split):
        return {
            f"{split}_error": means(trainer.evaluate(data(1000), model.initial_state(BATCH)))[
                "error"
            ]
        }

    def train_batches(epoch):
        time.sleep(config.pause)
        return [spoil(epoch, data(epoch)) if spoil else data(epoch)]

    return Experiment(
        model=model,
        optimizer=keras.optimizers.SGD(config.learning_rate, 0.5),
        train_batches=train_batches,
        initial_state=model.initial_state(BATCH),
        schedule=lambda epoch, records: {
            "learning_rate": config.learning_rate * 0.9 ** len(records)
        },
        evaluate=evaluate,
        monitor="-dev_error",
        steps_per_call=3,
    )


def train(config):
    loop.run(config, build)


def toy(run_dir, **flags):
    return ToyConfig(**FLAGS | flags, run_dir=str(run_dir))


def start(root, run_dir, *more):
    """The entrypoint of a task, in a process of its own."""
    flags = [f"--{name}={value}" for name, value in FLAGS.items()] + [f"--run_dir={run_dir}", *more]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    command = [sys.executable, "-m", "test_loop", *flags]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def saved_steps(run_dir):
    return sorted(
        int(path.stem.split("-")[1]) for path in run_dir.glob("checkpoints/checkpoint-*.npz")
    )


def cut_off(process, run_dir, step, number):
    """Send the signal as soon as a checkpoint of at least `step` is there; returns exit status and
    stderr.
    """
    deadline = time.monotonic() + 120
    while max(saved_steps(run_dir), default=0) < step:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    return process.returncode, error.splitlines()[-1:]


def records(run_dir):
    return [
        {k: v for k, v in json.loads(line).items() if k != "seconds"}
        for line in (run_dir / "metrics.jsonl").read_text().splitlines()
    ]


def result(run_dir):
    found = json.loads((run_dir / "result.json").read_text())
    return {
        k: v
        for k, v in found.items()
        if k.startswith(("dev_", "test_"))
        or k in ("best_epoch", "epochs", "n_weights", "recoveries")
    }


def weights(run_dir, name):
    return checkpoint.load(run_dir / "checkpoints" / f"{name}.npz")[1]


def assert_same_end(run_dir, whole):
    """Records, result and all checkpoints, the weights bit for bit."""
    assert records(run_dir) == records(whole)
    assert result(run_dir) == result(whole)
    for name in (f"checkpoint-{EPOCHS * STEPS}", "best"):
        assert_same_weights(run_dir, whole, name)


def assert_same_weights(run_dir, other, name):
    a, b = weights(run_dir, name), weights(other, name)
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype and a[key].tobytes() == b[key].tobytes(), key


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing cut off."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    train(toy(run_dir))
    return run_dir


# ------------------------------------------------------------------------------ cut off and gone on


@LONG
def test_signals_end_a_process_that_goes_on_later(root, whole, tmp_path):
    """SIGTERM in the second epoch, then to the end; bit for bit."""
    run_dir = tmp_path / "run"
    status, line = cut_off(start(root, run_dir, "--pause=.5"), run_dir, STEPS + 3, signal.SIGTERM)
    assert (status, line) == (143, ["interrupted: run the same command to go on"])
    stopped = max(saved_steps(run_dir))
    assert STEPS + 3 <= stopped < EPOCHS * STEPS
    train(toy(run_dir))
    assert_same_end(run_dir, whole)


class Killed(BaseException):
    """What a process feels of SIGKILL: nothing after it happens."""


def kill_at(monkeypatch, moment):
    """Kill at the `moment`-th of all the places where a run touches the disk, or begins an
    evaluation. Returns what was counted.
    """
    count = [0]

    def counted(function):
        def call(*args, **kwargs):
            count[0] += 1
            if count[0] == moment:
                raise Killed
            return function(*args, **kwargs)

        return call

    # a file is written, under its temporary name
    monkeypatch.setattr(files.os, "fsync", counted(os.fsync))
    monkeypatch.setattr(files.os, "replace", counted(os.replace))  # it gets its name
    # dead processes do not clean up
    monkeypatch.setattr(files.pathlib.Path, "unlink", lambda self, missing_ok=False: None)
    monkeypatch.setattr(Trainer, "evaluate", counted(Trainer.evaluate))
    return count


def test_killed_at_any_of_the_places_where_it_hurts(whole, tmp_path, monkeypatch):
    """Killed again and again, each time a little later in what the process does: in the middle of a
    checkpoint, between it and its name, between the metrics and the checkpoint, in an evaluation,
    before the result. Bit for bit the same in the end.
    """
    run_dir, starts, moment = tmp_path / "run", 0, 2
    while not (run_dir / "result.json").exists():
        starts += 1
        assert starts < 60
        with monkeypatch.context() as patch:
            count = kill_at(patch, moment)
            try:
                train(toy(run_dir))
            except Killed:
                moment = 2 + (moment * 5 + 3) % 23
            assert count[0]
    assert starts > 8
    assert_same_end(run_dir, whole)


@pytest.mark.parametrize("steps", [4, STEPS + 4])
def test_killed_in_the_evaluation_behind_max_train_steps(steps, tmp_path, monkeypatch):
    """An epoch that has begun is evaluated, though there are no steps left."""
    train(toy(tmp_path / "whole", max_train_steps=steps))
    n_evaluations, evaluate = [0], Trainer.evaluate

    def killed(self, *args):
        n_evaluations[0] += 1
        if n_evaluations[0] == 1 + steps // STEPS:
            raise Killed
        return evaluate(self, *args)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Trainer, "evaluate", killed)
        train(toy(tmp_path / "run", max_train_steps=steps))
    assert max(saved_steps(tmp_path / "run")) == steps
    train(toy(tmp_path / "run", max_train_steps=steps))
    assert records(tmp_path / "run") == records(tmp_path / "whole")
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_metrics_that_are_lost_are_damage(tmp_path):
    """The best of those that are left is not the epoch whose weights `best.npz` holds."""
    with pytest.raises(InputError, match="spoiled"):
        loop.run(toy(tmp_path / "run"), lambda config: build(config, spoil_at(2)))
    (tmp_path / "run" / "metrics.jsonl").unlink()
    with pytest.raises(
        InputError, match="metrics.jsonl: expected 2 epochs, .* found 0; put back a whole"
    ):
        train(toy(tmp_path / "run"))
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_state_in_16_bits_goes_on(tmp_path, monkeypatch):
    """Mixed precision: NumPy has no bfloat16, a checkpoint nonetheless holds the state that is
    carried.
    """
    try:
        train(toy(tmp_path / "whole", mixed_precision=True))
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, 20)
            train(toy(tmp_path / "run", mixed_precision=True))
        state = weights(tmp_path / "run", f"checkpoint-{max(saved_steps(tmp_path / 'run'))}")[
            "state/0"
        ]
        train(toy(tmp_path / "run", mixed_precision=True))
        assert_same_end(tmp_path / "run", tmp_path / "whole")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    # numbers of 16 bits
    assert np.any(state) and np.array_equal(state, tf.cast(tf.cast(state, tf.bfloat16), tf.float32))


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_is_used(
    whole, tmp_path, monkeypatch, capsys
):
    run_dir = tmp_path / "run"
    with pytest.raises(InputError, match="spoiled"):
        loop.run(toy(run_dir), lambda config: build(config, spoil_at(2)))
    newest = max(saved_steps(run_dir))
    path = run_dir / "checkpoints" / f"checkpoint-{newest}.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    train(toy(run_dir))
    out, error = capsys.readouterr()
    assert f"{path}; trying the one before" in error and "SHA-256" in error
    assert f"resuming after step {saved_before(newest)}\n" in out
    assert_same_end(run_dir, whole)
    found = json.loads((run_dir / "result.json").read_text())
    assert [start.get("step") for start in found["starts"]] == [
        None,
        saved_before(newest),
    ] and "step" not in found
    assert (run_dir / "checkpoints" / "best.npz").exists()  # for who evaluates it later


def saved_before(step):
    """The checkpoint before that of `step`: the last call of an epoch is one of two steps, all
    others of three.
    """
    return step - (2 if step % STEPS == 0 else 3)


def spoil_at(epoch):
    """An epoch that cannot be read."""

    def spoil(now, batches):
        if now == epoch:
            raise InputError("spoiled")
        return batches

    return spoil


@pytest.fixture
def ctrl_c():
    """Heard, and what hears it put back: tests in the background of a shell begin with it
    ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.SIGINT
    signal.signal(signal.SIGINT, before)


def test_a_signal_waits_for_the_number_of_its_step(ctrl_c, tmp_path, monkeypatch):
    """The signal comes while the compiled call runs: what is saved must be the step after it, with
    its weights.
    """
    trains = Trainer.train

    def train_(self, *args):
        inner = self._train

        def call(*args):
            found = inner(*args)
            if int(args[4]) == 3:
                os.kill(os.getpid(), ctrl_c)
            return found

        self._train = call
        return trains(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", train_)
        with pytest.raises(KeyboardInterrupt):
            train(toy(tmp_path / "run"))
    assert max(saved_steps(tmp_path / "run")) == 6
    path = tmp_path / "run" / "checkpoints" / "checkpoint-6.npz"
    iterations = [a for name, a in checkpoint.load(path)[1].items() if "iteration" in name]
    assert iterations == [6]  # the optimizer's own count
    assert signal.getsignal(ctrl_c) is signal.default_int_handler


def test_a_second_signal_is_raised_at_once(ctrl_c):
    with pytest.raises(KeyboardInterrupt), Interrupt():
        signal.raise_signal(ctrl_c)
        signal.raise_signal(ctrl_c)
        pytest.fail("it was held back")
    assert signal.getsignal(ctrl_c) is signal.default_int_handler


def test_a_signal_behind_the_last_step_is_raised(ctrl_c):
    held_back = []
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        signal.raise_signal(ctrl_c)
        held_back.append(interrupt.has_come)
    assert held_back == [ctrl_c] and signal.getsignal(ctrl_c) is signal.default_int_handler


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert interrupt.has_come is None and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_finished_run_is_left_alone(whole, capsys):
    def times():
        return {
            path: path.stat().st_mtime_ns for path in whole.rglob("*.*") if path.name != ".lock"
        }

    before = times()
    found = loop.run(toy(whole), build)
    assert found == json.loads((whole / "result.json").read_text())
    assert capsys.readouterr().out == f"finished before: {whole / 'result.json'}\n"
    loop.run(dataclasses.replace(toy(whole), eval_samples=4), build)
    told = f"{whole / 'result.json'} (with --eval_samples 1: evaluate.py --samples measures others)"
    assert capsys.readouterr().out == f"finished before: {told}\n"
    assert times() == before


def test_other_training_data_are_told(tmp_path, monkeypatch):
    """Of a run that goes on; checkpoints of before data were looked at go on with any."""

    def changed(epoch, batches):
        batches["y"][0, 0] += 1
        return batches

    run_dir = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 20)
        train(toy(run_dir))
    with pytest.raises(InputError, match=r"training data are others now .* give those of then"):
        loop.run(toy(run_dir), lambda config: build(config, changed))
    old = shutil.copytree(run_dir, tmp_path / "old")
    train(toy(run_dir))
    step, arrays, meta = checkpoint.load_latest(old / "checkpoints")
    del meta["data"]
    checkpoint.save(old / "checkpoints", step, arrays, meta)
    loop.run(toy(old), lambda config: build(config, changed))


def test_the_weights_of_the_best_epoch_are_kept_and_tested(tmp_path):
    """Though another epoch came after it: as if the run had ended with the best."""

    def worse_and_worse(config):
        experiment, errors = build(config), iter([1.0, 2.0])

        def evaluate(trainer, split):
            if split == "dev":
                return {"dev_error": next(errors)}
            return experiment.evaluate(trainer, split)

        return dataclasses.replace(experiment, evaluate=evaluate)

    for n in (1, 2):
        loop.run(toy(tmp_path / f"{n}", max_epochs=n), worse_and_worse)
    assert_same_weights(tmp_path / "2", tmp_path / "1", "best")
    found = result(tmp_path / "2")
    assert (found["best_epoch"], found["epochs"]) == (1, 2)
    assert found == result(tmp_path / "1") | {"epochs": 2}


def test_a_run_that_stops_early(tmp_path):
    """One that goes on knows from the metrics that it has stopped."""

    def stops(config):
        return dataclasses.replace(build(config), stop_early=lambda records: len(records) == 2)

    def killed(config):
        experiment = stops(config)

        def evaluate(trainer, split):
            if split == "test":
                raise Killed
            return experiment.evaluate(trainer, split)

        return dataclasses.replace(experiment, evaluate=evaluate)

    with pytest.raises(Killed):
        loop.run(toy(tmp_path / "run"), killed)
    assert len(records(tmp_path / "run")) == 2
    loop.run(toy(tmp_path / "run"), stops)
    assert result(tmp_path / "run")["epochs"] == 2


def test_checkpoints_are_seconds_apart(tmp_path):
    """But for those at the ends of epochs; the newest two are kept."""
    train(toy(tmp_path / "run", checkpoint_seconds=600.0, max_epochs=2))
    assert saved_steps(tmp_path / "run") == [STEPS, 2 * STEPS]


def test_max_train_steps(whole, tmp_path, capsys):
    """Stops within a call, at exactly that step; until then it is the same run."""
    train(toy(tmp_path / "run", max_train_steps=STEPS + 4))
    shown, found = capsys.readouterr().out, records(tmp_path / "run")
    assert re.search(r"epoch 2/\d+  4/4 .* 0:00:00 left", shown)
    best = min(found, key=lambda record: record["dev_error"])
    said = f"\nevaluating epoch {best['epoch']}, the best on dev\ntest_"
    assert said in shown, "an evaluation of many chains takes as long as the training"
    assert [record["step"] for record in found] == [STEPS, STEPS + 4]
    assert found[0] == records(whole)[0]
    assert max(saved_steps(tmp_path / "run")) == STEPS + 4
    assert result(tmp_path / "run")["epochs"] == 2


# ----------------------------------------------------------------------------------------- the disk


@pytest.mark.parametrize("place", ["write", "fsync"])
def test_a_full_disk(place, whole, tmp_path, monkeypatch, capsys):
    """One line, status 2, nothing half-written; with room again the same command goes on to the
    same end.
    """
    run_dir, n = tmp_path / "run", [0]

    def full(*args, **kwargs):
        n[0] += 1
        if n[0] > 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return (real if place == "fsync" else savez)(*args, **kwargs)

    real, savez = os.fsync, np.savez
    argv = [
        "RL_train.py",
        *(f"--{name}={value}" for name, value in FLAGS.items()),
        f"--run_dir={run_dir}",
    ]
    with monkeypatch.context() as patch:
        if place == "fsync":
            patch.setattr(files.os, "fsync", full)
        else:
            patch.setattr(checkpoint.np, "savez", full)
        with pytest.raises(SystemExit) as left:
            main(ToyConfig, {"paper": {}}, train, argv)
    assert left.value.code == 2
    where = rf"{re.escape(str(run_dir))}(/flags.json|/metrics.jsonl|/checkpoints(/[\w-]+\.npz)?)?"
    told = f"error: No space left on device: {where}; make room, then run the same command again\n"
    assert re.fullmatch(told, capsys.readouterr().err)
    assert not list(run_dir.rglob("*.tmp")) and not (run_dir / "result.json").exists()
    assert checkpoint.load_latest(run_dir / "checkpoints")[0] == max(saved_steps(run_dir)) > 0
    train(toy(run_dir))
    assert_same_end(run_dir, whole)


# ------------------------------------------------------------------------------- numbers not finite


def not_finite(epoch, step, times=10**9):
    """An input that is infinite, the first so many times that it is met."""
    met = [0]

    def spoil(now, batches):
        if now == epoch and met[0] < times:
            met[0] += 1
            batches["y"][step, 0] = np.inf
        return batches

    return spoil


def test_a_loss_that_is_not_finite(tmp_path):
    """One line that says where; the last good checkpoint stays as it was."""
    expected = (
        rf"^step {STEPS + 5}: task_loss, extra, loss, gradient_norm not finite; the last good"
        r" checkpoint stays in .*checkpoints: "
        "--recover 3 with the same flags .*, or try a smaller --learning_rate"
    )
    with pytest.raises(InputError, match=expected):
        loop.run(toy(tmp_path / "run"), lambda config: build(config, not_finite(1, 5)))
    step, arrays, _ = checkpoint.load_latest(tmp_path / "run" / "checkpoints")
    assert step == STEPS + 3 and all(np.isfinite(a).all() for a in arrays.values())
    assert len(records(tmp_path / "run")) == 1 and not (tmp_path / "run" / "result.json").exists()


@pytest.mark.parametrize("error", [MemoryError("too many"), InputError("bad"), KeyError("a bug")])
def test_a_start_that_fails_leaves_the_folder_free(error, tmp_path):
    """A smaller network, say, has other flags."""

    def fails(config):
        raise error

    with pytest.raises(type(error)):
        loop.run(toy(tmp_path / "run"), fails)
    assert not (tmp_path / "run").exists()


def test_too_little_memory_for_a_step_leaves_the_folder_free(tmp_path, monkeypatch):
    """Nothing was trained yet: the command with a smaller batch can use the same folder."""

    def train_(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", train_)
        with pytest.raises(InputError, match="not enough memory .* try a smaller --batch_size"):
            train(toy(tmp_path / "run"))
    train(toy(tmp_path / "run", max_epochs=1))


def test_summaries_that_cannot_be_written_end_no_run(tmp_path, capsys):
    path = tmp_path / "tensorboard"
    path.write_text("in the way")
    summaries.write(path, {"epoch": 1, "dev_error": 0.5})
    line = capsys.readouterr().err
    assert line.startswith(f"warning: no summaries for TensorBoard in {path} (")
    assert line.count("\n") == 1 and line.endswith("or give --notensorboard\n")


def test_summaries_are_read_back(tmp_path):
    """The floats alone, at the number of the epoch."""
    summaries.write(tmp_path, {"epoch": 3, "step": 60, "dev_error": 0.5, "learning_rate": 0.25})
    (path,) = tmp_path.iterdir()
    written = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    found = [
        (value.tag, event.step, tf.make_ndarray(value.tensor))
        for event in map(event_pb2.Event.FromString, written)
        for value in event.summary.value
    ]
    assert found == [("dev_error", 3, 0.5), ("learning_rate", 3, 0.25)]


def test_recover_goes_back_with_half_the_learning_rate(whole, tmp_path, capsys):
    """In the second epoch, twice, further the second time; the metrics say so, and a run that is
    killed in between ends the same. What was computed twice counts once in its time.
    """
    run_dir, began = tmp_path / "run", time.monotonic()
    ended = loop.run(
        toy(run_dir, recover=2), lambda config: build(config, not_finite(1, 5, times=2))
    )
    assert ended["wall_seconds"] < time.monotonic() - began + 0.01
    told = capsys.readouterr().out
    assert f"went back to step {STEPS + 3}, learning rate times 0.5" in told
    assert f"went back to step {STEPS}, learning rate times 0.25" in told
    found = records(run_dir)
    assert found[0] == records(whole)[0]
    assert [record["learning_rate"] for record in found] == pytest.approx(
        [0.05, 0.05 * 0.9 / 4, 0.05 * 0.81 / 4]
    )
    what = f"step {STEPS + 5}: task_loss, extra, loss, gradient_norm not finite"
    assert found[1]["recoveries"] == [{"what": what, "epoch": 2}] * 2
    assert [n for n, record in enumerate(found) if "recoveries" in record] == [1]
    assert result(run_dir)["recoveries"] == 2

    def killed(config):
        experiment = build(config, not_finite(1, 5, times=2))

        def evaluate(trainer, split):
            if trainer.optimizer.iterations.numpy() > STEPS:
                raise Killed
            return experiment.evaluate(trainer, split)

        return dataclasses.replace(experiment, evaluate=evaluate)

    with pytest.raises(Killed):
        loop.run(toy(tmp_path / "killed", recover=2), killed)
    train(toy(tmp_path / "killed", recover=2))
    assert_same_end(tmp_path / "killed", run_dir)


def test_recover_goes_further_back_than_weights_that_have_diverged(tmp_path, capsys):
    """The epoch's last checkpoint was saved before its loss on dev turned out not to be finite."""
    failed = [0]

    def diverged(config):
        experiment = build(config)

        def evaluate(trainer, split):
            failed[0] += 1
            if failed[0] <= 2:
                raise OverflowError
            return experiment.evaluate(trainer, split)

        return dataclasses.replace(experiment, evaluate=evaluate)

    loop.run(toy(tmp_path / "run", recover=3, max_epochs=2), diverged)
    told = re.findall("went back to step ([0-9]+)", capsys.readouterr().out)
    assert told[0] == str(STEPS) and 0 < int(told[1]) < STEPS and len(told) == 2
    found = records(tmp_path / "run")
    assert len(found) == 2 and found[0]["learning_rate"] == pytest.approx(0.05 / 4)


def test_recover_gives_up_and_starts_from_step_0(tmp_path, capsys):
    """Before the first checkpoint of its own a run goes back to its beginning."""
    with pytest.raises(
        InputError,
        match="^step 0: .* not finite after 2 recoveries; .*--recover 5 with the same flags",
    ):
        loop.run(toy(tmp_path / "run", recover=2), lambda config: build(config, not_finite(0, 0)))
    assert capsys.readouterr().out.count("went back to step 0") == 2


@pytest.mark.parametrize(
    "value, expected",
    [(np.nan, "dev_error not finite"), (None, "the loss on dev is too large for a number")],
)
def test_an_evaluation_that_is_not_finite(value, expected, tmp_path):
    def evaluate(trainer, split):
        if value is None:
            raise OverflowError
        return {f"{split}_error": value}

    with pytest.raises(InputError, match=f"^step {STEPS}: {expected}; the last good checkpoint"):
        loop.run(
            toy(tmp_path / "run"),
            lambda config: dataclasses.replace(build(config), evaluate=evaluate),
        )


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    """A step too large for the weights: its loss and its gradient were finite."""
    with pytest.raises(
        InputError,
        match=(
            r"^step 1: w not finite; no checkpoint was written yet: --recover 3 with the same flags"
        ),
    ):
        loop.run(
            toy(tmp_path / "run", learning_rate=3e38, max_grad_norm=100.0, max_train_steps=1),
            too_far,
        )
    assert (tmp_path / "run" / "flags.json").exists() and not saved_steps(tmp_path / "run")


def too_far(config):
    return dataclasses.replace(build(config), steps_per_call=1)


def test_weights_that_are_not_finite_are_so_on_all_workers(tmp_path, monkeypatch):
    """The first worker looks; another one goes back with it, though it writes nothing."""
    config = toy(tmp_path / "run")
    workers = Workers(None)
    state = RunState(build(config), None, RunDirectory(tmp_path / "run"), workers)
    monkeypatch.setattr(workers, "is_chief", False)
    state.save()
    monkeypatch.setattr(workers, "any", lambda flag: True)
    with pytest.raises(FloatingPointError, match="step 0: a weight not finite"):
        state.save()


def test_a_test_that_is_not_finite_is_the_end(tmp_path, capsys):
    """There is nothing to go back to: the weights of the best epoch would be the same."""

    def spoilt(config):
        experiment = build(config)

        def evaluate(trainer, split):
            return (
                {f"{split}_error": np.nan}
                if split == "test"
                else experiment.evaluate(trainer, split)
            )

        return dataclasses.replace(experiment, evaluate=evaluate)

    with pytest.raises(
        InputError,
        match=(
            "test_error not finite, with the weights of the best epoch, which stay in"
            " .*best.npz: try"
        ),
    ):
        loop.run(toy(tmp_path / "run", recover=2, max_epochs=1), spoilt)
    assert "went back" not in capsys.readouterr().out


def test_a_signal_is_heard_though_the_step_was_not_finite(ctrl_c, tmp_path, monkeypatch, capsys):
    trains = Trainer.train

    def train_(self, *args):
        os.kill(os.getpid(), ctrl_c)
        return trains(self, *args)

    monkeypatch.setattr(Trainer, "train", train_)
    with pytest.raises(KeyboardInterrupt):
        loop.run(toy(tmp_path / "run", recover=2), lambda config: build(config, not_finite(0, 0)))
    assert "went back" not in capsys.readouterr().out


# -------------------------------------------------------------------------------------- determinism


def test_the_seed_alone_decides(whole, tmp_path):
    """The first weights, and also what is drawn later."""
    train(toy(tmp_path / "same"))
    assert_same_end(tmp_path / "same", whole)

    def first_weights(seed):
        set_precision(toy(tmp_path, seed=seed))
        return Toy().w.numpy()

    assert (first_weights(0) != first_weights(1)).any()

    def from_zeros(config):
        experiment = build(config)
        experiment.model.w.assign(tf.zeros([SIZE, 1]))
        return experiment

    for seed in (0, 1):
        loop.run(toy(tmp_path / f"{seed}", seed=seed, max_epochs=1), from_zeros)
    assert result(tmp_path / "0") != result(tmp_path / "1")


def test_a_step_is_compiled_once(tmp_path, monkeypatch):
    """In each process, however long a run is, and wherever in an epoch it goes on."""
    traced, losses = [0], Toy.training_loss

    def counted(self, *args):
        traced[0] += 1
        return losses(self, *args)

    monkeypatch.setattr(Toy, "training_loss", counted)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 37)
        train(toy(tmp_path / "run"))
    assert traced[0] == 1 and STEPS < max(saved_steps(tmp_path / "run")) < 2 * STEPS
    train(toy(tmp_path / "run"))
    assert traced[0] == 2


# ------------------------------------------------------------------------------------------ devices


def test_a_strategy_with_one_device_and_its_resumption(whole, tmp_path, capsys):
    """The whole way of `--strategy mirrored`, cut off once, to the numbers of a run without it."""
    run_dir = tmp_path / "run"
    with pytest.raises(InputError, match="spoiled"):
        loop.run(toy(run_dir, strategy="mirrored"), lambda config: build(config, spoil_at(1)))
    assert "note: --strategy mirrored found one device" in capsys.readouterr().out
    train(toy(run_dir, strategy="mirrored"))
    assert f"resuming after step {STEPS}\n" in capsys.readouterr().out
    for found, expected in zip(records(run_dir), records(whole), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)
    assert result(run_dir) == pytest.approx(result(whole), rel=1e-5)


def test_a_strategy_and_a_loss_that_is_not_finite(tmp_path):
    expected = "^step 4: task_loss, extra, loss, gradient_norm not finite; the last good checkpoint"
    with pytest.raises(InputError, match=expected):
        loop.run(
            toy(tmp_path / "run", strategy="mirrored"),
            lambda config: build(config, not_finite(0, 4)),
        )
    assert saved_steps(tmp_path / "run") == [3]


# -------------------------------------------------------------------------------------------- parts


def test_best_epoch():
    found = [{"a": 1.0}, {"a": 3.0}, {"a": 3.0}, {"a": 2.0}]
    assert best_epoch(found, "a") == 1 and best_epoch(found, "-a") == 0


def test_a_trainer_is_made_as_the_flags_say(tmp_path):
    made = make_trainer(Toy(), toy(tmp_path, seed=5, max_grad_norm=1.5, train_samples=3))
    assert (made.seed, made.max_grad_norm, made.n_samples) == (5, 1.5, 3)


def test_a_checkpoint_of_another_model(whole):
    class Variable:
        path, shape = "other", (5, 3)

    with pytest.raises(
        InputError, match=r"another model: expected other of shape \(5, 3\), found shape"
    ):
        restore([Variable()], weights(whole, "best"))


def test_records_are_as_they_will_be_read(whole):
    """What a schedule sees is the same in a run that goes on from the file."""
    assert RunDirectory(whole).read_metrics() == [
        json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()
    ]


if __name__ == "__main__":
    main(ToyConfig, {"paper": {}}, train)
