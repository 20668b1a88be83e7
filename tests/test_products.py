"""common/products.py against NumPy, and that a sequence's product has no gradient of T products."""

import numpy as np
import tensorflow as tf

from common.products import product, weight_gradient


def test_product_and_its_gradient():
    random = np.random.default_rng(0)
    x, w, d = random.normal(size=(3, 2, 4)), random.normal(size=(4, 5)), random.normal(size=(3, 2, 5))
    x, w = tf.constant(x), tf.constant(w)
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = product(x, w)
        loss = tf.reduce_sum(y * d)
    d_x, d_w = tape.gradient(loss, [x, w])
    np.testing.assert_allclose(y, np.einsum("tbm,mn->tbn", x, w))
    np.testing.assert_allclose(d_x, np.einsum("tbn,mn->tbm", d, w))
    np.testing.assert_allclose(d_w, np.einsum("tbm,tbn->mn", x, d))
    np.testing.assert_allclose(weight_gradient(x, tf.constant(d), tf.float64), d_w)
    np.testing.assert_allclose(product(tf.constant(d[0]), w, transpose_b=True), d[0] @ w.numpy().T)


def test_narrow_products_give_wide_sums():
    result = product(tf.ones([2, 3, 4]), tf.ones([4, 5], tf.bfloat16))
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, np.full((2, 3, 5), 4.0))


def test_one_product_for_each_gradient():
    def run(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            loss = tf.reduce_sum(product(x, w) ** 2)
        return tape.gradient(loss, [x, w])

    graph = tf.function(run).get_concrete_function(tf.zeros([7, 2, 4]), tf.zeros([4, 5])).graph
    assert [op.type for op in graph.get_operations()].count("MatMul") == 3
    assert not [op for op in graph.get_operations() if op.type.startswith("BatchMatMul")]
