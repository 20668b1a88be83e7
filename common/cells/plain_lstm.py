"""The plain LSTM as the case K = 1."""

from typing import Unpack

import keras

from .arguments import KStateArguments
from .k_state import KStateCell


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class PlainLSTMCell(KStateCell):
    """`keras.layers.LSTMCell` with the options of `KStateCell`: what `FastLSTM` is made of."""

    def __init__(self, units: int, **kwargs: Unpack[KStateArguments]):
        super().__init__(units, **kwargs)
