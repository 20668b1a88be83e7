"""A subclass of `keras.Model` as a functional model, of inputs and outputs."""

import functools
from typing import Any

import keras
import tensorflow as tf


@functools.cache
def functional_class(model_class: type, of_keras: type) -> type:
    """The class with Keras' functional model behind it, under the same names.

    Given inputs and outputs, `keras.Model` would change the bases of the class itself, for all its
    subclasses to come, among which are those with a `call` of their own.
    """
    if issubclass(model_class, of_keras):
        return model_class
    names = {name: getattr(model_class, name) for name in ("__module__", "__qualname__", "__doc__")}
    made = type(
        model_class.__name__, (model_class, of_keras), names | {"_given_class": model_class}
    )
    package, _, name = keras.saving.get_registered_name(model_class).rpartition(">")
    return keras.saving.register_keras_serializable(package, name)(made) if package else made


def check_tensors(inputs: Any, outputs: Any) -> None:
    """Raise ValueError unless a functional model can be made of these."""
    if any(isinstance(one, keras.layers.Layer) for one in tf.nest.flatten([inputs, outputs])):
        raise ValueError(
            "inputs and outputs must be tensors, from keras.Input to what the layers make of it;"
            " received layers: call them one after the other, or make a keras.Sequential of them"
            " that begins with a keras.Input, and give its inputs and outputs"
        )
    if inputs is None or outputs is None:
        raise ValueError(f"inputs and outputs belong together; received {inputs!r} and {outputs!r}")
