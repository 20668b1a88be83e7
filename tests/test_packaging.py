"""What `pip install .` gives, and what README and its like promise."""

import argparse
import ast
import pathlib
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import unittest.mock
import zipfile

import keras
import numpy as np
import pytest
from helpers.marks import LONG

import common
from common import config

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# What a Keras user wants; flags, training loop and readers stay in the checkout.
_ROOMS = ("cells", "figures", "layers", "ops")
ROOMS = [ROOT / "common", *(ROOT / "common" / name for name in _ROOMS)]
_FOLDERS = ("*.md", "[!.]*/*.md", "common/*/*.md", "benchmarks/*/*.md")
PAGES = sorted(path for folder in _FOLDERS for path in ROOT.glob(folder))


def requirements(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_one_set_of_bounds():
    listed = requirements((ROOT / "requirements.txt").read_text())
    assert sorted(listed) == sorted(
        PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    )


def test_every_room_that_is_installed_is_listed():
    names = {
        ".".join(["dynamic_skip_lstm", *room.relative_to(ROOT / "common").parts]) for room in ROOMS
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == names
    with_code = {path.parent for path in (ROOT / "common").rglob("*.py")}
    assert with_code == {path.parent for path in (ROOT / "common").rglob("__init__.py")}


def imported(path: pathlib.Path) -> set[pathlib.Path]:
    """The files of this checkout that a file imports as it is loaded, those of functions apart."""
    package, found = path.parent, set()
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.ImportFrom):
            base = package if node.level else ROOT
            for _ in range(node.level - 1):
                base = base.parent
            base = base.joinpath(*(node.module or "").split("."))
            names = [base, *(base / alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [ROOT.joinpath(*alias.name.split(".")) for alias in node.names]
        found |= {name.with_suffix(".py") for name in names if name.with_suffix(".py").is_file()}
    return found


def test_no_circle_of_imports():
    folders = (
        "common",
        "LanguageModeling",
        "NumberPrediction",
        "NER",
        "Sentiment",
        "experiments",
        "benchmarks",
    )
    graph = {path: imported(path) for folder in folders for path in (ROOT / folder).rglob("*.py")}
    assert sum(map(len, graph.values())) > 300  # the imports are seen
    while free := {path for path, needs in graph.items() if not needs & set(graph)}:
        graph = {path: needs for path, needs in graph.items() if path not in free}
    assert not graph, (
        "these import each other:"
        f" {', '.join(sorted(str(path.relative_to(ROOT)) for path in graph))}"
    )


def test_nothing_in_common_knows_where_it_is_installed():
    """Inside `common` all imports of it are relative, and none is of a task."""
    ours = {
        "common",
        "dynamic_skip_lstm",
        *(path.parent.name for path in ROOT.glob("*/__init__.py")),
    }
    for path in (ROOT / "common").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module)
            assert not ours & {name.split(".")[0] for name in names}, path


def test_what_is_distributed(built):
    """The package in the wheel; with it what a build needs in the source distribution."""
    wheel, source = built
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "dynamic_skip_lstm",
        f"dynamic_skip_lstm-{common.__version__}.dist-info",
    }
    with tarfile.open(source) as archive:
        found = {
            pathlib.PurePosixPath(*path.parts[1:])
            for path in map(pathlib.PurePosixPath, archive.getnames())
        }
    tops = {path.parts[0] for path in found if path.parts}
    assert tops == {
        "LICENSE",
        "MANIFEST.in",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
        "setup.cfg",
        "common",
        "dynamic_skip_lstm.egg-info",
    }
    files = {path.relative_to(ROOT) for room in ROOMS for path in room.glob("*.py")}
    files.add(pathlib.Path("common/py.typed"))
    assert {path for path in found if path.suffix and path.parts[0] == "common"} == files


def test_one_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert PROJECT["project"]["version"] == common.__version__
    assert f"\nversion: {common.__version__}\n" in citation


def test_urls_are_those_of_the_citation():
    """Nobody has said where the project is published: only the paper has an address."""
    citation = (ROOT / "CITATION.cff").read_text()
    (url,) = PROJECT["project"]["urls"].values()
    assert url.rpartition("/")[2] in citation


def test_what_is_installed(installed):
    assert sorted(path.name for path in installed.iterdir() if path.suffix != ".dist-info") == [
        "dynamic_skip_lstm"
    ]
    theirs = {path.relative_to(installed / "dynamic_skip_lstm") for path in installed.rglob("*.py")}
    assert theirs == {
        path.relative_to(ROOT / "common") for room in ROOMS for path in room.glob("*.py")
    }
    assert (installed / "dynamic_skip_lstm" / "py.typed").is_file()


_ELSEWHERE = """
import sys
import keras, numpy as np
import dynamic_skip_lstm

assert "common" not in sys.modules
folder = sys.argv[1]
inputs = np.load(folder + "/inputs.npy")
model = keras.models.load_model(folder + "/ours.keras")
ours = "dynamic_skip_lstm>"
print(*sorted(name for name in keras.saving.get_custom_objects() if name.startswith(ours)))
from dynamic_skip_lstm import DynamicSkipLSTM, DynamicSkipLSTMCell
assert type(model.layers[1]) is DynamicSkipLSTM
assert type(model.layers[1].cell) is DynamicSkipLSTMCell
np.save(folder + "/outputs.npy", model(inputs).numpy())
model.save(folder + "/theirs.keras")
"""


@LONG
def test_models_move_between_checkout_and_installed_package(installed, tmp_path):
    """A layer is registered under one name in both, so a file saved in one place loads in the
    other, where nothing but the package was imported."""
    layer = common.DynamicSkipLSTM
    assert keras.saving.get_registered_name(layer) == "dynamic_skip_lstm>DynamicSkipLSTM"
    x = keras.Input([7, 3])
    model = keras.Model(x, keras.layers.Dense(2)(layer(4, n_actions=3, lamda=0.5, greedy=True)(x)))
    inputs = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    np.save(tmp_path / "inputs.npy", inputs)
    model.save(tmp_path / "ours.keras")
    environment = {"PYTHONPATH": str(installed), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    program = [sys.executable, "-c", _ELSEWHERE, str(tmp_path)]
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    sources = "\n".join(path.read_text() for path in (ROOT / "common").rglob("*.py"))
    ours = re.findall(
        r'register_keras_serializable\(package="dynamic_skip_lstm"\)\nclass (\w+)', sources
    )
    assert len(ours) > 15 and done.stdout.split() == sorted(
        f"dynamic_skip_lstm>{name}" for name in ours
    )
    expected = model(inputs).numpy()
    assert np.load(tmp_path / "outputs.npy") == pytest.approx(expected, abs=1e-6)
    back = keras.models.load_model(tmp_path / "theirs.keras")
    assert type(back.layers[1]) is layer
    assert back(inputs).numpy() == pytest.approx(expected, abs=1e-6)


BACKEND = (
    "expected Keras' backend tensorflow, found {}; set KERAS_BACKEND=tensorflow before Keras is"
    " imported"
)


@pytest.mark.parametrize("how", ["environment", "file"])
def test_another_backend_of_keras_is_one_sentence(how, installed, tmp_path):
    """Before Keras is imported, which without that backend would fail itself."""
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    chosen = {"environment": {"KERAS_BACKEND": "torch"}, "file": {"KERAS_HOME": str(tmp_path)}}[how]
    environment = {"PYTHONPATH": str(installed), "PATH": "", **chosen}
    done = subprocess.run(
        [sys.executable, "-c", "import dynamic_skip_lstm"],
        env=environment,
        capture_output=True,
        text=True,
    )
    lines = done.stderr.splitlines()
    assert lines[-1].endswith(
        "BackendError: " + BACKEND.format("torch" if how == "environment" else "jax")
    )
    frames = [line for line in lines if line.startswith("  File ")]
    assert len(frames) < 5 and done.returncode == 1
    program = "try: import dynamic_skip_lstm\nexcept ImportError: print('caught')"
    assert (
        subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True
        ).stdout
        == "caught\n"
    )


def test_another_backend_of_keras_ends_a_script_with_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    done = subprocess.run(
        [sys.executable, ROOT / "NumberPrediction" / "RL_train.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        f"error: {BACKEND.format('jax')}\n",
    )
    assert not list(tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, ROOT / "NumberPrediction" / "RL_train.py", "--help"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "--n_actions" in done.stdout


# ---------------------------------------------------------------------------------- what is written


def commands() -> list[str]:
    """Every `python FOLDER/SCRIPT.py ...` in what is written and the Makefile, without comments."""
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    texts.append(
        (ROOT / "Makefile")
        .read_text()
        .replace("$(RUN)", "python")
        .replace("$(DEMO_DATA)", "d")
        .replace("$(DEMO)", "r")
    )
    found = re.findall(r"python ((?:\w+/)+\w+\.py[^\n`#|]*)", "\n".join(texts).replace("\\\n", " "))
    return sorted({" ".join(command.split()) for command in found})


class Parsed(Exception):
    """A script has read its flags: here it ends."""


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command, monkeypatch):
    """Scripts exist and take the flags that are given to them, by `main` or by `argparse`."""
    script, *arguments = shlex.split(command)
    source = (ROOT / script).read_text()
    if script.startswith("examples/"):
        assert not arguments
        return
    if script == "tests/long_checks.py":
        assert all(f'"{argument}": ' in source for argument in arguments)
        return
    parse_args = argparse.ArgumentParser.parse_args

    def main(config_class, presets, _, argv=None, bare=()):
        config.parse(config_class, presets, argv or sys.argv, bare)
        raise Parsed

    def parse(parser):
        parse_args(parser)
        raise Parsed

    monkeypatch.setattr(sys, "argv", [script, *arguments])
    monkeypatch.setattr(config, "main", main)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    # What a script runs with is not needed to read its flags.
    of_jax = [
        f"benchmarks.without_tensorflow.hlo_{name}" for name in ("check", "program", "training")
    ]
    for name in ("jax", "jax.numpy", *of_jax):
        monkeypatch.setitem(sys.modules, name, unittest.mock.MagicMock())
    with pytest.raises(Parsed):
        exec(
            compile(source, str(ROOT / script), "exec"),
            {"__name__": "__main__", "__file__": str(ROOT / script)},
        )


@LONG
def test_the_readme_s_layer_examples(monkeypatch, tmp_path):
    """As they are printed, one after the other, where the package is installed; then, as the text
    says, the connections of a few rows.
    """
    monkeypatch.setitem(sys.modules, "dynamic_skip_lstm", common)
    straight_through, by_reward = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    keras.utils.set_random_seed(1)
    values: dict = {}
    exec(straight_through, values)
    assert values["model"].history.history["accuracy"][-1] > 0.9  # it finds the digit
    exec(by_reward, values)
    assert (
        values["model"].history.history["accuracy"][-1] > 0.5
        and "agent_loss" in values["model"].history.history
    )
    values["model"](values["inputs"][:3])
    paths = common.draw_connections(values["layer"].trace, tmp_path / "connections")
    assert len(paths) == 9  # three files for each row


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150 and len(text.encode()) <= 9000


def anchors(page: pathlib.Path) -> set[str]:
    """What its headings can be linked by, as GitHub spells it."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^) ]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            there = page.parent / path if path else page
            assert target.startswith("https://") or there.exists(), (page, target)
            assert not anchor or anchor in anchors(there), (page, target)
