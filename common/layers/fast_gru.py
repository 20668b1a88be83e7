"""Keras' GRU by the same method."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from ..cells.checks import flag_or_none
from ..cells.hoisted import Level, Tensors, projected
from .fast_rnn import HoistedRNN


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class FastGRU(HoistedRNN, keras.layers.GRU):
    """`keras.layers.GRU`, faster: see `FastRNN`.

    Weights, states, masks and arguments are its own, without cuDNN.

    Args:
        units: H.
        jit_compile: as for `KStateLSTM`.
        The rest as for `keras.layers.GRU`; with `unroll`, `recurrent_dropout` or
            `implementation=1` it runs as there.

    Example:
        ```python
        h = FastGRU(8, reset_after=False)(keras.random.normal([2, 5, 4]))  # [2, 8]
        ```
    """

    def __init__(self, units: int, jit_compile: bool | None = None, **kwargs: Any):
        super().__init__(units, **{**kwargs, "use_cudnn": False})
        self.jit_compile = flag_or_none("jit_compile", jit_compile)

    def levels(self) -> list[Level]:
        """One, unless Keras' own loop is to run it."""
        cell = self.cell
        keras_own = self.unroll or cell.recurrent_dropout or cell.implementation == 1
        same = self.compute_dtype == cell.compute_dtype
        return [_GRU(cell)] if same and not keras_own else []

    def enter(self, states: list[tf.Tensor]) -> list[tf.Tensor]:
        """As they are."""
        return states

    def inner_loop(
        self, sequences: tf.Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, Any]:
        """See `HoistedRNN`; inputs have one dropout mask a call."""
        if self.levels() and training and self.dropout:
            sequences *= self.cell.get_dropout_mask(sequences[:, 0])[:, None]
        return super().inner_loop(sequences, initial_state, mask, training)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "jit_compile": self.jit_compile}


class _GRU(Level):
    """The step of `keras.layers.GRUCell`."""

    n_states = 1

    def __init__(self, cell: keras.layers.Layer):
        self.cell = cell
        # the reset gate acts on h before its product with U_h, or on the product
        self.sizes = [2 * cell.units, cell.units] if not cell.reset_after else [3 * cell.units]

    def _biases(self):
        """Of the input's part and of the state's."""
        if not self.cell.use_bias:
            return None, None
        bias = tf.convert_to_tensor(self.cell.bias)
        return tf.unstack(bias) if self.cell.reset_after else (bias, None)

    def project(self, below: Tensors) -> tuple[Tensors, Tensors]:
        """W x + b; where the reset gate acts on a product, all of it stands apart."""
        z, of_state = projected(below[0], self.cell.kernel, self._biases()[0]), self._biases()[1]
        if not self.cell.reset_after:
            return tf.split(z, self.sizes, -1), []
        added = tf.zeros_like(z)
        return [added if of_state is None else added + tf.cast(of_state, z.dtype)], [z]

    def matrices(self) -> Tensors:
        """U_zr and U_h, or U."""
        return tf.split(tf.convert_to_tensor(self.cell.recurrent_kernel), self.sizes, -1)

    def step(
        self, states: Tensors, products: Sequence[Callable], others: Tensors, vectors: Tensors
    ) -> Tensors:
        """h [B, H]."""
        cell, (h,) = self.cell, states
        gate = cell.recurrent_activation
        if cell.reset_after:
            (z,), n = others, 2 * cell.units
            of_state = products[0](h)
            update, reset = tf.split(gate(z[:, :n] + of_state[:, :n]), 2, -1)
            candidate = z[:, n:] + reset * of_state[:, n:]
        else:
            update, reset = tf.split(gate(products[0](h)), 2, -1)
            candidate = products[1](reset * h)
        return [update * h + (1 - update) * cell.activation(candidate)]
