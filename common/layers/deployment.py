"""Trained models as TFLite and ONNX files, for programs without TensorFlow.

The layers over whole sequences keep all states in one buffer, which neither format knows. Their
cells under `keras.layers.RNN` compute the same, of operations that both know: `step_by_step` makes
that change. A SavedModel needs none of this: `model.export(folder)`, Keras' own, writes one.
"""

import inspect
import logging
import os
import pathlib
import tempfile
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..cells.checks import whole_number
from ..cells.random_skip import RandomSkipLSTMCell
from ..errors import one_line
from ..files import atomic_write
from .fast_rnn import HoistedRNN
from .k_state_layer import KStateLSTM

_FORMATS = {".tflite": "litert", ".onnx": "onnx"}  # by the names of files
_KEPT = (
    "return_sequences return_state go_backwards stateful unroll zero_output_for_mask name dtype"
    " trainable activity_regularizer"
).split()
_TOLERANCE = 1e-3  # of the largest number, if that is above 1
_ANY = 6  # steps, where a model takes any number


def step_by_step(model: keras.Model) -> keras.Model:
    """The same network with the same weights, of cells under `keras.layers.RNN`.

    They take the place of layers over whole sequences (`DynamicSkipLSTM`, `FastRNN` and their
    like), inside other models, `Bidirectional` and `TimeDistributed` too. Layers with an `adapt`,
    such as `Normalization` or `TextVectorization`, are the same objects in both models.

    Args:
        model: a `keras.Sequential` or functional model that is built, or a `PolicyGradientModel`
            made of inputs and outputs.

    Returns:
        A model of its own: what happens to its weights does not touch the given one's.

    Raises:
        ValueError: another kind of model; a layer whose inference is random, whose states have
            other shapes than its cell's, that is given distances or returns its connections.

    Example:
        ```python
        model = keras.Sequential([keras.Input([None, 4]), DynamicSkipLSTM(8, n_actions=3)])
        h = step_by_step(model)(keras.random.normal([2, 5, 4]))  # [2, 8]
        ```
    """
    network = getattr(model, "network", model)  # of a PolicyGradientModel
    if not (getattr(network, "built", False) and getattr(network, "inputs", None)):
        raise ValueError(
            "expected a keras.Sequential or functional model that is built, received"
            f" {type(model).__name__} {getattr(model, 'name', model)!r}: make one of its layers,"
            " from a keras.Input on"
        )
    made = keras.models.clone_model(network, clone_function=_of_steps)
    made.set_weights(network.get_weights())
    return made


def _of_steps(layer: keras.layers.Layer, given_states: bool = False) -> keras.layers.Layer:
    """Another layer like this one. `given_states`: around it there is one that hands them on."""
    given = {name for node in layer._inbound_nodes for name in _arguments(layer, node)}
    given_states |= "initial_state" in given
    if isinstance(layer, keras.Model):
        return step_by_step(layer)
    if isinstance(layer, keras.layers.Bidirectional):
        inside = layer.forward_layer, layer.backward_layer
        both = [_of_steps(one, given_states) for one in inside]
        kept = {"merge_mode": layer.merge_mode, **_kept(layer)}
        return keras.layers.Bidirectional(both[0], backward_layer=both[1], **kept)
    if isinstance(layer, keras.layers.TimeDistributed):
        return keras.layers.TimeDistributed(_of_steps(layer.layer), **_kept(layer))
    if hasattr(layer, "adapt"):  # what it has learned is in no weight, or not as its methods use it
        return layer
    if isinstance(layer, HoistedRNN):
        return _under_keras(layer)
    if not isinstance(layer, KStateLSTM):
        return layer.__class__.from_config(layer.get_config())
    cell = layer.cell
    if layer.return_trace:
        raise ValueError(
            f"expected layers without return_trace=True, received {layer.name!r}: make the model"
            " without the connections, and give it the weights"
        )
    for name in sorted(given & {"distances", "greedy", "seed"}):
        raise ValueError(
            "expected layers that are called with sequences, states and masks, received"
            f" {layer.name!r} with {name}: make the model without it, so that the most probable"
            " distances are taken"
        )
    if cell.draws(training=False):
        raise ValueError(
            "expected layers that draw no random numbers at inference, received"
            f" {layer.name!r} with greedy=False: set greedy=True"
        )
    if isinstance(cell, RandomSkipLSTMCell) and cell.n_actions > 1:
        raise ValueError(
            "expected layers whose cells compute the same, received"
            f" {layer.name!r}, which draws a distance for each step where its cell draws one for"
            " all: model.export(folder) writes a SavedModel"
        )
    seen = layer.return_state or layer.stateful or given_states
    if seen and list(layer.state_size) != list(cell.state_size):
        raise ValueError(
            'expected history="carried" where a layer is given, returns or keeps its states,'
            f" received history={cell.history!r} in {layer.name!r}: make the model without"
            " initial_state, return_state and stateful"
        )
    return _under_keras(layer)


