"""A plain LSTM by the same method: the case K = 1 of the recurrence, where there is nothing to
choose.
"""

from typing import Any

import keras

from .dynamic_skip_lstm import DynamicSkipLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FastLSTM(DynamicSkipLSTM):
    """`keras.layers.LSTM`, faster: projections hoisted out of the loop, one product for each
    weight's gradient.

        z_t      = W x_t + U h_{t-1} + b
        h_t, c_t = LSTM gates of z_t and c_{t-1}          `gates.lstm_gates`

    Weights, states, masks and arguments as for `keras.layers.LSTM`, between which weights can be
    moved. Two things differ: there are no other activations than tanh and sigmoid, and
    `recurrent_dropout` drops the candidate, anew at each step and without memory loss (Semeniuta et
    al. 2016), where Keras drops h_{t-1} before its product with U, one mask for all steps.
    """

    def __init__(self, units: int, **kwargs: Any):
        if (n_actions := kwargs.pop("n_actions", 1)) != 1:
            raise ValueError(
                f"n_actions must be 1 in a plain LSTM; received {n_actions!r}: use DynamicSkipLSTM"
            )
        super().__init__(units, n_actions=1, **kwargs)
