"""A recurrence whose weights' gradients are products behind its loops, for any step.

    s_t = step(s_{t-1}, z_t, ...)    z_t^n = a_t^n U^n + x_t^n    for each of its products n

The step is a function without weights in products of its own: it hands what it multiplies, a_t^n,
to a function that it is given, and gets z_t^n back. So the reverse loop, in which TensorFlow
differentiates one step after the other, multiplies only by the transposed U^n: it keeps dL/dz, and

    dL/dU^n = sum_t (a_t^n)^T dL/dz_t^n                  one product [N, TB] x [TB, M]

What the products gave is kept from the forward loop; the a_t^n are functions of it and of the
states, computed for all steps at once. Arrays are time-major.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from .loops import empty, loop, written
from .products import product, through, weight_gradient
from .second_order import second_order
from .sequence_gradient import Tensors, compiled, compiles, differentiable, present


class Kept(NamedTuple):
    """What the reverse loop needs of the forward one."""

    states: Tensors  # [1 + T, B, N] each
    z: Tensors  # [T, B, M] each


class Inputs(NamedTuple):
    """Of a recurrence."""

    past: Tensors  # the states before the sequence, [B, N] each, float32 (or float64 as all else)
    addends: Tensors  # x^n of all steps [T, B, M]
    others: Tensors  # what else each step takes, [T, B, ...]
    matrices: Tensors  # U^n [N, M]; their dtype is that of the products
    vectors: Tensors  # other weights, whose gradients are summed up step by step


class HoistedRecurrence:
    """Runs a `step(states, products, others, vectors) -> new states` over a sequence.

    Args:
        step: see `cells.hoisted.Level`.
        jit_compile: as for `Recurrence`.
    """

    def __init__(self, step: Callable, jit_compile: bool | None = None):
        self.step, self.jit_compile = step, jit_compile
        self._forward, self._backward = compiled(self._forward_loop), compiled(self._backward_loop)

    def __call__(self, inputs: Inputs) -> list[tf.Tensor]:
        """The states [1 + T, B, N], those before the sequence first."""
        xla = compiles(self.jit_compile, inputs.addends[0].shape[0])

        def forward(inputs: Inputs):
            kept = self._forward(xla, inputs)
            return kept.states, kept

        def backward(inputs: Inputs, kept: Kept, d_states: Tensors):
            found, d_z, factors = self._backward(xla, inputs, kept, d_states)
            d_matrices = [
                weight_gradient(a, d, u.dtype)
                for a, d, u in zip(factors, d_z, inputs.matrices, strict=True)
            ]
            return found._replace(addends=d_z, matrices=d_matrices)

        def second(inputs: Inputs, kept: Kept, d_states: Tensors, w: Inputs):
            return second_order(1, _split, self._step, (), inputs, d_states, w)

        n_states = len(inputs.past)
        return list(differentiable(inputs, forward, backward, second, n_states))

    def _forward_loop(self, xla: bool, inputs: Inputs) -> Kept:
        past, addends, others, matrices, vectors = inputs
        n_steps = tf.shape(addends[0])[0]

        def step(t: tf.Tensor, states: Tensors, history: list, zs: list):
            made = {}

            def times(n: int):
                def result(a: tf.Tensor):
                    made[n] = product(a, matrices[n]) + addends[n][t]
                    return made[n]

                return result

            products = [times(n) for n in range(len(matrices))]
            states = self.step(states, products, [a[t] for a in others], vectors)
            states = [tf.ensure_shape(a, b.shape) for a, b in zip(states, past, strict=True)]
            z = [made[n] for n in range(len(matrices))]
            return t + 1, states, written(history, t, states), written(zs, t, z)

        history = [empty(n_steps, a.dtype, a.shape) for a in past]
        zs = [empty(n_steps, a.dtype, a.shape[1:]) for a in addends]
        *_, history, zs = loop(n_steps, step, (0, list(past), history, zs))
        states = [tf.concat([a[None], b.stack()], 0) for a, b in zip(past, history, strict=True)]
        z = [tf.ensure_shape(b.stack(), a.shape) for a, b in zip(addends, zs, strict=True)]
        return Kept(states, z)

    def _backward_loop(self, xla: bool, inputs: Inputs, kept: Kept, d_states: Tensors):
        """The gradients, those of matrices and addends apart, dL/dz, and what was multiplied."""
        past, addends, others, matrices, vectors = inputs
        n_steps = tf.shape(addends[0])[0]
        transposed = [through(u, xla) for u in matrices]

        def step(i: tf.Tensor, adjoint: Tensors, d_vectors: Tensors, d_zs: list, d_others: list):
            t = n_steps - 1 - i  # the loop counts up, so that XLA knows its trip count
            at = [a[t] for a in kept.states], [a[t] for a in kept.z], [a[t] for a in others]
            at = tf.nest.map_structure(tf.identity, (*at, list(vectors)))
            states, z, other, vector = at
            products = [_known(a, back) for a, back in zip(z, transposed, strict=True)]
            new = self.step(states, products, other, vector)
            d_new = [a + d[1 + t] for a, d in zip(adjoint, d_states, strict=True)]
            found = tf.gradients(
                list(new), tf.nest.flatten(at), d_new, unconnected_gradients="zero"
            )
            adjoint, d_z, d_other, d_vector = tf.nest.pack_sequence_as(at, found)
            d_vectors = [a + b for a, b in zip(d_vectors, d_vector, strict=True)]
            adjoint = [tf.ensure_shape(a, b.shape) for a, b in zip(adjoint, past, strict=True)]
            return i + 1, adjoint, d_vectors, written(d_zs, t, d_z), written(d_others, t, d_other)

        arrays = [
            [empty(n_steps, a.dtype, a.shape[1:]) for a in structure]
            for structure in (kept.z, others)
        ]
        start = [tf.zeros_like(a) for a in past], [tf.zeros_like(a) for a in vectors]
        _, adjoint, d_vectors, d_zs, d_others = loop(n_steps, step, (0, *start, *arrays))
        d_past = [a + d[0] for a, d in zip(adjoint, d_states, strict=True)]
        d_z, d_others = ([a.stack() for a in one] for one in (d_zs, d_others))
        return Inputs(d_past, [], d_others, [], d_vectors), d_z, self._factors(inputs, kept)

    def _factors(self, inputs: Inputs, kept: Kept) -> list[tf.Tensor]:
        """What each product multiplied, at all steps [T, B, N]."""
        found = {}

        def known(n: int):
            def result(a: tf.Tensor):
                found[n] = a
                return _rows(kept.z[n])

            return result

        states = [_rows(a[:-1]) for a in kept.states]
        products = [known(n) for n in range(len(kept.z))]
        self.step(states, products, [_rows(a) for a in inputs.others], inputs.vectors)
        steps = tf.shape(kept.z[0])[:2]
        return [
            tf.reshape(found[n], tf.concat([steps, found[n].shape[1:]], 0))
            for n in range(len(kept.z))
        ]

    def _step(self, window: list[tuple], own: tuple, of_all: tuple, fixed: tuple):
        """A step as TensorFlow alone differentiates it. For `second_order`."""
        (states,), (addends, others), (matrices, vectors) = window, own, of_all
        products = [
            lambda a, u=u, add=add: product(a, u) + add
            for u, add in zip(matrices, addends, strict=True)
        ]
        return self.step(states, products, others, vectors)


def _known(z: tf.Tensor, back: Callable) -> Callable:
    """a -> z, whose gradient is that of a product which gave z."""

    @tf.custom_gradient
    def result(a: tf.Tensor, z: tf.Tensor):
        return tf.identity(z), lambda d: (back(d), d)

    return lambda a: result(a, z)


def _rows(a: tf.Tensor) -> tf.Tensor:
    """[T, B, N] -> [T B, N]."""
    return tf.reshape(a, [-1, a.shape[-1]])


def _split(inputs: Inputs):
    """For `second_order`: states by slots, what steps have of their own, what they share."""
    past, addends, others, matrices, vectors = inputs
    return tuple(a[None] for a in past), (addends, others), (matrices, vectors)
