"""An LSTM step that connects to the mean of its K past states, weighted by attention."""

import keras
import tensorflow as tf

from ..ops.products import product
from .policy import PolicyCell


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class AttentionSkipLSTMCell(PolicyCell):
    """One step of the LSTM with soft skip connections.

    The agent of `DynamicSkipLSTMCell`, its expectation in place of a sample:

        pi_t     = softmax(W2 tanh(W1 [x_t ; h_{t-1}] + b1) + b2)     over the distances 1..K
        h~, c~   = lamda sum_k pi_t(k) (h, c)_{t-k} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    (The attention baseline of Gui et al. 2019; on expectation against sample, Deng et al. 2018.)
    All of it is trained by back-propagation, so the observation is not behind a stop-gradient.
    `lamda = 0` and `n_actions = 1` are the plain LSTM. For whole sequences `AttentionSkipLSTM`
    computes the same much faster.

    Weights and states: as for `PolicyCell`.

    Args:
        units: H.
        n_actions: K, how many past states are attended to.
        lamda, agent_units, observation and the rest: as for `PolicyCell`.

    Raises:
        ValueError: see `PolicyCell`.

    Example:
        ```python
        cell = AttentionSkipLSTMCell(8, n_actions=3)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    def attention(self, inputs: tf.Tensor, states: list) -> tf.Tensor:
        """pi [B, K] over the distances 1..K, for inputs [B, D]."""
        w, seen = self.wide_weights, self.observe(self._slots(states[0]))
        inputs, seen = (tf.cast(a, self.wide_dtype) for a in (inputs, seen))
        hidden = tf.tanh(
            product(inputs, w.input_kernel) + product(seen, w.recurrent_kernel) + w.bias
        )
        probs = tf.nn.softmax(product(hidden, w.action_kernel) + w.action_bias)
        return tf.cast(probs, states[0].dtype)

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h [B, H] and the new states."""
        weights = self.attention(inputs, states) if self.n_actions > 1 else None
        self.hold()
        seed = self.new_seed() if self.draws(training) else None
        inputs, masks = self.drop(inputs, training, seed)
        return self.weighted_step(inputs, states, weights, masks)
