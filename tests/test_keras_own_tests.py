"""Keras' own tests of its LSTM, with the layers of this package in the LSTM's place.

They come from the source distribution of the Keras release in use, which `pip download` fetches
once into pytest's cache.
"""

import functools
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import types
import unittest

import keras
import pytest
from helpers.marks import LONG

from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.fast_lstm import FastLSTM

# What they say of cuDNN: `use_cudnn=True` is accepted, Bidirectional calls it for Keras' own LSTM.
OF_CUDNN = {"bidirectional_test": {"test_keeps_use_cudnn", "test_fused_lstm_eligibility"}}


# Loops in graphs, which are made in less time than XLA needs; the numbers are the same.
LAYERS = {
    "FastLSTM": functools.partial(FastLSTM, jit_compile=False),
    "DynamicSkipLSTM": functools.partial(DynamicSkipLSTM, n_actions=1, jit_compile=False),
}


@pytest.fixture(scope="module")
def sources(request, tmp_path_factory):
    """The folder of the tests of Keras' recurrent layers."""
    name, folder = f"keras-{keras.__version__}", tmp_path_factory.mktemp("keras")
    kept = request.config.cache.mkdir(name) / f"{name}.tar.gz"
    if not kept.exists():
        command = [
            "pip",
            "download",
            "--no-binary",
            ":all:",
            "--no-deps",
            f"keras=={keras.__version__}",
        ]
        quickly = [
            "--quiet",
            "--retries=0",
            "--timeout=10",
            "--no-build-isolation",
            "--dest",
            str(folder),
        ]
        if subprocess.run(
            [sys.executable, "-m", *command, *quickly], capture_output=True
        ).returncode:
            pytest.skip(f"no sources of Keras here: {' '.join(command)} --dest {kept.parent}")
        shutil.move(folder / kept.name, kept)
    with tarfile.open(kept) as archive:
        archive.extractall(
            folder,
            [m for m in archive if m.name.endswith(("lstm_test.py", "bidirectional_test.py"))],
            filter="data",
        )
    return folder / name / "keras" / "src" / "layers" / "rnn"


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.parametrize(
    "name, layer",
    [
        pytest.param("lstm_test", "FastLSTM", marks=LONG),
        ("lstm_test", "DynamicSkipLSTM"),
        pytest.param("bidirectional_test", "DynamicSkipLSTM", marks=LONG),
        pytest.param("bidirectional_test", "FastLSTM", marks=LONG),
    ],
)
def test_keras_own(name, layer, sources):
    spec = importlib.util.spec_from_file_location(name, sources / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.layers = types.SimpleNamespace(**{**vars(module.layers), "LSTM": LAYERS[layer]})
    tests = unittest.defaultTestLoader.loadTestsFromModule(module)
    assert tests.countTestCases() >= 6
    result = tests.run(unittest.TestResult())
    keras.config.enable_traceback_filtering()  # which they switch off
    print(*(text for _, text in result.failures + result.errors), sep="\n")
    found = {test.id().split(".")[-1] for test, _ in result.failures + result.errors}
    assert found == OF_CUDNN.get(name, set())
