"""The ways in which TensorFlow runs a function, by name: as it is, in a graph, compiled by XLA."""

import functools

import tensorflow as tf

MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": functools.partial(tf.function, jit_compile=True),
}
# The same without AutoGraph, as the code's own functions are.
WITHOUT_AUTOGRAPH = {
    "eager": lambda function: function,
    "graph": functools.partial(tf.function, autograph=False),
    "xla": functools.partial(tf.function, autograph=False, jit_compile=True),
}
