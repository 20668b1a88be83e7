"""Checkpoints: one file each, written atomically and verified by a checksum when read.

A checkpoint is an `.npz` file (a zip of arrays, readable with `numpy.load`) whose zip comment is
the SHA-256 of all the bytes before it. Arrays are stored under `array/<name>`, the step and the
metadata as JSON bytes under `meta`.
"""

import hashlib
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, warn
from ..files import atomic_write, read_npz, remove_temporary

Checkpoint = tuple[int, dict[str, np.ndarray], dict[str, Any]]

_ANEW = "; give another, or delete the run's folder and train anew"
_DIGEST = 64  # characters of a SHA-256 in hexadecimal
_KEPT = 2


def save(
    folder: str | os.PathLike,
    step: int,
    arrays: Mapping[str, np.ndarray],
    meta: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> pathlib.Path:
    """Write `checkpoint-<step>.npz`, or `<name>.npz`, atomically; returns its path.

    Of the numbered checkpoints the newest two are kept. Those with numbers above `step` are removed
    too: a run that saves a lower step has resumed from before them. Named ones are not counted.
    `meta` is anything that JSON can hold.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    remove_temporary(folder)
    arrays = {key: np.asarray(array) for key, array in arrays.items()}
    for key, array in arrays.items():
        if array.dtype.kind not in "biufcSU":  # objects would need a pickle
            raise TypeError(f"array {key!r} of type {array.dtype} cannot be stored in a checkpoint")
    header = json.dumps({"step": int(step), "meta": dict(meta or {})}).encode()
    path = folder / f"{name or f'checkpoint-{int(step)}'}.npz"

    def write(file: BinaryIO) -> None:
        np.savez(
            file,
            meta=np.frombuffer(header, np.uint8),
            **{f"array/{key}": array for key, array in arrays.items()},
        )
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = b"0" * _DIGEST
        end = file.seek(0, io.SEEK_END) - _DIGEST
        digest = _sha256(file, end)
        file.seek(end)
        file.write(digest)

    atomic_write(path, write)
    if name is None:
        numbered = _numbered(folder)
        for other in numbered:
            if other > step or other in [one for one in numbered if one <= step][:-_KEPT]:
                numbered[other].unlink(missing_ok=True)
    return path


def load(path: str | os.PathLike) -> Checkpoint:
    """Step, arrays and metadata of one checkpoint.

    Raises `InputError` if the file is missing, is not a checkpoint, or differs in a single bit from
    what was written.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(4)
            end = file.seek(0, io.SEEK_END) - _DIGEST
            if start != b"PK\x03\x04":
                raise InputError(f"expected a checkpoint, found another kind of file: {path}")
            if end <= 0 or _sha256(file, end) != file.read():
                raise InputError(
                    f"damaged or unfinished checkpoint (its SHA-256 does not match): {path}{_ANEW}"
                )
            file.seek(0)
            return _read(file, path)
    except FileNotFoundError:
        raise InputError(
            f"no checkpoint at {path}: expected a file that training wrote{_ANEW}"
        ) from None
    except IsADirectoryError:
        raise InputError(f"expected a checkpoint file, found a folder: {path}") from None


def load_latest(folder: str | os.PathLike) -> Checkpoint | None:
    """The newest intact numbered checkpoint of a folder; None if there are no checkpoints.

    A damaged one is reported in a line on stderr, and the one before it is used. Raises
    `InputError` if all of them are damaged.
    """
    numbered = _numbered(pathlib.Path(folder))
    for step in reversed(numbered):
        try:
            return load(numbered[step])
        except InputError as error:
            before = "" if step == min(numbered) else "; trying the one before"
            warn(f"{str(error).removesuffix(_ANEW)}{before}")
    if numbered:
        raise InputError(
            f"no usable checkpoint among the {len(numbered)} in {folder}: delete them to start anew"
        )
    return None


def drop_latest(folder: str | os.PathLike) -> None:
    """Remove the newest numbered checkpoint of a folder, if there is one before it."""
    *before, last = _numbered(pathlib.Path(folder)).values()
    if before:
        last.unlink()


def _read(file: BinaryIO, path: pathlib.Path) -> Checkpoint:
    try:
        arrays = read_npz(file)
        header = json.loads(arrays.pop("meta").tobytes())
        return (
            header["step"],
            {key.removeprefix("array/"): array for key, array in arrays.items()},
            header["meta"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"expected a checkpoint, found other arrays ({error}): {path}") from None


def _sha256(file: BinaryIO, end: int) -> bytes:
    """SHA-256 of the first `end` bytes, in hexadecimal; leaves the file position there."""
    digest = hashlib.sha256()
    file.seek(0)
    while end > 0:
        block = file.read(min(end, 1 << 20))
        if not block:
            break
        digest.update(block)
        end -= len(block)
    return digest.hexdigest().encode()


def _numbered(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """The numbered checkpoints of a folder by step, ascending."""
    found = {}
    for path in folder.glob("checkpoint-*.npz"):
        number = path.stem.removeprefix("checkpoint-")
        if number.isdecimal():
            found[int(number)] = path
    return dict(sorted(found.items()))
