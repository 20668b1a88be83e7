"""A plain LSTM by the same method: K = 1, where there is nothing to choose."""

from typing import Unpack

import keras

from ..cells.arguments import KStateLSTMArguments
from ..cells.plain_lstm import PlainLSTMCell
from .k_state_layer import KStateLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FastLSTM(KStateLSTM):
    """`keras.layers.LSTM` by the method of the layers with skips, faster where they are large.

    Projections are hoisted out of the loop, each weight's gradient is one product
    (benchmarks/RESULTS.md has times beside Keras' own).

        z_t      = W x_t + U h_{t-1} + b
        h_t, c_t = LSTM gates of z_t and c_{t-1}          `gates.lstm_gates`

    Weights, states, masks and arguments as for `keras.layers.LSTM`, between which weights can be
    moved. Two things differ: there are no other activations than tanh and sigmoid, and
    `recurrent_dropout` drops the candidate, anew at each step and without memory loss (Semeniuta et
    al. 2016), where Keras drops h_{t-1} before its product with U, one mask for all steps: that is
    `state_dropout`.

    Args:
        units: H.
        The rest as for `KStateLSTM` and `KStateCell`.

    Raises:
        ValueError: see `KStateLSTM` and `KStateCell`.

    Example:
        ```python
        x = keras.random.normal([2, 5, 4])
        h = FastLSTM(8, dropout=0.1)(x)  # [2, 8]
        ```
    """

    cell_class = PlainLSTMCell

    def __init__(self, units: int, **kwargs: Unpack[KStateLSTMArguments]):
        super().__init__(units, **kwargs)
