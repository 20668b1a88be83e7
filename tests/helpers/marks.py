"""What several files of tests share to say which tests wait for the second command."""

import os
from collections.abc import Container, Iterable
from typing import Any

import pytest

LONG = pytest.mark.skipif(
    not os.environ.get("DYNAMIC_SKIP_LONG"),
    reason="seconds to minutes: DYNAMIC_SKIP_LONG=1 python -m pytest --last-skipped",
)


def long_but(kept: Container[Any], values: Iterable[Any]) -> list[Any]:
    """Values for `parametrize`: all but the kept ones are LONG."""
    return [one if one in kept else pytest.param(one, marks=LONG) for one in values]
