"""Compiles functions of tensors with `tf.function`, with or without XLA."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context

from ..ops.sequence_gradient import declare_lengths


def leave_sums_whole() -> None:
    """Switch off the memory optimiser of TensorFlow's graphs, in the functions of this thread.

    To save memory, it turns large sums within loops into temporary variables. In TensorFlow 2.21
    those of a loop's last iteration are not removed, and the next step fails with
    AlreadyExistsError; for instance, in the language model at full size with gru. There is no
    public switch.
    """
    options = config_pb2.ConfigProto()
    options.CopyFrom(context.context().config)
    options.graph_options.rewrite_options.memory_optimization = RewriterConfig.NO_MEM_OPT
    context.context().function_call_options = context.FunctionCallOptions(config_proto=options)


def compiled(function: Callable, jit_compile: bool, any_length: int | None = None) -> Callable:
    """A function of tensors, compiled once for each shape of the batches, its first argument.

    As `tf.function` does, without its warning that many shapes are a mistake. Shapes that differ
    only along the axis `any_length` share a graph, which takes seconds and 50 MiB to make; XLA
    compiles each of them when it comes.
    """

    def traced(arguments: tuple):
        if any_length is not None:
            declare_lengths()
        return function(*arguments)

    # No AutoGraph: there is nothing for it to convert, and looking for it takes a fifth of the
    # time.
    graph = tf.function(traced, jit_compile=jit_compile, autograph=False)
    programs: dict[tuple, Callable] = {}

    def spec(array: tf.Tensor):
        shape = [None if axis == any_length else n for axis, n in enumerate(array.shape)]
        return tf.TensorSpec(shape, array.dtype)

    def call(*arguments: Any):
        batches, *others = tf.nest.map_structure(tf.convert_to_tensor, arguments)
        specs = {name: spec(array) for name, array in batches.items()}
        shapes = tuple((name, tuple(one.shape)) for name, one in sorted(specs.items()))
        if shapes not in programs:
            programs[shapes] = graph.get_concrete_function((specs, *others))
        return programs[shapes]((batches, *others))

    return call
