"""Bad input ends with one line that says what was expected, and status 2; what was there before stays as it was."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from common import checkpoint, run
from LanguageModeling.presets import PRESETS as LANGUAGE_PRESETS
from LanguageModeling.presets import LanguageConfig
from NumberPrediction.evaluate import EvaluateConfig, evaluate
from NumberPrediction.presets import PRESETS as NUMBER_PRESETS
from NumberPrediction.presets import NumberConfig
from NumberPrediction.produce_data import ProduceConfig, produce
from NumberPrediction.show_skips import ShowConfig, show

NUMBERS = (NumberConfig, NUMBER_PRESETS, "NumberPrediction.model:train")
LANGUAGE = (LanguageConfig, LANGUAGE_PRESETS, "LanguageModeling.model:train")
EVALUATE = (EvaluateConfig, {}, evaluate)
SHOW = (ShowConfig, {}, show)
ENTRYPOINTS = {"NumberPrediction": NUMBERS, "LanguageModeling": LANGUAGE}


def refused(entrypoint, arguments, capsys) -> str:
    """The one line with which an entrypoint refuses its arguments."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        run.main(*entrypoint, ["RL_train.py", *arguments])
    lines = capsys.readouterr().err.splitlines()
    lines = [line for line in lines if not line.startswith("warning: ")]
    assert left.value.code == 2
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0].removeprefix("error: ")


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file of a folder that matters to a run."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


# ---------------------------------------------------------------------------------------------------------------- flags


@pytest.mark.parametrize("task", ENTRYPOINTS)
@pytest.mark.parametrize(
    "argument, line",
    [
        ("--n_actions=0", "--n_actions expects a value >= 1, got 0"),
        ("--lamda=1.5", "--lamda expects a value from 0 to 1, got 1.5"),
        ("--lamda=-.5", "--lamda expects a value from 0 to 1, got -0.5"),
        ("--lambda=1", r"unknown flag --lambda \(did you mean lamda\?\); --help lists them"),
        ("--cell=dynamic_skp", r"--cell expects one of dynamic_skip, .*; got 'dynamic_skp' \(did you mean dynamic_skip\?\)"),
        ("--preset=papr", r"--preset expects one of paper, .*; got 'papr' \(did you mean paper\?\)"),
        ("--reward=luck", "--reward expects one of .*; got 'luck'"),
        ("--rnn_size=big", "--rnn_size expects a whole number, got 'big'"),
        ("--dropout=1", "--dropout expects a value .*, got 1.0"),
        ("rnn_size=5", "expected flags only .* found 'rnn_size=5'"),
    ],
)
def test_flags(task, argument, line, tmp_path, capsys):
    folder = tmp_path / "run"
    assert re.fullmatch(line, refused(ENTRYPOINTS[task], [f"--run_dir={folder}", argument], capsys))
    assert not folder.exists()


def test_a_length_that_an_index_cannot_point_into(capsys):
    assert refused(NUMBERS, ["--length=9"], capsys) == "--length expects a value >= 10, got 9"
    assert refused((ProduceConfig, {}, produce), ["--length=9"], capsys) == "--length expects a value >= 10, got 9"


# ----------------------------------------------------------------------------------------------------------------- data


def text_data(folder: pathlib.Path, **files: bytes | None) -> None:
    """Files as language modelling reads them; None leaves one out."""
    folder.mkdir()
    good = b" the cat sat on the mat \n" * 40
    for split in ("train", "valid", "test"):
        content = files.get(split, good)
        if content is not None:
            (folder / f"ptb.{split}.txt").write_bytes(content)


SMALL_LM = ["--rnn_size=8", "--rnn_layers=1", "--max_epochs=1", "--batch_size=2", "--num_unroll_steps=5", "--notensorboard"]


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"train": None}, r"ptb\.train\.txt"),
        ({"test": None}, r"ptb\.test\.txt"),
        ({"train": b""}, r"ptb\.train\.txt.*empty"),
        ({"valid": b""}, r"ptb\.valid\.txt.*empty"),
        ({"train": b" the cat \n the \xff\xfe dog \n" * 9}, r"ptb\.train\.txt.*UTF-8"),
        ({"train": b" the cat sat on the mat \n"}, "batch|short|tokens"),
    ],
)
def test_language_data(files, expected, tmp_path, capsys):
    text_data(tmp_path / "data", **files)
    arguments = [*SMALL_LM, f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path / 'run'}"]
    assert re.search(expected, refused(LANGUAGE, arguments, capsys), re.IGNORECASE)


def test_no_language_data_at_all(tmp_path, capsys):
    line = refused(LANGUAGE, [f"--data_dir={tmp_path / 'nowhere'}", f"--run_dir={tmp_path / 'run'}"], capsys)
    assert "nowhere" in line


@pytest.fixture
def number_data(tmp_path):
    """A folder of number data that can be used."""
    produce(ProduceConfig(data_dir=str(tmp_path / "data"), n_train=20, n_dev=10, n_test=10))
    return tmp_path / "data"


SMALL_NUMBERS = ["--rnn_size=4", "--agent_units=3", "--max_epochs=1", "--batch_size=10", "--notensorboard", "--nojit_compile"]


def zeros(path: pathlib.Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, numbers=np.zeros([3, 11], np.int8), labels=np.zeros(3, np.int8))


