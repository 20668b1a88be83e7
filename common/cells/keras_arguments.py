"""Arguments of `keras.layers.LSTM` that have one value here: it may be given, others may not."""

from typing import Any

import keras


def _is(activation: str):
    def check(name: str, value: Any):
        found = value
        if isinstance(value, str | dict):
            try:
                found = keras.activations.get(value)
            except (ValueError, TypeError):  # no name of an activation
                pass
        if found is not getattr(keras.activations, activation):
            raise ValueError(
                f"{name} must be {activation!r}: the gradients are written out for it; "
                f"received {value!r}"
            )
        return found

    return check


def _implementation(name: str, value: int):
    if value not in (1, 2):
        raise ValueError(f"{name} must be 1 or 2, which compute the same; received {value!r}")
    return value


def use_cudnn(name: str, value: bool | str) -> bool | str:
    """`value`, or ValueError where it asks for cuDNN whatever happens."""
    if value not in (False, "auto"):
        raise ValueError(
            f"{name} must be 'auto' or False: there is no cuDNN kernel for this layer; "
            f"received {value!r}"
        )
    return value


OF_ANY_LAYER = ("input_shape", "input_dim")  # of old code: Keras takes them, and warns

# By name: what is made of a value.
OF_THE_CELL = {
    "activation": _is("tanh"),
    "recurrent_activation": _is("sigmoid"),
    "implementation": _implementation,
}
