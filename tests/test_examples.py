"""The examples: all of what they say with little training; and as they are typed, where only the
package is installed."""

import re
import resource
import subprocess
import sys

import pytest
import tensorflow as tf
from helpers.marks import LONG, long_but

import common

EXAMPLES = ("digits_to_recall", "reviews", "names")
FEWER = {  # and smaller
    r"N_TRAIN, N_TEST, N_DIGITS = [\d_, ]+": "N_TRAIN, N_TEST, N_DIGITS = 10, 10, 10",
    r"N_TRAIN, N_TEST = [\d_, ]+": "N_TRAIN, N_TEST = 10, 10",
    r"UNITS, BATCH_SIZE, EPOCHS = [\d, ]+": "UNITS, BATCH_SIZE, EPOCHS = 4, 10, 1",
}
_RESULT = re.compile(r"^(\S.*?) +(?:test accuracy|names found) ([01]\.\d{3})$", re.MULTILINE)


def results(printed: str) -> dict[str, float]:
    return {name: float(value) for name, value in _RESULT.findall(printed)}


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("name", long_but(EXAMPLES[:1], EXAMPLES))
def test_runs(name, root, monkeypatch, capsys):
    source = (root / "examples" / f"{name}.py").read_text(encoding="utf-8")
    changes = 0
    for constants, fewer in FEWER.items():
        source, n = re.subn(constants, fewer, source)
        changes += n
    assert changes == 2
    monkeypatch.setitem(sys.modules, "dynamic_skip_lstm", common)
    tf.config.run_functions_eagerly(True)  # a few steps are over before they would be compiled
    try:
        exec(compile(source, name, "exec"), {"__name__": "__main__"})
    finally:
        tf.config.run_functions_eagerly(False)
    assert len(results(capsys.readouterr().out)) in (2, 3)


@LONG
@pytest.mark.parametrize("name", EXAMPLES)
def test_as_typed_where_the_package_is_installed(name, installed, root, tmp_path):
    """Within 3 minutes of two processors, and every network with skips learns its task.

    The digits are out of the LSTM's reach. What it finds of the verdicts depends on the seed and on
    the processor's rounding, and it finds the names.
    """
    environment = {"PYTHONPATH": str(installed), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = [sys.executable, root / "examples" / f"{name}.py"]
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 2 * 180
    found = results(done.stdout)
    worst = min(value for key, value in found.items() if key != "LSTM")
    assert worst > 0.95
    assert worst > found["LSTM"] + 0.2 or name != "digits_to_recall"
    assert not list(tmp_path.iterdir())
