"""Predictions as the mean over several sampled chains of connections."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..cells.checks import whole_number
from ..cells.k_state import KStateCell
from ..cells.sampling import sampled
from ..ops.products import wide


def predict_sampled(
    model: keras.Model, x: Any, n_samples: int = 16, seed: int = 0, batch_size: int = 32
) -> Any:
    """The mean of a model's outputs over S draws of all distances, as NumPy arrays.

    Each draw is what a call with `training=True` would connect, without dropout; the mean
    approximates the expectation over the agent's choices. The outputs are averaged as they are:
    let the model end with probabilities, not with logits. The layers' `greedy` does not matter and
    no setting, weight or random stream changes.

    Args:
        model: of any kind, with `DynamicSkipLSTM` or `RandomSkipLSTM` anywhere in it.
        x: the inputs [N, ...], an array or a structure of arrays.
        n_samples: S.
        seed: determines all draws; other seeds give other draws.
        batch_size: rows in one call of the model; with another one the draws are others.

    Returns:
        The outputs [N, ...], in the structure of the model's.

    Raises:
        ValueError: a number below 1, a seed below 0; other inputs than arrays of as many rows; a
            layer with stateful=True; a model in which no layer draws, as where they are called in a
            `tf.function`, which would draw only once; outputs of whole numbers, such as classes or
            the distances of `return_trace`.

    Example:
        ```python
        x = np.random.normal(size=[6, 5, 4])
        layers = [DynamicSkipLSTM(8, n_actions=3), keras.layers.Dense(2, "softmax")]
        model = keras.Sequential([keras.Input([5, 4]), *layers])
        probs = predict_sampled(model, x, n_samples=4)  # [6, 2]
        most_probable = model.predict(x)  # [6, 2]
        ```
    """
    n_samples = whole_number("n_samples", n_samples)
    batch_size = whole_number("batch_size", batch_size)
    seed = whole_number("seed", seed, minimum=0)
    try:
        x = tf.nest.map_structure(tf.convert_to_tensor, x)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"x must be an array, or a structure of arrays with one row each; received {type(x)}"
        ) from error
    shapes = [a.shape for a in tf.nest.flatten(x)]
    n_rows = {shape[0] if shape.rank else None for shape in shapes}
    if len(n_rows) != 1 or None in n_rows:
        raise ValueError(f"x must be arrays with one row for each example; received {shapes}")
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            raise ValueError(
                f"{layer.name} is stateful, so that a draw would begin where the one before ended:"
                " make the model anew with stateful=False, and give it the weights"
            )
    parts = []
    for number, start in enumerate(range(0, max(*n_rows, 1), batch_size)):
        batch = tf.nest.map_structure(lambda a, i=start: a[i : i + batch_size], x)
        chains = []
        for s in range(n_samples):
            with sampled(seed, number * n_samples + s) as draws:
                chains.append(model(batch, training=False))
                if not draws.n_draws and _would_draw(model):
                    raise ValueError(
                        f"expected {model.name} to call its layers, found that none of them drew"
                        " its distances: where they are called in a tf.function, leave that out"
                    )
        parts.append(tf.nest.map_structure(_mean, *chains))
    return tf.nest.map_structure(lambda *a: np.concatenate(a), *parts)


def _would_draw(model: keras.Model) -> bool:
    """Whether a cell in the model draws distances in this context."""
    cells = [cell for cell in model._flatten_layers() if isinstance(cell, KStateCell)]
    return any(cell.draws(training=False) for cell in cells)


def _mean(*chains: tf.Tensor) -> np.ndarray:
    if not chains[0].dtype.is_floating:
        raise ValueError(
            f"expected outputs that have a mean; received {chains[0].dtype.name}: "
            "make the model without them"
        )
    dtype = chains[0].dtype
    found = np.mean([tf.cast(one, wide(dtype)).numpy() for one in chains], 0)
    return found.astype(dtype.as_numpy_dtype)
