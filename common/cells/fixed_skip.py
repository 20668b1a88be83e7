"""An LSTM step that always connects to the state of s steps ago."""

from typing import Any

import keras
import tensorflow as tf

from .base import whole_number
from .dynamic_skip import DynamicSkipLSTMCell

_OF_THE_AGENT = (
    "agent_units",
    "observation",
    "greedy",
    "agent_initializer",
    "agent_bias_initializer",
    "previous_bias",
    "estimator",
)


def without_agent(config: dict) -> dict:
    """A configuration of `DynamicSkipLSTMCell` less what its agent takes."""
    return {name: value for name, value in config.items() if name not in _OF_THE_AGENT}


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FixedSkipLSTMCell(DynamicSkipLSTMCell):
    """One step of the LSTM with a fixed skip connection (Zhang et al. 2016, "Architectural
    complexity measures of RNNs").

        h~, c~   = lamda (h, c)_{t-s} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    lamda = 1 replaces the recurrent edge, lamda = 0.5 adds one. `skip = 1` is the plain LSTM. For
    whole sequences `FixedSkipLSTM` computes the same much faster.

    Weights: `kernel` [D, 4H], `recurrent_kernel` [H, 4H], `bias` [4H], as `keras.layers.LSTM` lays
    them out. States: h and c of the past s steps, flat [B, s * H] each, oldest first.

    Args:
        units: H. skip: s. lamda: weight of the state of s steps ago, in [0, 1].
        The rest as for `DynamicSkipLSTMCell`; there is no agent.
    """

    has_agent = False

    def __init__(self, units: int, skip: int = 3, lamda: float = 1.0, **kwargs: Any):
        super().__init__(units, whole_number("skip", skip), lamda, **kwargs)

    @property
    def skip(self) -> int:
        """s."""
        return self.n_actions

    def given_distances(self, shape: tf.Tensor | list, seed: tf.Tensor | None) -> tf.Tensor | None:
        """s everywhere."""
        return tf.fill(shape, self.n_actions) if self.n_actions > 1 else None

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = without_agent(super().get_config())
        config["skip"] = config.pop("n_actions")
        return config