@pytest.mark.parametrize(
    "damage, expected",
    [
        (lambda file: file.unlink(), r"train\.npz: expected number data, found no file; run python NumberPrediction/produce_data\.py"),
        (lambda file: file.write_bytes(b""), r"train\.npz: expected number data, found a broken file"),
        (lambda file: file.write_bytes("1 2 3\n".encode("utf-16")), r"train\.npz: expected number data, found a broken file"),
        (lambda file: file.write_bytes(file.read_bytes()[:-40]), r"train\.npz: expected number data, found a broken file"),
        (zeros, r"train\.npz: expected number data, found a broken file"),
    ],
)
def test_number_data(damage, expected, number_data, tmp_path, capsys):
    damage(number_data / "train.npz")
    arguments = [*SMALL_NUMBERS, f"--data_dir={number_data}", f"--run_dir={tmp_path / 'run'}"]
    assert re.search(expected, refused(NUMBERS, arguments, capsys))


def test_number_data_of_another_length(number_data, tmp_path, capsys):
    line = refused(NUMBERS, [*SMALL_NUMBERS, "--length=20", f"--data_dir={number_data}", f"--run_dir={tmp_path / 'run'}"], capsys)
    assert "expected length 20 and label rule paper, found 10 and paper" in line


def test_fewer_examples_than_a_batch(tmp_path, capsys):
    line = refused(NUMBERS, [*SMALL_NUMBERS, "--n_train=9", f"--run_dir={tmp_path / 'run'}"], capsys)
    assert "9" in line and "batch_size" in line


# ------------------------------------------------------------------------------------------------------- runs and checkpoints


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a tiny run that is finished."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run.main(*NUMBERS, ["RL_train.py", *SMALL_NUMBERS, "--n_train=20", "--n_dev=10", "--n_test=10", f"--run_dir={folder}"])
    return folder


def test_a_run_directory_of_other_flags(finished, capsys):
    before = contents(finished)
    line = refused(NUMBERS, [*SMALL_NUMBERS, "--lamda=.5", f"--run_dir={finished}"], capsys)
    assert "belongs to other flags" in line and "--lamda was 1.0, now 0.5" in line
    assert "holds a run of NumberPrediction" in refused(LANGUAGE, [*SMALL_LM, f"--run_dir={finished}"], capsys)
    assert contents(finished) == before


def test_a_run_directory_that_is_none(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    assert "found a file" in refused(NUMBERS, [f"--run_dir={tmp_path / 'file'}"], capsys)
    assert "holds no run" in refused(NUMBERS, [f"--run_dir={tmp_path / 'folder'}"], capsys)
    assert contents(tmp_path) == {"file": b"mine", "folder/notes.txt": b"mine"}


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def other_network(path):
    checkpoint.save(path.parent, 3, {"variable/0/kernel": np.zeros([7, 7], np.float32)}, {}, path.stem)


def no_checkpoint(path):
    path.write_text("weights\n")


@pytest.mark.parametrize(
    "damage, expected",
    [
        (pathlib.Path.unlink, "no checkpoint at .*expected a file that training wrote"),
        (cut, "damaged or unfinished checkpoint"),
        (other_network, "the checkpoint is of another model: expected .* of shape .*, found shape .*"),
        (no_checkpoint, "expected a checkpoint, found another kind of file"),
    ],
)
@pytest.mark.parametrize("tool", [EVALUATE, SHOW], ids=["evaluate", "show_skips"])
def test_a_wrong_checkpoint(tool, damage, expected, finished, tmp_path, capsys):
    path = tmp_path / "some.npz"
    path.write_bytes((finished / "checkpoints" / "best.npz").read_bytes())
    damage(path)
    before = contents(finished)
    assert re.search(expected, refused(tool, [f"--run_dir={finished}", f"--checkpoint={path}"], capsys))
    assert contents(finished) == before


@pytest.mark.parametrize("tool", [EVALUATE, SHOW], ids=["evaluate", "show_skips"])
def test_no_run_to_look_at(tool, tmp_path, capsys):
    assert "no run in" in refused(tool, [f"--run_dir={tmp_path}"], capsys)
    assert "--run_dir is empty" in refused(tool, [], capsys)


def test_nothing_to_resume_from(finished, tmp_path, capsys):
    """All checkpoints of an unfinished run are damaged: the run stays for its owner to look at."""
    folder = tmp_path / "run"
    for name, content in contents(finished).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "result.json").unlink()
    for path in (folder / "checkpoints").iterdir():
        cut(path)
    checkpoints = contents(folder / "checkpoints")
    same = [*SMALL_NUMBERS, "--n_train=20", "--n_dev=10", "--n_test=10", f"--run_dir={folder}"]
    assert "no usable checkpoint among the" in refused(NUMBERS, same, capsys)
    assert contents(folder / "checkpoints") == checkpoints


# -------------------------------------------------------------------------------------------------------------- by subprocess


@pytest.mark.parametrize(
    "script, arguments, line",
    [
        ("NumberPrediction/RL_train.py", ["--n_actions", "0"], "error: --n_actions expects a value >= 1, got 0\n"),
        ("NumberPrediction/train_RL10_1.py", ["--length", "20"], "error: --length expects a value from 10 to 10, got 20\n"),
        ("NumberPrediction/evaluate.py", ["--split", "valid"], "error: --split expects one of train, dev, test; got 'valid'\n"),
        ("NumberPrediction/show_skips.py", ["--rundir", "x"], "error: unknown flag --rundir (did you mean run_dir?); --help lists them\n"),
        ("LanguageModeling/RL_train.py", ["--lamda", "1.5"], "error: --lamda expects a value from 0 to 1, got 1.5\n"),
    ],
)
def test_scripts_from_another_directory(script, arguments, line, root, tmp_path):
    done = subprocess.run([sys.executable, root / script, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert not list(tmp_path.iterdir())
