"""An LSTM step that connects to the mean of its K past states, weighted by attention."""

from typing import Any

import keras
import tensorflow as tf

from .dynamic_skip import DynamicSkipLSTMCell


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class AttentionSkipLSTMCell(DynamicSkipLSTMCell):
    """One step of the LSTM with soft skip connections: the agent of `DynamicSkipLSTMCell`, its
    expectation in place of a sample.

        pi_t     = softmax(W2 tanh(W1 [x_t ; h_{t-1}] + b1) + b2)     over the distances 1..K
        h~, c~   = lamda sum_k pi_t(k) (h, c)_{t-k} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    (The attention baseline of Gui et al. 2019; on expectation against sample, Deng et al. 2018.)
    All of it is trained by back-propagation, so the observation is not behind a stop-gradient.
    `lamda = 0` and `n_actions = 1` are the plain LSTM. For whole sequences `AttentionSkipLSTM`
    computes the same much faster.

    Weights and states: as for `DynamicSkipLSTMCell` with `history="carried"`.

    Args:
        units: H. n_actions: K. lamda: weight of the mean, in [0, 1]. agent_units: A.
        observation: "previous", h_{t-1}, or "mean", the mean of the K past h.
        The rest as for `DynamicSkipLSTMCell`; there is nothing to sample and no "window" history.
    """

    has_agent = False  # nobody chooses

    def __init__(
        self,
        units: int,
        n_actions: int = 5,
        lamda: float = 1.0,
        agent_units: int = 50,
        observation: str = "previous",
        **kwargs: Any,
    ):
        super().__init__(
            units, n_actions, lamda, agent_units, observation, history="carried", **kwargs
        )

    @property
    def has_policy(self) -> bool:
        """Whether there is more than one state to attend to."""
        return self.n_actions > 1

    def attention(self, inputs: tf.Tensor, states: list) -> tf.Tensor:
        """pi [B, K] over the distances 1..K, for inputs [B, D]."""
        w = self.agent_weights
        hidden = tf.tanh(
            inputs @ w.input_kernel
            + self.observe(self._slots(states[0])) @ w.recurrent_kernel
            + w.bias
        )
        return tf.nn.softmax(hidden @ w.action_kernel + w.action_bias)

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h [B, H] and the new states."""
        weights = self.attention(inputs, states) if self.has_policy else None
        self.hold()
        inputs, mask = self.drop(
            inputs, training, self.new_seed() if self.draws(training, True) else None
        )
        return self.weighted_step(inputs, states, weights, mask)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        return {
            name: value
            for name, value in config.items()
            if name not in ("history", "greedy", "estimator")
        }
