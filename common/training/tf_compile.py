"""Compiles functions of tensors with `tf.function`, with or without XLA."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context


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


def compiled(function: Callable, jit_compile: bool) -> Callable:
    """A function of tensors, compiled once for each shape of the batches, its first argument.

    As `tf.function` does, without its warning that many shapes are a mistake.
    """
    # No AutoGraph: there is nothing for it to convert, and looking for it takes a fifth of the
    # time.
    graph = tf.function(
        lambda arguments: function(*arguments), jit_compile=jit_compile, autograph=False
    )
    programs: dict[tuple, Callable] = {}

    def call(*arguments: Any):
        arguments = tf.nest.map_structure(tf.convert_to_tensor, arguments)
        shapes = tuple((name, tuple(array.shape)) for name, array in sorted(arguments[0].items()))
        if shapes not in programs:
            programs[shapes] = graph.get_concrete_function(arguments)
        return programs[shapes](arguments)

    return call
