"""Estimators of the agent's gradient that learn from the task's loss, without a reward.

A step draws k ~ pi = softmax(a) and mixes its past states under the weights onehot(k). Back-
propagation gives g = dL/d onehot(k), [K]: what more of each state would have changed. A surrogate
is a function of a and k whose Jacobian stands in for that of the sample, which has none:

    dL/da = (d surrogate / da)^T g

The names, and which estimators learn from a reward, stand in `choices.ESTIMATORS`.
"""

from collections.abc import Callable

import tensorflow as tf

Surrogate = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # logits [..., K], k [...] -> [..., K]


def straight_through(logits: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """pi: the gradient of the mean in place of the sample's (Bengio et al. 2013).

    Biased: exact where the loss is linear in the weights.
    """
    return tf.nn.softmax(logits)


def reinmax(logits: tf.Tensor, distances: tf.Tensor) -> tf.Tensor:
    """2 pi' - pi / 2, where pi' = (onehot(k) + pi) / 2 moves with a as a softmax does.

    (Liu et al. 2023, "Bridging discrete and backpropagation: straight-through and beyond",
    algorithm 2.) Exact where the loss is quadratic in the weights.
    """
    pi = tf.nn.softmax(logits)
    halfway = (tf.one_hot(distances - 1, logits.shape[-1], dtype=pi.dtype) + pi) / 2
    # of a distance that a logit of -inf rules out, -inf less -inf is no number
    shift = tf.where(tf.math.is_finite(logits), tf.math.log(halfway) - logits, 0.0)
    moving = tf.nn.softmax(logits + tf.stop_gradient(shift))
    return 2 * moving - pi / 2


SURROGATES: dict[str, Surrogate] = {"straight_through": straight_through, "reinmax": reinmax}
