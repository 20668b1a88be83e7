"""The LSTM step over K past states, which the paper's cell and its comparators share."""

import inspect
from collections.abc import Sequence
from typing import Unpack

import keras
import numpy as np
import tensorflow as tf

from ..ops import agent
from ..ops.gates import Norm, State
from ..ops.masks import Masks
from ..ops.products import by_blocks, wide
from .arguments import Constraint, Initializer, LayerArguments, RecurrentArguments, Regularizer
from .base import RecurrentCell, fresh, with_block
from .checks import OF_A_SKIP_CELL
from .dropping import Dropping
from .keras_arguments import OF_THE_CELL
from .sampling import next_seed, sampling


class KStateCell(Dropping, RecurrentCell):
    """An LSTM step from a mix of its K past states, whose weights a subclass chooses.

        h~, c~   = lamda sum_k w_t(k) (h, c)_{t-k} + (1 - lamda) (h, c)_{t-1}
        z_t      = W x_t + U h~ + b
        h_t, c_t = LSTM gates of z_t and c~                `masks.Masks` on dropout and zoneout

    With K = 1 this is the plain LSTM.

    Weights, in the layout and order of `keras.layers.LSTM`: `kernel` [D, 4H], `recurrent_kernel`
    [H, 4H], `bias` [4H]; with `layer_norm`: `gate_gain`, `gate_offset` [4, H], `state_gain`,
    `state_offset` [H].

    States: the past K states h and c, flat [B, K * H] each, oldest first: slot j is distance K - j.

    Args:
        units: H.
        n_actions: K.
        lamda: share of the mix, in [0, 1]; the previous state has the rest.
        forget_bias: initial value of the forget gate's bias (of its offset with `layer_norm`),
            whatever `bias_initializer` says.
        layer_norm: normalise the four gates and the new cell state.
        dropout: share of the inputs dropped, one mask for all steps of a layer over sequences (the
            cell by itself draws one each step, as of all masks). An agent sees the input undropped.
        recurrent_dropout: share of the candidate dropped, a new mask each step, without memory loss
            (Semeniuta et al. 2016). Keras' LSTM does under that name what is `state_dropout` here.
        state_dropout: share of h~ dropped before its product with U, one mask for all steps (Gal &
            Ghahramani 2016).
        state_masks: "one" for all four gates, or one "per_gate" (there: tied, untied).
        weight_dropout: share of the numbers in U dropped, one mask for all steps and rows (Merity
            et al. 2018).
        zoneout: two probabilities, that a number of c and that one of h stays as it is in c~ and
            h~, drawn anew each step; at inference their expectation (Krueger et al. 2017).
        seed: of the cell's own random numbers; cells of one seed draw the same ones.
        use_bias: whether there is a bias.
        unit_forget_bias: False, the forget gate's bias begins as `bias_initializer` says.
        activation, recurrent_activation, implementation: as for `keras.layers.LSTMCell`; each has
            one value.
        The rest as for `keras.layers.LSTMCell`.

    Raises:
        ValueError: a size below 1, lamda or a dropout rate outside its interval, another
            activation than tanh and sigmoid, a forget bias that would not be used.

    Example:
        ```python
        cell = KStateCell(8, 3, 0.5)  # a subclass chooses: this one takes the previous state
        cell.build([None, 4])
        x, states = keras.random.normal([2, 4]), cell.get_initial_state(2)
        h, states = cell(x, states)  # [2, 8]
        two_back = tf.constant([2, 2])
        h, states = cell.step(x, states, two_back)  # [2, 8]
        ```
    """

    checks = OF_A_SKIP_CELL
    history = "carried"  # the past states go on from one call to the next
    has_agent = False  # whether an agent draws the distances
    waits_for_reward = False  # whether there is an agent that learns from a reward or not at all
    agent_weights = None

    def __init__(
        self,
        units: int,
        n_actions: int = 1,
        lamda: float = 1.0,
        /,
        *,
        forget_bias: float = 1.0,
        layer_norm: bool = False,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        state_dropout: float = 0.0,
        state_masks: str = "one",
        weight_dropout: float = 0.0,
        zoneout: Sequence[float] = (0.0, 0.0),
        seed: int | None = None,
        unit_forget_bias: bool = True,
        activation: Initializer = "tanh",
        recurrent_activation: Initializer = "sigmoid",
        implementation: int = 2,
        **kwargs: Unpack[RecurrentArguments],
    ):
        super().__init__(units, **kwargs)
        self.n_actions, self.lamda = n_actions, lamda
        self.take(
            forget_bias=forget_bias,
            layer_norm=layer_norm,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            state_dropout=state_dropout,
            state_masks=state_masks,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            seed=seed,
            unit_forget_bias=unit_forget_bias,
        )
        if forget_bias != 1 and not (unit_forget_bias and (self.use_bias or layer_norm)):
            raise ValueError(
                "forget_bias must be left at 1 with unit_forget_bias=False or without a bias;"
                f" received {forget_bias!r}"
            )
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.implementation = implementation
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.state_size = [self.n_actions * self.units] * 2
        self.settle("n_actions", "lamda", *OF_THE_CELL)

    @classmethod
    def arguments(cls) -> list[str]:
        """The names of all arguments, those of `keras.layers.Layer` apart."""
        names = inspect.signature(cls).parameters
        return [name for name in names if name not in LayerArguments.__annotations__]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs [..., D]."""
        units = self.units
        shapes = {"kernel": (input_shape[-1], 4 * units), "recurrent_kernel": (units, 4 * units)}
        self.kernel, self.recurrent_kernel = (
            self._add(
                name, shape, fresh(getattr(self, f"{name.removesuffix('_kernel')}_initializer"))
            )
            for name, shape in shapes.items()
        )
        bias = fresh(self.bias_initializer)
        if self.unit_forget_bias and not self.layer_norm:
            bias = with_block(self.bias_initializer, units, 1, self.forget_bias)
        self.bias = self._add("bias", (4 * units,), bias) if self.use_bias else None
        self._norm = None
        if self.layer_norm:
            of_forget_gate = self.forget_bias * self.unit_forget_bias
            offset = np.repeat([[0.0], [of_forget_gate], [0.0], [0.0]], units, axis=1)
            shapes = {"gate": (4, units), "state": (units,)}
            initial = {
                "gate_offset": lambda _, dtype: tf.constant(offset, dtype),
                "state_offset": "zeros",
            }
            self._norm = Norm(
                *(
                    self.add_weight(
                        name=f"{of}_{kind}",
                        shape=shape,
                        initializer=initial.get(f"{of}_{kind}", "ones"),
                    )
                    for of, shape in shapes.items()
                    for kind in ("gain", "offset")
                )
            )

    def _add(self, name: str, shape: tuple[int, ...], initializer: Initializer):
        kind = name.removesuffix("_kernel")
        of_kind = {what: getattr(self, f"{kind}_{what}") for what in ("regularizer", "constraint")}
        return self.add_weight(name=name, shape=shape, initializer=initializer, **of_kind)

    def norm_weights(self, dtype: tf.DType) -> Norm | None:
        """Gains and offsets in the dtype of what they scale, or None without `layer_norm`."""
        return self._norm and Norm(*(tf.cast(w, dtype) for w in self._norm))

    def draws(self, training: bool, greedy: bool | None = None, given: bool = False) -> bool:
        """Whether a call needs random numbers.

        `greedy`: as in a call of the layer; `given`: whether it is told the distances.
        """
        return self.drops(training)

    def given_distances(
        self, shape: tf.Tensor | list, seed: tf.Tensor | None, backwards: bool = False
    ) -> tf.Tensor | None:
        """What a cell without agent chooses, int32 of that shape; None: the previous state."""
        return None

    def new_seed(self) -> tf.Tensor:
        """The next seed of the cell's own stream, or of `sampling.sampled`, int32 [2]."""
        return next_seed() if sampling() else tf.cast(self.seed_generator.next(), tf.int32)

    @property
    def wide_dtype(self) -> tf.DType:
        """In which a layer over sequences keeps states, and the agent computes."""
        return wide(self.compute_dtype)

    def step(
        self,
        x: tf.Tensor,
        states: list,
        distances: tf.Tensor | None,
        masks: Masks | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The step for given distances [B] in 1..K (None: 1).

        x [B, D], states -> h [B, H] and the new states. Of other distances see `agent.checked`.
        `masks`: those of inference unless given.
        """
        if distances is not None:
            distances, x = agent.checked(distances, self.n_actions, x)
        weights = self.one_hot(distances, states[0].dtype)
        return self.weighted_step(x, states, weights, masks)

    def weighted_step(
        self,
        x: tf.Tensor,
        states: list,
        weights: tf.Tensor | None,
        masks: Masks | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The step for given weights [B, K] of the distances 1..K (None: the previous state)."""
        (hs, cs), before = [self._slots(s) for s in states[:2]], states[2:]
        h, c = hs[-1], cs[-1]
        if weights is not None:
            weights = tf.transpose(tf.reverse(weights, [1]))[:, :, None]  # slot j is distance K - j
            h = self.lamda * tf.reduce_sum(weights * hs, 0) + (1 - self.lamda) * h
            c = self.lamda * tf.reduce_sum(weights * cs, 0) + (1 - self.lamda) * c
        if before:  # see `HistoryCell`: zero but at step 0, where all K slots are
            h, c = h + before[0], c + before[1]
        masks = self.masks(tf.shape(h), False, None) if masks is None else masks
        masks = tf.nest.map_structure(lambda a: None if a is None else tf.cast(a, h.dtype), masks)
        kernel = masks.weights(tf.convert_to_tensor(self.recurrent_kernel))
        z = x @ tf.convert_to_tensor(self.kernel) + by_blocks(tf.matmul, masks.dropped(h), kernel)
        z = z if self.bias is None else z + self.bias
        h, c = masks.step(z, State(h, c), self.norm_weights(z.dtype))
        states = [self._flat(tf.concat([s[1:], new[None]], 0)) for s, new in ((hs, h), (cs, c))]
        return h, states + [tf.zeros_like(s) for s in before]

    def one_hot(self, distances: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor | None:
        """The weights [B, K] of distances [B] in 1..K."""
        return None if distances is None else tf.one_hot(distances - 1, self.n_actions, dtype=dtype)

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D], states -> h [B, H] and the new states."""
        self.hold()
        seed = self.new_seed() if self.draws(training) else None
        distances = self.given_distances(tf.shape(inputs)[:1], seed)
        inputs, masks = self.drop(inputs, training, seed)
        return self.weighted_step(inputs, states, self.one_hot(distances, inputs.dtype), masks)

    def _slots(self, flat: tf.Tensor):  # [B, K * H] -> [K, B, H]
        return tf.transpose(tf.reshape(flat, [-1, self.n_actions, self.units]), [1, 0, 2])

    def _flat(self, slots: tf.Tensor):  # [K, B, H] -> [B, K * H]
        return tf.reshape(tf.transpose(slots, [1, 0, 2]), [-1, self.n_actions * self.units])

    def get_config(self) -> dict:
        """The constructor's arguments. Raises TypeError where some are given by position alone."""
        arguments = inspect.signature(type(self)).parameters.values()
        if any(one.kind is one.POSITIONAL_ONLY for one in arguments):
            raise TypeError(
                f"{type(self).__name__} chooses nothing and cannot be saved: use a subclass that "
                "takes what it hands on"
            )
        return super().get_config()
