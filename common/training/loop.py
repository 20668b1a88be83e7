"""The training loop: epochs, schedules, selection on dev, recovery after a NaN, the result.

Schedules and the choice of the best epoch depend only on the records of the epochs, and every
random number on (seed, step). A run that was interrupted anywhere therefore resumes from its last
checkpoint (`run_state.py`) and ends with the same weights, bit for bit.
"""

import contextlib
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..config import RunConfig, Terminated
from ..errors import InputError, one_line
from . import summaries
from .compiled_steps import Trainer
from .experiment import Experiment, best_epoch
from .interrupts import Interrupt
from .make_trainer import count_weights, make_trainer, set_precision
from .metrics import means
from .progress import Progress
from .run_directory import RunDirectory
from .run_flags import evaluated_with
from .run_state import RunState
from .strategy import LOST, Workers, begin_again, make_strategy


def run(config: RunConfig, build: Callable[[RunConfig], Experiment]) -> dict[str, Any]:
    """Train, select the best epoch on dev, test it once; returns the result.

    Begins or resumes a run; if it has finished, reads its result.

    Raises:
        InputError: bad flags or data, or a number that is not finite (the last good checkpoint
            stays).
    """
    strategy = make_strategy(config.strategy)
    workers = Workers(strategy)
    try:
        return _run(config, build, strategy, workers)
    except tf.errors.ResourceExhaustedError as error:
        line = one_line(error.message)[:200]
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
    if strategy is not None and config.batch_size % (n := strategy.num_replicas_in_sync):
        raise InputError(
            f"--batch_size {config.batch_size} cannot be divided among {n} devices: choose a"
            f" multiple of {n}"
        )
    directory = _open(config, workers)
    if directory.result is not None:
        print(f"finished before: {directory.path / 'result.json'}{evaluated_with(config)}")
        return directory.result
    set_precision(config)
    try:
        with strategy.scope() if strategy else contextlib.nullcontext():
            experiment = build(config)
        options = experiment.steps_per_call, experiment.many_shapes
        trainer = make_trainer(experiment.model, config, experiment.optimizer, *options, strategy)
        return TrainingLoop(config, directory, experiment, trainer, workers).run()
    except Exception:  # bad input, too little memory: the corrected command has other flags
        if workers.is_chief:
            directory.abandon()
        raise


def _open(config: RunConfig, workers: Workers) -> RunDirectory:
    """The folder of the run; the first worker opens it before the others look into it."""
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


