"""The gradient of a recurrence's gradient, which also gives TensorFlow its forward mode.

Let y(x) be a recurrence with Jacobian J(x), and G(x, d) = J(x)^T d its gradient. A second
derivative reaches G as an upstream gradient w. Since <w, G(x, d)> = <d, J(x) w>, the gradients are

    d/dd = J(x) w      and      d/dx <d, J(x) w>.

One loop over the steps computes the states and, beside them, their derivatives J w. TensorFlow
differentiates this loop by itself, as often as needed: no step has a hand-written gradient. Forward
mode (`tf.autodiff.ForwardAccumulator`) takes J w from d/dd.
"""

from collections.abc import Callable

import tensorflow as tf

from .sequence_gradient import Tensors, present, refilled


def second_order(
    n_actions: int,
    split: Callable,
    step: Callable,
    given: tuple,
    inputs: tuple,
    d_outputs: Tensors,
    w: tuple,
) -> list[tf.Tensor]:
    """The gradients of <w, G(inputs, d_outputs)>: of the inputs and of d_outputs.

    Args:
        n_actions: K.
        split: inputs -> the states (h, c) before the sequence, [K, B, H] each, oldest first; what
            each step has of its own, [T, ...]; what all steps share. Linear: it splits w as well.
        step: K past states (h, c), oldest first; the step's own; what all share; the step's part of
            `given` -> the new h and c.
        given: [T, ...] each, has no derivative.
        d_outputs: dL/dh and dL/dc, [K + T, B, H].
        w: in the structure of `inputs`.
    """

    def run():
        def tangents(*tensors: tf.Tensor):
            return _tangents(n_actions, step, given, split(refilled(inputs, tensors)), split(w))

        along, gradients = vjp(tangents, present(inputs), d_outputs)
        return [*gradients, *along]

    return run() if tf.executing_eagerly() and _tapes_record() else _in_graph(run)


def vjp(function: Callable, at: Tensors, upstream: Tensors) -> tuple[Tensors, Tensors]:
    """function(*at) and J^T upstream, in a graph or eagerly."""
    if not tf.executing_eagerly():
        return _symbolic(function, at, upstream)
    if _tapes_record():
        return _taped(function, at, upstream)
    return _in_graph(lambda: _symbolic(function, at, upstream))


def _in_graph(run: Callable) -> Tensors:
    """run() in a graph, also where `tf.config.run_functions_eagerly(True)` would make it eager."""
    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    try:
        return tf.function(run, autograph=False)()
    finally:
        tf.config.run_functions_eagerly(eagerly)


def _tangents(
    n_actions: int, step: Callable, given: tuple, at: tuple, along: tuple
) -> list[tf.Tensor]:
    """J(at) along: h and c [K + T, B, H]."""
    (past, of_steps, of_all), (d_past, d_of_steps, d_of_all) = at, along

    elements = (of_steps, d_of_steps, given)
    n_steps = present(of_steps)[0].shape[0] or tf.shape(present(of_steps)[0])[0]
    arrays = [
        tf.TensorArray(a.dtype, n_steps, element_shape=a.shape[1:]).unstack(a)
        for a in present(elements)
    ]

    def next_windows(t: tf.Tensor, window: list, d_window: list, written: list[tf.TensorArray]):
        own, d_own, own_given = refilled(elements, [a.read(t) for a in arrays])
        inputs = window, own, of_all

        def new(*tensors: tf.Tensor):
            return list(step(*refilled(inputs, tensors), own_given))

        state, d_state = _jvp(new, present(inputs), present((d_window, d_own, d_of_all)))
        written = [a.write(t, b) for a, b in zip(written, d_state, strict=True)]
        return t + 1, [*window[1:], tuple(state)], [*d_window[1:], tuple(d_state)], written

    start = [
        list(zip(*(tf.unstack(a, n_actions) for a in states), strict=True))
        for states in (past, d_past)
    ]
    written = [tf.TensorArray(a.dtype, n_steps, element_shape=a.shape[1:]) for a in d_past]
    loop = {"maximum_iterations": n_steps, "parallel_iterations": 1}
    *_, written = tf.while_loop(
        lambda t, *_: t < n_steps, next_windows, (0, *start, written), **loop
    )
    return [tf.concat([a, b.stack()], 0) for a, b in zip(d_past, written, strict=True)]


def _jvp(function: Callable, at: Tensors, along: Tensors) -> tuple[Tensors, Tensors]:
    """function(*at) and J along: the gradient of J^T v, of whatever v."""
    at = [tf.identity(a) for a in at]  # in the graph of the loop's body
    outputs = function(*at)
    _, forwards = vjp(
        lambda *v: vjp(function, at, v)[1], [tf.zeros_like(a) for a in outputs], along
    )
    return outputs, forwards


def _taped(function: Callable, at: Tensors, upstream: Tensors) -> tuple[Tensors, Tensors]:
    """function(*at) and J^T upstream."""
    with tf.GradientTape() as tape:
        tape.watch(at)
        outputs = function(*at)
    return outputs, tape.gradient(outputs, at, upstream, unconnected_gradients="zero")


def _symbolic(function: Callable, at: Tensors, upstream: Tensors) -> tuple[Tensors, Tensors]:
    """The same without a tape, in a graph."""
    at = [tf.identity(a) for a in at]
    outputs = function(*at)
    return outputs, tf.gradients(outputs, at, list(upstream), unconnected_gradients="zero")


def _tapes_record() -> bool:
    """Whether a new tape would: none does while a forward accumulator works."""
    with tf.GradientTape() as tape:
        tape.watch(x := tf.ones([]))
        y = x * x
    return tape.gradient(y, x) is not None
