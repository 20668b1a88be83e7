"""The LSTM with dynamic skip connections over whole sequences: the layer that the tasks use and
that a Keras user imports.
"""

import inspect
from typing import Any

import keras
import tensorflow as tf

from ..cells.base import Regularizer
from ..cells.checks import flag, flag_or_none
from ..cells.dynamic_skip import DynamicSkipLSTMCell
from ..cells.keras_arguments import OF_THE_CELL, use_cudnn
from ..cells.settings import Settings
from ..cells.unheard import IN_A_MODEL, warn_unless
from ..ops import agent
from ..ops.products import product
from ..ops.recurrence import Policy, SkipRecurrence, State
from . import shapes
from .compaction import Compaction
from .traces import Traces


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class DynamicSkipLSTM(Settings, keras.layers.RNN):
    """LSTM with dynamic skip connections (Gui et al. 2019):
    `keras.layers.RNN(DynamicSkipLSTMCell(...))`, several times faster.

        s_t    = stop_gradient([x_t ; h_{t-1}])
        pi_t   = softmax(W2 tanh(W1 s_t + b1) + b2),   k_t ~ Categorical(pi_t) in {1..K}
        h~, c~ = lamda (h, c)_{t-k_t} + (1 - lamda) (h, c)_{t-1}
        h_t, c_t = LSTM(x_t, h~, c~)

    In place of `keras.layers.LSTM`: inputs [B, T, D], outputs [B, H] or [B, T, H]; masks,
    `go_backwards`, `Bidirectional`, `stateful` and mixed precision as there. A masked step leaves
    everything as it is; distances count the steps that were not masked. Not there: other
    activations than tanh and sigmoid, cuDNN, float64. Behind `units` comes `n_actions`, not an
    activation. Under the name `recurrent_dropout` there is another method than in Keras, which
    `DynamicSkipLSTMCell` describes.

    The agent learns only if its log-probabilities enter a loss: train with `PolicyGradientModel`,
    or read `layer.trace` (an `agent.Trace`) right after the call, inside the same function, and add
    the terms of `losses.py`. With `estimator="straight_through"` (see `DynamicSkipLSTMCell`) it
    learns in any model, from the model's loss.

    Distances are drawn in a call with `training=True`: `fit` makes such calls, a loop of your own
    has to ask for them, or the agent does not explore. Other calls take the most probable
    distances, so that two of them agree, unless `greedy=False`.

    All arguments are attributes. `dropout`, `recurrent_dropout`, `greedy`, `return_sequences`,
    `return_state`, `go_backwards` and `zero_output_for_mask` can be set until a compiled function
    (of `fit`, of `predict`) holds them, the others never: that is an error.

    Gradients are right to any order, also vectorised (`jacobian`, `batch_jacobian`), and in forward
    mode. Inside code compiled by XLA TensorFlow has no gradients beyond the second order, and
    vectorises no loops: pass `experimental_use_pfor=False` there.

    Initial and final states: h and c of the K past steps, [B, K * H] each, oldest first; with
    `history="window"` those of the last step alone, [B, H] each, as for `keras.layers.LSTM`.

    Args:
        units ... seed: as for `DynamicSkipLSTMCell`, which holds the weights (`layer.cell`).
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as for
            `keras.layers.LSTM`.
        jit_compile: compile the recurrence with XLA, whatever the caller does. XLA compiles every
            batch size and length anew, for seconds. So by default it is used in a graph that was
            made for one length (a functional model or `fit` of fixed length, a `tf.function` of
            such inputs), not eagerly nor where the length is unknown; and not for a large plain
            LSTM (512 units, K = 1) on a CPU, which it makes no faster. For inputs of many lengths
            give `tf.function` `reduce_retracing=True`, or False here.

    Call arguments:
        sequences: [B, T, D]. initial_state: see above; zeros unless given. mask: [B, T] bool.
        distances: [B, T] int32 in 1..K, to replay given choices instead of asking the agent; in the
            order of processing, as in the trace. At masked steps they may be anything. Others raise
            a ValueError, from a running graph `tf.errors.InvalidArgumentError`; code compiled by
            XLA, which cannot raise, turns the outputs from such a step on into NaN.
        greedy: take the most probable distances; default: the layer's `greedy` when `training` is
            false.
        seed: int32 [2], determines dropout and samples; default: the next of the layer's own
            stream, if there is something to draw.

    Raises:
        ValueError: see `DynamicSkipLSTMCell`; an initial state, a mask or distances of a wrong
            shape; what is not there (see above).
    """

    cell_class = DynamicSkipLSTMCell
    adjustable = (
        *DynamicSkipLSTMCell.adjustable,
        "return_sequences",
        "return_state",
        "go_backwards",
        "zero_output_for_mask",
    )
    checks = {
        **dict.fromkeys(
            (
                "return_sequences",
                "return_state",
                "go_backwards",
                "stateful",
                "zero_output_for_mask",
                "unroll",
            ),
            flag,
        ),
        "jit_compile": flag_or_none,
        "use_cudnn": use_cudnn,
    }

    def __init__(
        self,
        units: int,
        *args: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        jit_compile: bool | None = None,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
        activity_regularizer: Regularizer = None,
        **kwargs: Any,
    ):
        cell = self.cell_class(
            units, *args, **kwargs, name="cell", dtype=dtype, trainable=trainable
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            name=name,
            dtype=dtype,
            trainable=trainable,
            activity_regularizer=activity_regularizer,
        )
        if self.compute_dtype == "float64":
            raise ValueError(
                "dtype must be float32 or mixed precision: sums are made in float32; received"
                " float64"
            )
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.jit_compile, self.use_cudnn = jit_compile, use_cudnn
        if (
            jit_compile is None
            and units >= 512
            and cell.n_actions == 1
            and not tf.config.list_physical_devices("GPU")
        ):
            # on a CPU, XLA's products with a large matrix are slower than a graph's
            # (benchmarks/NOTES.md)
            jit_compile = False
        self.state_size = [units, units] if cell.history == "window" else cell.state_size
        self.recurrence = self._make_recurrence(jit_compile)
        self.recurrence.unroll = unroll
        self._traces = Traces()
        self.settle(*cell.setting_names, *self.adjustable, "stateful", "unroll", "jit_compile")

    @property
    def trace(self) -> agent.Trace:
        """What the agent did in the latest call; to be read in the function that made the call."""
        return self._traces.read(self.name)

    def get_initial_state(self, batch_size: int | tf.Tensor) -> list[tf.Tensor]:
        """Zero states."""
        return [tf.zeros([batch_size, size], self.compute_dtype) for size in self.state_size]

    def call(
        self,
        sequences: tf.Tensor,
        initial_state: list[tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
        distances: tf.Tensor | None = None,
        greedy: bool | None = None,
        seed: tf.Tensor | None = None,
    ) -> object:
        """See the class."""
        cell = self.cell
        shapes.check(
            self, **shapes.of_call(sequences, initial_state, mask=mask, distances=distances)
        )
        if initial_state is None:
            initial_state = (
                self.states if self.stateful else self.get_initial_state(tf.shape(sequences)[0])
            )
        if greedy is None:
            greedy = cell.greedy and not training
        if seed is None and cell.draws(training, greedy or distances is not None):
            seed = cell.new_seed()
        self.hold(), cell.hold()

        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        if distances is not None:
            distances, sequences = agent.checked(distances, cell.n_actions, sequences, mask)
        order = None if mask is None else Compaction(mask)
        if order is not None:
            sequences = order.compact(sequences)
            distances = None if distances is None else order.compact(distances)
        x = tf.transpose(sequences, [1, 0, 2])  # [T, B, D]
        if distances is not None:
            distances = tf.transpose(distances)

        past, carried = self._read_states(initial_state)
        states, entries = self._recur(x, past, carried, distances, greedy, training, seed)
        self._traces.record(self._record(entries, order), training)
        if training and cell.waits_for_reward:
            states = State(*warn_unless(lambda: self._traces.heard, IN_A_MODEL, states))
        final_state = self._write_states(states, carried, order)
        if self.stateful:
            for variable, value in zip(tf.nest.flatten(self.states), final_state, strict=True):
                variable.assign(tf.cast(value, variable.dtype))

        outputs = tf.cast(
            tf.transpose(tf.split(states.h, [cell.n_actions, tf.shape(x)[0]], 0)[1], [1, 0, 2]),
            self.compute_dtype,
        )
        if order is not None:
            outputs = order.spread(outputs, hold=not self.zero_output_for_mask)
        output = outputs if self.return_sequences else outputs[:, -1]
        return (output, *final_state) if self.return_state else output

    def _make_recurrence(self, jit_compile: bool | None):
        cell = self.cell
        observe = cell.observe if cell.observation == "mean" else None
        return SkipRecurrence(
            cell.n_actions, cell.lamda, observe, jit_compile, cell.estimator == "straight_through"
        )

    def _recur(
        self,
        x: tf.Tensor,
        past: State,
        carried: State | None,
        distances: tf.Tensor | None,
        greedy: bool,
        training: bool,
        seed: tf.Tensor | None,
    ):
        """x [T, B, D] -> all states [K + T, B, H], and the trace's entries but for its mask, [T, B,
        ...].
        """
        policy, agent_input = self._policy(x, distances, greedy, seed)
        states, distances = self.recurrence(
            self._project(x, training, seed),
            tf.convert_to_tensor(self.cell.recurrent_kernel),
            past,
            carried,
            self.cell.norm_weights,
            self._candidate_mask(x, training, seed),
            policy,
        )
        return states, self._statistics(agent_input, states.h, carried, distances)

    def compute_output_shape(
        self,
        sequences_shape: tuple,
        initial_state_shape: list[tuple] | None = None,
        distances_shape: tuple | None = None,
    ) -> tuple:
        """As of `keras.layers.RNN`; what a call on values would refuse is refused here."""
        shapes.check(
            self,
            **shapes.of_symbols(sequences_shape, initial_state_shape, distances=distances_shape),
        )
        return super().compute_output_shape(sequences_shape)

    def _project(self, x: tf.Tensor, training: bool, seed: tf.Tensor | None):
        """W x + b for all steps [T, B, 4H] float32; dropout drops the same inputs at every step."""
        cell = self.cell
        if training and cell.dropout:
            x *= tf.cast(cell.input_mask(tf.shape(x)[1:], seed), x.dtype)
        projected = product(x, tf.convert_to_tensor(cell.kernel))
        return (
            projected
            if cell.bias is None
            else projected + tf.cast(tf.convert_to_tensor(cell.bias), tf.float32)
        )

    def _candidate_mask(self, x: tf.Tensor, training: bool, seed: tf.Tensor | None):
        if not (training and self.cell.recurrent_dropout):
            return None
        return self.cell.candidate_mask([*tf.unstack(tf.shape(x)[:2]), self.cell.units], seed)

    def _policy(
        self, x: tf.Tensor, distances: tf.Tensor | None, greedy: bool, seed: tf.Tensor | None
    ):
        """How the recurrence chooses, and the agent's view of the inputs, which the trace needs
        with its gradient.
        """
        weights = self._agent_weights()
        if weights is None:
            given = self.cell.given_distances(tf.shape(x)[:2], seed)
            if given is None:  # K = 1: nothing to choose
                return None, None
            return Policy(distances=given if distances is None else distances), None
        projected, noise = agent.project(tf.cast(x, tf.float32), weights), None
        if distances is None and not greedy:
            noise = agent.gumbel_noise([*tf.unstack(tf.shape(x)[:2]), self.cell.n_actions], seed)
        learned = projected, weights
        if self.cell.estimator == "policy_gradient":  # the agent learns from the trace alone
            learned = tf.nest.map_structure(tf.stop_gradient, learned)
        return Policy(distances, *learned, noise), projected

    def _statistics(
        self, projected: tf.Tensor | None, h: tf.Tensor, carried: State | None, distances: tf.Tensor
    ):
        """The trace's entries: the agent once more, all steps in one pass, now with its gradient.
        h: [K + T, B, H].
        """
        if projected is None:  # no agent
            log_probs = entropies = tf.zeros_like(distances, tf.float32)
            return distances, log_probs, entropies, tf.one_hot(distances - 1, self.cell.n_actions)
        logits = agent.logits(projected, self.recurrence.seen(h, carried), self._agent_weights())
        return distances, *agent.statistics(logits, distances)

    def _agent_weights(self):
        """The agent's weights in float32, whatever the layer computes in; None without an agent."""
        weights = self.cell.agent_weights
        return weights and agent.AgentWeights(*(tf.cast(w, tf.float32) for w in weights))

    def _record(self, entries: tuple, order: Compaction | None):
        entries = [tf.transpose(a, [1, 0, *range(2, a.shape.rank)]) for a in entries]
        if order is None:
            return agent.Trace(*entries, tf.ones_like(entries[1]))
        return agent.Trace(*(order.spread(a, hold=False) for a in entries), order.mask)

    def _read_states(self, states: list[tf.Tensor]):
        """Public states -> the K slots [K, B, H] and the state [B, H] carried into step 0 (None for
        the "carried" history).
        """
        cell = self.cell
        slots = [
            tf.cast(tf.reshape(s, [tf.shape(s)[0], -1, cell.units]), tf.float32) for s in states
        ]
        slots = State(*(tf.transpose(s, [1, 0, 2]) for s in slots))
        if cell.history == "carried":
            return slots, None
        nothing = tf.zeros([cell.n_actions, *tf.unstack(tf.shape(slots.h)[1:])])
        return State(nothing, nothing), State(slots.h[0], slots.c[0])

    def _write_states(self, states: State, carried: State | None, order: Compaction | None):
        """All states [K + T, B, H] -> the public states after the last step that was not masked."""
        n_slots = 1 if self.cell.history == "window" else self.cell.n_actions
        if order is None:
            final = [s[-n_slots:] for s in states]
        else:
            final = [order.final(s, n_slots, self.cell.n_actions) for s in states]
            if carried is not None:  # not in the buffer: a sequence without a step still holds it
                empty = tf.where(order.lengths == 0, 1.0, 0.0)[:, None]
                final = [a + empty * b for a, b in zip(final, carried, strict=True)]
        final = [tf.transpose(s, [1, 0, 2]) for s in final]
        return [
            tf.cast(tf.reshape(s, [tf.shape(s)[0], n_slots * self.cell.units]), self.compute_dtype)
            for s in final
        ]

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        config.pop("cell")
        cell = self.cell.get_config()
        for name in ("name", "trainable", "dtype"):
            cell.pop(name)
        return {**config, **cell, "jit_compile": self.jit_compile}

    @classmethod
    def from_config(cls, config: dict) -> "DynamicSkipLSTM":
        """The layer of a `get_config()`."""
        return cls(**config)


def _of_the_cell(name: str):
    return property(
        lambda self: getattr(self.cell, name), lambda self, value: setattr(self.cell, name, value)
    )


for _name in {*inspect.signature(DynamicSkipLSTMCell).parameters, *OF_THE_CELL} - {"kwargs"}:
    setattr(DynamicSkipLSTM, _name, _of_the_cell(_name))
