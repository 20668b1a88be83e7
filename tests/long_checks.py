"""Checks that take minutes, by hand:

    python tests/long_checks.py kill [TASK ...]
        a run of each task, killed 20 times with SIGKILL, ends as one that was left alone
    python tests/long_checks.py memory [TASK ...]
        2,000 steps: memory after the first 200, traces, size of what was written
    python tests/long_checks.py deterministic [TASK ...]
        two processes with --deterministic end the same, another seed elsewhere
    python tests/long_checks.py workers
        two workers on this machine; one is killed, started again, and they end as one would

A task is NumberPrediction, LanguageModeling, NER or Sentiment, at a tiny size. Each check prints
what it saw and fails with an error.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import BinaryIO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
from helpers import tiny_runs  # noqa: E402

from common.config import parse  # noqa: E402
from common.training import checkpoint, loop  # noqa: E402
from common.training.compiled_steps import Trainer  # noqa: E402

KILLS, EPOCHS = 20, 4
TASKS = ("NumberPrediction", "LanguageModeling", "NER", "Sentiment")
MORE = {
    "NumberPrediction": ["--n_train=300"],
    "LanguageModeling": ["--dropout=.3"],
    "NER": ["--max_epochs=6"],
    "Sentiment": ["--max_epochs=8", "--patience=0"],
}


def flags(task: str, data: pathlib.Path, run_dir: pathlib.Path) -> list[str]:
    """A run of some sixty calls in a few epochs, with a checkpoint after each."""
    return [
        *tiny_runs.arguments(task, data),
        f"--max_epochs={EPOCHS}",
        *MORE[task],
        "--checkpoint_seconds=0",
        f"--run_dir={run_dir}",
    ]


def train(task: str, arguments: list[str], steps_per_call: int) -> None:
    """The task's training in calls of so many steps."""
    config_class, presets, build = tiny_runs.entrypoint(task)
    config = parse(config_class, presets, ["RL_train.py", *arguments])
    loop.run(
        config, lambda config: dataclasses.replace(build(config), steps_per_call=steps_per_call)
    )


def same_end(a: pathlib.Path, b: pathlib.Path) -> None:
    """Metrics and result are equal, and the last weights bit for bit."""
    lines = [
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (a, b)
    ]
    results = [json.loads((folder / "result.json").read_text()) for folder in (a, b)]
    for records in lines:
        for record in records:
            record.pop("seconds")
    assert lines[0] == lines[1]
    names = [
        name
        for name in results[0]
        if name.startswith(("test_", "dev_", "valid_", "best", "epochs", "n_weights"))
    ]
    assert [results[0][name] for name in names] == [results[1][name] for name in names]
    files = [sorted((folder / "checkpoints").glob("*.npz")) for folder in (a, b)]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    for one, other in zip(*files, strict=True):
        arrays = [checkpoint.load(path)[1] for path in (one, other)]
        assert arrays[0].keys() == arrays[1].keys()
        assert all(np.array_equal(arrays[0][key], arrays[1][key]) for key in arrays[0]), one.name


# --------------------------------------------------------------------------------------------- kill


