"""Checks that Keras runs on TensorFlow, the only backend that this package supports.

This file does not import Keras, whose import may itself fail with another backend.
"""

import json
import os
import pathlib
import sys

from .errors import InputError


class BackendError(InputError, ImportError):
    """Keras uses a backend other than TensorFlow."""


def check_backend() -> None:
    """Raise `BackendError` unless Keras uses TensorFlow, or will once it is imported."""
    if "keras" in sys.modules:
        found = sys.modules["keras"].config.backend()
    else:
        found = os.environ.get("KERAS_BACKEND") or _configured()
    if found != "tensorflow":
        raise BackendError(
            f"expected Keras' backend tensorflow, found {found}; "
            "set KERAS_BACKEND=tensorflow before Keras is imported"
        )


def _configured():
    """The backend that the user's configuration file names."""
    try:
        file = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json").expanduser()
        return json.loads(file.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, RuntimeError):  # none, or one that Keras too passes over; no home
        return "tensorflow"
