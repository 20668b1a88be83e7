"""The pointwise part of an LSTM step: from pre-activations to the new state."""

from typing import NamedTuple

import tensorflow as tf

EPSILON = 1e-3  # of the released layer normalisation


class Norm(NamedTuple):
    """Gains and offsets of the released cell's layer normalisation."""

    gate_gain: tf.Tensor  # [4, H]
    gate_offset: tf.Tensor  # [4, H]
    state_gain: tf.Tensor  # [H]
    state_offset: tf.Tensor  # [H]


def layer_norm(x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """gain * (x - mean) / sqrt(variance + 1e-3) + offset, over the last axis (Ba et al. 2016)."""
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + EPSILON) * gain + offset


def lstm_gates(z: tf.Tensor, c: tf.Tensor, norm: Norm | None = None, candidate_mask: tf.Tensor | None = None):
    """One LSTM step behind its products (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

        i, f, g, o = z                               Keras' order of gates
        c' = sigmoid(f) * c + sigmoid(i) * m tanh(g)
        h' = sigmoid(o) * tanh(c')

    With `norm`, each gate's pre-activations and the c' inside the last tanh are layer-normalised over the H units. `candidate_mask` m is a
    dropout mask on the candidate: recurrent dropout without memory loss (Semeniuta et al. 2016).

    Args:
        z: pre-activations [B, 4H]. c: cell state [B, H]. candidate_mask: [B, H].
    Returns:
        h' and c', [B, H] each.
    """
    if norm is None:
        i, f, g, o = tf.split(z, 4, -1)
    else:
        z = tf.reshape(z, [-1, 4, z.shape[-1] // 4])
        i, f, g, o = tf.unstack(layer_norm(z, norm.gate_gain, norm.gate_offset), axis=1)
    candidate = tf.tanh(g) if candidate_mask is None else tf.tanh(g) * candidate_mask
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * candidate
    output = c if norm is None else layer_norm(c, norm.state_gain, norm.state_offset)
    return tf.sigmoid(o) * tf.tanh(output), c
