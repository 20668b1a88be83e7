"""Predictions as the mean over several sampled chains of connections."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .cells.checks import whole_number
from .cells.sampling import sampled


def predict_sampled(
    model: keras.Model, x: Any, n_samples: int = 16, seed: int = 0, batch_size: int = 32
) -> Any:
    """The mean of a model's outputs over S draws of all distances, as NumPy arrays.

    Each draw is what a call with `training=True` would connect, without dropout; the mean
    approximates the expectation over the agent's choices. The outputs are averaged as they are:
    let the model end with probabilities, not with logits. The layers' `greedy` does not matter and
    no setting, weight or random stream changes.

        probs = predict_sampled(model, x, n_samples=16)  # beside model.predict(x)

    Args:
        model: of any kind, with `DynamicSkipLSTM` or `RandomSkipLSTM` anywhere in it.
        x: the inputs [N, ...], an array or a structure of arrays.
        n_samples: S.
        seed: determines all draws; other seeds give other draws.
        batch_size: rows in one call of the model; with another one the draws are others.

    Returns:
        The outputs [N, ...], in the structure of the model's.

    Raises:
        ValueError: a number below 1.
    """
    n_samples = whole_number("n_samples", n_samples)
    batch_size = whole_number("batch_size", batch_size)
    x = tf.nest.map_structure(tf.convert_to_tensor, x)
    n_rows = tf.nest.flatten(x)[0].shape[0]
    parts = []
    for number, start in enumerate(range(0, n_rows, batch_size)):
        batch = tf.nest.map_structure(lambda a, i=start: a[i : i + batch_size], x)
        chains = []
        for s in range(n_samples):
            with sampled(seed, number * n_samples + s):
                chains.append(model(batch, training=False))
        mean = tf.nest.map_structure(lambda *a: np.mean([np.asarray(b) for b in a], 0), *chains)
        parts.append(mean)
    return tf.nest.map_structure(lambda *a: np.concatenate(a), *parts)
