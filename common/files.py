"""Files: atomic writes, JSON, `.npz`, and words for messages about files that are missing."""

import contextlib
import io
import json
import math
import os
import pathlib
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from .errors import InputError

_PACKED = (
    ".gz",
    ".tgz",
    ".bz2",
    ".tbz2",
    ".xz",
    ".txz",
    ".zst",
    ".z",
    ".zip",
    ".7z",
    ".rar",
    ".tar",
)


def atomic_write(
    path: str | os.PathLike, content: bytes | str | Callable[[BinaryIO], None]
) -> None:
    """Write a file under a temporary name, flush it to the disk, then rename it to `path`.

    A process killed at any moment leaves either the old file or the new one, never a mixture; at
    worst a temporary file stays beside it (`remove_temporary`). `content` is bytes, a string
    (written as UTF-8), or a function that writes to the open binary file, which also supports
    reading and seeking. If that function raises, the old file stays.

    A link is followed, and permissions are kept. A device or a pipe is written to: a rename would
    replace it with a file.
    """

    def fill(file: BinaryIO) -> None:
        if callable(content):
            content(file)
        else:
            file.write(content.encode() if isinstance(content, str) else content)

    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        made = io.BytesIO()
        fill(made)
        with open(path, "wb") as file:
            file.write(made.getbuffer())
        return
    target = pathlib.Path(os.path.realpath(path))
    # Not the process number: it need not be the only one of its kind on a disk that machines share.
    # Nor all of the name: one that is as long as names may be leaves no room.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "w+b") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        if target.is_file():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # the name that the user knows
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def is_hidden(name: str) -> bool:
    """Whether a system or an editor made this file, not the user.

    Examples: .DS_Store, ._review.txt, __MACOSX/x, Thumbs.db.
    """
    *folders, name = pathlib.PurePosixPath(name).parts
    return (
        name.startswith(".")
        or name in ("Thumbs.db", "desktop.ini", "__MACOSX")
        or "__MACOSX" in folders
    )


def make_folder(folder: pathlib.Path) -> None:
    """Make a folder and those above it, where they are missing; `InputError` for a file there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(
            f"{folder}: expected a folder, found a file in its way; name another"
        ) from None


def check_writable(path: str | os.PathLike) -> None:
    """Raise `InputError` where a file of that name cannot be made; nothing is made yet."""
    target = os.path.realpath(path)  # as `atomic_write`, which writes into a device, not beside it
    if os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target):
        if not os.access(target, os.W_OK):
            raise InputError(f"{path}: expected a device to write to; name another, or give access")
        return
    folder = pathlib.Path(target).parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder, found a file in its way; name another")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: expected a folder to write to; name another, or give access")


def write_data(contents: Mapping[pathlib.Path, bytes]) -> None:
    """Write the files of a data set, each atomically, into folders that are made.

    Raises `InputError`, and writes nothing, if one of them is there with other content: data that
    somebody else wrote, or that runs were trained on.
    """
    for path, data in contents.items():
        if path.is_file() and path.read_bytes() != data:
            raise InputError(
                f"{path}: expected no file, or the one that would be written, found another; name"
                " another --data_dir, or delete it"
            )
    for path, data in contents.items():
        make_folder(path.parent)
        atomic_write(path, data)


def still_packed(folder: str | os.PathLike, *stems: str) -> str:
    """For an error about missing files: names the archives in the folder that are still packed.

    Only archives whose names begin with one of `stems`, if any are given; "" if there are none.
    """
    names = [
        path.name
        for path in sorted(pathlib.Path(folder).glob("*"))
        if path.suffix.lower() in _PACKED and path.is_file()
    ]
    names = [
        name for name in names if not is_hidden(name) and (not stems or name.startswith(stems))
    ]
    return (
        f"but {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}, still packed: unpack it"
        " there"
        if names
        else ""
    )


def seen_from(path: str | os.PathLike) -> str:
    """For an error about a path that does not exist, or is not a folder.

    The folder a relative path starts in; or that the path is a file.
    """
    if pathlib.Path(path).is_file():
        return " (it is a file: give the folder that it lies in)"
    return "" if pathlib.Path(path).is_absolute() else f" (seen from {pathlib.Path.cwd()})"


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text of a nest of Python and NumPy values.

    NaN and infinities become null, NumPy scalars and arrays become numbers and lists.
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False)


def read_object(path: pathlib.Path, do: str, *keys: str, loads: Callable = json.loads) -> dict:
    """The JSON object in a file.

    Raises `InputError` if it is damaged, or lacks one of `keys`; `do`: what to do then.
    """
    try:
        value = loads(path.read_bytes())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{path} is damaged (expected a JSON object): {do}")
    if missing := [key for key in keys if key not in value]:
        raise InputError(f"{path} is damaged ({', '.join(missing)} missing): {do}")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value


def read_npz(file: str | os.PathLike | BinaryIO) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file by name; pickled objects are refused.

    Raises ValueError, with a message of one line, if the file is broken or not an `.npz`.
    """
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as opened:  # an OSError here says enough itself
            return read_npz(opened)
    try:
        stored = np.load(file, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise ValueError("it is one array without a name, an .npy")
        with stored:
            return {name: stored[name] for name in stored.files}
    # zipfile and NumPy raise a dozen kinds of exceptions for broken files
    except Exception as error:
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from None


def sync_folder(folder: str | os.PathLike) -> None:
    """Flush a folder to the disk: before that, a power cut can undo a rename."""
    if os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Errors of the system name this file, also where they name none, as a full disk's."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def is_temporary(name: str) -> bool:
    """Whether this is the name of a file that `atomic_write` has not finished."""
    return name.startswith(".") and name.endswith(".tmp")


def remove_temporary(folder: str | os.PathLike) -> None:
    """Remove the temporary files that killed processes left in a folder."""
    for path in pathlib.Path(folder).iterdir():
        if is_temporary(path.name):
            path.unlink(missing_ok=True)
