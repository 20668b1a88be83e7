"""`--last-skipped` of tests/helpers/last_skipped.py."""

import subprocess
import sys

_TESTS = """
import os
import pytest

@pytest.mark.skipif("READY" not in os.environ, reason="READY=1 python -m pytest --last-skipped")
def test_later():
    pass

def test_now():
    pass
"""


def test_what_was_skipped_runs_alone(root, tmp_path):
    """And is then no longer among the skipped; with nothing to run, all is well."""
    plugin = root / "tests" / "helpers" / "last_skipped.py"
    (tmp_path / "conftest.py").write_text(plugin.read_text())
    (tmp_path / "test_a.py").write_text(_TESTS)

    def run(*arguments, **environment):
        command = [sys.executable, "-m", "pytest", "-q", "--rootdir", tmp_path, *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={"PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()[-1]

    assert run().startswith("1 passed, 1 skipped")
    assert run("--last-skipped").startswith("1 skipped, 1 deselected")
    assert run("--last-skipped", READY="1").startswith("1 passed, 1 deselected")
    assert run("--last-skipped").startswith("2 deselected")
