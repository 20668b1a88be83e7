"""The pointwise part of an LSTM step, from pre-activations to the new state, and its gradient."""

from typing import NamedTuple

import tensorflow as tf

from .shapes import expect

EPSILON = 1e-3  # of the released layer normalisation


class State(NamedTuple):
    """LSTM state: h and c, each [..., B, H]."""

    h: tf.Tensor
    c: tf.Tensor


def plus(a: State, b: State) -> State:
    """a + b."""
    return State(a.h + b.h, a.c + b.c)


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


def lstm_gates(
    z: tf.Tensor, c: tf.Tensor, norm: Norm | None = None, candidate_mask: tf.Tensor | None = None
) -> State:
    """One LSTM step behind its products (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

        i, f, g, o = z                               Keras' order of gates
        c' = sigmoid(f) * c + sigmoid(i) * m tanh(g)
        h' = sigmoid(o) * tanh(c')

    With `norm`, each gate's pre-activations and the c' inside the last tanh are layer-normalised
    over the H units. `candidate_mask` m is a dropout mask on the candidate: recurrent dropout
    without memory loss (Semeniuta et al. 2016).

    Args:
        z: pre-activations [B, 4H]. c: cell state [B, H]. candidate_mask: [B, H].
    Returns:
        h' and c', [B, H] each.
    """
    expect("[..., 4H] [..., H] [..., H]", z, c, candidate_mask)
    if norm is None:
        i, f, g, o = tf.split(z, 4, -1)
    else:
        i, f, g, o = tf.unstack(layer_norm(_by_gate(z), norm.gate_gain, norm.gate_offset), axis=-2)
    candidate = tf.tanh(g) if candidate_mask is None else tf.tanh(g) * candidate_mask
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * candidate
    output = c if norm is None else layer_norm(c, norm.state_gain, norm.state_offset)
    return State(tf.sigmoid(o) * tf.tanh(output), c)


class Slopes(NamedTuple):
    """Factors of `lstm_gates_gradient`.

    They do not depend on upstream gradients, so they are computed for all steps in one pass.
    """

    z: tf.Tensor  # [..., 4H] of the normalised pre-activations
    state: tf.Tensor  # [..., H] from h' to the argument of the last tanh
    forget: tf.Tensor  # [..., H] sigmoid(f)


def lstm_slopes(
    z: tf.Tensor,
    c: tf.Tensor,
    new_c: tf.Tensor,
    norm: Norm | None = None,
    candidate_mask: tf.Tensor | None = None,
) -> Slopes:
    """The derivatives of `lstm_gates`, as the factors of its transposed Jacobian.

    Args:
        z: pre-activations [..., 4H]. c, new_c: the cell state before and after [..., H].
            candidate_mask: [..., H].
    """
    output = new_c
    if norm is not None:
        z = tf.reshape(layer_norm(_by_gate(z), norm.gate_gain, norm.gate_offset), tf.shape(z))
        output = layer_norm(new_c, norm.state_gain, norm.state_offset)
    i, f, g, o = tf.split(z, 4, -1)
    i, f, g, o, output = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o), tf.tanh(output)
    d_i, d_g = g * i * (1 - i), i * (1 - g * g)
    if candidate_mask is not None:
        d_i, d_g = d_i * candidate_mask, d_g * candidate_mask
    return Slopes(
        tf.concat([d_i, c * f * (1 - f), d_g, output * o * (1 - o)], -1),
        o * (1 - output * output),
        f,
    )


def lstm_gates_gradient(
    d_h: tf.Tensor,
    d_c: tf.Tensor,
    slopes: Slopes,
    norm: Norm | None = None,
    z: tf.Tensor | None = None,
    new_c: tf.Tensor | None = None,
) -> tuple:
    """The transposed Jacobian of `lstm_gates`.

    From dL/dh' and dL/dc' [B, H] to dL/dz [B, 4H] and dL/dc [B, H]:

        dL/dc' += dL/dh' o (1 - tanh^2 c')
        dL/dz   = [dL/dc', dL/dc', dL/dc', dL/dh']
                  * [g i (1 - i), c f (1 - f), i (1 - g^2), tanh(c') o (1 - o)]
        dL/dc   = dL/dc' f                              i, f, g, o: the gates' values

    Args:
        slopes: of this step. norm, z [B, 4H], new_c [B, H]: where there is layer normalisation, it
            and what it normalised.
    Returns:
        dL/dz, dL/dc and, with `norm`, the gradients of its four tensors (else nothing).
    """
    d_output = d_h * slopes.state
    d_norm = ()
    if norm is not None:
        d_output, *d_state_norm = layer_norm_gradient(d_output, new_c, norm.state_gain)
    d_c += d_output
    d_z = tf.concat([d_c, d_c, d_c, d_h], -1) * slopes.z
    if norm is not None:
        d_z, *d_gate_norm = layer_norm_gradient(_by_gate(d_z), _by_gate(z), norm.gate_gain)
        d_z = tf.reshape(d_z, tf.shape(z))
        d_norm = (*d_gate_norm, *d_state_norm)
    return d_z, d_c * slopes.forget, *d_norm


def layer_norm_gradient(
    d_y: tf.Tensor, x: tf.Tensor, gain: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The transposed Jacobian of `layer_norm`.

    dL/dx, and dL/dgain and dL/doffset summed over the first axis:

    x^    = (x - mean) / sqrt(variance + 1e-3),   d = dL/dy * gain
    dL/dx = (d - mean(d) - x^ mean(d x^)) / sqrt(variance + 1e-3)
    """
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    scale = tf.math.rsqrt(variance + EPSILON)
    x_hat, d = (x - mean) * scale, d_y * gain
    d_x = scale * (
        d
        - tf.reduce_mean(d, -1, keepdims=True)
        - x_hat * tf.reduce_mean(d * x_hat, -1, keepdims=True)
    )
    return d_x, tf.reduce_sum(d_y * x_hat, 0), tf.reduce_sum(d_y, 0)


def _by_gate(z: tf.Tensor) -> tf.Tensor:
    """[..., 4H] -> [..., 4, H]."""
    return tf.reshape(z, tf.concat([tf.shape(z)[:-1], [4, z.shape[-1] // 4]], 0))
