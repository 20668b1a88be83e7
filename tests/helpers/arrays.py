"""Arrays of drawn numbers, the same each time."""

import numpy as np


def normal(shape, seed, scale=1.0):
    """From a normal distribution, in float32."""
    return np.random.default_rng(seed).normal(size=shape, scale=scale).astype(np.float32)
