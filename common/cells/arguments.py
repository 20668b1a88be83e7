"""Arguments that a constructor hands on to those of its bases, and how they are shown all the same.

Names and types are those of a `TypedDict`, `**kwargs: Unpack[...]`, for editors and type checkers,
which read the source; `WholeSignature` adds defaults and order, for whoever asks the class itself.
A test keeps the two together.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import keras

# What Keras takes for one: the thing itself, its configuration or its name.
Initializer = Callable | dict | str
Regularizer = Callable | dict | str | None
Constraint = Callable | dict | str | None


class LayerArguments(TypedDict, total=False):
    """Of `keras.layers.Layer`."""

    name: str | None
    dtype: str | keras.DTypePolicy | None
    trainable: bool
    activity_regularizer: Regularizer


class RNNArguments(LayerArguments, total=False):
    """Of `keras.layers.RNN`, without its cell."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    unroll: bool
    zero_output_for_mask: bool


class RecurrentArguments(LayerArguments, total=False):
    """Of `RecurrentCell`."""

    kernel_initializer: Initializer
    recurrent_initializer: Initializer
    bias_initializer: Initializer
    use_bias: bool


class KStateArguments(RecurrentArguments, total=False):
    """Of `KStateCell`."""

    forget_bias: float
    layer_norm: bool
    kernel_regularizer: Regularizer
    recurrent_regularizer: Regularizer
    bias_regularizer: Regularizer
    kernel_constraint: Constraint
    recurrent_constraint: Constraint
    bias_constraint: Constraint
    dropout: float
    recurrent_dropout: float
    state_dropout: float
    state_masks: str
    weight_dropout: float
    zoneout: Sequence[float]
    seed: int | None
    unit_forget_bias: bool
    activation: Initializer
    recurrent_activation: Initializer
    implementation: int


class HistoryArguments(KStateArguments, total=False):
    """Of `HistoryCell`."""

    history: str


class PolicyArguments(KStateArguments, total=False):
    """Of `PolicyCell`, behind those that its subclasses name."""

    agent_initializer: Initializer
    agent_bias_initializer: Initializer
    previous_bias: float | None


class SequenceArguments(RNNArguments, total=False):
    """Of `KStateLSTM`, without its cell's."""

    return_trace: bool
    use_cudnn: bool | str
    jit_compile: bool | None


class KStateLSTMArguments(SequenceArguments, KStateArguments, total=False):
    """Of a `KStateLSTM` over a `KStateCell`."""


class HistoryLSTMArguments(SequenceArguments, HistoryArguments, total=False):
    """Of a `KStateLSTM` over a `HistoryCell`."""


class PolicyLSTMArguments(SequenceArguments, PolicyArguments, total=False):
    """Of a `KStateLSTM` over a `PolicyCell`."""


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NOT_TAKEN = ("autocast",)  # of what `keras.layers.Layer` takes
_own = functools.cache(inspect.signature)  # as written: it is asked before the whole is set


def _whole(constructors: Sequence[Callable]) -> inspect.Signature:
    """Of the first, with what its `**kwargs` hand on to the second, and so on; `self` in front."""
    found = {n: one for n, one in _own(constructors[0]).parameters.items() if one.kind not in _REST}
    for before, init in itertools.pairwise(constructors):
        if inspect.Parameter.VAR_KEYWORD not in {p.kind for p in _own(before).parameters.values()}:
            break
        for name, one in _own(init).parameters.items():
            if one.kind in _BY_NAME and name not in _NOT_TAKEN:
                found.setdefault(name, one.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    return inspect.Signature(list(found.values()))


class _Signature:
    """Of a class: its constructors' arguments. Not of a layer, which is called with others."""

    def __get__(self, layer: object, cls: "type[WholeSignature]") -> inspect.Signature:
        if layer is not None:
            raise AttributeError("__signature__")
        _, *named = _whole(cls.constructors()).parameters.values()
        return inspect.Signature(named)


class WholeSignature:
    """A layer whose class shows all arguments, also those that `**kwargs` hand on to its bases."""

    __signature__ = _Signature()

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls) and issubclass(cls, keras.layers.Layer):
            _own(cls.__init__)
            cls.__init__.__signature__ = _whole(cls.constructors())
            cls.__init__.__doc__ = cls.__init__.__doc__ or "See the class."

    @classmethod
    def constructors(cls) -> list[Callable]:
        """Those that see the arguments, one after the other."""
        layers = (one for one in cls.__mro__ if issubclass(one, keras.layers.Layer))
        return [one.__init__ for one in layers if "__init__" in vars(one)]
