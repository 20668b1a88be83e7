"""What ruff says of the code: style, unused names, annotations (pyproject.toml)."""

import subprocess
import sys

import pytest


def test_ruff(root):
    pytest.importorskip("ruff")
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", str(root)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
