"""What an editor, `help` and tab completion show of the public classes, and that it is so."""

import ast
import inspect
import re
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf

import common
from common import losses
from common.cells.arguments import LayerArguments, RNNArguments

CLASSES = [name for name in common.__all__ if isinstance(getattr(common, name), type)]
# What has no default.
REQUIRED = {
    "UpdateSkippingRNN": {"cell": common.SkipLSTMCell(2)},
    "FastRNN": {"cell": common.LeakyCell(2)},
    "CRF": {"tags": ["O", "B-X"]},
    "PolicyGradientModel": {},
}
ABSTRACT = ("KStateLSTM", "KStateCell", "HistoryCell")  # a subclass gives what they keep
# Another value than the default, where it does not follow from the kind of value.
OTHERS = {
    "periods": (1, 2),
    "observation": "mean",
    "history": "window",
    "estimator": "reinmax",
    "variant": "NP",
    "leak": "learned",
    "base": "lstm",
    "skip": 2,
    "scheme": "BIO",
    "tags": ["O"],
    "credit": "to_go",
    "baseline": "none",
    "entropy": "sampled",
    "jit_compile": True,
    "seed": 7,
    "previous_bias": 1.0,
    "use_cudnn": False,
    "lamda": 0.5,
}


def made(public, /, **options):
    required = REQUIRED.get(public, {"units": 4})
    if public == "PolicyGradientModel":
        x = keras.Input([2])
        required = {"inputs": x, "outputs": keras.layers.Dense(1, name="dense")(x)}
    return getattr(common, public)(**required, **options)


def arguments(name):
    return inspect.signature(getattr(common, name)).parameters


@pytest.mark.parametrize("name", CLASSES)
def test_the_signature_is_whole(name):
    """Nothing is hidden in **kwargs, of the class and its constructor, nor from a type checker."""
    of = getattr(common, name)
    shown = arguments(name)
    kinds = {one.kind for one in shown.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    assert {*LayerArguments.__annotations__} <= {*shown}
    assert [*inspect.signature(of.__init__).parameters] == ["self", *shown]
    init = next(one for one in of.__mro__ if "__init__" in vars(one)).__init__
    written = {*init.__annotations__} - {"kwargs", "return"}
    if "kwargs" in init.__annotations__ and name != "KStateLSTM":  # which does not know its cell
        (handed_on,) = typing.get_args(init.__annotations__["kwargs"])
        assert not written & {*typing.get_type_hints(handed_on)}
        assert written | {*typing.get_type_hints(handed_on)} == {*shown}


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ABSTRACT])
def test_arguments_are_those_of_the_configuration(name):
    """With the defaults that are shown; and all are attributes."""
    layer = made(name)
    shown, config = arguments(name), layer.get_config()
    assert {*config} - {"network"} <= {*shown}
    defaults = {n: p.default for n, p in shown.items() if p.default is not inspect.Parameter.empty}
    for of_model in ("inputs", "outputs"):
        defaults.pop(of_model, None)
    same = made(name, **defaults | {"name": layer.name})

    def plain(config):
        return re.sub(r"'seed': \d+|'registered_name': '\w+'", "", repr(config))

    for one in (config, found := same.get_config()):
        one.pop("network", None)
    assert plain(found) == plain(config)
    for argument in shown:
        getattr(layer, argument)


def test_what_a_subclass_has_to_give_cannot_be_saved(tmp_path):
    """With one line and at once, not where the file is read."""
    for cell in (common.KStateCell(4), common.HistoryCell(4)):
        model = keras.Sequential([keras.Input([5, 3]), keras.layers.RNN(cell)])
        with pytest.raises(TypeError, match=f"{type(cell).__name__} chooses nothing and cannot be"):
            model.save(tmp_path / "model.keras")
    model = keras.Sequential([keras.Input([5, 3]), keras.layers.RNN(common.PolicyCell(4))])
    model.save(tmp_path / "model.keras")
    x, loaded = np.ones([2, 5, 3]), keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ABSTRACT])
