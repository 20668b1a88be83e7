"""Settings of cells and layers: readable, and never set without effect."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from ..ops.scratch_graph import in_scratch_graph
from .arguments import WholeSignature

_KERAS_OBJECTS = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


def _kind(name: str):
    return _KERAS_OBJECTS.get(name.rsplit("_", 1)[-1])


def check_known(owner: str, given: Iterable[str], known: Sequence[str]) -> None:
    """ValueError for the first argument given to `owner` that is not among those known."""
    for wrong in sorted(set(given) - set(known)):
        close = "".join(difflib.get_close_matches(wrong, known, 1))
        hint = f" (did you mean {close}?)" if close else ""
        raise ValueError(f"{owner} has no argument {wrong!r}{hint}")


class Settings(WholeSignature):
    """A Keras layer whose arguments take effect when they are set later, or are refused.

    `adjustable` settings can be set until a graph holds their value: what `tf.function`, `fit` or
    `predict` compiled does not look at the attribute again. All others shape weights, states or
    loops and never change. `checks` say of a setting what its value must be. A subclass calls
    `take` and then `settle` in its constructor, and `hold` in each call.
    """

    adjustable: tuple[str, ...] = ()
    checks: dict[str, Callable[[str, Any], Any]] = {}
    setting_names: tuple[str, ...] = ()
    _taken: tuple[str, ...] = ()
    _settled = _held = False

    def take(self, **settings: Any) -> None:
        """Arguments become attributes; names and configurations become Keras objects."""
        self._taken += tuple(settings)
        for name, value in settings.items():
            setattr(self, name, kind.get(value) if (kind := _kind(name)) else value)

    def taken(self) -> dict:
        """What `take` took, as a configuration that can be saved."""
        values = {name: getattr(self, name) for name in self._taken}
        return {
            name: kind.serialize(value) if (kind := _kind(name)) else value
            for name, value in values.items()
        }

    def settle(self, *names: str) -> None:
        """From here on the rules hold, for what was taken and for further attributes."""
        self.setting_names = (*self.setting_names, *self._taken, *names)
        self._settled = True

    def hold(self) -> None:
        """Say that a call reads the settings; if a graph is being made, it keeps them."""
        if not (self._held or tf.executing_eagerly() or in_scratch_graph()):
            self._held = True

    def __setattr__(self, name: str, value: Any):
        value = self.checks[name](name, value) if name in self.checks else value
        if self._settled and name in self.setting_names and value != (now := getattr(self, name)):
            config = f"{{**layer.get_config(), {name!r}: {value!r}}}"
            anew = f"make a layer anew, {type(self).__name__}.from_config({config})"
            if name not in self.adjustable:
                raise AttributeError(f"{name} of {self.name} is {now!r} for good: {anew}")
            if self._held:
                raise AttributeError(
                    f"{name} of {self.name} cannot become {value!r} any more, what was compiled "
                    f"with {now!r} would keep it: set it before the first call, also on a fresh "
                    "copy (type(model).from_config(model.get_config()), then set_weights), "
                    f"or {anew}"
                )
        super().__setattr__(name, value)
