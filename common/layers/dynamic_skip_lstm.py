"""The LSTM with dynamic skip connections over whole sequences, the tasks' and the user's layer."""

from typing import Unpack

import keras
import tensorflow as tf

from ..cells.arguments import PolicyLSTMArguments
from ..cells.dynamic_skip import DynamicSkipLSTMCell
from ..ops import agent
from ..ops.estimators import SURROGATES
from ..ops.gates import State
from ..ops.recurrence import Recurrence
from ..ops.skip_recurrence import Choice, Policy, SkipRecurrence
from .k_state_layer import KStateLSTM


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class DynamicSkipLSTM(KStateLSTM):
    """LSTM with dynamic skip connections (Gui et al. 2019).

    `keras.layers.RNN(DynamicSkipLSTMCell(...))`, faster and in less memory:

        s_t    = stop_gradient([x_t ; h_{t-1}])
        pi_t   = softmax(W2 tanh(W1 s_t + b1) + b2),   k_t ~ Categorical(pi_t) in {1..K}
        h~, c~ = lamda (h, c)_{t-k_t} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    In place of `keras.layers.LSTM`: inputs [B, T, D], outputs [B, H] or [B, T, H]; `KStateLSTM` has
    what is alike, what is not, and the arguments of `call`. Behind `units` comes `n_actions`, not
    an activation.

    The agent learns only if its log-probabilities enter a loss: train with `PolicyGradientModel`,
    or read `layer.trace` (an `agent.Trace`) right after the call, inside the same function, and add
    the terms of `losses.py`. With `estimator="straight_through"` or "reinmax" it learns in any
    model, from the model's loss.

    Distances are drawn in a call with `training=True`: `fit` makes such calls, a loop of your own
    has to ask for them, or the agent does not explore. Other calls take the most probable
    distances, so that two of them agree, unless `greedy=False`.

    Args:
        units: H.
        n_actions: K, how many past states the agent chooses from.
        lamda: weight of the chosen state against the previous one, in [0, 1].
        agent_units, observation: what the agent is and sees, as for `DynamicSkipLSTMCell`, the
            cell with the weights (`layer.cell`).
        history: "carried", the K past states go on from one call to the next, or "window", they
            begin empty in each; as for `HistoryCell`.
        estimator: of the agent's gradient: "policy_gradient", "straight_through" or "reinmax".
        greedy: without `training=True` take the most probable distances; False: draw them.
        return_sequences, return_state, return_trace, stateful, unroll, jit_compile and the like: as
            for `KStateLSTM`.
        dropout, recurrent_dropout, layer_norm, initializers and the like: as for `KStateCell`;
            previous_bias, agent_initializer: as for `PolicyCell`.

    Raises:
        ValueError: see `DynamicSkipLSTMCell` and `KStateLSTM`.

    Example:
        ```python
        layer = DynamicSkipLSTM(8, n_actions=3, return_sequences=True)
        h = layer(keras.random.normal([2, 5, 4]))  # [2, 5, 8]
        k = layer.trace.distances  # [2, 5]
        assert keras.ops.all((k >= 1) & (k <= 3))
        ```
    """

    cell_class = DynamicSkipLSTMCell
    adjustable = (*KStateLSTM.adjustable, "greedy")

    def __init__(
        self,
        units: int,
        n_actions: int = 5,
        lamda: float = 1.0,
        agent_units: int = 50,
        observation: str = "previous",
        history: str = "carried",
        *,
        estimator: str = "policy_gradient",
        greedy: bool = True,
        **kwargs: Unpack[PolicyLSTMArguments],
    ):
        super().__init__(
            units,
            n_actions,
            lamda,
            agent_units,
            observation,
            history,
            estimator=estimator,
            greedy=greedy,
            **kwargs,
        )

    def _make_recurrence(self) -> Recurrence:
        cell = self.cell
        surrogate = SURROGATES.get(cell.estimator)
        window = cell.history == "window"
        return SkipRecurrence(
            cell.n_actions, cell.lamda, cell.n_seen, surrogate=surrogate, window=window
        )

    def _choice(
        self,
        x: tf.Tensor,
        distances: tf.Tensor | None,
        greedy: bool | None,
        training: bool,
        seed: tf.Tensor | None,
    ) -> Choice | None:
        cell, noise = self.cell, None
        if not cell.has_agent:
            return None
        if distances is None and not cell.is_greedy(training, greedy):
            noise = agent.gumbel_noise([*tf.unstack(tf.shape(x)[:2]), cell.n_actions], seed)
            noise = tf.cast(noise, cell.wide_dtype)
        weights = cell.wide_weights
        projected = agent.project(tf.cast(x, cell.wide_dtype), weights)
        return Choice(distances, Policy(projected, weights), noise)

    def _entries(self, choice: Choice | None, states: State, distances: tf.Tensor) -> tuple:
        """The agent once more, all steps in one pass, now with its gradient."""
        if choice is None:
            return super()._entries(choice, states, distances)
        projected, weights = choice.agent
        logits = agent.logits(projected, self.recurrence.seen(states.h), weights)
        return distances, *agent.statistics(logits, distances)
