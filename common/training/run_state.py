"""The state of a run: what a checkpoint holds, and how an interrupted run resumes from it."""

import functools
import hashlib
import json
import time
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files import to_json
from . import checkpoint
from .compiled_steps import Trainer
from .experiment import Experiment, Records
from .metrics import add
from .restore import by_name, restore
from .run_directory import RunDirectory
from .strategy import Workers


class RunState:
    """The counters, sums and weights of a run, and the checkpoints that store them.

    Attributes:
        epoch: number of finished epochs.
        step: number of steps in the whole run. step_in_epoch: in this epoch.
        carried: what the model carries from batch to batch (`Experiment.initial_state`).
        totals: sums of the metrics in this epoch. epoch_seconds: the time it took so far.
        records: one for each finished epoch.
        recoveries: one for each return to a checkpoint after a NaN or Inf.
        last_save: time of the last checkpoint, in seconds of `time.monotonic`.
    """

    def __init__(
        self, experiment: Experiment, trainer: Trainer, directory: RunDirectory, workers: Workers
    ):
        self.experiment, self.trainer = experiment, trainer
        self.directory, self.workers = directory, workers
        self.variables = [*experiment.model.variables, *experiment.optimizer.variables]
        self.records: Records = []
        self.recoveries: list[dict[str, Any]] = []
        self.epoch = self.step = 0
        self._went_back_to: int | None = None
        self.last_save = time.monotonic()
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.step_in_epoch, self.epoch_seconds = 0, 0.0
        self.carried, self.totals = self.experiment.initial_state, {}

    def advance(self, n_steps: int, carried: Any, metrics: dict[str, np.ndarray]) -> None:
        """Count the steps of one compiled call; `metrics` are its totals.

        Totals are added call by call, so that a resumed run adds the same numbers in the same
        order.
        """
        self.step, self.step_in_epoch = self.step + n_steps, self.step_in_epoch + n_steps
        self.carried, self.totals = carried, add(self.totals, metrics)

    def end_epoch(self, record: dict[str, Any]) -> None:
        """Keep the record of an epoch and begin the next one."""
        self.records.append(json.loads(to_json(record)))  # as a resumed run will read it
        self.epoch += 1
        self._begin_epoch()

    def save(self, name: str | None = None) -> None:
        """Write a checkpoint.

        Raises FloatingPointError, on all workers, if a number in it is not finite.
        """
        self.last_save = time.monotonic()
        arrays = self._arrays() if self.workers.is_chief else {}
        bad = [
            name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()
        ]
        if self.workers.any(bool(bad)):  # all of them go back, or they would wait for each other
            raise FloatingPointError(
                f"step {self.step}: {bad[0].split('/', 2)[-1] if bad else 'a weight'} not finite"
            )
        if not self.workers.is_chief:
            return
        arrays |= {f"total/{name}": value for name, value in self.totals.items()}
        meta = {
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "epoch_seconds": self.epoch_seconds,
            "seconds": self.directory.seconds,
            "recoveries": self.recoveries,
            "data": self._data,
        }
        checkpoint.save(self.directory.checkpoints, self.step, arrays, meta, name)

    def _arrays(self) -> dict[str, np.ndarray]:
        """The weights, the optimizer's variables and what is carried, by name in the checkpoint."""
        arrays = {name: v.numpy() for name, v in by_name(self.variables).items()}
        # NumPy has no bfloat16: stored in 32 bits, which loses nothing either way.
        carried = [
            a if a.dtype != tf.bfloat16 else tf.cast(a, tf.float32)
            for a in map(tf.convert_to_tensor, tf.nest.flatten(self.carried))
        ]
        return arrays | {f"state/{i}": a.numpy() for i, a in enumerate(carried)}

    @functools.cached_property
    def _data(self) -> str:
        """A digest of the first epoch's batches: of the training data, as they are read."""
        found = hashlib.sha256()
        for chunk in self.experiment.train_batches(0):
            for name in sorted(chunk):
                array = np.ascontiguousarray(chunk[name])
                found.update(f"{name} {array.dtype} {array.shape}".encode())
                found.update(array.data)
        return found.hexdigest()

    def resume(self) -> bool:
        """Resume from the last intact checkpoint; false if there is none.

        Raises `InputError` if the training data are others than when the run began.
        """
        found = (
            checkpoint.load_latest(self.directory.checkpoints)
            if self.directory.checkpoints.is_dir()
            else None
        )
        step = -1 if found is None else found[0]
        if (chief_step := self.workers.from_chief([step])[0]) != step:
            what = [f"step {int(n)}" if n >= 0 else "the start" for n in (chief_step, step)]
            raise InputError(
                f"the first worker goes on from {what[0]}, this one from {what[1]}: "
                f"--run_dir {self.directory.path} expects a folder that all workers share"
            )
        if found is None:
            if self.workers.is_chief:
                self.directory.truncate_metrics(0)
            return False
        self.step, arrays, meta = found
        if meta.get("data", self._data) != self._data:
            raise InputError(
                f"{self.directory.path}: the training data are others now than when this run began:"
                " give those of then, or another --run_dir"
            )
        with self.trainer.scope():
            restore(self.variables, arrays)
        start = map(tf.convert_to_tensor, tf.nest.flatten(self.carried))
        carried = [tf.cast(arrays[f"state/{i}"], a.dtype) for i, a in enumerate(start)]
        self.carried = tf.nest.pack_sequence_as(self.carried, carried)
        self.totals = {
            key.removeprefix("total/"): a for key, a in arrays.items() if key.startswith("total/")
        }
        self.epoch, self.step_in_epoch = meta["epoch"], meta["step_in_epoch"]
        self.epoch_seconds, self.directory.seconds_before = meta["epoch_seconds"], meta["seconds"]
        self.recoveries = meta.get("recoveries", [])
        if self.workers.is_chief:
            self.directory.truncate_metrics(self.epoch)
        self.records = self.directory.read_metrics(self.epoch)
        print(f"resuming after step {self.step}", flush=True)
        return True

    def go_back(self) -> None:
        """Resume from before a number that was not finite.

        Where nothing was trained since the last such return, that checkpoint's weights may have
        diverged already: the one before is taken, if it is of the same epoch or its beginning.
        """
        again = self.step == self._went_back_to
        self.resume()
        if again and self.step_in_epoch:  # else best.npz may be of an epoch after the one before
            if self.workers.is_chief:
                checkpoint.drop_latest(self.directory.checkpoints)
            self.workers.any(False)  # waits until the first worker has dropped it
            self.resume()
        self._went_back_to = self.step

    def restore_best(self) -> None:
        """Load the weights of the best epoch."""
        _, arrays, _ = checkpoint.load(self.directory.checkpoints / "best.npz")
        with self.trainer.scope():
            restore(self.variables, arrays)
