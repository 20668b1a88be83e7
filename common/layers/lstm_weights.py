"""Weights and states of a plain LSTM in a layer over K past states, and back."""

from typing import Any

import keras
import tensorflow as tf

from ..cells.k_state import KStateCell
from .k_state_layer import KStateLSTM

_NAMES = ("kernel", "recurrent_kernel", "bias")


def copy_lstm_weights(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    """Set W, U and b of `target` to those of `source`; an agent's weights stay as they are.

    Each is a `keras.layers.LSTM`, a layer of this package made of an LSTM step (`DynamicSkipLSTM`,
    `AttentionSkipLSTM`, `FixedSkipLSTM`, `RandomSkipLSTM`, `FastLSTM`), or the cell of one. With
    `previous_bias` an agent begins near the LSTM whose weights it gets.

        lstm = keras.layers.LSTM(32)           # trained, or from a .weights.h5 file
        layer = DynamicSkipLSTM(32, n_actions=5, previous_bias=3.0)
        layer.build([None, None, 8])
        copy_lstm_weights(lstm, layer)         # and copy_lstm_weights(layer, lstm) back

    Raises:
        ValueError: other layers; layers that are not built; other sizes; a bias in one of them
            alone; layer normalisation, which an LSTM does not have.
    """
    cells = [_cell(source), _cell(target)]
    values = {name: [getattr(cell, name) for cell in cells] for name in _NAMES}
    for name, (a, b) in values.items():
        shapes = [None if one is None else tuple(one.shape) for one in (a, b)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{name} must have one shape in both layers; received {shapes[0]} and {shapes[1]}"
            )
    for a, b in values.values():
        if a is not None:
            b.assign(a)


def _cell(layer: Any) -> keras.layers.Layer:
    cell = getattr(layer, "cell", layer)
    if not isinstance(cell, KStateCell | keras.layers.LSTMCell):
        raise ValueError(f"expected a layer made of an LSTM step; received {layer!r}")
    if not cell.built:
        raise ValueError(f"{layer.name} has no weights yet: call it, or build([None, None, D])")
    if getattr(cell, "layer_norm", False):
        raise ValueError(f"{layer.name} has layer normalisation, which an LSTM does not have")
    return cell


def initial_state_from_lstm(layer: KStateLSTM, h: tf.Tensor, c: tf.Tensor) -> list[tf.Tensor]:
    """The `initial_state` of a layer that goes on from the state h, c [B, H] of an LSTM.

    All K past states are that one (with `history="window"` it is the one before the sequence): for
    any distance the first step connects to it.

        outputs, h, c = keras.layers.LSTM(32, return_sequences=True, return_state=True)(past)
        layer(x, initial_state=initial_state_from_lstm(layer, h, c))
    """
    n_slots = layer.state_size[0] // layer.units
    return [tf.tile(tf.convert_to_tensor(s), [1, n_slots]) for s in (h, c)]
