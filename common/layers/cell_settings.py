"""A layer over sequences that takes its cell's arguments beside its own, and shows their values."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ..cells.k_state import KStateCell
from ..cells.settings import Settings
from ..ops.random import fold

DRAWN_ANEW = (
    "{name} draws random numbers, of which keras.RematScope would draw others for the gradient:"
    " make the layer, and models and wrappers that it is in, outside of that scope"
)


def computed_again(layer: keras.Layer | None) -> bool:
    """Whether `keras.RematScope` may have a layer's call computed again for the gradient."""
    scope = getattr(layer, "_remat_mode", None)
    if getattr(scope, "mode", None) == "list_of_layers":
        return layer.name in scope.layer_names
    return getattr(scope, "mode", None) in ("full", "larger_than")


def _of_the_cell(name: str):
    """A layer's attribute that is a setting of its `cell`."""
    return property(
        lambda self: getattr(self.cell, name), lambda self, value: setattr(self.cell, name, value)
    )


class CellSettings(Settings):
    """Settings of a layer and of its `cell`, which is of `cell_class`.

    The constructor of a subclass names those that it gives another order or default.
    """

    cell_class: type[KStateCell]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "cell_class"):
            for name in [*cls.cell_class.arguments(), "units", "n_actions", "lamda"]:
                setattr(cls, name, _of_the_cell(name))

    @classmethod
    def constructors(cls) -> list[Callable]:
        """Those of the layer, which hand on to those of the cell."""
        own = (one for one in cls.__mro__ if issubclass(one, CellSettings))
        own = [one.__init__ for one in own if "__init__" in vars(one)]
        return [*own, *getattr(cls, "cell_class", KStateCell).constructors()]

    def new_seed(self) -> tf.Tensor:
        """The next seed of the cell's stream, another one in each direction, int32 [2].

        `Bidirectional` gives both directions one `seed`; policy gradient asks for choices that
        depend neither on each other nor on the other direction's masks. Raises ValueError where
        what is drawn would be drawn anew.
        """
        if computed_again(self) or computed_again(self._get_call_context().entry_layer):
            raise ValueError(DRAWN_ANEW.format(name=self.name))
        seed = self.cell.new_seed()
        # a mask is folded in from 1 on (`Dropping`)
        return tf.cast(fold(seed, 0), tf.int32) if self.go_backwards else seed

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        config.pop("cell")
        cell = self.cell.get_config()
        for name in ("name", "trainable", "dtype"):
            cell.pop(name)
        own = {name: getattr(self, name) for name in ("jit_compile", "return_trace")}
        return {**config, **cell, **own}

    @classmethod
    def from_config(cls, config: dict) -> "CellSettings":
        """The layer of a `get_config()`."""
        return cls(**config)
