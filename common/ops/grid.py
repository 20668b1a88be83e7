"""The block of a Grid LSTM (Kalchbrenner et al. 2016), of any number of dimensions."""

from collections.abc import Sequence

import tensorflow as tf

from .shapes import expect


def transform(z: tf.Tensor, m: tf.Tensor) -> list[tf.Tensor]:
    """The new hidden and memory vector [..., H], of V H + b [..., 4H] and a memory vector.

    i, f, g, o = V H + b,   m' = sigmoid(f) m + sigmoid(i) tanh(g),   h' = tanh(sigmoid(o) m')
    """
    i, f, g, o = tf.split(z, 4, -1)
    m = tf.sigmoid(f) * m + tf.sigmoid(i) * tf.tanh(g)
    return [tf.tanh(tf.sigmoid(o) * m), m]


def grid_block(
    hs: Sequence[tf.Tensor],
    ms: Sequence[tf.Tensor],
    weights: Sequence[tuple[tf.Tensor, tf.Tensor | None]],
    priority: int | None = None,
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """The vectors that leave a block along its N dimensions, of those that enter.

        H = [h_1; ..; h_N],   h'_i, m'_i = transform(V_i H + b_i, m_i)

    Args:
        hs, ms: hidden and memory vectors [B, H] of each dimension.
        weights: V [N H, 4H] and b [4H] (or None) of each dimension.
        priority: a dimension that is computed last, with the h' of the others in its H.

    Returns:
        h' and m' [B, H] of each dimension.
    """
    seen, new = list(hs), {}
    for n in sorted(range(len(hs)), key=lambda n: n == priority):
        if n == priority:
            seen = [new[i][0] if i in new else h for i, h in enumerate(hs)]
        kernel, bias = weights[n]
        expect("[B, H] [B, H] [N, 4H]", hs[n], ms[n], kernel)
        z = tf.concat(seen, -1) @ kernel
        new[n] = transform(z if bias is None else z + bias, ms[n])
    return tuple([new[n][part] for n in range(len(hs))] for part in (0, 1))
