"""Starts the runs of a table: as processes of this machine, or on a Ray cluster."""

import concurrent.futures
import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple

from common.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Job(NamedTuple):
    """One run: its name, its command, its folder, and the file for its result."""

    name: str
    command: list[str]
    run_dir: pathlib.Path
    result_path: pathlib.Path


class Outcome(NamedTuple):
    """The exit status of a run and, if that is 0, its result.json and metrics.jsonl as text."""

    status: int
    result: str = ""
    metrics: str = ""


Launch = Callable[[Job], Outcome]


def run_all(
    jobs: Sequence[Job],
    launch: Launch,
    keep: Callable[[str, str, pathlib.Path], None],
    at_a_time: int,
) -> list[str]:
    """Run jobs, `at_a_time` at once, and keep each result; returns the names that failed.

    A failure does not stop the others. On Ctrl-C or SIGTERM no further job starts, and running ones
    are told to save and exit.
    """
    failed, stopping, finished, lock = [], threading.Event(), [0], threading.Lock()

    def one(number: int, job: Job) -> None:
        if stopping.is_set():
            return
        print(f"run {number}/{len(jobs)} begins: {job.name}", flush=True)
        outcome = launch(job)
        with lock:
            if stopping.is_set():
                return
            if outcome.status:
                failed.append(f"{job.name}: status {outcome.status}")
            else:
                keep(outcome.result, outcome.metrics, job.result_path)
            finished[0] += 1
            print(
                f"{finished[0]} of {len(jobs)} runs have ended:"
                f" {job.name}{' FAILED' if outcome.status else ''}",
                flush=True,
            )

    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        waiting = [pool.submit(one, number, job) for number, job in enumerate(jobs, 1)]
        try:
            for future in waiting:
                future.result()
        except BaseException:
            stopping.set()
            print("waiting for the runs that are on to save and stop", flush=True)
            getattr(launch, "stop", lambda: None)()
            raise
    return failed


class local:  # noqa: N801
    """Starts runs as processes of this machine.

    With `show_names`, each line that a run prints begins with its name. Runs get the niceness
    `nice`, or that of this process if it is higher.
    """

    def __init__(self, show_names: bool = False, nice: int = 0):
        self.show_names, self.nice, self.running, self.stopped = show_names, nice, set(), False

    def __call__(self, job: Job) -> Outcome:
        pipe = (
            {
                "stdout": subprocess.PIPE,
                "stderr": subprocess.STDOUT,
                "encoding": "utf-8",
                "errors": "replace",
            }
            if self.show_names
            else {}
        )
        with self._alone(job):
            if self.stopped:
                return Outcome(1)
            # In its own session: Ctrl-C reaches the run once, from here. At a second one a trainer
            # exits without saving.
            with subprocess.Popen(job.command, start_new_session=True, **pipe) as process:
                self.running.add(process)
                _give_way(process.pid, self.nice)
                try:
                    if self.stopped:  # since the check above
                        process.terminate()
                    for line in process.stdout or ():
                        print(f"[{job.name}] {line}", end="", flush=True)
                    # with a limit: without one, no interrupt would be handled
                    status = process.wait(threading.TIMEOUT_MAX)
                except BaseException:
                    process.terminate()
                    process.wait()
                    raise
                finally:
                    self.running.discard(process)
            if status:
                return Outcome(status)
            return Outcome(
                0,
                *(
                    (job.run_dir / name).read_text(encoding="utf-8")
                    for name in ("result.json", "metrics.jsonl")
                ),
            )

    def stop(self) -> None:
        """Tell the runs to save and exit."""
        self.stopped = True
        for process in list(self.running):
            process.terminate()

    @contextlib.contextmanager
    def _alone(self, job: Job) -> Iterator[None]:
        """Wait until no other launcher and no other process works on this run.

        Such as a trainer that outlived its launcher.
        """
        job.run_dir.parent.mkdir(parents=True, exist_ok=True)
        with open(_launcher_lock(job.run_dir), "ab") as lock:
            said = False
            while not self.stopped and not (_take(lock) and not _in_use(job.run_dir)):
                if not said:
                    print(
                        f"{job.name}: another process runs in {job.run_dir}, waiting for it",
                        flush=True,
                    )
                said = True
                time.sleep(0.5)
            yield


