"""An LSTM with fixed skip connections over whole sequences."""

from typing import Unpack

import keras

from ..cells.arguments import HistoryLSTMArguments
from ..cells.fixed_skip import FixedSkipLSTMCell
from .k_state_layer import KStateLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FixedSkipLSTM(KStateLSTM):
    """`keras.layers.RNN(FixedSkipLSTMCell(...))`, faster and in less memory.

    Each step connects to the state of `skip` steps ago.

    Args:
        units ... lamda: as for `FixedSkipLSTMCell`.
        The rest as for `KStateLSTM`, `HistoryCell` and `KStateCell`.

    Raises:
        ValueError: see `FixedSkipLSTMCell` and `KStateLSTM`.

    Example:
        ```python
        x = keras.random.normal([2, 5, 4])
        h = FixedSkipLSTM(8, skip=3, lamda=0.5)(x)  # [2, 8]
        ```
    """

    cell_class = FixedSkipLSTMCell

    def __init__(
        self, units: int, skip: int = 3, lamda: float = 1.0, **kwargs: Unpack[HistoryLSTMArguments]
    ):
        super().__init__(units, skip, lamda, **kwargs)
