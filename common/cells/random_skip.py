"""An LSTM step that connects to a random one of its K past states: the agent's control."""

from typing import Unpack

import keras
import tensorflow as tf

from ..ops.random import fold, whole_seed
from ..ops.replicas import rows
from .arguments import HistoryArguments
from .history import HistoryCell
from .sampling import sampling


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class RandomSkipLSTMCell(HistoryCell):
    """One step of the LSTM with random skip connections: `DynamicSkipLSTMCell` without its agent.

        k_t      ~ Uniform{1..K}
        h~, c~   = lamda (h, c)_{t-k_t} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    At inference the draws are always the same, those of `seed` (of 0 without one), so that two
    evaluations agree (in batches of the same size); layers of one seed, or of none, draw alike. The
    cell by itself does not know which step it is at: there each sequence keeps one distance for all
    steps, where `RandomSkipLSTM`, much faster, has one for each step.

    Weights and states: as for `KStateCell`.

    Args:
        units: H.
        n_actions: K.
        lamda: weight of the state that was drawn, in [0, 1].
        The rest as for `HistoryCell` and `KStateCell`.

    Raises:
        ValueError: see `HistoryCell`.

    Example:
        ```python
        cell = RandomSkipLSTMCell(8, n_actions=3)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    def __init__(
        self, units: int, n_actions: int = 5, lamda: float = 1.0, **kwargs: Unpack[HistoryArguments]
    ):
        super().__init__(units, n_actions, lamda, **kwargs)
        self.take(n_actions=n_actions, lamda=lamda)
        self.settle()

    def draws(self, training: bool, greedy: bool | None = None, given: bool = False) -> bool:
        """As of any cell; the distances are drawn anew in training and by `sampling.sampled`."""
        anew = training or sampling()
        return super().draws(training) or bool(anew and self.n_actions > 1)

    def given_distances(
        self, shape: tf.Tensor | list, seed: tf.Tensor | None, backwards: bool = False
    ) -> tf.Tensor | None:
        """Uniform draws.

        Without a seed of the call they are always the same, which the cell's seed decides.
        """
        if self.n_actions == 1:
            return None
        if seed is None:
            seed = whole_seed(self.seed or 0)
            # `Bidirectional` gives both directions one `seed`
            seed = fold(seed, 0) if backwards else seed
        return rows(
            lambda shape: tf.random.stateless_uniform(shape, seed, 1, self.n_actions + 1, tf.int32),
            shape,
            axis=-1,
        )
