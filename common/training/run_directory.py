"""The folder of one run: its flags, where it ran, a line of metrics per epoch, the result.

flags.json      settings, and for every start of the run: command, commit, versions, hardware, time
metrics.jsonl   one JSON object per epoch
result.json     written once, at the end
checkpoints/    see checkpoint.py
tensorboard/    summaries
"""

import dataclasses
import json
import os
import pathlib
import shutil
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..files import (
    atomic_write,
    is_hidden,
    is_temporary,
    naming,
    read_object,
    remove_temporary,
    to_json,
)
from .provenance import describe_start, now, peak_memory_mib
from .run_flags import check_same_run, read_flags, task_of

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_AGAIN = "put back a whole copy of the file, or choose another --run_dir"
_LOCK = ".lock"
_OF_A_START = ("started_at", "commit", "command", "step")  # kept for each in a result


class RunDirectory:
    """Reads the folder of a run; `RunDirectory.open` begins or resumes one.

    `seconds_before` is the time that the run took before this start, so that the result states the
    time of the whole run. A trainer stores `seconds` in its checkpoints and sets this attribute
    when it resumes.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.seconds_before = 0.0
        self._started = time.monotonic()
        self._was_there = self._was_empty = False
        # set by a trainer at its first step: from then on the folder is kept
        self.begun = False

    @classmethod
    def open(
        cls, path: str | os.PathLike, config: Any, argv: Sequence[str] | None = None
    ) -> "RunDirectory":
        """Begin a run in a new folder, or resume the one in it if its flags are the same.

        Flags marked `affects_result=False` may differ. A finished run (see `result`) is left as it
        is.

        Raises `InputError` if the folder belongs to other flags, is not that of a run, is damaged,
        cannot be made, or is in use by another process.
        """
        self = cls(path)
        flags_file = self.path / "flags.json"
        self._was_there = self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            what = "a file" if self.path.exists() else "a link that leads nowhere"
            raise InputError(f"--run_dir expects a folder, found {what}: {self.path}") from None
        except (NotADirectoryError, PermissionError) as error:
            raise InputError(
                f"--run_dir {self.path} cannot be made ({error.strerror}): choose another"
            ) from None
        # hidden: temporary files and the lock
        found = [name for name in os.listdir(self.path) if not is_hidden(name)]
        self._was_empty = not found
        if found and not flags_file.exists():
            raise InputError(
                f"{self.path} is not empty and holds no run (no flags.json): choose another"
                " --run_dir"
            )
        self._hold()
        remove_temporary(self.path)
        starts = []
        if flags_file.exists():
            stored = read_flags(self.path)
            check_same_run(self.path, stored, config)
            if self.result is not None:
                return self
            starts = stored["starts"]
        starts.append(describe_start(argv))
        flags = {"task": task_of(config), "flags": dataclasses.asdict(config), "starts": starts}
        atomic_write(flags_file, to_json(flags, indent=2) + "\n")
        return self

    def abandon(self) -> None:
        """Undo a first start with wrong input: the corrected command can use the folder."""
        if (
            self.begun
            or not self._was_empty
            or self.checkpoints.exists()
            or (self.path / "metrics.jsonl").exists()
        ):
            return
        if not self._was_there:
            shutil.rmtree(self.path)
            return
        for path in self.path.iterdir():
            if path.is_file() and (
                path.name == _LOCK or is_temporary(path.name) or not is_hidden(path.name)
            ):
                path.unlink()

    def resumed(self, step: int) -> None:
        """Record in flags.json, and in the result's `starts`, the step resumed from."""
        stored = read_flags(self.path)
        stored["starts"][-1]["step"] = step
        atomic_write(self.path / "flags.json", to_json(stored, indent=2) + "\n")

    def _hold(self) -> None:
        """Lock the folder against other processes as long as this object lives.

        The operating system releases the lock however the process ends.
        """
        if fcntl is None:
            return
        lock = open(self.path / _LOCK, "wb")  # noqa: SIM115
        weakref.finalize(self, lock.close)
        for attempt in range(2):
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if attempt:
                    raise InputError(
                        f"another process runs in {self.path}: wait for it, or choose another"
                        " --run_dir"
                    ) from None
                time.sleep(0.1)  # `experiments/run.py` holds it for a moment to see if it is free
            except OSError:  # a file system without locks
                pass
            else:
                return

    @property
    def seconds(self) -> float:
        """Wall time of the run so far, over all its starts."""
        return self.seconds_before + time.monotonic() - self._started

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl and flush it to the disk.

        To be called before the checkpoint of that epoch is saved.
        """
        path = self.path / "metrics.jsonl"
        with naming(path), open(path, "a", encoding="utf-8") as file:
            file.write(to_json(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def truncate_metrics(self, n_epochs: int) -> None:
        """Keep the first `n_epochs` lines; to be called by a run that resumes, also from step 0.

        Drops epochs after the checkpoint, which will be trained again, and a line that a killed
        process left half-written.
        """
        path = self.path / "metrics.jsonl"
        if path.exists() or n_epochs:
            atomic_write(
                path, "".join(to_json(record) + "\n" for record in self.read_metrics(n_epochs))
            )

    def read_metrics(self, n_epochs: int | None = None) -> list[dict[str, Any]]:
        """The records of metrics.jsonl, or the first `n_epochs`, without a half-written last line.

        Raises `InputError` for other damage, and if there are fewer: the best epoch would be
        unknown.
        """
        path = self.path / "metrics.jsonl"
        records = []
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        # what follows the last newline was never finished
        for number, line in enumerate(lines[:-1], 1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise InputError(
                    f"{path}, line {number}: expected a JSON object, found {line[:40]!r}; {_AGAIN}"
                )
            records.append(record)
        if len(records) < (n_epochs or 0):
            raise InputError(
                f"{path}: expected {n_epochs} epochs, those of the last checkpoint, found"
                f" {len(records)}; {_AGAIN}"
            )
        return records[:n_epochs]

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json: the numbers, with flags, provenance, seed and wall time."""
        stored = read_flags(self.path)
        last = stored["starts"][-1]
        provenance = {
            "task": stored["task"],
            "flags": stored["flags"],
            "seed": stored["flags"].get("seed"),
            **{key: value for key, value in last.items() if key != "step"},
            "started_at": stored["starts"][0]["started_at"],
            "finished_at": now(),
            "wall_seconds": round(self.seconds, 3),
            "peak_memory_mib": peak_memory_mib(),  # of the process that ended the run
            # More than one where the run was interrupted, each with the step it went on from; the
            # commit of a result holds only if all of them agree.
            "starts": [
                {k: start[k] for k in _OF_A_START if k in start} for start in stored["starts"]
            ],
        }
        if clash := set(result) & set(provenance):
            raise ValueError(f"a result cannot be called {', '.join(sorted(clash))}")
        atomic_write(self.path / "result.json", to_json({**result, **provenance}, indent=2) + "\n")

    @property
    def result(self) -> dict[str, Any] | None:
        """The content of result.json, None if the run has not finished.

        Raises `InputError` if it is damaged.
        """
        path = self.path / "result.json"
        do = "delete it, and run the same command again"
        return read_object(path, do) if path.exists() else None