def _arguments(layer: keras.layers.Layer, node: Any) -> set[str]:
    """What a layer is called with in a functional model, by name."""
    given = node.arguments
    if not isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
        return {*given.kwargs}
    bound = inspect.signature(layer.call).bind_partial(*given.args, **given.kwargs).arguments
    return {name for name, value in bound.items() if value is not None}


def _kept(layer: keras.layers.Layer) -> dict:
    return {"name": layer.name, "trainable": layer.trainable, "dtype": layer.dtype_policy}


def _under_keras(layer: keras.layers.RNN) -> keras.layers.RNN:
    """`keras.layers.RNN` over a cell like the layer's."""
    config, cell = layer.get_config(), layer.cell
    cell = type(cell).from_config(cell.get_config())
    return keras.layers.RNN(cell, **{name: config[name] for name in _KEPT if name in config})


def export(model: keras.Model, path: str | os.PathLike, batch_size: int = 1) -> None:
    """Write a trained model as a TFLite or an ONNX file, once the file computes the same.

    Args:
        model: as for `step_by_step`.
        path: a file's name that ends in .tflite or .onnx.
        batch_size: of a TFLite file, which reserves memory for one size; an ONNX file takes any.

    Raises:
        ImportError: an .onnx file without tf2onnx and onnxruntime, which `pip install
            dynamic-skip-lstm[export]` installs.
        ValueError: see `step_by_step`; another ending; a batch_size below 1; a model that the
            converter does not know, or gets wrong. Nothing is written then.

    Example:
        ```python
        model = keras.Sequential([keras.Input([None, 4]), DynamicSkipLSTM(8, n_actions=3)])
        export(model, "model.tflite")  # of the built-in operations alone
        ```
    """
    path, batch_size = pathlib.Path(path), whole_number("batch_size", batch_size)
    if path.suffix not in _FORMATS:
        raise ValueError(
            f"expected a file's name that ends in {' or '.join(_FORMATS)}, received {str(path)!r}:"
            " model.export(folder) writes a SavedModel"
        )
    if not path.parent.is_dir():
        raise ValueError(f"expected a folder that exists, received {str(path.parent)!r}: make it")
    if path.suffix == ".onnx":
        try:
            import onnxruntime  # noqa: F401
            import tf2onnx  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"an ONNX file needs {error.name}: pip install dynamic-skip-lstm[export]"
            ) from error
    given, model = getattr(model, "network", model), step_by_step(model)
    for layer in model._flatten_layers(include_self=False):
        if layer.compute_dtype != "float32":
            raise ValueError(
                f"expected layers that compute in float32, received {layer.name!r} in"
                f" {layer.compute_dtype}: make the model anew in float32, and give it the weights"
            )
    size = batch_size if path.suffix == ".tflite" else None
    examples = keras.tree.map_structure(_example, _inputs(model))
    expected = _of_zero_states(given, examples)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, f"model{path.suffix}")
        try:
            _convert(model, file, size)
            run = _run_tflite if path.suffix == ".tflite" else _run_onnx
            names = [one.name for one in keras.tree.flatten(_inputs(model))]
            by_name = dict(zip(names, keras.tree.flatten(examples), strict=True))
            found = run(file, by_name, expected)
        except Exception as error:  # of a dozen kinds
            reason = one_line(error)[:300]
            raise ValueError(
                f"expected a model that converts to {path.suffix}, found: {reason}; save what the"
                " converter knows, or a SavedModel with model.export(folder)"
            ) from error
        for one, other in zip(keras.tree.flatten(expected), found, strict=True):
            one = one.numpy()
            difference = np.abs(np.subtract(one, other, dtype=np.float64)).max()
            largest = np.abs(one).max(initial=1, where=np.isfinite(one))
            if not difference <= _TOLERANCE * largest:
                raise ValueError(
                    "expected a file that computes what the model does, found a difference of"
                    f" {difference:.3g}: the converter to {path.suffix} got this model wrong"
                )
        atomic_write(path, file.read_bytes())


