"""The loop around the trainer: epochs, learning-rate schedules, checkpoints, exact resume, the
result.

What is decided from the past (a schedule, which epoch was best) is a function of the epochs'
records alone, and every random number one of (seed, step): so a run that was cut off anywhere goes
on from its last checkpoint and ends with the same weights, bit for bit.
"""

import contextlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..config import RunConfig, Terminated
from ..errors import InputError
from . import checkpoint, summaries
from .compiled_steps import Trainer, count_weights, make_trainer, set_precision
from .experiment import Experiment, Records, best_epoch
from .interrupts import Interrupt
from .metrics import add, means
from .progress import Progress
from .restore import arrays_of, restore
from .run_directory import RunDirectory, to_json
from .strategy import LOST, Workers, begin_again, make_strategy


def run(config: RunConfig, build: Callable[[RunConfig], Experiment]) -> dict[str, Any]:
    """Train, select on dev, test once; begins, resumes, or finds the run finished. Returns the
    result.

    Raises:
        InputError: bad flags or data, or a number that is not finite (the last good checkpoint
            stays).
    """
    strategy = make_strategy(config.strategy)
    workers = Workers(strategy)
    try:
        return _run(config, build, strategy, workers)
    except tf.errors.ResourceExhaustedError as error:
        line = " ".join(error.message.split())[:200]
        raise InputError(
            f"not enough memory for this network and batch ({line}): try a smaller --batch_size or"
            " --rnn_size"
        ) from None
    except LOST as error:
        if workers.n == 1:
            raise
        begin_again(error)


def _run(
    config: RunConfig, build: Callable, strategy: tf.distribute.Strategy | None, workers: Workers
) -> dict[str, Any]:
    if strategy is not None and config.batch_size % strategy.num_replicas_in_sync:
        n = strategy.num_replicas_in_sync
        raise InputError(
            f"--batch_size {config.batch_size} cannot be divided among {n} devices: choose a"
            f" multiple of {n}"
        )
    directory = _open(config, workers)
    if directory.result is not None:
        print(f"finished before: {directory.path / 'result.json'}")
        return directory.result
    set_precision(config)
    try:
        with strategy.scope() if strategy else contextlib.nullcontext():
            experiment = build(config)
        options = experiment.steps_per_call, experiment.many_shapes
        trainer = make_trainer(experiment.model, config, experiment.optimizer, *options, strategy)
        return _Run(config, directory, experiment, trainer, workers).go()
    except InputError:
        if workers.is_chief:
            directory.abandon()
        raise


def _open(config: RunConfig, workers: Workers) -> RunDirectory:
    """The run's folder; of several workers the first opens it, before the others look into it."""
    if not workers.is_chief:
        if not workers.from_chief([0.0])[0]:
            raise InputError(
                f"the first worker could not begin in {config.run_dir}: its own message says why"
            )
        return RunDirectory(config.run_dir)
    try:
        directory = RunDirectory.open(config.run_dir, config)
    except InputError:
        workers.from_chief([0.0])
        raise
    workers.from_chief([1.0])
    return directory


