"""An LSTM with random skip connections over whole sequences."""

from typing import Unpack

import keras

from ..cells.arguments import HistoryLSTMArguments
from ..cells.random_skip import RandomSkipLSTMCell
from .k_state_layer import KStateLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class RandomSkipLSTM(KStateLSTM):
    """`keras.layers.RNN(RandomSkipLSTMCell(...))`, faster and in less memory.

    Each step connects to a random one of its K past states.

    Args:
        units ... lamda: as for `RandomSkipLSTMCell`.
        seed: decides the draws, those of the two directions of `Bidirectional` by different parts.
        The rest as for `KStateLSTM`, `HistoryCell` and `KStateCell`.

    Raises:
        ValueError: see `RandomSkipLSTMCell` and `KStateLSTM`.

    Example:
        ```python
        x = keras.random.normal([2, 5, 4])
        h = RandomSkipLSTM(8, n_actions=3)(x)  # [2, 8]
        ```
    """

    cell_class = RandomSkipLSTMCell

    def __init__(
        self,
        units: int,
        n_actions: int = 5,
        lamda: float = 1.0,
        **kwargs: Unpack[HistoryLSTMArguments],
    ):
        super().__init__(units, n_actions, lamda, **kwargs)
