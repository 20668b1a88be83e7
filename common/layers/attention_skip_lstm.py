"""The LSTM with soft skip connections over whole sequences, by the method of `DynamicSkipLSTM`."""

from typing import Unpack

import keras
import tensorflow as tf

from ..cells.arguments import PolicyLSTMArguments
from ..cells.attention import AttentionSkipLSTMCell
from ..ops import agent
from ..ops.gates import State
from ..ops.products import product
from ..ops.recurrence import Recurrence
from ..ops.soft_recurrence import Attention, AttentionRecurrence
from .k_state_layer import KStateLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class AttentionSkipLSTM(KStateLSTM):
    """`keras.layers.RNN(AttentionSkipLSTMCell(...))`, faster and in less memory.

    Each step connects to the mean of its K past states, weighted by pi:

        pi_t     = softmax(W2 tanh(W1 [x_t ; h_{t-1}] + b1) + b2)     over the distances 1..K
        h~, c~   = lamda sum_k pi_t(k) (h, c)_{t-k} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    All of it is trained by back-propagation. Nothing is drawn: `greedy` and `seed` of a call (but
    for dropout) change nothing, and of the `trace` probs are pi, entropies theirs and distances the
    most probable ones, none of them with a gradient; log_probs are 0.

    Args:
        units ... observation: as for `AttentionSkipLSTMCell`.
        The rest as for `KStateLSTM` and `KStateCell`.

    Raises:
        ValueError: as `KStateLSTM`; `distances`, which have no place here.

    Example:
        ```python
        x = keras.random.normal([2, 5, 4])
        h = AttentionSkipLSTM(8, n_actions=3)(x)  # [2, 8]
        ```
    """

    cell_class = AttentionSkipLSTMCell

    def __init__(
        self,
        units: int,
        n_actions: int = 5,
        lamda: float = 1.0,
        agent_units: int = 50,
        observation: str = "previous",
        **kwargs: Unpack[PolicyLSTMArguments],
    ):
        super().__init__(units, n_actions, lamda, agent_units, observation, **kwargs)

    def _make_recurrence(self) -> Recurrence:
        cell = self.cell
        if cell.n_actions == 1:
            return super()._make_recurrence()
        return AttentionRecurrence(cell.n_actions, cell.lamda, cell.n_seen)

    def _recur(
        self,
        x: tf.Tensor,
        past: State,
        distances: tf.Tensor | None,
        greedy: bool | None,
        training: bool,
        seed: tf.Tensor | None,
    ) -> tuple[State, tuple]:
        if distances is not None:
            raise ValueError(
                f"distances must be None: {self.name} takes the mean of all K states; received"
                f" {distances!r}"
            )
        if self.cell.n_actions == 1:
            return super()._recur(x, past, distances, greedy, training, seed)
        w = self.cell.wide_weights
        viewed = product(tf.cast(x, w.bias.dtype), w.input_kernel) + w.bias
        attention = Attention(viewed, w.recurrent_kernel, w.action_kernel, w.action_bias)
        given = self._given(x, past, training, seed)
        states, probs = self.recurrence(*given, attention=attention)
        entropies = -tf.reduce_sum(tf.math.xlogy(probs, probs), -1)
        return states, (agent.greedy(probs), tf.zeros_like(entropies), entropies, probs)
