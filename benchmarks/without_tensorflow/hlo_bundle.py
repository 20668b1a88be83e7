"""A file of compiled programs, to be run without TensorFlow; reading it needs only NumPy.

A bundle is a zip of

    meta.json         flags; variables; the sources of each program's inputs, and what it returns
    <program>.hlo     a serialized HloModuleProto
    arrays.npz        values of variables, constants, the data, results that TensorFlow computed

Random initial weights (81 MB in the paper's language model) are not stored but drawn when they are
needed, by a rule in `meta["variables"]`: the same numbers on every machine, different ones for
another seed.
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
    """The content of the file."""

    meta: dict[str, Any]
    modules: dict[str, bytes]
    arrays: dict[str, np.ndarray]


def write(path: str | os.PathLike, bundle: Bundle) -> None:
    """Write the file atomically."""
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
    """Read the file. Raises `InputError` if it is not a bundle."""
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
    """The rule to draw an initial value that is from U(-bound, bound) below leading rows of zeros.

    {} if it is not.
    """
    if value.dtype != np.float32 or value.ndim == 0:
        return {}
    drawn = np.flatnonzero(np.any(value != 0, axis=tuple(range(1, value.ndim))))
    if len(drawn) == 0 or np.abs(value).max() > bound or value.std() < bound / 10:
        return {}
    return {"uniform": bound, "zero_rows": int(drawn[0])}


def initial_value(bundle: Bundle, number: int, seed: int) -> np.ndarray:
    """The initial value of a variable, by its number in `meta["variables"]`."""
    variable = bundle.meta["variables"][number]
    if "uniform" not in variable:
        return bundle.arrays[variable["name"]]
    value = np.random.default_rng([seed, number]).random(variable["shape"], np.float32)
    value = (2 * value - 1) * np.float32(variable["uniform"])
    value[: variable["zero_rows"]] = 0
    return value


def sample(value: np.ndarray) -> np.ndarray:
    """Up to about `SAMPLED` numbers [n] of an array, evenly spaced; float32."""
    flat = np.asarray(value).astype(np.float32).ravel()
    return flat[:: max(1, flat.size // SAMPLED)]


def difference(found: np.ndarray, expected: np.ndarray, share: float = 1.0) -> float:
    """The largest difference of two arrays, relative to the largest expected number.

    Infinite for NaN. With a `share` below 1, the largest within the closest `share` of the numbers.
    """
    expected = np.asarray(expected).astype(np.float64)
    errors = np.abs(np.asarray(found).astype(np.float64) - expected)
    if not np.all(np.isfinite(errors)):
        return float("inf")
    return float(np.quantile(errors, share, method="lower") / max(np.max(np.abs(expected)), 1e-9))
