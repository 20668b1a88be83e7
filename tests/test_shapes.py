"""Shapes by letters: what fits, what does not, and what a graph does not know yet."""

import pytest
import tensorflow as tf

from common import losses
from common.ops.agent import Trace
from common.ops.shapes import expect


def test_what_fits():
    z = tf.zeros
    expect("[B, T] [B, T, K] []", z([2, 3]), z([2, 3, 5]), z([]))
    expect("[..., 4H] [..., H]", z([2, 3, 8]), z([7, 2]))
    expect("[B, T] [B]", z([2, 3]), None)

    @tf.function(input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec(None)])
    def unknown(a, b):
        expect("[B, T] [B, 4T]", a, b)
        return a

    unknown(z([5, 3]), z([1]))


@pytest.mark.parametrize(
    "shapes, sizes",
    [
        ("[B, T] [B, T]", ([2, 3], [3, 2])),
        ("[B, T] [B]", ([2, 3], [2, 1])),
        ("[..., 4H] [..., H]", ([2, 8], [2, 4])),
        ("[..., B, K] [...]", ([3], [])),
    ],
)
def test_what_does_not(shapes, sizes):
    tensors = [tf.zeros(size) for size in sizes]
    with pytest.raises(ValueError, match=r"expected tensors of shapes \[.*received \("):
        expect(shapes, *tensors)
    with pytest.raises(ValueError, match="expected tensors of shapes"):
        tf.function(lambda *a: expect(shapes, *a))(*tensors)


def test_a_public_function_says_what_it_takes():
    a = tf.zeros([2, 3])
    trace = Trace(tf.ones([2, 3], tf.int32), a, a, tf.zeros([2, 3, 4]), a)
    with pytest.raises(ValueError, match=r"\[B, T\].*received .*\(3, 2\)"):
        losses.policy_gradient(trace, tf.zeros([3, 2]))