class _Run:
    def __init__(
        self,
        config: RunConfig,
        directory: RunDirectory,
        experiment: Experiment,
        trainer: Trainer,
        workers: Workers,
    ):
        self.config, self.directory, self.experiment, self.trainer = (
            config,
            directory,
            experiment,
            trainer,
        )
        self.workers = workers
        self.epoch = self.step = self.step_in_epoch = 0
        self.state, self.totals, self.epoch_seconds = experiment.initial_state, {}, 0.0
        self.variables = [*experiment.model.variables, *experiment.optimizer.variables]
        self.records: Records = []
        self.recoveries: list[dict[str, Any]] = []

    def go(self) -> dict[str, Any]:
        if self._resume():
            if self.workers.is_chief:
                self.directory.resumed(self.step)
        elif self.config.recover:
            self._save()  # something to go back to
        while True:
            try:
                # an epoch that has begun is evaluated, whatever cut it off
                while self.step_in_epoch or self._begins_another():
                    self._train_epoch()
                break
            except FloatingPointError as error:
                self._recover(str(error))
        try:
            return self._finish()
        # the training has ended: there is nothing to go back to
        except FloatingPointError as error:
            raise InputError(
                f"{error}, with the weights of the best epoch, which stay in"
                f" {self.directory.checkpoints / 'best.npz'}: try a smaller --learning_rate or"
                " --max_grad_norm in a new --run_dir"
            ) from None

    def _begins_another(self) -> bool:
        return (
            self.epoch < self.config.max_epochs
            and not self._out_of_steps()
            and not self.experiment.stop_early(self.records)
        )

    def _recover(self, what: str) -> None:
        """Go back to the last good checkpoint with half the learning rate."""
        done = len(self.recoveries)
        if done >= self.config.recover:
            tried = f" after {done} recoveries" if done else ""
            saved = any(self.directory.checkpoints.glob("checkpoint-*.npz"))
            kept = (
                f"the last good checkpoint stays in {self.directory.checkpoints}"
                if saved
                else "no checkpoint was written yet"
            )
            raise InputError(
                f"{what}{tried}; {kept}: --recover {done + 3} with the same flags goes back and"
                " halves the learning rate, or try a smaller --learning_rate or --max_grad_norm in"
                " a new --run_dir"
            ) from None
        recoveries = [*self.recoveries, {"what": what, "epoch": self.epoch + 1}]
        seconds_before = self.directory.seconds_before
        self._resume()
        # time lost is time taken
        self.recoveries, self.directory.seconds_before = recoveries, seconds_before
        print(
            f"{what}: went back to step {self.step}, learning rate times {self._rate_factor:g}",
            flush=True,
        )

    @property
    def _rate_factor(self) -> float:
        return 0.5 ** len(self.recoveries)

    def _out_of_steps(self) -> bool:
        return 0 < self.config.max_train_steps <= self.step

    # ------------------------------------------------------------------------------------ one epoch

    def _train_epoch(self) -> None:
        schedule = self.experiment.schedule(self.epoch, self.records)
        schedule["learning_rate"] *= self._rate_factor
        chunks = self.experiment.train_batches(self.epoch)
        n_steps = sum(_length(chunk) for chunk in chunks)
        start, self._last_save = time.monotonic() - self.epoch_seconds, time.monotonic()
        description = f"epoch {self.epoch + 1}/{self.config.max_epochs}"
        with Progress(
            n_steps, description, print_every=self.config.print_every, first_step=self.step_in_epoch
        ) as progress:
            skip = self.step_in_epoch
            for chunk in chunks:
                length = _length(chunk)
                if skip < length and not self._out_of_steps():
                    self._train_chunk(chunk, skip, schedule, start, progress)
                skip = max(skip - length, 0)
        if self.step_in_epoch < n_steps and not self._out_of_steps():
            raise AssertionError("an epoch ended before its last batch")
        record = {"epoch": self.epoch + 1, "step": self.step, **schedule}
        record |= {f"train_{name}": value for name, value in means(self.totals).items()}
        train_seconds = time.monotonic() - start
        record |= self._evaluate("dev")
        if here := [one for one in self.recoveries if one["epoch"] == self.epoch + 1]:
            record["recoveries"] = here
        self._end_epoch(record | {"seconds": round(train_seconds, 6)})

    def _evaluate(self, split: str) -> dict[str, float]:
        """Metrics of a split, the same on all workers: what they decide from then on must not
        differ.
        """
        try:
            found = self.experiment.evaluate(self.trainer, split)
        except OverflowError:
            raise FloatingPointError(
                f"step {self.step}: the loss on {split} is too large for a number"
            ) from None
        found = dict(zip(found, self.workers.from_chief(list(found.values())), strict=True))
        if bad := [name for name, value in found.items() if not math.isfinite(value)]:
            raise FloatingPointError(f"step {self.step}: {', '.join(bad)} not finite")
        return found

    def _train_chunk(
        self,
        chunk: dict[str, np.ndarray],
        first: int,
        schedule: dict[str, float],
        start: float,
        progress: Progress,
    ) -> None:
        stop = (
            first + self.config.max_train_steps - self.step if self.config.max_train_steps else None
        )
        before, step_in_epoch = self.step, self.step_in_epoch

        def on_call(n_done: int, state: Any, metrics: dict[str, np.ndarray]):
            self.step, self.step_in_epoch, self.state = (
                before + n_done,
                step_in_epoch + n_done,
                state,
            )
            # call by call, so that a resumed run adds in the same order
            self.totals = add(self.totals, metrics)
            self.epoch_seconds = time.monotonic() - start
            progress.update(self.step_in_epoch, **means(self.totals))
            due = self.workers.from_chief(
                [float(time.monotonic() - self._last_save >= self.config.checkpoint_seconds)]
            )[0]
            asked = asked_to_leave()
            if asked or due:
                self._save()
            if asked:
                leave()

        def asked_to_leave():
            return self.workers.any(interrupt.has_come is not None)

        def leave():
            interrupt.raise_if_it_has_come()
            raise Terminated  # another worker was asked to

        self.directory.begun = True
        with Interrupt() as interrupt:
            try:
                self.trainer.train(chunk, self.state, before, schedule, on_call, first, stop)
            except FloatingPointError:
                if asked_to_leave():  # then it is not the time to go back
                    leave()
                raise

    def _end_epoch(self, record: dict[str, Any]) -> None:
        if self.workers.is_chief:
            self.directory.log_epoch(record)
            if self.config.tensorboard:
                summaries.write(self.directory.tensorboard, record)
        self.records.append(json.loads(to_json(record)))  # as a resumed run will read it
        self.epoch, self.step_in_epoch, self.totals, self.epoch_seconds = self.epoch + 1, 0, {}, 0.0
        self.state = self.experiment.initial_state
        if best_epoch(self.records, self.experiment.monitor) == self.epoch - 1:
            self._save("best")
        self._save()
        shown = {
            name: value
            for name, value in record.items()
            if name.startswith("dev") or name.startswith("valid")
        }
        if self.workers.is_chief:
            values = "  ".join(f"{name} {value:.5g}" for name, value in shown.items())
            print(f"epoch {self.epoch}: {values}  ({record['seconds']:.1f} s)", flush=True)

    # -------------------------------------------------------------------------------------------- -
    # checkpoints and the end

    def _save(self, name: str | None = None) -> None:
        self._last_save = time.monotonic()
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
        }
        checkpoint.save(self.directory.checkpoints, self.step, arrays, meta, name)

    def _arrays(self) -> dict[str, np.ndarray]:
        """Weights, the optimizer's variables and the carried state, under the names of the
        checkpoint.
        """
        arrays = arrays_of(self.variables)
        # bfloat16, which NumPy does not have, in 32 bits: nothing is lost on the way there and
        # back.
        state = [
            a if a.dtype != tf.bfloat16 else tf.cast(a, tf.float32)
            for a in map(tf.convert_to_tensor, tf.nest.flatten(self.state))
        ]
        return arrays | {f"state/{i}": a.numpy() for i, a in enumerate(state)}

    def _resume(self) -> bool:
        """Go on from the last good checkpoint; false where there is none."""
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
        with self.trainer.scope():
            restore(self.variables, arrays)
        start = map(tf.convert_to_tensor, tf.nest.flatten(self.state))
        state = [tf.cast(arrays[f"state/{i}"], a.dtype) for i, a in enumerate(start)]
        self.state = tf.nest.pack_sequence_as(self.state, state)
        self.totals = {
            key.removeprefix("total/"): a for key, a in arrays.items() if key.startswith("total/")
        }
        self.epoch, self.step_in_epoch, self.epoch_seconds = (
            meta["epoch"],
            meta["step_in_epoch"],
            meta["epoch_seconds"],
        )
        self.directory.seconds_before = meta["seconds"]
        self.recoveries = meta.get("recoveries", [])
        if self.workers.is_chief:
            self.directory.truncate_metrics(self.epoch)
        self.records = self.directory.read_metrics(self.epoch)
        print(f"resuming after step {self.step}", flush=True)
        return True

    def _finish(self) -> dict[str, Any]:
        records = self.records
        best = best_epoch(records, self.experiment.monitor)
        self.workers.any(False)  # until the first worker has written the last checkpoint
        _, arrays, _ = checkpoint.load(self.directory.checkpoints / "best.npz")
        with self.trainer.scope():
            restore(self.variables, arrays)
        result = {
            name: value
            for name, value in records[best].items()
            if name.startswith(("dev_", "valid_"))
        }
        result |= self._evaluate("test")
        seconds = sorted(record["seconds"] for record in records)
        result |= {
            "best_epoch": best + 1,
            "epochs": len(records),
            "n_weights": count_weights(self.experiment.model),
            "seconds_per_epoch": seconds[len(seconds) // 2],
        }
        if self.recoveries:
            result["recoveries"] = len(self.recoveries)
        if self.experiment.tokens_per_epoch and not self.config.max_train_steps:
            result["tokens_per_second"] = (
                self.experiment.tokens_per_epoch / result["seconds_per_epoch"]
            )
        if not self.workers.is_chief:
            return result
        self.directory.write_result(result)
        print(
            "  ".join(f"{n} {v:.5g}" for n, v in result.items() if n.startswith("test_")),
            flush=True,
        )
        print(f"result: {self.directory.path / 'result.json'}", flush=True)
        return self.directory.result


def _length(chunk: dict[str, np.ndarray]) -> int:
    return len(next(iter(chunk.values())))
