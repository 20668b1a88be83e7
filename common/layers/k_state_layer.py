"""LSTMs over K past states, for whole sequences: `DynamicSkipLSTM` and its comparators."""

from typing import Any

import keras
import tensorflow as tf

from ..cells.agent_warnings import IN_A_MODEL, warn_unless
from ..cells.arguments import Regularizer
from ..cells.base import as_floats
from ..cells.checks import flag, flag_or_none
from ..cells.k_state import KStateCell
from ..cells.keras_arguments import OF_ANY_LAYER, use_cudnn
from ..cells.settings import check_known
from ..ops import agent
from ..ops.gates import State
from ..ops.products import product
from ..ops.recurrence import Recurrence
from ..ops.sequence_gradient import slow_in_xla
from ..ops.skip_recurrence import Choice, SkipRecurrence
from . import call_shapes
from .cell_settings import CellSettings
from .compaction import Compaction
from .outputs import SequenceOutputs
from .traces import Traces

_FLAGS = (
    "return_sequences",
    "return_state",
    "return_trace",
    "go_backwards",
    "zero_output_for_mask",
)


class KStateLSTM(CellSettings, SequenceOutputs):
    """`keras.layers.RNN` over a `KStateCell`, faster and in less memory.

    In place of `keras.layers.LSTM`: inputs [B, T, D], outputs [B, H] or [B, T, H]; masks,
    `go_backwards`, `Bidirectional`, `stateful`, mixed precision and float64 as there. A masked step
    leaves everything as it is; distances count the steps that were not masked. Not there: other
    activations than tanh and sigmoid, cuDNN. Under the name `recurrent_dropout` there is another
    method than in Keras, which `KStateCell` describes; Keras' own is `state_dropout`.

    All arguments are attributes. Dropout rates, `greedy`, `return_sequences`, `return_state`,
    `return_trace`, `go_backwards` and `zero_output_for_mask` can be set until a compiled function
    (of `fit`, of `predict`) holds them, the others never: that is an error.

    Gradients are right to any order, also vectorised (`jacobian`, `batch_jacobian`), and in forward
    mode. Inside code compiled by XLA TensorFlow has no gradients beyond the second order, and
    vectorises no loops: pass `experimental_use_pfor=False` there.

    Initial and final states: h and c of the K past steps, [B, K * H] each, oldest first; with
    `history="window"` those of the last step alone, [B, H] each, as for `keras.layers.LSTM`.

    Args:
        units: H. The other arguments of the cell (`layer.cell`), which holds the weights.
        return_sequences, return_state, go_backwards, stateful, zero_output_for_mask: as for
            `keras.layers.LSTM`.
        unroll: as there; a model of one length then converts to TFLite as it stands, by
            `model.export(path, format="litert")`.
        return_trace: return the connections, last: a dict of `distances`, `log_probs`, `entropies`,
            [B, T] each, and `probs` [B, T, K], in the order of processing. In `Bidirectional` only
            with `return_state`.
        jit_compile: compile the recurrence with XLA, whatever the caller does. XLA compiles every
            batch size and length anew, for seconds. So by default it is used only in a graph, and
            for a length that was declared: by `keras.Input([T, D])`, `layer.build([None, T, D])` or
            a data set (`fit`, `predict`); or in code that XLA compiles anyhow. Not for
            `keras.Input([None, D])`, not in a graph of one's own where a layer was built by its
            first data, nor for a large plain LSTM on a CPU.

    Raises:
        TypeError: no `cell_class`. ValueError: see the cell; tensors of a wrong shape; what is not
            there (see above).

    Example:
        ```python
        class AlwaysTwoBack(KStateLSTM):
            cell_class = FixedSkipLSTMCell  # to save it: get_config() without skip, lamda

            def __init__(self, units, **kwargs):
                super().__init__(units, 2, 1.0, **kwargs)

        h = AlwaysTwoBack(8, return_sequences=True)(keras.random.normal([2, 5, 4]))  # [2, 5, 8]
        ```
    """

    adjustable = (*KStateCell.adjustable, *_FLAGS)
    checks = {
        **dict.fromkeys((*_FLAGS, "stateful", "unroll"), flag),
        "jit_compile": flag_or_none,
        "use_cudnn": use_cudnn,
    }

    def __init__(
        self,
        units: int,
        *args: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        return_trace: bool = False,
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
        if not hasattr(self, "cell_class"):
            raise TypeError(f"{type(self).__name__} has no cell_class: use a subclass that has one")
        of_keras = {name: kwargs.pop(name) for name in OF_ANY_LAYER if name in kwargs}
        check_known(type(self).__name__, kwargs, self.cell_class.arguments())
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
            **of_keras,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.jit_compile, self.use_cudnn, self.return_trace = jit_compile, use_cudnn, return_trace
        self._n_slots = 1 if cell.history == "window" else cell.n_actions
        self.state_size = [self._n_slots * cell.units] * 2
        self.recurrence = self._make_recurrence()
        self.recurrence.unroll = unroll
        self._traces = Traces()
        self.settle(*cell.setting_names, *self.adjustable, "stateful", "unroll", "jit_compile")

    def build(self, sequences_shape: tuple, initial_state_shape: list | None = None) -> None:
        """The weights, and whether XLA compiles the recurrence: see `jit_compile`."""
        super().build(sequences_shape, initial_state_shape)
        slower = self.n_actions == 1 and slow_in_xla(self.units)
        self.recurrence.declare(sequences_shape, self.jit_compile, slower)

    @property
    def trace(self) -> agent.Trace:
        """What was connected in the latest call; to be read in the function that made the call."""
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
        """Outputs [B, H] or [B, T, H]; behind them states and trace, if they are returned.

        Args:
            sequences, mask: [B, T, D] and [B, T] bool.
            initial_state: see the class; zeros unless given.
            distances: [B, T] int32 in 1..K, to replay given choices; in the order of processing, as
                in the trace. At masked steps they may be anything. Others raise a ValueError, from
                a running graph `tf.errors.InvalidArgumentError`; code compiled by XLA, which cannot
                raise, turns the outputs from such a step on into NaN.
            greedy: take the most probable distances; default: the layer's `greedy` when `training`
                is false.
            seed: int32 [2], determines dropout and samples (code that XLA compiles draws others
                from it), also where the call is computed again (`tf.recompute_grad`); default: the
                next of the layer's own stream, if there is something to draw.
        """
        cell, mask = self.cell, call_shapes.mask_of_steps(mask, sequences)
        sequences = as_floats(sequences, self.compute_dtype)
        given = {"mask": mask, "distances": distances, "seed": seed}
        call_shapes.check(self, **call_shapes.of_call(sequences, initial_state, **given))
        if initial_state is None:
            batch = tf.shape(sequences)[0]
            initial_state = self.states if self.stateful else self.get_initial_state(batch)
        if seed is None and cell.draws(training, greedy, distances is not None):
            seed = self.new_seed()
        self.hold(), cell.hold()

        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        if distances is not None:
            distances, sequences = agent.checked(distances, cell.n_actions, sequences, mask)
        order = None if mask is None else Compaction(mask)
        if order is not None:
            sequences = order.compact(order.clear(sequences))
            distances = None if distances is None else order.compact(distances)
        x = tf.transpose(sequences, [1, 0, 2])  # [T, B, D]
        distances = None if distances is None else tf.transpose(distances)

        past = self._read_states(initial_state)
        states, entries = self._recur(x, past, distances, greedy, training, seed)
        trace = self._record(entries, order)
        drawn = distances is not None or not cell.has_agent or not cell.is_greedy(training, greedy)
        self._traces.record(trace, training, drawn=drawn, heard=self.return_trace)
        if training and cell.waits_for_reward:
            states = State(*warn_unless(self._traces, IN_A_MODEL, states))
        final_state = self._write_states(states, order)
        if self.stateful:
            for variable, value in zip(tf.nest.flatten(self.states), final_state, strict=True):
                variable.assign(tf.cast(value, variable.dtype))

        outputs = tf.split(states.h, [cell.n_actions, tf.shape(x)[0]], 0)[1]
        outputs = tf.cast(tf.transpose(outputs, [1, 0, 2]), self.compute_dtype)
        if order is not None:
            outputs = order.spread(outputs, hold=not self.zero_output_for_mask)
        found = [outputs if self.return_sequences else outputs[:, -1]]
        found += final_state if self.return_state else []
        found += [trace.entries()] if self.return_trace else []
        return tuple(found) if len(found) > 1 else found[0]

    def _make_recurrence(self) -> Recurrence:
        cell = self.cell
        return SkipRecurrence(cell.n_actions, cell.lamda, window=cell.history == "window")

    def _recur(
        self,
        x: tf.Tensor,
        past: State,
        distances: tf.Tensor | None,
        greedy: bool | None,
        training: bool,
        seed: tf.Tensor | None,
    ) -> tuple[State, tuple]:
        """x [T, B, D] -> all states [K + T, B, H] and the trace's entries [T, B, ...]."""
        choice = self._choice(x, distances, greedy, training, seed)
        given = self._given(x, past, training, seed)
        states, distances = self.recurrence(*given, choice=choice)
        return states, self._entries(choice, states, distances)

    def _choice(
        self,
        x: tf.Tensor,
        distances: tf.Tensor | None,
        greedy: bool | None,
        training: bool,
        seed: tf.Tensor | None,
    ) -> Choice | None:
        """How the recurrence chooses; None: the previous state at each step."""
        given = self.cell.given_distances(tf.shape(x)[:2], seed, self.go_backwards)
        return None if given is None else Choice(given if distances is None else distances)

    def _entries(self, choice: Choice | None, states: State, distances: tf.Tensor) -> tuple:
        """The trace's entries but for its mask; without an agent log_probs are 0, probs one-hot."""
        zeros = tf.zeros_like(distances, self.cell.wide_dtype)
        probs = tf.one_hot(distances - 1, self.cell.n_actions, dtype=zeros.dtype)
        return distances, zeros, zeros, probs

    def _given(self, x: tf.Tensor, past: State, training: bool, seed: tf.Tensor | None) -> tuple:
        """What every recurrence takes first: W x + b of all steps [T, B, 4H], U, the past
        states, layer normalisation, masks. Inputs, states and U have one mask a call.
        """
        cell = self.cell
        masks = cell.masks([*tf.unstack(tf.shape(x)[:2]), cell.units], training, seed)
        if training and cell.dropout:
            x *= tf.cast(cell.input_mask(tf.shape(x)[1:], seed), x.dtype)
        projected = product(x, tf.convert_to_tensor(cell.kernel))
        if cell.bias is not None:
            projected += tf.cast(tf.convert_to_tensor(cell.bias), projected.dtype)
        kernel = masks.weights(tf.convert_to_tensor(cell.recurrent_kernel))
        masks = masks._replace(kernel=None)
        return projected, kernel, past, cell.norm_weights(cell.wide_dtype), masks

    def _record(self, entries: tuple, order: Compaction | None) -> agent.Trace:
        entries = [tf.transpose(a, [1, 0, *range(2, a.shape.rank)]) for a in entries]
        if order is None:
            return agent.Trace(*entries, tf.ones_like(entries[1]))
        mask = tf.cast(order.mask, entries[1].dtype)
        return agent.Trace(*(order.spread(a, hold=False) for a in entries), mask)

    def _read_states(self, states: list[tf.Tensor]) -> State:
        """[B, slots * H] -> [slots, B, H] in float32, or float64."""
        batch = tf.shape(states[0])[0]  # not -1: a graph that knows the size keeps it
        shape = [batch, self._n_slots, self.cell.units]
        slots = (tf.reshape(tf.cast(s, self.cell.wide_dtype), shape) for s in states)
        return State(*(tf.transpose(s, [1, 0, 2]) for s in slots))

    def _write_states(self, states: State, order: Compaction | None) -> list[tf.Tensor]:
        """All states [K + T, B, H] -> the last ones that were not masked, [B, slots * H]."""
        n, k = self._n_slots, self.cell.n_actions
        final = [s[-n:] if order is None else order.final(s, n, k) for s in states]
        shape = [tf.shape(states.h)[1], n * self.cell.units]
        flat = (tf.transpose(s, [1, 0, 2]) for s in final)
        return [tf.cast(tf.reshape(s, shape), self.compute_dtype) for s in flat]
