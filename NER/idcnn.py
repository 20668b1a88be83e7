"""Iterated dilated convolutions over a sentence, instead of a recurrent layer.

Strubell, Verga, Belanger & McCallum 2017, "Fast and Accurate Entity Recognition with Iterated
Dilated Convolutions".
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def identity_kernel(shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
    """The kernel [3, F, F] of a convolution that passes its input on."""
    kernel = np.zeros(shape)
    kernel[1] = np.eye(*shape[1:])
    return tf.constant(kernel, dtype)


class IteratedDilations(keras.layers.Layer):
    """Inputs [B, T, D] -> states [B, T, F] after each of n passes through one block.

        h_0 = relu(C_0 x)
        h_i = B(h_{i-1}),   B(h) = relu(C_L relu(... relu(C_1 h)))      i = 1 .. n

    C_0 and the C_l have width 3; C_l has dilation d_l. The weights of B are the same in each pass;
    its convolutions begin as the identity. With dilations 1, 2, 1 a state sees 1 + 4n words to each
    side. What lies beyond a sentence is zero for every convolution.

    Args:
        filters: F. dilations: d_1 .. d_L. iterations: n.
    """

    def __init__(self, filters: int, dilations: Sequence[int], iterations: int, **kwargs: Any):
        super().__init__(**kwargs)
        same = {"padding": "same", "activation": "relu"}
        self.first = keras.layers.Conv1D(filters, 3, name="first", **same)
        same["kernel_initializer"] = identity_kernel
        self.block = [
            keras.layers.Conv1D(filters, 3, dilation_rate=d, name=f"block_{i}", **same)
            for i, d in enumerate(dilations)
        ]
        self.iterations = iterations

    def call(self, x: tf.Tensor, real: tf.Tensor) -> list[tf.Tensor]:
        """x [B, T, D]; real [B, T] bool, true on words. n states [B, T, F], in order."""
        inside = tf.cast(real, self.compute_dtype)[:, :, None]
        h = self.first(x * inside) * inside
        states = []
        for _ in range(self.iterations):
            for convolution in self.block:
                h = convolution(h) * inside
            states.append(h)
        return states
