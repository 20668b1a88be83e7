"""Warnings for an agent that is trained and would never learn, and for a reward without agents."""

import warnings
import weakref
from collections.abc import Sequence
from typing import Protocol

import keras
import tensorflow as tf

IN_A_MODEL = (
    "an agent that is being trained would never learn: its log-probabilities enter no loss. "
    "Train it with PolicyGradientModel in place of keras.Model, or read layer.trace right after "
    "the call and add losses.policy_gradient, or choose estimator='straight_through', or "
    "freeze it (trainable=False)"
)
UNDER_KERAS_RNN = (
    "an agent that is being trained would never learn: under keras.layers.RNN nothing reports its "
    "log-probabilities. Use DynamicSkipLSTM and PolicyGradientModel, or choose "
    "estimator='straight_through', or freeze it (trainable=False)"
)
NOBODY_LEARNS = (
    "no layer of this model learns from its reward: PolicyGradientModel trains it as keras.Model "
    "does. Use keras.Model, or a DynamicSkipLSTM with n_actions above 1, lamda above 0 and "
    "estimator='policy_gradient'"
)
NOT_CALLED = (
    "no layer with an agent drew its distances in this training step, or only in a tf.function that"
    " had been traced before: none of them learns. Call them in the model's call, without a"
    " tf.function, training=False or greedy=True"
)
EQUAL_SEEDS = (
    "several layers with an agent have seed={seed}: they draw the same numbers, so that their"
    " choices depend on each other and the agents' gradient is biased. Give each another seed"
)


def warn_of_equal_seeds(layers: Sequence[keras.layers.Layer]) -> None:
    """A warning where two layers of one model draw the same numbers."""
    given = [(one.seed, one.go_backwards) for one in layers if one.seed is not None]
    for seed, _ in sorted({one for one in given if given.count(one) > 1}):
        warnings.warn(EQUAL_SEEDS.format(seed=seed), stacklevel=1)


class Heard(Protocol):
    """Whether anybody has read what an agent did."""

    heard: bool


def warn_unless(by: Heard | None, message: str, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The same tensors, with a warning when their gradient is asked for and nobody has `heard`.

    By then a loss is complete. Python shows a warning once. `by`: None, nobody can have.
    """
    # TensorFlow keeps a graph's gradient functions for good, and the layer behind `by` with them
    found = (lambda: None) if by is None else weakref.ref(by)

    @tf.custom_gradient
    def same(*tensors: tf.Tensor):
        def gradient(*upstream: tf.Tensor):
            if not getattr(found(), "heard", False):
                warnings.warn(message, stacklevel=1)
            return upstream

        return [tf.identity(a) for a in tensors], gradient

    return same(*tensors)
