"""The LSTM with soft skip connections over whole sequences, by the method of `DynamicSkipLSTM`."""

import keras
import tensorflow as tf

from ..cells.attention import AttentionSkipLSTMCell
from ..ops import agent
from ..ops.products import product
from ..ops.recurrence import State
from ..ops.soft_recurrence import Attention, AttentionRecurrence
from .dynamic_skip_lstm import DynamicSkipLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class AttentionSkipLSTM(DynamicSkipLSTM):
    """`keras.layers.RNN(AttentionSkipLSTMCell(...))`, several times faster: each step connects to
    the mean of its K past states under pi.

        pi_t     = softmax(W2 tanh(W1 [x_t ; h_{t-1}] + b1) + b2)     over the distances 1..K
        h~, c~   = lamda sum_k pi_t(k) (h, c)_{t-k} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    All of it is trained by back-propagation. Nothing is drawn: `greedy` and `seed` (but for
    dropout) change nothing, and of the `trace` probs are pi, entropies theirs and distances the
    most probable ones, none of them with a gradient; log_probs are 0.

    Arguments: those of `AttentionSkipLSTMCell` and of `keras.layers.LSTM`; see `DynamicSkipLSTM`.

    Raises:
        ValueError: as `DynamicSkipLSTM`; `distances`, which have no place here.
    """

    cell_class = AttentionSkipLSTMCell

    def _make_recurrence(self, jit_compile: bool | None):
        cell = self.cell
        if cell.n_actions == 1:
            return super()._make_recurrence(jit_compile)
        return AttentionRecurrence(
            cell.n_actions,
            cell.lamda,
            cell.n_actions if cell.observation == "mean" else 1,
            jit_compile,
        )

    def _recur(
        self,
        x: tf.Tensor,
        past: State,
        carried: None,
        distances: tf.Tensor | None,
        greedy: bool,
        training: bool,
        seed: tf.Tensor | None,
    ):
        if distances is not None:
            raise ValueError(
                f"distances must be None: {self.name} takes the mean of all K states; received"
                f" {distances!r}"
            )
        weights = self._agent_weights()
        if weights is None:  # K = 1
            return super()._recur(x, past, carried, distances, greedy, training, seed)
        viewed = product(tf.cast(x, tf.float32), weights.input_kernel) + weights.bias
        states, probs = self.recurrence(
            self._project(x, training, seed),
            tf.convert_to_tensor(self.cell.recurrent_kernel),
            past,
            self.cell.norm_weights,
            self._candidate_mask(x, training, seed),
            Attention(viewed, weights.recurrent_kernel, weights.action_kernel, weights.action_bias),
        )
        entropies = -tf.reduce_sum(tf.math.xlogy(probs, probs), -1)
        return states, (agent.greedy(probs), tf.zeros_like(entropies), entropies, probs)
