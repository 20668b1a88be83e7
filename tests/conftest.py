"""Paths and data for the whole suite."""

import os
import pathlib
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


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
            f"no data at {folder}: set DYNAMIC_SKIP_DATA to the folder that holds ptb/, conll2003/,"
            " sst/, imdb/"
        )
    return folder