def _of_zero_states(model: keras.Model, inputs: Any) -> Any:
    """The outputs of a model that has read nothing before, as a file begins; its states stay."""
    layers = [one for one in model._flatten_layers() if getattr(one, "stateful", False)]
    kept = [(v, v.numpy()) for layer in layers for v in keras.tree.flatten(layer.states)]
    for variable, value in kept:
        variable.assign(np.zeros_like(value))
    try:
        return model(inputs, training=False)
    finally:
        for variable, value in kept:
            variable.assign(value)


def _inputs(model: keras.Model) -> Any:
    """Its symbolic inputs, in the structure in which it takes them."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _example(wanted: keras.KerasTensor) -> np.ndarray:
    """Numbers for an input: normal ones, or 0 and 1 where it wants whole numbers."""
    size = [wanted.shape[0] or 1, *(n or _ANY for n in wanted.shape[1:])]
    random = np.random.default_rng(0)
    dtype = tf.as_dtype(wanted.dtype)
    if dtype == tf.string:
        raise ValueError(
            f"expected inputs of numbers, received the input {wanted.name!r} of strings: export the"
            " model from the numbers on"
        )
    found = random.normal(size=size) if dtype.is_floating else random.integers(0, 2, size)
    return found.astype(wanted.dtype)


def _convert(model: keras.Model, file: pathlib.Path, batch_size: int | None) -> None:
    signature = [
        keras.tree.map_structure(
            lambda one: tf.TensorSpec((batch_size, *one.shape[1:]), one.dtype, one.name),
            _inputs(model),
        )
    ]
    options: dict[str, Any] = {"input_signature": signature, "verbose": False}
    if file.suffix == ".tflite":
        # Operations of TensorFlow itself are not in the usual interpreters.
        options["target_spec"] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it says, _run_onnx raises
    model.export(file, format=_FORMATS[file.suffix], **options)


def _run_tflite(file: pathlib.Path, examples: dict[str, np.ndarray], like: Any) -> list[np.ndarray]:
    """The file's outputs, in the order of the flat structure `like`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package that the interpreter moves to
        interpreter = tf.lite.Interpreter(str(file))
    found = interpreter.get_signature_runner()(**examples)
    # names are a dict's keys, which `flatten` sorts, or output_0 ... output_10
    order = sorted(found, key=None if isinstance(like, dict) else lambda name: (len(name), name))
    return [found[name] for name in order]


def _run_onnx(file: pathlib.Path, examples: dict[str, np.ndarray], like: Any) -> list[np.ndarray]:
    import onnx
    import onnxruntime

    # The converter leaves what it does not know as it stands, and says nothing.
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = sorted(like) if isinstance(like, dict) else None
    return session.run(names, examples)
