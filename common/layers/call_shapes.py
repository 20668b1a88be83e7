"""Shapes of what a layer is called on, checked of values and where there are none yet."""

import keras
import numpy as np
import tensorflow as tf

_SEED = "seed must be two integers, such as (3, 0)"


def of_call(sequences: tf.Tensor, initial_state: list | None, **others: tf.Tensor | None) -> dict:
    """The shapes that `check` takes, of what a call was given; ValueError for a seed of reals."""
    states = (
        initial_state
        if initial_state is None or isinstance(initial_state, list | tuple)
        else [initial_state]
    )
    given = {name: value for name, value in others.items() if value is not None}
    given = {name: tf.convert_to_tensor(value) for name, value in given.items()}
    if "seed" in given and not given["seed"].dtype.is_integer:
        raise ValueError(f"{_SEED}; received {others['seed']}")
    shapes = {name: value.shape for name, value in given.items()}
    if states is not None:
        shapes["initial_state"] = [tf.convert_to_tensor(state).shape for state in states]
    return {"sequences": sequences.shape, **shapes}


def mask_of_steps(mask: tf.Tensor | list | None, sequences: tf.Tensor) -> tf.Tensor | None:
    """A mask [B, T], by default the one that Keras attached to the sequences.

    Keras' layers take [B, T, 1] too, [1, T] for all rows, and a list of one. Nested lists are one.
    ValueError for ragged sequences, whose mask is ragged, too.
    """
    if isinstance(sequences, tf.RaggedTensor):
        raise ValueError(
            "sequences must be a tensor [B, T, D]; received a RaggedTensor x: give x.to_tensor()"
            " and mask=tf.sequence_mask(x.row_lengths())"
        )
    # Keras hands it on by itself, but not where a call has a second tensor: states, seed, distances
    mask = getattr(sequences, "_keras_mask", None) if mask is None else mask
    if mask is None:
        return None
    one = tf.nest.flatten(mask)[0]
    if one is None:  # as Keras masks the only one of a list of inputs
        return None
    mask = tf.convert_to_tensor(mask if np.isscalar(one) else one)
    if mask.shape.rank == 3 and mask.shape[2] in (1, None):
        mask = tf.ensure_shape(mask, [None, None, 1])[..., 0]
    if mask.shape.rank == 2 and mask.shape[0] == 1 and sequences.shape[0] != 1:
        mask = tf.repeat(mask, tf.shape(sequences)[0], 0)
    return mask


def of_symbols(
    sequences: tuple, initial_state: list | tuple | None, **of_steps: tuple | None
) -> dict:
    """The same of shapes as Keras hands them to `compute_output_shape`."""
    given = {"sequences": tf.TensorShape(sequences)}
    if initial_state is not None:
        one = all(size is None or isinstance(size, int) for size in initial_state)
        given["initial_state"] = [
            tf.TensorShape(shape) for shape in ([initial_state] if one else initial_state)
        ]
    return given | {
        name: tf.TensorShape(shape) for name, shape in of_steps.items() if shape is not None
    }


def check(
    layer: keras.layers.RNN,
    sequences: tf.TensorShape,
    initial_state: list[tf.TensorShape] | None = None,
    seed: tf.TensorShape | None = None,
    **of_steps: tf.TensorShape,
) -> None:
    """Raise ValueError unless `layer` takes sequences [B, T, D] with such states.

    `seed`: [2]. `of_steps`: mask and distances, [B, T].
    """
    batch, n_steps = sequences[:2]
    if layer.activity_regularizer is not None and layer.return_trace:
        raise ValueError(
            f"{layer.name} has an activity_regularizer, which Keras would apply to the connections"
            " too: leave return_trace=True out, and read layer.trace after the call"
        )
    if (
        layer.stateful
        and layer.states is not None
        and batch is not None
        and batch != (kept := layer.states[0].shape[0])
    ):
        advice = "another size needs another layer (PolicyGradientModel has n_samples times it)"
        raise ValueError(
            f"{layer.name} is stateful and keeps the states of a batch of {kept}; "
            f"received a batch of {batch}: {advice}"
        )
    if n_steps == 0:
        raise ValueError(f"{layer.name} expects at least one step; received {sequences}")
    if layer.unroll and n_steps is None:
        raise ValueError(
            "unroll=True needs to know the number of steps; "
            f"{layer.name} received sequences of shape {sequences}"
        )
    expected = [tf.TensorShape([batch, size]) for size in layer.state_size]
    given = expected if initial_state is None else initial_state
    if len(given) != len(expected) or not all(
        a.is_compatible_with(b) for a, b in zip(given, expected, strict=True)
    ):
        wanted, found = (", ".join(map(str, shapes)) for shapes in (expected, given))
        raise ValueError(
            f"initial_state must be tensors of shapes {wanted}; received {found or 'none'} (of an"
            " LSTM's h and c: initial_state_from_lstm)"
        )
    if seed is not None and not seed.is_compatible_with([2]):
        raise ValueError(f"{_SEED}; received shape {seed}")
    for name, shape in of_steps.items():
        if not shape.is_compatible_with([batch, n_steps]):
            inner = ", as of the steps within TimeDistributed: give mask=keras.ops.any(those, -1)"
            why = inner if name == "mask" and shape.rank == 3 else ""
            raise ValueError(f"{name} must be of shape {sequences[:2]}; received {shape}{why}")
