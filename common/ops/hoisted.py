"""A recurrence whose weights' gradients are products behind its loops, for any step.

    s_t = step(s_{t-1}, z_t, ...)    z_t^n = a_t^n U^n + x_t^n    for each of its products n

The step is a function without weights in products of its own: it hands what it multiplies, a_t^n,
to a function that it is given, and gets z_t^n back. So the reverse loop, in which TensorFlow
differentiates one step after the other, multiplies only by the transposed U^n; it keeps dL/dz, and

    dL/dU^n = sum_t (a_t^n)^T dL/dz_t^n                  one product [N, TB] x [TB, M]

What the products gave is kept from the forward loop; the a_t^n are functions of it and of the
states, computed for all steps at once. Arrays are time-major.

A step may also see the first of the states of K steps ago. That is read from a buffer, and its
gradient comes back through another one; both are gathered, as in `recurrence.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from .loops import buffer, empty, loop, written
from .products import as_rows, product, through, weight_gradient
from .second_order import second_order, vjp
from .sequence_gradient import Tensors, TwoLoops, differentiable


class Kept(NamedTuple):
    """What the reverse loop needs of the forward one."""

    states: Tensors  # [K + T, B, N] each
    z: Tensors  # [T, B, M] each


class Inputs(NamedTuple):
    """Of a recurrence."""

    past: Tensors  # the K states before the sequence, [K, B, N] each, oldest first; float32 (or
    # float64 as all else); of all but the first only the last slot counts
    addends: Tensors  # x^n of all steps [T, B, M]
    others: Tensors  # what else each step takes, [T, B, ...]
    matrices: Tensors  # U^n [N, M]; their dtype is that of the products
    vectors: Tensors  # other weights, whose gradients are summed up step by step


class HoistedRecurrence(TwoLoops):
    """Runs a `step(states, products, others, vectors) -> new states` over a sequence.

    Args:
        step: see `cells.hoisted.Level`.
        delay: K.
    """

    def __init__(self, step: Callable, delay: int = 1):
        super().__init__()
        self.step, self.delay = step, delay

    def __call__(self, inputs: Inputs) -> list[tf.Tensor]:
        """The states [K + T, B, N], those before the sequence first."""
        n_steps, batch = inputs.addends[0].shape[:2]
        xla, any_length = self.how(n_steps)

        def forward(inputs: Inputs, _: tuple):
            kept = self._forward(xla, any_length, inputs)
            for a in kept.z:  # a loop for any length does not know this one
                a.set_shape([n_steps, batch, a.shape[2]])
            for a in kept.states:
                a.set_shape([n_steps and self.delay + n_steps, batch, a.shape[2]])
            return kept.states, kept

        def backward(inputs: Inputs, _: tuple, kept: Kept, d_states: Tensors):
            found, factors = self._backward(xla, any_length, inputs, kept, d_states)
            products = zip(factors, found.addends, inputs.matrices, strict=True)
            return found._replace(matrices=[weight_gradient(a, d, u) for a, d, u in products])

        def second(inputs: Inputs, _: tuple, kept: Kept, d_states: Tensors, w: Inputs):
            return second_order(self.delay, _split, self._step, (), inputs, d_states, w)

        return list(differentiable(inputs, (), forward, backward, second, len(inputs.past)))

    def _forward_loop(self, xla: bool, inputs: Inputs) -> Kept:
        past, addends, others, matrices, vectors = inputs
        n_steps, delay = tf.shape(addends[0])[0], self.delay

        def step(t: tf.Tensor, states: Tensors, history: list, zs: list):
            made = {}

            def times(n: int):
                def result(a: tf.Tensor):
                    made[n] = product(a, matrices[n]) + addends[n][t]
                    return made[n]

                return result

            products = [times(n) for n in range(len(matrices))]
            seen = [*states, *([history[0].gather([t])[0]] if delay > 1 else [])]
            states = self.step(seen, products, [a[t] for a in others], vectors)
            states = [tf.ensure_shape(a, b.shape[1:]) for a, b in zip(states, past, strict=True)]
            z = [made[n] for n in range(len(matrices))]
            return t + 1, states, written(history, delay + t, states), written(zs, t, z)

        pad = [[0, n_steps], [0, 0], [0, 0]]
        history = [buffer(tf.pad(a, pad), n_steps) for a in past]
        zs = [empty(n_steps, a.dtype, a.shape[1:]) for a in addends]
        *_, history, zs = loop(n_steps, step, (0, [a[-1] for a in past], history, zs))
        states = [a.stack() for a in history]
        z = [tf.ensure_shape(b.stack(), a.shape) for a, b in zip(addends, zs, strict=True)]
        return Kept(states, z)

    def _backward_loop(self, xla: bool, inputs: Inputs, kept: Kept, d_states: Tensors):
        """The gradients but those of the matrices, and what these multiplied."""
        past, addends, others, matrices, vectors = inputs
        n_steps, delay = tf.shape(addends[0])[0], self.delay
        transposed = [through(u, xla) for u in matrices]

        def step(i: tf.Tensor, adjoint: list, d_vectors: list, sent: list, of_inputs: list):
            t = n_steps - 1 - i  # the loop counts up, so that XLA knows its trip count
            seen = self._seen(kept, lambda a, slot: a[slot + t])
            at = seen, [a[t] for a in kept.z], [a[t] for a in others], list(vectors)

            def new(*tensors: tf.Tensor):
                states, z, other, vector = tf.nest.pack_sequence_as(at, tensors)
                products = [_known(a, back) for a, back in zip(z, transposed, strict=True)]
                return list(self.step(states, products, other, vector))

            d_new = [a + d[delay + t] for a, d in zip(adjoint, d_states, strict=True)]
            for a in sent:
                d_new[0] += a.gather([delay + t])[0]
            _, found = vjp(new, tf.nest.flatten(at), d_new)
            d_seen, d_z, d_other, d_vector = tf.nest.pack_sequence_as(at, found)
            d_vectors = [a + b for a, b in zip(d_vectors, d_vector, strict=True)]
            adjoint = [tf.ensure_shape(d, a.shape) for d, a in zip(d_seen, adjoint, strict=False)]
            sent = written(sent, t, d_seen[len(adjoint) :])
            return i + 1, adjoint, d_vectors, sent, written(of_inputs, t, [*d_z, *d_other])

        sent = [buffer(tf.zeros_like(kept.states[0]), n_steps)] if delay > 1 else []
        of_inputs = [empty(n_steps, a.dtype, a.shape[1:]) for a in (*kept.z, *others)]
        start = [tf.zeros_like(a[-1]) for a in past], [tf.zeros_like(a) for a in vectors]
        found = loop(n_steps, step, (0, *start, sent, of_inputs))
        _, adjoint, d_vectors, sent, of_inputs = found
        before = [[delay - 1, 0], [0, 0], [0, 0]]
        d_past = [
            tf.pad(a[None], before) + d[:delay] for a, d in zip(adjoint, d_states, strict=True)
        ]
        for a in sent:
            d_past[0] += a.stack()[:delay]
        of_inputs = [a.stack() for a in of_inputs]
        d_z, d_others = of_inputs[: len(addends)], of_inputs[len(addends) :]
        return Inputs(d_past, d_z, d_others, [], d_vectors), self._factors(inputs, kept)

    def _seen(self, kept: Kept, read: Callable) -> list[tf.Tensor]:
        """The states that a step sees; `read(states, steps)`: the slots from a step's own on."""
        delayed = [read(kept.states[0], 0)] if self.delay > 1 else []
        return [*(read(a, self.delay - 1) for a in kept.states), *delayed]

    def _factors(self, inputs: Inputs, kept: Kept) -> list[tf.Tensor]:
        """What each product multiplied, at all steps [T, B, N]."""
        found = {}

        def known(n: int):
            def result(a: tf.Tensor):
                found[n] = a
                return as_rows(kept.z[n])

            return result

        n_steps = tf.shape(kept.z[0])[0]
        states = self._seen(kept, lambda a, first: as_rows(a[first : first + n_steps]))
        products = [known(n) for n in range(len(kept.z))]
        self.step(states, products, [as_rows(a) for a in inputs.others], inputs.vectors)
        steps = tf.shape(kept.z[0])[:2]
        return [
            tf.reshape(found[n], tf.concat([steps, found[n].shape[1:]], 0))
            for n in range(len(kept.z))
        ]

    def _step(self, window: list[tuple], own: tuple, of_all: tuple, fixed: tuple):
        """A step as TensorFlow alone differentiates it. For `second_order`."""
        (addends, others), (matrices, vectors) = own, of_all
        states = [*window[-1], *(window[0][:1] if self.delay > 1 else [])]
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


def _split(inputs: Inputs):
    """For `second_order`: states by slots, what steps have of their own, what they share."""
    past, addends, others, matrices, vectors = inputs
    return tuple(past), (addends, others), (matrices, vectors)
