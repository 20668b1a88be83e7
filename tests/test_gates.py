"""common/ops/gates.py against NumPy, gradients by the complex step."""

import numpy as np
import pytest
import tensorflow as tf
from oracles import numpy_skip_lstm as oracle

from common.ops.gates import Norm, Slopes, lstm_gates, lstm_gates_gradient, lstm_slopes

B, H = 3, 4


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gates(layer_norm, masked):
    random = np.random.default_rng(0)
    arrays = {"z": random.normal(size=(B, 4 * H)), "c": random.normal(size=(B, H))}
    if layer_norm:
        arrays |= {
            name: random.normal(size=(4, H) if name.startswith("gate") else (H,))
            for name in Norm._fields
        }
    mask = random.choice([0.0, 2.0], (B, H)) if masked else 1.0
    d_h, d_c = random.normal(size=(2, B, H))

    def expected(z, c, **norm):
        # The step adds the products to the bias; without input and recurrence, z is all there is.
        w = {
            "kernel": np.eye(4 * H),
            "recurrent_kernel": np.zeros((H, 4 * H)),
            "bias": np.zeros(4 * H),
            **norm,
        }
        return oracle.lstm_step(w, z, np.zeros((B, H)), c, mask)

    tensors = {name: tf.constant(a) for name, a in arrays.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        norm = Norm(*(tensors[name] for name in Norm._fields)) if layer_norm else None
        h, c = lstm_gates(tensors["z"], tensors["c"], norm, tf.constant(mask) if masked else None)
        loss = tf.reduce_sum(h * d_h + c * d_c)
    gradients = tape.gradient(loss, tensors)
    # By hand: the slopes of all steps at once, then the gradient of one.
    z, old, norm_of = tensors["z"], tensors["c"], (norm, tensors["z"], c) if layer_norm else ()
    slopes = lstm_slopes(z[None], old[None], c[None], norm, tf.constant(mask) if masked else None)
    by_hand = lstm_gates_gradient(
        tf.constant(d_h), tf.constant(d_c), Slopes(*(s[0] for s in slopes)), *norm_of
    )
    by_hand = dict(zip(arrays, by_hand, strict=True))

    for a, b in zip((h, c), expected(**arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)

    def loss(**arrays):
        h, c = expected(**arrays)
        return (h * d_h + c * d_c).sum((-2, -1))

    for name, gradient in oracle.gradients(loss, **arrays).items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(by_hand[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


def test_saturated_gates_copy_and_forget():
    """Input gate shut, forget gate open: the state stays; the other way round it is replaced."""
    big = 50 * tf.ones([1, 1])
    c = tf.constant([[0.7]])
    np.testing.assert_allclose(lstm_gates(tf.concat([-big, big, big, big], 1), c)[1], 0.7)
    h, new = lstm_gates(tf.concat([big, -big, big, big], 1), c)
    np.testing.assert_allclose((new, h), ([[1.0]], [[np.tanh(1.0)]]), rtol=1e-6)
