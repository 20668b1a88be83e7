"""The paper's recurrent step: an LSTM that connects to a past state which an agent chooses."""

from typing import Unpack

import keras
import tensorflow as tf

from ..choices import ESTIMATORS
from ..ops import agent
from ..ops.estimators import SURROGATES
from ..ops.masks import Masks
from .agent_warnings import UNDER_KERAS_RNN, warn_unless
from .arguments import PolicyArguments
from .history import HistoryCell
from .policy import PolicyCell
from .sampling import sampling


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class DynamicSkipLSTMCell(HistoryCell, PolicyCell):
    """One step of the LSTM with dynamic skip connections (Gui et al. 2019).

        s_t    = stop_gradient([x_t ; h_{t-1}])                      the agent's observation
        pi_t   = softmax(W2 tanh(W1 s_t + b1) + b2)                  over the distances 1..K
        k_t    ~ Categorical(pi_t)
        h~, c~ = lamda (h, c)_{t-k_t} + (1 - lamda) (h, c)_{t-1}
        z_t    = W x_t + U h~ + b
        h_t, c_t = LSTM gates of z_t and c~                          `gates.lstm_gates`

    The choice carries no gradient: the cell's weights learn from the task's loss, the agent's from
    a policy gradient over log pi_t(k_t) (`losses.py`). `lamda = 0` and `n_actions = 1` are the
    plain LSTM. For whole sequences `DynamicSkipLSTM` computes the same much faster, and only there
    the agent learns: under `keras.layers.RNN` nothing reports log pi_t(k_t), and its weights stay
    as they are.

    With another estimator (not in the paper) the agent learns from the task's loss, without a
    reward, in the cell too: `estimators.py`. Its gradient is biased, and of far less variance: it
    says of every distance, at every step, what choosing it would have changed to first
    ("straight_through", Bengio et al. 2013) or second order ("reinmax", Liu et al. 2023).

    Weights and states: as for `PolicyCell` and `KStateCell`.

    Args:
        units: H.
        n_actions: K, how many past states the agent chooses from.
        lamda: weight of the chosen state against the previous one, in [0, 1].
        agent_units: A, hidden units of the agent.
        observation: hidden state the agent conditions on: "previous", h_{t-1} (paper), or "mean",
            the mean of the K past h (release).
        history: see `HistoryCell`.
        estimator: of the agent's gradient, "policy_gradient" (paper), "straight_through" or
            "reinmax".
        greedy: at inference (`training` false) take the most probable distance; False: draw a
            sample there too. In training the agent always draws.
        The rest as for `PolicyCell` and `KStateCell`.

    Raises:
        ValueError: see `PolicyCell`; an unknown estimator.

    Example:
        ```python
        cell = DynamicSkipLSTMCell(8, n_actions=3)
        x = keras.random.normal([2, 5, 4])
        h = keras.layers.RNN(cell)(x)  # [2, 8]
        ```
    """

    adjustable = (*PolicyCell.adjustable, "greedy")

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
        **kwargs: Unpack[PolicyArguments],
    ):
        of_agent = {"agent_units": agent_units, "observation": observation}
        super().__init__(units, n_actions, lamda, history=history, **of_agent, **kwargs)
        self.take(estimator=estimator, greedy=greedy)
        self.settle()

    @property
    def has_agent(self) -> bool:
        """Whether an agent draws the distances: with K = 1 there is nothing to choose."""
        return self.n_actions > 1

    @property
    def waits_for_reward(self) -> bool:
        """Whether there is an agent that learns from a reward or not at all."""
        from_reward = ESTIMATORS[self.estimator] == "reward"
        return self.has_agent and from_reward and any(w.trainable for w in self._policy)

    def is_greedy(self, training: bool, greedy: bool | None = None) -> bool:
        """Whether a call takes the most probable distances, if it does not say (`greedy`)."""
        return self.greedy and not training and not sampling() if greedy is None else greedy

    def draws(self, training: bool, greedy: bool | None = None, given: bool = False) -> bool:
        """As of any cell, and for the distances."""
        asked = self.has_agent and not (given or self.is_greedy(training, greedy))
        return asked or super().draws(training)

    def logits(self, x: tf.Tensor, states: list) -> tf.Tensor:
        """The agent's logits [B, K] for x [B, D]."""
        seen = self.observe(self._slots(states[0])) + (states[2] if self.history == "window" else 0)
        weights = self.wide_weights
        return agent.logits(agent.project(tf.cast(x, self.wide_dtype), weights), seen, weights)

    def step(
        self,
        x: tf.Tensor,
        states: list,
        distances: tf.Tensor | None,
        masks: Masks | None = None,
        logits: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The step for given distances, as of any cell.

        The agent's logits [B, K] change nothing, but with an estimator that learns from the loss
        they get its gradient.
        """
        if distances is not None:
            distances, x = agent.checked(distances, self.n_actions, x)
        weights = self._weights(distances, logits, states[0].dtype)
        return self.weighted_step(x, states, weights, masks)

    def _weights(self, distances: tf.Tensor | None, logits: tf.Tensor | None, dtype: tf.DType):
        """As of `one_hot`, with the estimator's gradient for the logits [B, K]."""
        weights, surrogate = self.one_hot(distances, dtype), SURROGATES.get(self.estimator)
        if logits is None or surrogate is None:
            return weights
        mixed = surrogate(logits, distances)
        return weights + tf.cast(mixed - tf.stop_gradient(mixed), dtype)

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h [B, H] and the new states."""
        if not self.has_agent:
            return super().call(inputs, states, training)
        self.hold()
        seed = self.new_seed() if self.draws(training) else None
        logits = self.logits(inputs, states)
        greedy = self.is_greedy(training)
        distances = agent.greedy(logits) if greedy else agent.sample(logits, seed)
        inputs, masks = self.drop(inputs, training, seed)
        weights = self._weights(distances, logits, inputs.dtype)
        h, states = self.weighted_step(inputs, states, weights, masks)
        if training and self.waits_for_reward:
            h, *states = warn_unless(None, UNDER_KERAS_RNN, [h, *states])
        return h, states
