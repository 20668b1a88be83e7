"""An LSTM step that always connects to the state of s steps ago."""

from typing import Unpack

import keras
import tensorflow as tf

from .arguments import HistoryArguments
from .checks import whole_number
from .history import HistoryCell


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FixedSkipLSTMCell(HistoryCell):
    """One step of the LSTM with a fixed skip connection.

    (Zhang et al. 2016, "Architectural complexity measures of RNNs".)

        h~, c~   = lamda (h, c)_{t-s} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    lamda = 1 replaces the recurrent edge, lamda = 0.5 adds one. `skip = 1` is the plain LSTM. For
    whole sequences `FixedSkipLSTM` computes the same much faster.

    Weights and states: as for `KStateCell` with K = s.

    Args:
        units: H.
        skip: s.
        lamda: weight of the state of s steps ago, in [0, 1].
        The rest as for `HistoryCell` and `KStateCell`.

    Raises:
        ValueError: see `HistoryCell`; a skip below 1.

    Example:
        ```python
        cell = FixedSkipLSTMCell(8, skip=3, lamda=0.5)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    def __init__(
        self, units: int, skip: int = 3, lamda: float = 1.0, **kwargs: Unpack[HistoryArguments]
    ):
        super().__init__(units, whole_number("skip", skip), lamda, **kwargs)
        self.take(skip=skip, lamda=lamda)
        self.settle()

    def given_distances(
        self, shape: tf.Tensor | list, seed: tf.Tensor | None, backwards: bool = False
    ) -> tf.Tensor | None:
        """s everywhere."""
        return tf.fill(shape, self.n_actions) if self.n_actions > 1 else None
