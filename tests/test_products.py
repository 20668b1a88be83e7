"""common/ops/products.py against NumPy, and that a sequence's product has no gradient of T
products.
"""

import numpy as np
import pytest
import tensorflow as tf
from helpers.modes import MODES

from common.ops.products import product, through, weight_gradient


def test_product_and_its_gradient():
    random = np.random.default_rng(0)
    x, w, d = (
        random.normal(size=(3, 2, 4)),
        random.normal(size=(4, 5)),
        random.normal(size=(3, 2, 5)),
    )
    x, w = tf.constant(x), tf.constant(w)
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = product(x, w)
        loss = tf.reduce_sum(y * d)
    d_x, d_w = tape.gradient(loss, [x, w])
    np.testing.assert_allclose(y, np.einsum("tbm,mn->tbn", x, w))
    np.testing.assert_allclose(d_x, np.einsum("tbn,mn->tbm", d, w))
    np.testing.assert_allclose(d_w, np.einsum("tbm,tbn->mn", x, d))
    np.testing.assert_allclose(weight_gradient(x, tf.constant(d), w), d_w)
    np.testing.assert_allclose(product(tf.constant(d[0]), w, transpose_b=True), d[0] @ w.numpy().T)


def test_blocks_side_by_side():
    """Each has a matrix of its own."""
    x, w, d = (np.random.default_rng(0).normal(size=s) for s in ((3, 2, 12), (3, 4, 5), (3, 2, 15)))
    x_g, d_g = x.reshape(3, 2, 3, 4), d.reshape(3, 2, 3, 5)
    x, w, d = (tf.constant(a) for a in (x, w, d))
    y = np.einsum("tbgm,gmn->tbgn", x_g, w).reshape(3, 2, 15)
    d_x = np.einsum("tbgn,gmn->tbgm", d_g, w).reshape(3, 2, 12)
    np.testing.assert_allclose(product(x, w), y)
    for xla in (False, True):
        np.testing.assert_allclose(through(w, xla)(d), d_x)
    wanted = np.einsum("tbgm,tbgn->gmn", x_g, d_g)
    np.testing.assert_allclose(weight_gradient(x, d, w), wanted)


@pytest.mark.parametrize("mode", [*MODES, "functions_run_eagerly"])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_narrow_products_have_wide_sums(mode, transpose_b, request):
    """Of the numbers rounded to 16 bits the product is exact: it is not rounded again.

    Gradients are of 16 bits, as their weights are.
    """
    if mode not in MODES:
        request.getfixturevalue(mode)
    random = np.random.default_rng(0)
    x, w, d = (
        tf.cast(random.normal(size=s), tf.bfloat16)
        for s in ((3, 2, 64), (5, 64) if transpose_b else (64, 5), (3, 2, 5))
    )
    exact_x, exact_w, exact_d = (tf.cast(a, tf.float64).numpy() for a in (x, w, d))
    if transpose_b:
        exact_w = exact_w.T

    def run(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = product(x, w, transpose_b=transpose_b)
            loss = tf.reduce_sum(y * tf.cast(d, y.dtype))
        return y, *tape.gradient(loss, [x, w])

    y, d_x, d_w = MODES.get(mode, tf.function)(run)(x, w)
    assert y.dtype == tf.float32 and {d_x.dtype, d_w.dtype} == {tf.bfloat16}
    np.testing.assert_allclose(y, exact_x @ exact_w, atol=1e-5)
    np.testing.assert_allclose(tf.cast(d_x, tf.float64), exact_d @ exact_w.T, rtol=0.01, atol=1e-2)
    exact = np.einsum("tbm,tbn->mn", exact_x, exact_d)
    np.testing.assert_allclose(
        tf.cast(d_w, tf.float64), exact.T if transpose_b else exact, rtol=0.01, atol=1e-2
    )


def test_one_product_for_each_gradient():
    def run(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            loss = tf.reduce_sum(product(x, w) ** 2)
        return tape.gradient(loss, [x, w])

    graph = tf.function(run).get_concrete_function(tf.zeros([7, 2, 4]), tf.zeros([4, 5])).graph
    assert [op.type for op in graph.get_operations()].count("MatMul") == 3
    assert not [op for op in graph.get_operations() if op.type.startswith("BatchMatMul")]
