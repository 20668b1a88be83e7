"""Reads flags.json, the settings of a run, and compares them with those of a new start."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ..config import from_dict, of_today, settings
from ..errors import InputError
from ..files import read_object, to_json


def load_config(path: str | os.PathLike, config_class: type) -> Any:
    """The config that a run was started with, for tools that use the trained model.

    Raises `InputError` if there is no run, or it is damaged, of another task, or of a version with
    other flags.
    """
    stored = read_flags(pathlib.Path(path))
    task = getattr(config_class, "task", None)
    if stored["task"] != task:
        made = f", which {one} trains" if (one := getattr(config_class, "program", "")) else ""
        raise InputError(f"{path} holds a run of {stored['task']}, expected one of {task}{made}")
    flags = of_today(config_class, stored["flags"])
    if other := set(flags) - set(settings(config_class)):
        names = ", ".join(sorted(other))
        raise InputError(
            f"{path} was written by another version of this program (differing in {names}): train"
            " anew"
        )
    try:
        return from_dict(config_class, flags)
    except InputError as error:
        raise InputError(
            f"{path} was written by another version of this program ({error}): train anew"
        ) from None


def task_of(config: Any) -> str | None:
    """The name of the task that a config belongs to, None if it belongs to none."""
    return getattr(config, "task", None)


_ANEW = "delete the folder, or choose another --run_dir"


def read_flags(path: pathlib.Path) -> dict[str, Any]:
    """The content of a run's flags.json; raises `InputError` if it is absent or damaged."""
    file = path / "flags.json"
    if not file.exists():
        raise InputError(
            f"no run in {path}: expected the folder that training wrote, with a flags.json"
        )
    stored = read_object(file, _ANEW)
    starts = stored.get("starts")
    if not (
        isinstance(stored.get("flags"), dict)
        and "task" in stored
        and isinstance(starts, list)
        and all(
            isinstance(start, dict) and {"started_at", "commit", "command"} <= set(start)
            for start in starts
        )
    ):
        what = "flags, task or starts missing"
        raise InputError(f"{file} is damaged ({what}): {_ANEW}")
    return stored


def check_same_run(path: pathlib.Path, stored: Mapping[str, Any], config: Any) -> None:
    """Raise `InputError` unless a config asks for the run whose flags.json holds `stored`.

    Flags marked `affects_result=False` may differ.
    """
    if stored["task"] != task_of(config):
        raise InputError(
            f"{path} holds a run of {stored['task']}, not of {task_of(config)}: choose another"
            " --run_dir"
        )
    new = json.loads(to_json(dataclasses.asdict(config)))
    old = json.loads(to_json(of_today(type(config), stored["flags"])))
    known = settings(type(config))
    free = {one.name for one in known.values() if not one.affects_result}
    absent = "absent"

    def differs(name: str) -> bool:
        comparable = known[name].comparable if name in known else lambda value: value
        return comparable(old.get(name, absent)) != comparable(new.get(name, absent))

    differing = [
        f"--{name} was {old.get(name, absent)}, now {new.get(name, absent)}"
        for name in [*new, *(name for name in old if name not in new)]
        if name not in free and differs(name)
    ]
    if differing:
        raise InputError(
            f"{path} belongs to other flags ({'; '.join(differing)}): give those, or another"
            " --run_dir"
        )


def evaluated_with(config: Any) -> str:
    """What the finished run of a config was evaluated with, if that asks for something else now."""
    flags, names = read_flags(pathlib.Path(config.run_dir))["flags"], ("eval_samples", "mc_dropout")
    other = [name for name in names if flags.get(name) not in (None, getattr(config, name))]
    had = ", ".join(f"--{name} {flags[name]}" for name in other)
    return f" (with {had}: evaluate.py --samples measures others)" if other else ""
