"""Marks that several files of tests share."""

import os

import pytest

LONG = pytest.mark.skipif(
    not os.environ.get("DYNAMIC_SKIP_LONG"),
    reason="seconds to minutes: DYNAMIC_SKIP_LONG=1 python -m pytest --last-skipped",
)
