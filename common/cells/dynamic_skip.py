"""The paper's recurrent step: an LSTM that connects to one of its K past states, chosen by an
agent.
"""

from typing import Any

import keras
import tensorflow as tf

from ..ops import agent
from ..ops.gates import Norm, lstm_gates
from ..ops.random import dropout_mask, fold
from .base import Constraint, Initializer, Regularizer, fresh, with_block
from .checks import OF_A_SKIP_CELL
from .keras_arguments import OF_THE_CELL
from .settings import Settings
from .unheard import UNDER_KERAS_RNN, warn_unless


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class DynamicSkipLSTMCell(Settings, keras.layers.Layer):
    """One step of the LSTM with dynamic skip connections (Gui et al. 2019, eq. 1-7).

        s_t    = stop_gradient([x_t ; h_{t-1}])                      what the agent sees
        pi_t   = softmax(W2 tanh(W1 s_t + b1) + b2)                  over the distances 1..K
        k_t    ~ Categorical(pi_t)
        h~, c~ = lamda (h, c)_{t-k_t} + (1 - lamda) (h, c)_{t-1}
        z_t    = W x_t + U h~ + b
        h_t, c_t = LSTM gates of z_t and c~                          `gates.lstm_gates`

    The choice carries no gradient: the cell's weights learn from the task's loss, the agent's from
    a policy gradient over log pi_t(k_t) (`losses.py`). `lamda = 0` and `n_actions = 1` are the
    plain LSTM. For whole sequences `DynamicSkipLSTM` computes the same much faster,
    and only there the agent learns: under `keras.layers.RNN` nothing reports log pi_t(k_t), and its
    weights stay as they are.

    With `estimator="straight_through"` (not in the paper; Bengio et al. 2013) the agent learns from
    the task's loss too, without a reward. Its gradient is that of the mean in place of the sample,
    at the states that the sample led to:

        dL/dpi_t(k) = lamda <dL/d(h~, c~)_t, (h, c)_{t-k}>

    It is biased, and of far less variance: it says of every distance, at every step, what choosing
    it would have changed to first order.

    Weights, in the layout and order of `keras.layers.LSTM`: `kernel` [D, 4H], `recurrent_kernel`
    [H, 4H], `bias` [4H]; the agent's (none for `n_actions = 1`): `agent_input_kernel` [D, A],
    `agent_recurrent_kernel` [H, A], `agent_bias` [A], `action_kernel` [A, K], `action_bias` [K];
    with `layer_norm`: `gate_gain`, `gate_offset` [4, H], `state_gain`, `state_offset` [H].

    States: the past K states h and c, flat [B, K * H] each, oldest first (slot j is distance K -
    j). With `history="window"` (the release's reading) the state from before the sequence enters
    step 0 only and is never among the K: two more states hold it until then.

    Args:
        units: H.
        n_actions: K, how many past states the agent chooses from.
        lamda: weight of the chosen state against the previous one, in [0, 1].
        agent_units: A, hidden units of the agent.
        observation: what of the past the agent sees: "previous", h_{t-1} (paper), or "mean", the
            mean of the K past h (release).
        estimator: of the agent's gradient, "policy_gradient" (paper) or "straight_through", see
            above.
        history: "carried", the K past states go on from one call to the next, or "window", see
            above.
        forget_bias: initial value of the forget gate's bias (of its offset with `layer_norm`),
            whatever `bias_initializer` says.
        layer_norm: normalise the four gates and the new cell state.
        dropout: share of the inputs dropped, one mask for all steps of `DynamicSkipLSTM` (the cell
            by itself draws one each step). The agent sees the input undropped.
        recurrent_dropout: share of the candidate dropped, a new mask each step, without memory loss
            (Semeniuta et al. 2016). This is not what `keras.layers.LSTM` does under that name: it
            drops h_{t-1} before the product with U, one mask for all steps.
        greedy: at inference (`training` false) take the most probable distance; False: draw a
            sample there too. In training the agent always draws.
        agent_initializer, agent_bias_initializer: of the agent's kernels and biases.
        previous_bias: initial bias b2 of distance 1, to begin near a plain LSTM; like the others'
            unless given.
        seed: of the cell's own random numbers.
        use_bias: whether there is a bias. unit_forget_bias: False, the forget gate's bias begins as
            `bias_initializer` says.
        The rest as for `keras.layers.LSTMCell`, of which the activations have one value.

    Raises:
        ValueError: a size below 1, lamda or a dropout rate outside its interval, an unknown
            observation, estimator or history, another activation than tanh and sigmoid, a forget
            bias that would not be used.
    """

    adjustable = ("dropout", "recurrent_dropout", "greedy")
    checks = OF_A_SKIP_CELL

    def __init__(
        self,
        units: int,
        n_actions: int = 5,
        lamda: float = 1.0,
        agent_units: int = 50,
        observation: str = "previous",
        history: str = "carried",
        forget_bias: float = 1.0,
        layer_norm: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        agent_initializer: Initializer = "glorot_uniform",
        agent_bias_initializer: Initializer = "zeros",
        previous_bias: float | None = None,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        greedy: bool = True,
        seed: int | None = None,
        estimator: str = "policy_gradient",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ):
        as_in_keras = {
            name: kwargs.pop(name, default) for name, (default, _) in OF_THE_CELL.items()
        }
        super().__init__(**kwargs)
        self.take(
            units=units,
            n_actions=n_actions,
            lamda=lamda,
            agent_units=agent_units,
            observation=observation,
            history=history,
            forget_bias=forget_bias,
            layer_norm=layer_norm,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            agent_initializer=agent_initializer,
            agent_bias_initializer=agent_bias_initializer,
            previous_bias=previous_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            greedy=greedy,
            seed=seed,
            estimator=estimator,
            use_bias=use_bias,
            unit_forget_bias=unit_forget_bias,
        )
        if forget_bias != 1 and not (unit_forget_bias and (use_bias or layer_norm)):
            raise ValueError(
                "forget_bias must be left at 1 with unit_forget_bias=False or without a bias;"
                f" received {forget_bias!r}"
            )
        for name, value in as_in_keras.items():
            setattr(self, name, value)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.state_size = [n_actions * units] * 2 + ([units] * 2 if history == "window" else [])
        self.output_size = units
        self.settle(*as_in_keras)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        n_inputs, units, width = input_shape[-1], self.units, self.agent_units
        self.kernel = self._add("kernel", (n_inputs, 4 * units), fresh(self.kernel_initializer))
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (units, 4 * units), fresh(self.recurrent_initializer)
        )
        bias = fresh(self.bias_initializer)
        if self.unit_forget_bias and not self.layer_norm:
            bias = with_block(self.bias_initializer, units, 1, self.forget_bias)
        self.bias = self._add("bias", (4 * units,), bias) if self.use_bias else None
        self._norm = self._agent = None
        if self.layer_norm:
            offset = [[0.0], [self.forget_bias * self.unit_forget_bias], [0.0], [0.0]] * tf.ones(
                [4, units]
            )
            self._norm = Norm(
                self.add_weight(name="gate_gain", shape=(4, units), initializer="ones"),
                self.add_weight(
                    name="gate_offset", shape=(4, units), initializer=lambda *_, **__: offset
                ),
                self.add_weight(name="state_gain", shape=(units,), initializer="ones"),
                self.add_weight(name="state_offset", shape=(units,), initializer="zeros"),
            )
        if self.has_policy:
            kernel, bias, action_bias = (
                self.agent_initializer,
                self.agent_bias_initializer,
                self.agent_bias_initializer,
            )
            if self.previous_bias is not None:
                action_bias = with_block(bias, 1, 0, self.previous_bias)
            self._agent = agent.AgentWeights(
                self.add_weight(
                    name="agent_input_kernel", shape=(n_inputs, width), initializer=fresh(kernel)
                ),
                self.add_weight(
                    name="agent_recurrent_kernel", shape=(units, width), initializer=fresh(kernel)
                ),
                self.add_weight(name="agent_bias", shape=(width,), initializer=fresh(bias)),
                self.add_weight(
                    name="action_kernel", shape=(width, self.n_actions), initializer=fresh(kernel)
                ),
                self.add_weight(
                    name="action_bias", shape=(self.n_actions,), initializer=fresh(action_bias)
                ),
            )

    def _add(self, name: str, shape: tuple[int, ...], initializer: Initializer):
        kind = name.removesuffix("_kernel")
        of_kind = {what: getattr(self, f"{kind}_{what}") for what in ("regularizer", "constraint")}
        return self.add_weight(name=name, shape=shape, initializer=initializer, **of_kind)

    @property
    def has_agent(self) -> bool:
        """Whether an agent chooses the distances."""
        return self.n_actions > 1

    @property
    def has_policy(self) -> bool:
        """Whether there are weights of a distribution over the distances."""
        return self.has_agent

    @property
    def waits_for_reward(self) -> bool:
        """Whether there is an agent that learns from a policy gradient or not at all."""
        return (
            self.has_agent
            and self.estimator == "policy_gradient"
            and any(w.trainable for w in self._agent)
        )

    def draws(self, training: bool, decided: bool) -> bool:
        """Whether a call needs random numbers: for dropout, or for the distances unless these are
        `decided` without.
        """
        return bool(training and (self.dropout or self.recurrent_dropout)) or (
            self.has_agent and not decided
        )

    def given_distances(self, shape: tf.Tensor | list, seed: tf.Tensor | None) -> tf.Tensor | None:
        """What a cell without an agent chooses, int32 of that shape; None where an agent does or K
        = 1.
        """
        return None

    @property
    def agent_weights(self) -> "agent.AgentWeights | None":
        """The agent's weights as tensors, or None without an agent."""
        return self._agent and agent.AgentWeights(*map(tf.convert_to_tensor, self._agent))

    @property
    def norm_weights(self) -> Norm | None:
        """Gains and offsets as tensors, or None without `layer_norm`."""
        return self._norm and Norm(*map(tf.convert_to_tensor, self._norm))

    def observe(self, past_h: tf.Tensor) -> tf.Tensor:
        """What the agent sees of the past states h [K, B, H], oldest first: [B, H]."""
        return tf.reduce_mean(past_h, 0) if self.observation == "mean" else past_h[-1]

    def new_seed(self) -> tf.Tensor:
        """The next seed of the cell's own stream, int32 [2]."""
        return tf.cast(self.seed_generator.next(), tf.int32)

    def input_mask(self, shape: tf.Tensor | list, seed: tf.Tensor) -> tf.Tensor:
        """A dropout mask for inputs of that shape, scaled to keep their mean."""
        return dropout_mask(shape, self.dropout, fold(seed, 1))

    def candidate_mask(self, shape: tf.Tensor | list, seed: tf.Tensor) -> tf.Tensor:
        """A dropout mask for candidates of that shape, likewise."""
        return dropout_mask(shape, self.recurrent_dropout, fold(seed, 2), axis=-2)

    def step(
        self,
        x: tf.Tensor,
        states: list,
        distances: tf.Tensor | None,
        candidate_mask: tf.Tensor | None = None,
        logits: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The deterministic part: x [B, D], states, distances [B] in 1..K (None: 1) -> h [B, H] and
        the new states.

        Of other distances see `agent.checked`. The agent's logits [B, K] change nothing; with the
        straight-through estimator they get the gradient of their softmax.
        """
        if distances is not None:
            distances, x = agent.checked(distances, self.n_actions, x)
        return self._step(x, states, distances, candidate_mask, logits)

    def _step(
        self,
        x: tf.Tensor,
        states: list,
        distances: tf.Tensor | None,
        candidate_mask: tf.Tensor | None,
        logits: tf.Tensor | None,
    ):
        weights = (
            None
            if distances is None
            else tf.one_hot(distances - 1, self.n_actions, dtype=states[0].dtype)
        )
        if logits is not None and self.estimator == "straight_through":
            probs = tf.nn.softmax(logits)
            weights += tf.cast(probs - tf.stop_gradient(probs), weights.dtype)
        return self.weighted_step(x, states, weights, candidate_mask)

    def weighted_step(
        self,
        x: tf.Tensor,
        states: list,
        weights: tf.Tensor | None,
        candidate_mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The same with weights [B, K] of the distances 1..K."""
        (hs, cs), carried = [self._slots(s) for s in states[:2]], states[2:]
        h, c = hs[-1], cs[-1]
        if weights is not None:
            weights = tf.transpose(tf.reverse(weights, [1]))[:, :, None]  # slot j is distance K - j
            h = self.lamda * tf.reduce_sum(weights * hs, 0) + (1 - self.lamda) * h
            c = self.lamda * tf.reduce_sum(weights * cs, 0) + (1 - self.lamda) * c
        if carried:  # non-zero at step 0 only, where all K slots are zero
            h, c = h + carried[0], c + carried[1]
        z = x @ tf.convert_to_tensor(self.kernel) + h @ tf.convert_to_tensor(self.recurrent_kernel)
        z = z if self.bias is None else z + self.bias
        h, c = lstm_gates(z, c, self.norm_weights, candidate_mask)
        states = [self._flat(tf.concat([s[1:], new[None]], 0)) for s, new in ((hs, h), (cs, c))]
        return h, states + [tf.zeros_like(s) for s in carried]

    def logits(self, x: tf.Tensor, states: list) -> tf.Tensor:
        """The agent's logits [B, K] for x [B, D]."""
        seen = self.observe(self._slots(states[0])) + (states[2] if self.history == "window" else 0)
        return agent.logits(agent.project(x, self.agent_weights), seen, self.agent_weights)

    def drop(
        self, inputs: tf.Tensor, training: bool, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Inputs [B, D] after dropout, and the candidate's dropout mask (or None)."""
        mask = None
        if training and self.recurrent_dropout:
            mask = tf.cast(
                self.candidate_mask([tf.shape(inputs)[0], self.units], seed), inputs.dtype
            )
        if training and self.dropout:
            inputs *= tf.cast(self.input_mask(tf.shape(inputs), seed), inputs.dtype)
        return inputs, mask

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h [B, H] and the new states."""
        self.hold()
        greedy = self.greedy and not training
        seed = self.new_seed() if self.draws(training, greedy) else None
        distances, logits = self.given_distances(tf.shape(inputs)[:1], seed), None
        if self.has_agent:
            logits = self.logits(inputs, states)
            distances = agent.greedy(logits) if greedy else agent.sample(logits, seed)
        inputs, mask = self.drop(inputs, training, seed)
        h, states = self._step(inputs, states, distances, mask, logits)
        if training and self.waits_for_reward:
            h, *states = warn_unless(lambda: False, UNDER_KERAS_RNN, [h, *states])
        return h, states

    def get_initial_state(self, batch_size: int | tf.Tensor | None = None) -> list[tf.Tensor]:
        """Zero states."""
        return [tf.zeros([batch_size, size], self.compute_dtype) for size in self.state_size]

    def _slots(self, flat: tf.Tensor):  # [B, K * H] -> [K, B, H]
        return tf.transpose(tf.reshape(flat, [-1, self.n_actions, self.units]), [1, 0, 2])

    def _flat(self, slots: tf.Tensor):  # [K, B, H] -> [B, K * H]
        return tf.reshape(tf.transpose(slots, [1, 0, 2]), [-1, self.n_actions * self.units])

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), **self.taken()}
