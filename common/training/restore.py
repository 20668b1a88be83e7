"""Loads weights from checkpoints into models."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from ..errors import InputError
from . import checkpoint
from .compiled_steps import Trainer
from .make_trainer import set_precision
from .run_flags import load_config


class Trained(NamedTuple):
    """A trained network, as every task's `load` returns it: flags, trainer, encoder."""

    config: Any
    trainer: Trainer
    encoder: Any = None  # a `Vocabulary`; NER's `Encoder`; None for digits

    @property
    def model(self) -> Any:
        """The network, with the weights of a checkpoint."""
        return self.trainer.model


def load_run(
    run_dir: str,
    config_class: type,
    make_model: Callable,
    checkpoint_file: str = "",
    **changes: Any,
) -> tuple[Any, keras.Model, Any]:
    """Flags, model and encoder of a run, with the weights of its best epoch or `checkpoint_file`.

    `make_model` makes a model from the flags, and returns it with what encodes its inputs, or None;
    it is called once the run is known to be one. `changes`: flags other than the run's; None for
    the run's.

    Raises:
        InputError: no run there, no intact checkpoint, or one of another model; a change that it
            does not read.
    """
    if not run_dir:
        raise InputError(
            "--run_dir is empty: name the folder of a run, such as"
            f" runs/{config_class.task}/paper-dynamic_skip-seed0"
        )
    changes = {name: value for name, value in changes.items() if value is not None}
    config = dataclasses.replace(load_config(run_dir, config_class), **changes)
    config.check_read(changes)
    if changes.get("eval_samples", 1) > 1 and not config.is_random:
        raise InputError(
            "--samples mixes predictions that differ by what is drawn, and in this run nothing is:"
            " leave it out"
        )
    best = pathlib.Path(run_dir, "checkpoints", "best.npz")
    if not (checkpoint_file or best.is_file()):
        raise InputError(
            f"no checkpoint at {best}: training writes it when an epoch has ended; give its command"
            " again"
        )
    _, arrays, _ = checkpoint.load(checkpoint_file or best)
    set_precision(config)
    model, encoder = make_model(config)
    restore(model.variables, arrays)
    return config, model, encoder


def keep_encoder(encoder: Any, run_dir: str | os.PathLike, name: str) -> None:
    """Save what encodes a run's inputs in its folder; of a run that goes on, it has to be the same.

    Raises:
        InputError: the data have other words than when the run began, for which its weights are.
    """
    path = pathlib.Path(run_dir, name)
    begun = any(pathlib.Path(run_dir, "checkpoints").glob("*.npz"))
    if begun and path.is_file() and type(encoder).load(path) != encoder:
        raise InputError(
            f"{path}: the data have other words now than when this run began: give those of then, "
            "or another --run_dir"
        )
    encoder.save(path)


def by_name(variables: list) -> dict[str, Any]:
    """Variables by their names in a checkpoint: `variable/PLACE/PATH`."""
    # Without the first part of the path, a name that Keras numbers within a process.
    return {f"variable/{i}/{v.path.split('/', 1)[-1]}": v for i, v in enumerate(variables)}


def restore(variables: list, arrays: dict[str, np.ndarray]) -> None:
    """Assign a checkpoint's arrays to the variables they were saved from.

    Raises:
        InputError: the checkpoint is of another model.
    """
    stored = {
        int(key.split("/")[1]): array
        for key, array in arrays.items()
        if key.startswith("variable/")
    }
    for i, variable in enumerate(variables):
        if i not in stored or stored[i].shape != tuple(variable.shape):
            found = "nothing" if i not in stored else f"shape {stored[i].shape}"
            raise InputError(
                f"the checkpoint is of another model: expected {variable.path} of shape"
                f" {tuple(variable.shape)}, found {found}; use the flags it was trained with"
            )
        variable.assign(stored[i])
