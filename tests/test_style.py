"""What ruff says of the code: format, style, unused names, annotations (pyproject.toml)."""

import ast
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff(root, command):
    pytest.importorskip("ruff", reason="no ruff here: pip install -r requirements.txt")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command.split(), "--no-cache", str(root)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def calls(root: pathlib.Path, *names: str) -> Iterator[tuple[str, set[str]]]:
    """Where the sources call a method or a function of a module, and the names of its arguments."""
    folders = "common LanguageModeling NumberPrediction NER Sentiment experiments benchmarks"
    for path in [path for folder in folders.split() for path in (root / folder).rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in names:
                keywords = called[id(node)].keywords if id(node) in called else []
                place = f"{path.relative_to(root)}:{node.lineno} {ast.unparse(node)}"
                yield place, {keyword.arg for keyword in keywords}


def test_no_graph_is_made_of_source_text(root):
    """AutoGraph fails where a folder's name is no UTF-8: only what names it may need it."""
    found = list(calls(root, "function"))
    assert len(found) > 8
    assert not [
        place for place, given in found if "tf.function" in place and "autograph" not in given
    ]


def test_files_are_read_with_their_encoding(root):
    """Where ruff does not see that a path is one, too."""
    found = list(calls(root, "read_text", "write_text"))
    assert len(found) > 5 and not [place for place, given in found if "encoding" not in given]
