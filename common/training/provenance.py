"""Where a number comes from: command, commit, versions, hardware and time."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_OF_A_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
)
_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


def describe_start(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Command, commit, versions, hardware and time, to be stored with every measurement."""
    return {
        "started_at": now(),
        "command": command_line(argv),
        "commit": git_commit(),
        "versions": versions(),
        "hardware": hardware(),
    }


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def command_line(argv: Sequence[str] | None = None) -> str:
    """The command as typed in a shell, the script relative to the checkout."""
    script, *arguments = sys.argv if argv is None else argv
    absolute = pathlib.Path(script).resolve()
    if absolute.is_relative_to(_ROOT):
        script = absolute.relative_to(_ROOT).as_posix()
    return shlex.join(["python", script, *arguments])


def git_commit() -> str | None:
    """The commit of the checkout, with "-dirty" if tracked Python files differ from it.

    None outside a checkout. Other files do not count: the runs of a table write their results into
    the checkout.
    """

    # A hook, or `git rebase --exec`, names its own repository in them, which need not be this one.
    environment = {
        name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY
    }
    environment["GIT_OPTIONAL_LOCKS"] = (
        "0"  # not in the way of a commit that is made at this moment
    )

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(_ROOT), *arguments]
        done = subprocess.run(command, capture_output=True, check=True, timeout=30, env=environment)
        return os.fsdecode(done.stdout).strip()

    try:
        if pathlib.Path(git("rev-parse", "--show-toplevel")).resolve() != _ROOT:
            return None  # installed somewhere below another repository
        return git("rev-parse", "HEAD") + (
            "-dirty" if git("status", "--porcelain", "--untracked-files=no", "--", "*.py") else ""
        )
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that affect the numbers."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def hardware() -> dict[str, Any]:
    """Processor, usable cores, memory in GiB, and the GPUs if TensorFlow is loaded."""
    usable = getattr(os, "sched_getaffinity", None)
    memory = None
    if hasattr(os, "sysconf"):
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return {
        "processor": _processor(),
        "cores": len(usable(0)) if usable else os.cpu_count(),
        "memory_gib": memory,
        "gpus": _gpus(),
    }


def peak_memory_mib() -> float | None:
    """The most memory that this process has held so far, in MiB; None where no system tells."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            kib = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
            return round(kib / 1024, 1)
    except (OSError, StopIteration):
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return []
    config = tensorflow.config
    devices = config.list_physical_devices("GPU")
    return [
        config.experimental.get_device_details(device).get("device_name", device.name)
        for device in devices
    ]
