"""Paths and data for the whole suite."""

import gc
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from helpers.last_skipped import (  # noqa: F401  (pytest finds its hooks here)
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
)
from hypothesis import settings

# a busy machine takes its time: how long an example took says nothing of the code
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if not os.environ.get("DYNAMIC_SKIP_LONG"):
    # What XLA compiles runs for milliseconds here. LLVM's passes and the code of fusions by way of
    # MLIR take two thirds of the time that compiling takes; XLA's own passes remain.
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    )
    # oneDNN writes code for each shape that it meets: a tenth of the time
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
SEED = int(os.environ.get("DYNAMIC_SKIP_SEED", 0))
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


@pytest.fixture
def functions_run_eagerly():
    """TensorFlow's switch for debugging, which also runs a library's own functions line by line."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> pathlib.Path:
    """Where PTB, CoNLL-2003, SST and IMDB lie; a test that asks for it is skipped where they do
    not.
    """
    folder = pathlib.Path(os.environ.get("DYNAMIC_SKIP_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no data at {folder}: DYNAMIC_SKIP_DATA=FOLDER python -m pytest --last-skipped, where"
            " FOLDER holds ptb/, conll2003/, sst/, imdb/"
        )
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> tuple[pathlib.Path, pathlib.Path]:
    """A wheel, and the source distribution that it was built from.

    Both in a copy of what git has: a build writes beside the sources, and what lies there besides
    must not get into it.
    """
    reason = "no setuptools 77 here: pip install -r requirements.txt"
    pytest.importorskip("setuptools", minversion="77", reason=reason)
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CITATION.cff"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__", "golden", "results", "*.png", "*.svg", "*.csv")
    for path in ROOT.glob("*/*.py"):
        if path.parent.name not in (".venv", "build") and not (source / path.parent.name).exists():
            shutil.copytree(path.parent, source / path.parent.name, ignore=ignored)
    build = "import setuptools.build_meta as b, sys; b.build_{}(sys.argv[1])"
    for kind, suffix in (("sdist", ".tar.gz"), ("wheel", ".whl")):
        command = [sys.executable, "-c", build.format(kind), str(made)]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
        (file,) = made.glob(f"*{suffix}")
        if kind == "sdist":
            distribution, source = file, source / "unpacked"
            with tarfile.open(file) as archive:
                archive.extractall(source, filter="data")
            (source,) = source.iterdir()
    return file, distribution


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory) -> pathlib.Path:
    """A folder into which the wheel was installed, and nothing else."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", target, built[0]], check=True, capture_output=True)
    return target


@pytest.hookimpl(tryfirst=True)  # before the fixtures of a whole file are made
def pytest_runtest_setup(item):
    """Every test draws the same first weights each time: how far rounding reaches is no chance.

    Keras takes the seeds that nobody gave from Python's generator.
    """
    random.seed(SEED)
    np.random.seed(SEED)


def pytest_collection_finish(session):
    import keras  # not before the environment is set

    keras.utils.set_random_seed(SEED)  # once: TensorFlow forgets its kernels, a tenth of the time
    gc.collect()
    gc.freeze()  # what was imported stays: not to be searched again after every few graphs
    gc.set_threshold(20_000, 20, 20)
