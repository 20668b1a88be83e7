"""LSTMs with fixed and with random skip connections over whole sequences, by the method of
`DynamicSkipLSTM`.
"""

import keras

from ..cells.fixed_skip import FixedSkipLSTMCell
from ..cells.random_skip import RandomSkipLSTMCell
from .dynamic_skip_lstm import DynamicSkipLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FixedSkipLSTM(DynamicSkipLSTM):
    """`keras.layers.RNN(FixedSkipLSTMCell(...))`, several times faster: each step connects to the
    state of `skip` steps ago.

    Arguments: those of `FixedSkipLSTMCell` and of `keras.layers.LSTM`; see `DynamicSkipLSTM`.
    """

    cell_class = FixedSkipLSTMCell

    @property
    def skip(self) -> int:
        """s."""
        return self.cell.skip


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class RandomSkipLSTM(DynamicSkipLSTM):
    """`keras.layers.RNN(RandomSkipLSTMCell(...))`, several times faster: each step connects to one
    of its K past states at random.

    Arguments: those of `RandomSkipLSTMCell` and of `keras.layers.LSTM`; see `DynamicSkipLSTM`, also
    for `seed`, which decides the draws.
    """

    cell_class = RandomSkipLSTMCell
