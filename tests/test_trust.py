"""Nothing that is read can run code: no pickles, archives by the data filter, Keras' safe mode, no
download without a checksum.
"""

import ast

import keras
import pytest

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "enable_unsafe_deserialization"}


def sources(root):
    for folder in (
        "common",
        "LanguageModeling",
        "NumberPrediction",
        "NER",
        "Sentiment",
        "experiments",
        "benchmarks",
    ):
        for path in (root / folder).rglob("*.py"):
            yield path, ast.parse(path.read_text())


def test_what_the_code_never_does(root):
    for path, tree in sources(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {name.name.split(".")[0] for name in node.names} | {
                    (getattr(node, "module", "") or "").split(".")[0]
                }
                assert not names & FORBIDDEN_MODULES, (path, node.lineno)
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            place = (path, node.lineno)
            assert name not in FORBIDDEN_CALLS, place
            assert (
                given.get("safe_mode", "True") == "True"
                and given.get("allow_pickle", "False") == "False"
            ), place
            assert given.get("shell", "False") == "False", place
            if name in ("extractall", "extract"):
                assert given.get("filter") == "'data'", place
            if name == "load" and ast.unparse(node.func).startswith("np."):
                assert given.get("allow_pickle") == "False", place
            if name in ("urlopen", "urlretrieve"):
                assert path.name == "download.py", place


def test_a_model_file_with_code_in_it_is_refused(tmp_path):
    """As a file from elsewhere could be: Keras' safe mode is on unless switched off."""
    inputs = keras.Input([2])
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="safe_mode|unsafe"):
        keras.models.load_model(tmp_path / "model.keras")
