"""The log-likelihood of the softmax against TensorFlow's cross-entropy, values and gradients."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.modes import MODES

from common.ops.softmax import log_likelihood

N, H, V = 6, 4, 9


def values_and_gradients(function, h, kernel, bias, weights):
    with tf.GradientTape() as tape:
        tape.watch((h, kernel, bias))
        value = function(h, kernel, bias)
        total = tf.reduce_sum(weights * value)
    return value, *tape.gradient(total, (h, kernel, bias))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_equals_tensorflows_cross_entropy(mode, scale):
    random = np.random.default_rng(0)
    h, kernel, bias, weights = (
        tf.constant(random.normal(size=s), tf.float32) for s in ((N, H), (H, V), (V,), (N,))
    )
    targets = tf.constant(random.integers(0, V, N), tf.int32)

    def expected(h, kernel, bias):
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, h @ kernel + bias)

    def ours(*arguments):
        return values_and_gradients(
            lambda h, kernel, bias: log_likelihood(h, kernel, bias, targets), *arguments
        )

    run = MODES[mode](ours)
    arguments = scale * h, kernel, bias, weights
    for found, wanted in zip(
        run(*arguments), values_and_gradients(expected, *arguments), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5 * scale)


def test_bfloat16_products_keep_float32_sums():
    random = np.random.default_rng(0)
    h, kernel, bias = (
        tf.constant(random.normal(size=s), tf.float32) for s in ((N, H), (H, V), (V,))
    )
    targets = tf.constant(random.integers(0, V, N), tf.int32)
    rounded = [tf.cast(a, tf.bfloat16) for a in (h, kernel, bias)]
    narrow = log_likelihood(*rounded, targets)
    assert narrow.dtype == tf.float32
    np.testing.assert_allclose(
        narrow, log_likelihood(*(tf.cast(a, tf.float32) for a in rounded), targets), atol=1e-5
    )
