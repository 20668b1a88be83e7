"""The four tasks by name.

Each is a folder with the same modules: `presets`, `model`, `experiment` and `inspection`.
"""

import importlib
import pathlib
from collections.abc import Collection
from types import ModuleType
from typing import Any

from common.errors import InputError
from common.training.run_flags import read_flags

TASKS = ("LanguageModeling", "NumberPrediction", "NER", "Sentiment")


def module(task: str, name: str) -> ModuleType:
    """A task's module. Raises `InputError` for a name that is not in `TASKS`."""
    if task not in TASKS:
        raise InputError(f"expected a task, one of {', '.join(TASKS)}; found {task!r}")
    return importlib.import_module(f"{task}.{name}")


def task_of(run_dir: str, tasks: Collection[str] = TASKS) -> str:
    """The task of the run in a folder.

    Raises `InputError` if there is no run, it is damaged, or it is not of one of these tasks.
    """
    if not run_dir:
        raise InputError("expected the folder of a run, found none; name one, such as runs/demo")
    task = read_flags(pathlib.Path(run_dir))["task"]
    if task not in tasks:
        raise InputError(f"{run_dir} holds a run of {task}, expected one of {', '.join(tasks)}")
    return task


def load(run_dir: str) -> tuple[ModuleType, Any]:
    """The `inspection` module of a run's task, and the trained network."""
    task = task_of(run_dir)
    return module(task, "inspection"), module(task, "experiment").load(run_dir)