def test_a_setting_takes_effect_or_is_refused(name):
    layer, kept = made(name), {*LayerArguments.__annotations__, "inputs", "outputs", "cell"}
    for argument in {*arguments(name)} - kept:
        now = getattr(layer, argument)
        if argument.endswith(("initializer", "regularizer", "constraint")):
            kind = argument.rpartition("_")[2]
            of_kind = getattr(keras, f"{kind}s")
            other = of_kind.get({"initializer": "ones", "regularizer": "l2"}.get(kind, "non_neg"))
        elif argument in OTHERS and (argument != "skip" or now != 2):
            other = OTHERS[argument]
        elif isinstance(now, bool):
            other = not now
        elif isinstance(now, int | float):
            other = now + 1 if isinstance(now, int) else now / 2 + 0.25
        else:  # one value, as an activation has
            with pytest.raises((AttributeError, ValueError), match=argument):
                setattr(layer, argument, keras.activations.relu)
            continue
        try:
            setattr(layer, argument, other)
        except (AttributeError, ValueError) as error:
            assert re.search(f"{argument} (of .* is .* (for good|as compiled)|must be)", str(error))
            assert getattr(layer, argument) == now
        else:
            assert getattr(layer, argument) == other != now
            assert layer.get_config().get(argument, other) == other
            adjustable = {
                *getattr(layer, "adjustable", ()),
                "use_cudnn",
                *RNNArguments.__annotations__,
            }
            assert argument in adjustable


def test_signatures_of_subclasses_and_of_calls():
    class Mine(common.DynamicSkipLSTM):
        def __init__(self, width, **kwargs):
            super().__init__(width, **kwargs)

    class Alone(common.PolicyGradientModel):
        def __init__(self, width):
            super().__init__()

    assert [*inspect.signature(Mine).parameters][:3] == ["width", "units", "n_actions"]
    assert [*inspect.signature(Alone).parameters] == ["width"]
    assert "units" not in inspect.signature(common.FastLSTM(2)).parameters


def test_names_are_listed_before_they_are_imported(root):
    """By `dir`, and for type checkers, which read the imports below `if TYPE_CHECKING`."""
    assert {*common.__all__, "losses", "__version__"} <= {*dir(common)}
    tree = ast.parse((root / "common" / "__init__.py").read_text())
    (block,) = (
        one for one in tree.body if isinstance(one, ast.If) and "TYPE" in ast.dump(one.test)
    )
    found = {one.names[0].asname: one.module for one in block.body}
    assert found == common._HOMES


# -------------------------------------------------------------------------------------- docstrings


def example(text: str) -> str:
    """The code of a docstring's example."""
    (code,) = re.findall(r"\nExample:\n    ```python\n(.*?)\n    ```", text, re.DOTALL)
    return inspect.cleandoc(code)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("name", common.__all__)
def test_docstrings_are_whole_and_their_examples_run(name, monkeypatch, tmp_path):
    """In the order of the sections; shapes are those of the comments."""
    text = inspect.getdoc(getattr(common, name))
    sections = re.findall(r"^(Args|Call arguments|Returns|Raises|Example):$", text, re.MULTILINE)
    assert [one for one in sections if one in ("Args", "Raises", "Example")] == [
        "Args",
        "Raises",
        "Example",
    ]
    assert re.search(r"\[[A-Z][^]]*\]", text) or "as for" in text  # shapes
    code = example(text)
    monkeypatch.chdir(tmp_path)
    values = {n: getattr(common, n) for n in common.__all__} | {"keras": keras, "np": np, "tf": tf}
    if name == "export":  # seconds, which test_deployment.py spends
        values[name] = inspect.signature(common.export).bind
    keras.utils.set_random_seed(0)
    tf.config.run_functions_eagerly(True)  # over before it would be compiled
    try:
        exec(compile(code, name, "exec"), values)
    finally:
        tf.config.run_functions_eagerly(False)
    for result, shape in re.findall(r"^(\w+)(?:, \w+)* = .*# (\[[\d, ]+\])$", code, re.MULTILINE):
        assert list(values[result].shape) == ast.literal_eval(shape)


def test_the_example_of_the_loss():
    """In a loop of one's own: the agent gets a gradient."""
    layer = common.DynamicSkipLSTM(4, n_actions=3, jit_compile=False)
    values = {"layer": layer, "x": keras.random.normal([2, 3, 4]), "losses": losses}
    values |= {"log_likelihood": tf.constant([-1.0, -2.0]), "task_loss": 0.0}
    layer.build([2, 3, 4])
    with tf.GradientTape() as tape:
        exec(example(inspect.getdoc(losses.policy_gradient)), values)
    assert np.abs(tape.gradient(values["loss"], layer.trainable_variables[-1].value)).max() > 0
