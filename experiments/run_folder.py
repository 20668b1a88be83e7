"""Which task's run lies in a folder."""

import json
import pathlib
from collections.abc import Collection

from common.errors import InputError


def task_of(run_dir: str, tasks: Collection[str]) -> str:
    """The task of the run in a folder. Raises `InputError` if there is none, or one of none of these tasks."""
    file = pathlib.Path(run_dir, "flags.json")
    if not run_dir or not file.is_file():
        raise InputError(f"no run in {run_dir or 'the folder'}: expected the folder that training wrote, with a flags.json")
    try:
        task = json.loads(file.read_bytes())["task"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file} is damaged (expected a JSON object with a task): train anew") from None
    if task not in tasks:
        raise InputError(f"{run_dir} holds a run of {task}, expected one of {', '.join(tasks)}")
    return task
