"""What the recurrences share: hand-written gradients of every order, and how loops are compiled.

TensorFlow differentiates what the gradient function of a `tf.custom_gradient` computes, too. Where
that comes from constants (as it must here, see `differentiable`), TensorFlow finds no second
derivative and says nothing. So the gradient function is itself a `tf.custom_gradient`, whose own
gradient is that of `second_order.py`, computed only where it is asked for.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# there are no public ways to ask for these
from tensorflow.python.eager.forwardprop_util import pack_tangents
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

Tensors = Sequence[tf.Tensor]
# functions with gradients of their own and how many tensors they take, by TensorFlow's name for it
CUSTOM_GRADIENTS: dict[bytes, tuple[Callable, int]] = {}
_LENGTHS = "dynamic_skip_lstm/each_length_comes_often"  # a collection, which inner graphs inherit


def compiles(jit_compile: bool | None, often: bool) -> bool:
    """Whether XLA compiles loops; `often`: over a number of steps that is known to come often.

    XLA compiles every length anew, and takes longer for it than a few calls do. So with
    `jit_compile` None it is used only in a graph, for such a length (see `TwoLoops`). Earlier calls
    have no influence.
    """
    return often and not tf.executing_eagerly() if jit_compile is None else jit_compile


def compiled(loop: Callable) -> Callable:
    """`loop(xla, *tensors)` as a graph, to be called with (xla, any_length, *tensors).

    Compiled with XLA or not; if not, `any_length` spares tracing each length and batch size anew.
    """

    def graph(xla: bool, **options: Any):
        # A partial is a function of its own: TensorFlow counts the traces of a lambda's code over
        # all layers, and warns of too many.
        return tf.function(
            functools.partial(loop, xla), jit_compile=xla, autograph=False, **options
        )

    exact, relaxed = {xla: graph(xla) for xla in (False, True)}, graph(False, reduce_retracing=True)
    return lambda xla, any_length, *tensors: (relaxed if any_length and not xla else exact[xla])(
        *tensors
    )


class TwoLoops:
    """A forward loop over the steps and a reverse one, and how TensorFlow runs them.

    A subclass has them: `_forward_loop(xla, *tensors)` and `_backward_loop(xla, *tensors)`.

    `jit_compile`: compile both with XLA, whatever the caller; None: as `compiles` says.

    Without `one_length` a graph may be one of many, each made for the length of some data: all of
    them share their loops, without XLA unless `jit_compile` or the caller asks for it, or it runs
    over a data set.
    """

    jit_compile: bool | None = None
    one_length = True

    def __init__(self):
        self._forward, self._backward = compiled(self._forward_loop), compiled(self._backward_loop)

    def declare(self, shape: Sequence[int | None], jit_compile: bool | None, slower: bool) -> None:
        """What a layer knows when it is built: the shape [B, T, ...] of its inputs.

        `slower`: whether XLA is, for its sizes on this machine.
        """
        batch, n_steps = shape[:2]
        self.one_length = batch is None and n_steps is not None  # data has a batch size
        never = jit_compile is None and (slower or n_steps is None)
        self.jit_compile = False if never else jit_compile

    def how(self, n_steps: int | None) -> tuple[bool, bool]:
        """Whether XLA compiles loops over that many steps; whether they are to serve any number."""
        one_length = self.one_length or in_xla() or over_data_set()
        often = one_length and (n_steps is not None or each_length_comes_often())
        return compiles(self.jit_compile, often), tf.executing_eagerly() or not one_length


def slow_in_xla(units: int) -> bool:
    """Whether XLA is slower than a graph: with a large matrix on a CPU (benchmarks/NOTES.md)."""
    return units >= 512 and not tf.config.list_physical_devices("GPU")


def present(structure: Any) -> list[tf.Tensor]:
    """The tensors of a structure, without what is None."""
    return [a for a in tf.nest.flatten(structure) if a is not None]


def refilled(structure: Any, tensors: Tensors) -> Any:
    """The structure with these tensors in place of its own; None stays None. Undoes `present`."""
    left = iter(tensors)
    return tf.nest.map_structure(lambda a: None if a is None else next(left), structure)


def differentiable(
    inputs: Any,
    fixed: Any,
    forward: Callable,
    backward: Callable,
    second: Callable,
    n_states: int = 2,
) -> tuple:
    """`forward(inputs, fixed)` with its gradients of every order.

    Args:
        inputs: a structure of tensors (and of what is None). fixed: another, without a gradient.
        forward: inputs, fixed -> its outputs, and whatever the others need of it.
        backward: inputs, fixed, what `forward` kept, dL/dstates -> dL/dinputs, in that structure.
        second: inputs, fixed, what `forward` kept, dL/dstates, w -> the gradients of
            <w, backward(...)>: of its inputs and of dL/dstates.
        n_states: how many outputs are states (h and c); those behind them have no gradient.
    """
    n_inputs = len(present(inputs))
    n_given = n_inputs + len(present(fixed))

    # No tape may look inside either function: it would ask for the gradients of what it replaces.
    # All tensors that either needs are its arguments: see `pfor_patches.py`.
    @custom_gradient
    def run(*tensors: tf.Tensor):
        stopped = [tf.stop_gradient(a) for a in tensors]
        outputs, kept = forward(*refilled((inputs, fixed), stopped))
        # nor the gradient of a `tf.function` around all of it
        kept = tf.nest.map_structure(tf.stop_gradient, kept)
        n_known = n_given + len(present(kept))

        @custom_gradient
        def gradient(*tensors: tf.Tensor):
            def known(tensors: Tensors):
                return refilled((inputs, fixed, kept), tensors[:n_known])

            stopped = [tf.stop_gradient(a) for a in tensors]
            found = present(backward(*known(stopped), tuple(stopped[n_known:])))
            for a, b in zip(found, stopped[:n_inputs], strict=True):
                a.set_shape(b.shape)

            def gradient_of_gradient(*w: tf.Tensor):
                for a, b in zip(w, tensors[:n_inputs], strict=True):
                    a.set_shape(b.shape)
                d_states = tuple(tensors[n_known:])
                seconds = present(second(*known(tensors), d_states, refilled(inputs, w)))
                seconds = present(_last(*seconds)) if in_xla() else seconds
                others = [None] * (n_known - n_inputs)
                return [*seconds[:n_inputs], *others, *seconds[n_inputs:]]

            return found, gradient_of_gradient

        def upstream(*d_outputs: tf.Tensor | tf.IndexedSlices):
            # copies in the current graph: the gradient of a `tf.function` is another graph
            here = [tf.identity(a) for a in (*tensors, *present(kept))]
            # dense, also where all that was taken of the states are slices
            found = gradient(*here, *map(tf.convert_to_tensor, d_outputs[:n_states]))
            return [*found, *[None] * (n_given - n_inputs)]

        return outputs, upstream

    return called(run, *present((inputs, fixed)))


def custom_gradient(function: Callable) -> Callable:
    """`tf.custom_gradient` of a function of tensors alone, which `pfor_patches.py` keeps."""
    run = tf.custom_gradient(function)

    @functools.wraps(function)
    def noted(*tensors: tf.Tensor):
        outputs = run(*tensors)
        if not tf.executing_eagerly():
            op = tf.nest.flatten(outputs)[0].op
            CUSTOM_GRADIENTS[op.get_attr("_gradient_op_type")] = noted, len(tensors)
        return outputs

    return noted


def called(run: Callable, *tensors: tf.Tensor) -> Any:
    """Calls a `tf.custom_gradient` that computes from constants, so that forward mode is right.

    In a graph, forward mode finds zeros for such a function, but not for a `tf.function` around it.
    """
    if not tf.executing_eagerly() and pack_tangents(tensors).tangents:
        run = tf.function(run, autograph=False)
    return run(*tensors)


def in_xla() -> bool:
    """Whether the current graph is one that XLA will compile."""
    graph = tf.compat.v1.get_default_graph()
    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(graph)


def over_data_set() -> bool:
    """Whether the current graph, or one around it, takes its batches from a `tf.data` iterator.

    All of them then have the shapes that the graph was made for, as those of Keras' `fit`.
    """
    graph = tf.compat.v1.get_default_graph()
    while graph is not None and not any(
        op.type.startswith("IteratorGetNext") for op in graph.get_operations()
    ):
        graph = getattr(graph, "outer_graph", None)
    return graph is not None


def declare_lengths() -> None:
    """Say of the current graph that of its batches each length comes often, which it cannot know.

    XLA then compiles each length when it comes, in a graph that is made once.
    """
    tf.compat.v1.add_to_collection(_LENGTHS, True)


def each_length_comes_often() -> bool:
    """Whether that was said of the current graph, or of one around it."""
    return bool(tf.compat.v1.get_collection(_LENGTHS))


@tf.custom_gradient
def _last(*tensors: tf.Tensor):
    """The tensors; who asks for their gradient is told that there is none."""

    def gradient(*_: tf.Tensor):
        raise NotImplementedError(
            "inside code compiled by XLA there are gradients of the first and second order; found"
            " a third: compute it without jit_compile=True"
        )

    return tensors, gradient
