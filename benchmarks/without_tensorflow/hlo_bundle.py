"""Compiled programs in one file, to be run where TensorFlow is not installed. NumPy is all that
reading it takes.

A bundle is a zip of

    meta.json         flags; variables; of each program where its inputs come from, what it returns
    <program>.hlo     a serialized HloModuleProto
    arrays.npz        values of variables, constants, the data, what TensorFlow computed on it

Initial weights that are random are not carried but drawn when they are needed (81 MB in the paper's
language model), by a rule that stands in `meta["variables"]`: the same numbers everywhere, and
others for another seed.
"""

import io
import json
import os
import zipfile
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from common.errors import InputError
from common.files import atomic_write, read_npz

SAMPLED = 4096  # numbers of a large array that are compared


class Bundle(NamedTuple):
    """What the file holds."""

    meta: dict[str, Any]
    modules: dict[str, bytes]
    arrays: dict[str, np.ndarray]


def write(path: str | os.PathLike, bundle: Bundle) -> None:
    """Write the file, whole or not at all."""
    arrays = io.BytesIO()
    np.savez(arrays, **bundle.arrays)

    def content(file: BinaryIO):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("meta.json", json.dumps(bundle.meta, indent=1))
            archive.writestr("arrays.npz", arrays.getvalue())
            for name, module in bundle.modules.items():
                archive.writestr(f"{name}.hlo", module)

    atomic_write(path, content)


def read(path: str | os.PathLike) -> Bundle:
    """Read it. Raises `InputError` for a file that is no bundle."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read("meta.json"))
            modules = {name: archive.read(f"{name}.hlo") for name in meta["programs"]}
            return Bundle(meta, modules, read_npz(io.BytesIO(archive.read("arrays.npz"))))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: expected a bundle of benchmarks/without_tensorflow/export_hlo.py ({error});"
            " write it anew"
        ) from None


def rule(value: np.ndarray, bound: float) -> dict[str, Any]:
    """How to draw an initial value that was drawn from U(-bound, bound), behind leading rows of
    zeros; {} for one that was not.
    """
    if value.dtype != np.float32 or value.ndim == 0:
        return {}
    drawn = np.flatnonzero(np.any(value != 0, axis=tuple(range(1, value.ndim))))
    if len(drawn) == 0 or np.abs(value).max() > bound or value.std() < bound / 10:
        return {}
    return {"uniform": bound, "zero_rows": int(drawn[0])}


def initial_value(bundle: Bundle, number: int, seed: int) -> np.ndarray:
    """Of the variable of that number in `meta["variables"]`."""
    variable = bundle.meta["variables"][number]
    if "uniform" not in variable:
        return bundle.arrays[variable["name"]]
    value = np.random.default_rng([seed, number]).random(variable["shape"], np.float32)
    value = (2 * value - 1) * np.float32(variable["uniform"])
    value[: variable["zero_rows"]] = 0
    return value


def sample(value: np.ndarray) -> np.ndarray:
    """Up to about `SAMPLED` numbers [n] of an array, evenly spread; float32."""
    flat = np.asarray(value).astype(np.float32).ravel()
    return flat[:: max(1, flat.size // SAMPLED)]


def difference(found: np.ndarray, expected: np.ndarray, share: float = 1.0) -> float:
    """The largest one of two arrays, in proportion to the largest number expected; infinite where a
    number is none.

    With a `share` below 1, the largest among that share of the numbers which are closest.
    """
    expected = np.asarray(expected).astype(np.float64)
    errors = np.abs(np.asarray(found).astype(np.float64) - expected)
    if not np.all(np.isfinite(errors)):
        return float("inf")
    return float(np.quantile(errors, share, method="lower") / max(np.max(np.abs(expected)), 1e-9))
