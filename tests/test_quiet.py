"""common/config/quiet.py: a command's output begins with its own words, and TensorFlow's real
errors are seen.
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from helpers import tiny_runs
from helpers.marks import LONG

from common.config import quiet

ROOT = pathlib.Path(__file__).resolve().parent.parent
TAKE = "0000 00:00:1795639238.241456    9855"
NOISE = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    (
        f"I{TAKE} port.cc:153] oneDNN custom operations are on. You may see slightly different"
        " numerical results"
    ),
    (
        f"I{TAKE} cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be"
        " used."
    ),
    f"W{TAKE} gpu_device.cc:2342] Cannot dlopen some GPU libraries.",
    (
        "2026-01-31 12:00:00.123456: I external/local_xla/xla/tsl/cuda/cudart_stub.cc:32] Could not"
        " find cuda drivers"
    ),
    (
        "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow"
        " with the appropriate flags."
    ),
    (
        f"E{TAKE} cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to"
        " cuInit: UNKNOWN ERROR (303)"
    ),
    (
        f"E{TAKE} util.cc:131] oneDNN supports DT_INT32 only on platforms with AVX-512. Falling"
        " back to the default"
    ),
    (
        f"E{TAKE} cuda_fft.cc:467] Unable to register cuFFT factory: Attempting to register factory"
        " for plugin cuFFT when one has already"
    ),
]
WORTH_READING = [
    (
        f"E{TAKE} cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error:"
        " CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)"
    ),
    f"E{TAKE} gpu_process_state.cc:1] out of memory",
    f"F{TAKE} parse_flags_from_env.cc:234] Unknown flag in XLA_FLAGS: --no_such_flag=1",
    "free(): invalid pointer",
    "error: --lamda expects a value from 0 to 1, got 3.0",
    "",
    "the last line, without an end",
]


def run(*command, **environment):
    environment = {
        name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"
    } | environment
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
    )


def test_what_is_kept():
    text = "\n".join(
        line
        for pair in zip(WORTH_READING, [*NOISE, *NOISE], strict=False)
        for line in reversed(pair)
    )
    done = subprocess.run(
        [sys.executable, quiet.__file__], input=text.encode(), capture_output=True
    )
    assert done.stdout.decode() == "\n".join(WORTH_READING) and not done.stderr
    everything = subprocess.run(
        [sys.executable, quiet.__file__], input="\n".join(NOISE).encode(), capture_output=True
    )
    assert everything.stdout == b""


@LONG
def test_a_run_begins_with_its_own_words(tmp_path):
    arguments = tiny_runs.arguments("NumberPrediction", tmp_path)
    done = run(
        ROOT / "NumberPrediction" / "RL_train.py", *arguments, f"--run_dir={tmp_path / 'run'}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("epoch 1")


PROGRAM = f"""
import dataclasses, os, sys
sys.path.insert(0, {str(ROOT)!r})
from common.config import main, setting
@dataclasses.dataclass(frozen=True)
class Config:
    '''A tool.'''
    n: int = setting(1, "a number")
def work(config):
    before = os.fstat(2)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import tensorflow as tf
    assert (os.fstat(2) == before) is {{plain}}
    {{then}}
main(Config, None, work, ["x"])
"""


@LONG
def test_an_error_of_tensorflow_is_seen_though_it_ends_the_process():
    program = PROGRAM.format(
        plain=False, then="tf.function(lambda: tf.constant(1.0) + 2, jit_compile=True)()"
    )
    done = run("-c", program, XLA_FLAGS="--no_such_flag=1")
    (line,) = done.stderr.splitlines()
    assert (
        done.returncode
        and line[0] == "F"
        and line.endswith("Unknown flag in XLA_FLAGS: --no_such_flag=1")
    )


@pytest.mark.parametrize("level, shown", [("0", [NOISE[1]]), ("3", [])])
def test_who_asks_for_the_log_gets_it(level, shown, tmp_path):
    """With a stand-in for TensorFlow that writes as it does."""
    (tmp_path / "tensorflow.py").write_text(
        f"import os\nos.write(2, b'''{NOISE[1]}\n''')\n", encoding="utf-8"
    )
    program = PROGRAM.format(plain=level == "0", then="print('a line', file=sys.stderr); 1 / 0")
    lines = run(
        "-c", program, PYTHONPATH=str(tmp_path), TF_CPP_MIN_LOG_LEVEL=level
    ).stderr.splitlines()
    assert lines[: len(shown) + 2] == [*shown, "a line", "Traceback (most recent call last):"]
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_no_script_imports_tensorflow_before_its_flags_are_read():
    paths = [path for path in ROOT.glob("*/*.py") if path.parent.name != "tests"]
    scripts = [
        str(path)
        for path in paths
        if "    main(" in (text := path.read_text(encoding="utf-8"))
        and re.search(r"import .*\bmain\b", text)
    ]
    program = (
        "import runpy, sys\n"
        "for script in sys.argv[1:]:\n"
        "    runpy.run_path(script, run_name='imported')\n"
        "    assert 'tensorflow' not in sys.modules, script\n"
    )
    done = run("-c", program, *scripts)
    assert len(scripts) > 20 and done.returncode == 0, done.stderr