def die(*_: object, **__: object) -> None:
    """SIGKILL for this process, sent by itself."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_in(place: str, n_calls: int) -> None:
    """Have this process killed where no one outside can aim at: half through its next checkpoint,
    after so many compiled calls of the last evaluation, or with the result written but not under
    its name."""
    evaluate, rename = loop.TrainingLoop._evaluate, os.replace

    def half_a_checkpoint(file: BinaryIO, **arrays: np.ndarray) -> None:
        file.write(b"PK\3\4" + bytes(1000))
        file.flush()
        die()

    def evaluation(self: object, split: str) -> dict[str, float]:
        if split == "test":
            calls = itertools.count()

            def counted(call: Callable) -> Callable:
                def one(*args: object, **kwargs: object) -> object:
                    if next(calls) == n_calls:
                        die()
                    return call(*args, **kwargs)

                return one

            self.trainer.evaluate, self.trainer.infer = (
                counted(self.trainer.evaluate),
                counted(self.trainer.infer),
            )
        return evaluate(self, split)

    def name(source: pathlib.Path, target: pathlib.Path) -> None:
        if target.name == "result.json":
            die()
        rename(source, target)

    if place == "checkpoint":
        np.savez = half_a_checkpoint
    elif place == "evaluation":
        loop.TrainingLoop._evaluate = evaluation
    elif place == "result":
        os.replace = name


def in_a_child(
    task: str, arguments: list[str], log: pathlib.Path, place: str = "", n_calls: int = 0
) -> int:
    """Start the training in a fork, which has TensorFlow imported but not begun; its process
    number.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    die_in(place, n_calls)
    try:
        with (
            open(log, "a") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            train(task, arguments, 1)
        status = 0
    finally:
        os._exit(status)


def writes(run_dir: pathlib.Path) -> int:
    """A number that grows with all that a run writes."""
    with contextlib.suppress(OSError):
        numbers = [
            int(path.stem.split("-")[1]) for path in run_dir.glob("checkpoints/checkpoint-*.npz")
        ]
        lines = (
            (run_dir / "metrics.jsonl").read_bytes().count(b"\n")
            if (run_dir / "metrics.jsonl").exists()
            else 0
        )
        return max(numbers, default=0) + 1000 * lines
    return 0


def kill_check(task: str, folder: pathlib.Path, chance: random.Random) -> None:
    """A run left alone, and one that is killed again and again: in its start, in a checkpoint, in
    an evaluation, anywhere.
    """
    data = tiny_runs.write_texts(folder / "data")
    log = folder / "log"
    child = in_a_child(task, flags(task, data, folder / "whole"), log)
    assert os.waitpid(child, 0)[1] == 0, log.read_text()[-2000:]
    run_dir, where = folder / "killed", []
    total = int(checkpoint.load_latest(folder / "whole" / "checkpoints")[0])
    aimed = (
        dict.fromkeys((3, 8, 13), "checkpoint")
        | dict.fromkeys((KILLS - 4, KILLS - 3, KILLS - 2), "evaluation")
        | {KILLS - 1: "result"}
    )
    for kill in range(KILLS):
        before, place = writes(run_dir), aimed.get(kill, "")
        child = in_a_child(task, flags(task, data, run_dir), log, place, chance.randrange(2))
        if place:
            assert os.waitpid(child, 0)[1] == signal.SIGKILL, log.read_text()[-2000:]
        else:
            if kill == 1:
                time.sleep(chance.random())  # before it trains
            else:
                step = before % 1000
                goal = step + max(
                    1, round(chance.random() * 2 * (total - step) / (KILLS - 4 - kill))
                )
                while writes(run_dir) % 1000 < min(goal, total * 9 // 10):
                    assert os.waitpid(child, os.WNOHANG)[0] == 0, log.read_text()[-2000:]
                    time.sleep(0.001)
                time.sleep(chance.random() * 0.02)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert not (run_dir / "result.json").exists()
        where.append(
            f"{writes(run_dir) % 1000}{place[:1] or ('w' if list(run_dir.rglob('*.tmp')) else '')}"
        )
    child = in_a_child(task, flags(task, data, run_dir), log)
    assert os.waitpid(child, 0)[1] == 0, log.read_text()[-2000:]
    same_end(run_dir, folder / "whole")
    print(
        f"{task}: {KILLS} kills after steps {' '.join(where)} of {total} (in the middle of: w a"
        " write, c a checkpoint, e the last evaluation, r the result): same end",
        flush=True,
    )


# ------------------------------------------------------------------------------------ deterministic


def deterministic_check(task: str, folder: pathlib.Path) -> None:
    """Twice the same command, and once with another seed."""
    data = tiny_runs.write_texts(folder / "data")
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        arguments = [
            *flags(task, data, folder / name),
            "--max_epochs=2",
            "--deterministic",
            f"--seed={seed}",
        ]
        child = in_a_child(task, arguments, folder / "log")
        assert os.waitpid(child, 0)[1] == 0, (folder / "log").read_text()[-2000:]
    same_end(folder / "one", folder / "same")
    lines = [
        json.loads((folder / name / "metrics.jsonl").read_text().splitlines()[0])["train_task_loss"]
        for name in ("one", "other")
    ]
    assert lines[0] != lines[1]
    print(
        f"{task}: the same twice; another seed, another loss ({lines[0]:.6g}, {lines[1]:.6g})",
        flush=True,
    )


# ------------------------------------------------------------------------------------------- memory


def resident() -> float:
    """MiB of this process that are in memory."""
    return (
        int(pathlib.Path("/proc/self/statm").read_text().split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / 2**20
    )


def memory_check(task: str, folder: pathlib.Path) -> None:
    """RSS over 2,000 steps in calls of 5, with checkpoints and an evaluation each epoch."""
    data = tiny_runs.write_texts(folder / "data")
    seen, traces, trains = [], [0], Trainer.train
    step_function = Trainer.train_steps

    def watched(self, batches, state, first_step, schedule, on_call=None, start=0, stop=None):
        def on_each(n_done, state, metrics):
            on_call(n_done, state, metrics)
            seen.append((first_step + n_done, resident()))

        return trains(self, batches, state, first_step, schedule, on_each, start, stop)

    def traced(self, *args):
        traces[0] += 1
        return step_function(self, *args)

    Trainer.train, Trainer.train_steps = watched, traced
    try:
        with open(folder / "log", "w") as file, contextlib.redirect_stdout(file):
            more = [
                "--max_epochs=1000",
                "--max_train_steps=2000",
                "--checkpoint_seconds=.2",
                "--tensorboard",
            ]
            more += ["--patience=0"] if task in ("NER", "Sentiment") else []
            train(task, [*flags(task, data, folder / "run"), *more], 5)
    finally:
        Trainer.train, Trainer.train_steps = trains, step_function
    early = np.mean([mib for step, mib in seen if 200 <= step < 400])
    late = np.mean([mib for step, mib in seen if step >= 1800])
    written = {
        path.name: path.stat().st_size
        for path in (folder / "run").rglob("*")
        if path.is_file() and path.suffix != ".npz"
    }
    logs, printed = sum(written.values()) / 1024, (folder / "log").stat().st_size / 1024
    print(
        f"{task}: {seen[-1][0]} steps, {early:.1f} MiB at 200-400, {late:.1f} MiB at 1800-2000;"
        f" {traces[0]} traces; {logs:.0f} KiB of logs, {printed:.0f} KiB printed",
        flush=True,
    )
    assert late - early < 10


# ------------------------------------------------------------------------------------------ workers


def ports(n: int) -> list[int]:
    """Numbers of ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("localhost", 0))
    numbers = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return numbers


def worker(place: int, addresses: list[str], arguments: list[str]) -> subprocess.Popen:
    """Start one of several workers."""
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": place}}
    command = [
        sys.executable,
        str(ROOT / "NumberPrediction" / "RL_train.py"),
        *arguments,
        "--strategy=multi_worker",
    ]
    environment = os.environ | {"TF_CONFIG": json.dumps(config)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def workers_check(folder: pathlib.Path) -> None:
    """The weights of one device to 1e-5 after both workers were killed in turn and restarted."""
    base = [
        *tiny_runs.arguments("NumberPrediction", folder),
        "--n_train=1000",
        "--max_epochs=3",
        "--checkpoint_seconds=0",
    ]
    train("NumberPrediction", [*base, f"--run_dir={folder / 'one'}"], 50)
    addresses = [f"localhost:{port}" for port in ports(2)]
    arguments = [*base, f"--run_dir={folder / 'two'}"]
    both = [worker(place, addresses, arguments) for place in (0, 1)]
    for victim in (1, 0):
        before = writes(folder / "two")
        while writes(folder / "two") <= before:
            assert all(one.poll() is None for one in both), [
                one.communicate()[1][-800:] for one in both if one.poll() is not None
            ]
            time.sleep(0.1)
        both[victim].kill()
        both[victim].communicate()
        print(f"worker {victim} killed after {writes(folder / 'two') % 1000} steps", flush=True)
        both[victim] = worker(victim, addresses, arguments)
    for one in both:
        _, error = one.communicate(timeout=600)
        assert one.returncode == 0, error[-2000:]
    ends = [checkpoint.load_latest(folder / name / "checkpoints")[1] for name in ("one", "two")]
    names = [
        name
        for name, array in ends[0].items()
        if name.startswith("variable") and array.dtype.kind == "f"
    ]
    apart = max(np.abs(ends[0][name] - ends[1][name]).max() for name in names)
    print(f"two workers against one device: weights {apart:.2g} apart", flush=True)
    assert apart < 1e-5


def main(check: str = "", *tasks: str) -> None:
    """Run a check in a folder that is removed when it succeeds."""
    checks = {
        "kill": kill_check,
        "deterministic": deterministic_check,
        "memory": memory_check,
        "workers": workers_check,
    }
    if check not in checks or not set(tasks) <= set(TASKS):
        raise SystemExit(__doc__)
    if check == "workers":
        cases = [()]
    else:
        cases = [(task,) for task in tasks or TASKS]
        for task in TASKS:
            tiny_runs.entrypoint(task)  # imports
    for case in cases:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="long-check-"))
        checks[check](*case, folder, *([random.Random(0)] if check == "kill" else []))
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
