"""Graphs that Keras makes to learn shapes, and throws away: nothing in them ever has a value."""

import tensorflow as tf


def in_scratch_graph() -> bool:
    """Whether operations go into such a graph now."""
    return not tf.executing_eagerly() and getattr(
        tf.compat.v1.get_default_graph(), "name", ""
    ).startswith("scratch_graph")
