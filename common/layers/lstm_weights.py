"""Weights and states of a plain LSTM in a layer over K past states, and back."""

from typing import Any

import keras
import tensorflow as tf

from ..cells.k_state import KStateCell
from .k_state_layer import KStateLSTM

_NAMES = ("kernel", "recurrent_kernel", "bias")
_ACTIVATIONS = (keras.activations.tanh, keras.activations.sigmoid)


def copy_lstm_weights(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    """Set W, U and b of `target` to those of `source`; an agent's weights stay as they are.

    Each is a `keras.layers.LSTM`, a layer of this package made of an LSTM step (`DynamicSkipLSTM`,
    `AttentionSkipLSTM`, `FixedSkipLSTM`, `RandomSkipLSTM`, `FastLSTM`), or the cell of one. With
    `previous_bias` an agent begins near the LSTM whose weights it gets.

    Args:
        source, target: built, of the same sizes.

    Raises:
        ValueError: other layers; layers that are not built; other sizes; a bias in one of them
            alone; layer normalisation, which an LSTM does not have; other activations than tanh and
            sigmoid.

    Example:
        ```python
        lstm = keras.layers.LSTM(8)  # trained, or from a .weights.h5 file
        layer = DynamicSkipLSTM(8, n_actions=5, previous_bias=3.0)
        lstm.build([None, None, 4]), layer.build([None, None, 4])
        copy_lstm_weights(lstm, layer)
        copy_lstm_weights(layer, lstm)  # and back
        ```
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
    if (cell.activation, cell.recurrent_activation) != _ACTIVATIONS:
        raise ValueError(f"{layer.name} must have the activations tanh and sigmoid to be matched")
    if getattr(cell, "layer_norm", False):
        raise ValueError(f"{layer.name} has layer normalisation, which an LSTM does not have")
    return cell


def initial_state_from_lstm(layer: KStateLSTM, h: tf.Tensor, c: tf.Tensor) -> list[tf.Tensor]:
    """The `initial_state` of a layer that goes on from the state h, c [B, H] of an LSTM.

    All K past states are that one (with `history="window"` it is the one before the sequence): for
    any distance the first step connects to it.

    Args:
        layer: one like `DynamicSkipLSTM`, of H units.
        h, c: [B, H] each.

    Returns:
        Two tensors, [B, K * H] each ([B, H] with `history="window"`).

    Raises:
        ValueError: another kind of layer; h or c of another shape.

    Example:
        ```python
        past, x = keras.random.normal([2, 2, 5, 4])
        lstm = keras.layers.LSTM(8, return_state=True)
        _, h, c = lstm(past)
        layer = DynamicSkipLSTM(8, n_actions=3)
        outputs = layer(x, initial_state=initial_state_from_lstm(layer, h, c))  # [2, 8]
        ```
    """
    if not isinstance(layer, KStateLSTM):
        raise ValueError(f"layer must be one like DynamicSkipLSTM; received {layer!r}")
    for s in (h, c):
        if len(s.shape) != 2 or s.shape[-1] != layer.units:
            raise ValueError(f"h and c must be [B, {layer.units}]; received {tuple(s.shape)}")
    return [keras.ops.tile(s, [1, layer.state_size[0] // layer.units]) for s in (h, c)]
