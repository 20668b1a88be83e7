"""What ruff says of the code: format, style, unused names, annotations (pyproject.toml)."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff(root, command):
    pytest.importorskip("ruff")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command.split(), "--no-cache", str(root)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