class ray_cluster:  # noqa: N801
    """Starts runs on the Ray cluster that RAY_ADDRESS names, or on one of this machine.

    Every node needs the checkout, its Python and the data in the same places. If an interrupted run
    is to be resumed on another node, `--runs_dir` has to be on a file system that all nodes share.
    Results come back through Ray.

    Args:
        cpus, gpus: of one run.
    """

    def __init__(self, cpus: int, gpus: int):
        try:
            import ray
        except ImportError:
            raise InputError(
                "--launcher ray needs Ray: pip install 'dynamic-skip-lstm[ray]', or pip install ray"
            ) from None
        self.ray = ray
        if not ray.is_initialized():
            # The workers unpickle the function by its module's name.
            ray.init(log_to_driver=True, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
        self.remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=2)(_run_there)
        self.running = set()

    def __call__(self, job: Job) -> Outcome:
        reference = self.remote.remote(job, os.getcwd())
        self.running.add(reference)
        try:
            return Outcome(*self.ray.get(reference))
        except self.ray.exceptions.RayError as error:
            print(f"{job.name}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
            return Outcome(1)
        finally:
            self.running.discard(reference)

    def stop(self) -> None:
        """Tell the runs to save and exit."""
        for reference in list(self.running):
            self.ray.cancel(reference, force=False)


def is_running(run_dir: pathlib.Path) -> bool:
    """Whether another process works on the run in a folder: its trainer, or a launcher."""
    lock = _launcher_lock(run_dir)
    if _in_use(run_dir):
        return True
    if not lock.exists():
        return False
    with open(lock, "rb") as file:  # so others' runs can be asked about, too
        return not _take(file)


def _launcher_lock(run_dir: pathlib.Path) -> pathlib.Path:
    """A launcher's lock file for a run; it lies beside the run's folder, not in it."""
    return run_dir.with_name(f".{run_dir.name}.lock")


def _give_way(pid: int, nice: int) -> None:
    """Raise the niceness of a process that leads its own session, and on Linux of that session.

    If the scheduler groups processes by session (`autogroup`), niceness counts only within a
    session; between sessions the niceness of the group counts.
    """
    if not hasattr(os, "setpriority"):  # Windows
        return
    nice = max(nice, os.getpriority(os.PRIO_PROCESS, 0))
    if nice <= 0:
        return
    with contextlib.suppress(OSError):  # it has ended already
        os.setpriority(os.PRIO_PGRP, pid, nice)
    for _ in range(10):
        try:
            pathlib.Path(f"/proc/{pid}/autogroup").write_bytes(b"%d" % nice)
        except BlockingIOError:  # one change in a tenth of a second, for all processes together
            time.sleep(0.11)
        except OSError:  # no Linux, or one without such groups
            return
        else:
            return


def _take(lock: IO) -> bool:
    """Whether this launcher could take the lock.

    The operating system releases it however the launcher ends. Without file locks, always true.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        pass
    return True


def _in_use(run_dir: pathlib.Path) -> bool:
    """Whether a process trains in a folder; False where locks cannot be had or asked for."""
    file = run_dir / ".lock"
    if fcntl is None or not os.access(file, os.W_OK):
        return False
    with open(file, "ab") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:
            pass
    return False


def _run_there(job: Job, folder: str) -> tuple[int, str, str]:
    """What a worker does: run the job, in the folder where the table was started.

    On an interrupt, tells the run to save, and waits for that.
    """
    os.chdir(folder)
    return tuple(local()(job._replace(command=[sys.executable, *job.command[1:]])))
