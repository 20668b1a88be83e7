"""A distribution over the K past states, which the paper's agent and attention share."""

from typing import Unpack

import keras
import tensorflow as tf

from ..ops import agent
from .arguments import Initializer, KStateArguments
from .base import fresh, with_block
from .k_state import KStateCell


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class PolicyCell(KStateCell):
    """A `KStateCell` with a policy over its K past states.

        pi_t = softmax(W2 tanh(W1 [x_t ; o_t] + b1) + b2)    over the distances 1..K

    Weights, behind those of `KStateCell` and none for K = 1: `agent_input_kernel` [D, A],
    `agent_recurrent_kernel` [H, A], `agent_bias` [A], `action_kernel` [A, K], `action_bias` [K].

    Args:
        units: H.
        n_actions: K.
        lamda: share of the chosen states, in [0, 1].
        agent_units: A, hidden units of the policy.
        observation: o_t, the hidden state that the policy conditions on: "previous", h_{t-1}
            (paper), or "mean", the mean of the K past h (release).
        agent_initializer, agent_bias_initializer: of the policy's kernels and biases.
        previous_bias: initial b2 of distance 1, to begin near a plain LSTM; like the others' unless
            given.
        The rest as for `KStateCell`.

    Raises:
        ValueError: see `KStateCell`; an unknown observation.

    Example:
        ```python
        cell = PolicyCell(8, n_actions=3, previous_bias=2.0)
        cell.build([None, 4])
        w2 = cell.agent_weights.action_kernel  # [50, 3]
        ```
    """

    def __init__(
        self,
        units: int,
        n_actions: int = 5,
        lamda: float = 1.0,
        agent_units: int = 50,
        observation: str = "previous",
        *,
        agent_initializer: Initializer = "glorot_uniform",
        agent_bias_initializer: Initializer = "zeros",
        previous_bias: float | None = None,
        **kwargs: Unpack[KStateArguments],
    ):
        super().__init__(units, n_actions, lamda, **kwargs)
        self.take(
            n_actions=n_actions,
            lamda=lamda,
            agent_units=agent_units,
            observation=observation,
            agent_initializer=agent_initializer,
            agent_bias_initializer=agent_bias_initializer,
            previous_bias=previous_bias,
        )
        self.settle()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        super().build(input_shape)
        self._policy = None
        if self.n_actions == 1:
            return
        width, kernel, bias = self.agent_units, self.agent_initializer, self.agent_bias_initializer
        action_bias = bias
        if self.previous_bias is not None:
            action_bias = with_block(bias, 1, 0, self.previous_bias)

        def add(name: str, shape: tuple[int, ...], initializer: Initializer):
            return self.add_weight(name=name, shape=shape, initializer=fresh(initializer))

        self._policy = agent.AgentWeights(
            add("agent_input_kernel", (input_shape[-1], width), kernel),
            add("agent_recurrent_kernel", (self.units, width), kernel),
            add("agent_bias", (width,), bias),
            add("action_kernel", (width, self.n_actions), kernel),
            add("action_bias", (self.n_actions,), action_bias),
        )

    @property
    def agent_weights(self) -> "agent.AgentWeights | None":
        """The policy's weights as tensors, or None for K = 1."""
        return self._policy and agent.AgentWeights(*map(tf.convert_to_tensor, self._policy))

    @property
    def wide_weights(self) -> "agent.AgentWeights":
        """The policy's weights in float32 at least, whatever the cell computes in."""
        return agent.AgentWeights(*(tf.cast(w, self.wide_dtype) for w in self.agent_weights))

    @property
    def n_seen(self) -> int:
        """How many past h the observation is the mean of."""
        return self.n_actions if self.observation == "mean" else 1

    def observe(self, past_h: tf.Tensor) -> tf.Tensor:
        """o [B, H] of the past states h [K, B, H], oldest first."""
        return tf.reduce_mean(past_h[-self.n_seen :], 0)