class TrainingLoop:
    """The training of one run, from its current state to its result."""

    def __init__(
        self,
        config: RunConfig,
        directory: RunDirectory,
        experiment: Experiment,
        trainer: Trainer,
        workers: Workers,
    ):
        self.config, self.directory, self.workers = config, directory, workers
        self.experiment, self.trainer = experiment, trainer
        self.state = RunState(experiment, trainer, directory, workers)

    def run(self) -> dict[str, Any]:
        """Train until `max_epochs`, `max_train_steps` or `stop_early` ends it; then test."""
        if self.state.resume():
            if self.workers.is_chief:
                self.directory.resumed(self.state.step)
        elif self.config.recover:
            self.state.save()  # a checkpoint to recover from
        while True:
            try:
                # an epoch that was begun is evaluated, also if max_train_steps ended it
                while self.state.step_in_epoch or self._begins_another():
                    self._train_epoch()
                break
            except FloatingPointError as error:
                self._recover(str(error))
        try:
            return self._finish()
        # training is over, and an older checkpoint would end the same way
        except FloatingPointError as error:
            raise InputError(
                f"{error}, with the weights of the best epoch, which stay in"
                f" {self.directory.checkpoints / 'best.npz'}: try {_smaller(self.config)}"
            ) from None

    def _begins_another(self) -> bool:
        return (
            self.state.epoch < self.config.max_epochs
            and not self._out_of_steps()
            and not self.experiment.stop_early(self.state.records)
        )

    def _recover(self, what: str) -> None:
        """Go back to the last good checkpoint with half the learning rate."""
        done = len(self.state.recoveries)
        if done >= self.config.recover:
            tried = f" after {done} recoveries" if done else ""
            kept = "no checkpoint was written yet"
            if any(self.directory.checkpoints.glob("checkpoint-*.npz")):
                kept = f"the last good checkpoint stays in {self.directory.checkpoints}"
            raise InputError(
                f"{what}{tried}; {kept}: --recover {done + 3} with the same flags goes back and"
                f" halves the learning rate, or try {_smaller(self.config)}"
            ) from None
        recoveries, seconds_before = self.state.recoveries, self.directory.seconds_before
        self.state.go_back()
        # The steps that are lost count as time taken.
        self.directory.seconds_before = seconds_before
        self.state.recoveries = [*recoveries, {"what": what, "epoch": self.state.epoch + 1}]
        rate = f"learning rate times {self._rate_factor:g}"
        print(f"{what}: went back to step {self.state.step}, {rate}", flush=True)

    @property
    def _rate_factor(self) -> float:
        return 0.5 ** len(self.state.recoveries)

    def _out_of_steps(self) -> bool:
        return 0 < self.config.max_train_steps <= self.state.step

    def _train_epoch(self) -> None:
        state = self.state
        schedule = self.experiment.schedule(state.epoch, state.records)
        schedule["learning_rate"] *= self._rate_factor
        chunks = self.experiment.train_batches(state.epoch)
        n_steps = sum(_length(chunk) for chunk in chunks)
        start, state.last_save = time.monotonic() - state.epoch_seconds, time.monotonic()
        skip, limit = state.step_in_epoch, self.config.max_train_steps or math.inf
        title = f"epoch {state.epoch + 1}/{self.config.max_epochs}"
        shown = {"print_every": self.config.print_every, "first_step": skip}
        with Progress(min(n_steps, skip + limit - state.step), title, **shown) as progress:
            for chunk in chunks:
                length = _length(chunk)
                if skip < length and not self._out_of_steps():
                    self._train_chunk(chunk, skip, schedule, start, progress)
                skip = max(skip - length, 0)
        if state.step_in_epoch < n_steps and not self._out_of_steps():
            raise AssertionError("an epoch ended before its last batch")
        record = {"epoch": state.epoch + 1, "step": state.step, **schedule}
        record |= {f"train_{name}": value for name, value in means(state.totals).items()}
        train_seconds = time.monotonic() - start
        record |= self._evaluate("dev")
        if here := [one for one in state.recoveries if one["epoch"] == state.epoch + 1]:
            record["recoveries"] = here
        self._end_epoch(record | {"seconds": round(train_seconds, 6)})

    def _evaluate(self, split: str) -> dict[str, float]:
        """Metrics of a split; all workers get those of the first, so that they decide alike."""
        try:
            found = self.experiment.evaluate(self.trainer, split)
        except OverflowError:
            raise FloatingPointError(
                f"step {self.state.step}: the loss on {split} is too large for a number"
            ) from None
        found = dict(zip(found, self.workers.from_chief(list(found.values())), strict=True))
        if bad := [name for name, value in found.items() if not math.isfinite(value)]:
            raise FloatingPointError(f"step {self.state.step}: {', '.join(bad)} not finite")
        return found

    def _train_chunk(
        self,
        chunk: dict[str, np.ndarray],
        first: int,
        schedule: dict[str, float],
        start: float,
        progress: Progress,
    ) -> None:
        state, limit = self.state, self.config.max_train_steps
        stop = first + limit - state.step if limit else None
        before = state.step

        def on_call(n_done: int, carried: Any, metrics: dict[str, np.ndarray]):
            self.directory.begun = True
            state.advance(before + n_done - state.step, carried, metrics)
            state.epoch_seconds = time.monotonic() - start
            progress.update(state.step_in_epoch, **means(state.totals))
            overdue = time.monotonic() - state.last_save >= self.config.checkpoint_seconds
            due = self.workers.from_chief([float(overdue)])[0]
            asked = asked_to_leave()
            if asked or due:
                state.save()
            if asked:
                leave()

        def asked_to_leave():
            return self.workers.any(interrupt.has_come is not None)

        def leave():
            interrupt.raise_if_it_has_come()
            raise Terminated  # another worker got the signal

        with Interrupt() as interrupt:
            try:
                self.trainer.train(chunk, state.carried, before, schedule, on_call, first, stop)
            except FloatingPointError:
                if asked_to_leave():  # leaving comes before recovery
                    leave()
                raise

    def _end_epoch(self, record: dict[str, Any]) -> None:
        if self.workers.is_chief:
            self.directory.log_epoch(record)
            if self.config.tensorboard:
                summaries.write(self.directory.tensorboard, record)
        self.state.end_epoch(record)
        if best_epoch(self.state.records, self.experiment.monitor) == self.state.epoch - 1:
            self.state.save("best")
        self.state.save()
        if self.workers.is_chief:
            shown = [f"{n} {v:.5g}" for n, v in record.items() if n.startswith(("dev", "valid"))]
            shown.append(f"({record['seconds']:.1f} s)")
            print(f"epoch {self.state.epoch}: {'  '.join(shown)}", flush=True)

    def _finish(self) -> dict[str, Any]:
        records = self.state.records
        best = best_epoch(records, self.experiment.monitor)
        self.workers.any(False)  # waits until the first worker has written the last checkpoint
        self.state.restore_best()
        print(f"evaluating epoch {best + 1}, the best on dev", flush=True)
        result = {n: v for n, v in records[best].items() if n.startswith(("dev_", "valid_"))}
        result |= self._evaluate("test")
        result |= {
            "best_epoch": best + 1,
            "epochs": len(records),
            "n_weights": count_weights(self.experiment.model),
            "seconds_per_epoch": statistics.median(record["seconds"] for record in records),
        }
        if self.state.recoveries:
            result["recoveries"] = len(self.state.recoveries)
        if self.experiment.tokens_per_epoch and not self.config.max_train_steps:
            result["tokens_per_second"] = (
                self.experiment.tokens_per_epoch / result["seconds_per_epoch"]
            )
        if not self.workers.is_chief:
            return result
        self.directory.write_result(result)
        shown = "  ".join(f"{n} {v:.5g}" for n, v in result.items() if n.startswith("test_"))
        print(f"{shown}\nresult: {self.directory.path / 'result.json'}", flush=True)
        return self.directory.result


def _smaller(config: RunConfig) -> str:
    norm = "a smaller --max_grad_norm" if config.max_grad_norm else "a --max_grad_norm of 5"
    return f"a smaller --learning_rate or {norm} in a new --run_dir"


def _length(chunk: dict[str, np.ndarray]) -> int:
    return len(next(iter(chunk.values())))
