"""What a step drops and what it holds: dropout and zoneout, given to a recurrence as masks."""

from typing import NamedTuple

import tensorflow as tf

from .gates import Norm, State, lstm_gates, plus
from .products import blocks


class Masks(NamedTuple):
    """The masks of all steps, [T, B, H] each, or of one [B, H]; None for one that does nothing.

    z  = W x_t + U (r_t h~_t) + b              with a mask r_t for each gate: U_g (r_tg h~_t)
    s^ = LSTM gates of z and c~_t, m_t on the candidate        `gates.lstm_gates`
    s_t = d_t s~_t + (1 - d_t) s^                              of h and of c
    """

    candidate: tf.Tensor | None = None  # m
    recurrent: tf.Tensor | None = None  # r; those of the four gates side by side, [..., 4H]
    held: State | None = None  # d
    kernel: tf.Tensor | None = None  # [H, 4H], on U itself; a layer applies it before all steps

    def at(self, steps: int | slice | tf.Tensor) -> "Masks":
        """Those of some steps, or of one."""
        of_steps = self._replace(kernel=None)
        return tf.nest.map_structure(lambda a: None if a is None else a[steps], of_steps)

    def dropped(self, h: tf.Tensor) -> tf.Tensor:
        """r h [..., H]; or that of each gate, [..., 4H]."""
        if self.recurrent is None:
            return h
        n_masks = self.recurrent.shape[-1] // h.shape[-1]
        return tf.concat([h] * n_masks, -1) * self.recurrent

    def d_dropped(self, d: tf.Tensor, size: int) -> tf.Tensor:
        """dL/dh [..., H = size] of dL/d(r h)."""
        if self.recurrent is None:
            return d
        return tf.add_n(tf.split(d * self.recurrent, d.shape[-1] // size, -1))

    def weights(self, kernel: tf.Tensor) -> tf.Tensor:
        """U [H, 4H] as it is used in a `product`; gate by gate [4, H, H] for a mask r of each."""
        if self.kernel is not None:
            kernel *= tf.cast(self.kernel, kernel.dtype)
        one = self.recurrent is None or self.recurrent.shape[-1] == kernel.shape[0]
        return kernel if one else blocks(kernel, 4)

    def step(self, z: tf.Tensor, connected: State, norm: Norm | None) -> State:
        """s_t, of z and s~_t."""
        new = lstm_gates(z, connected.c, norm, self.candidate)
        if self.held is None:
            return new
        mixes = zip(self.held, connected, new, strict=True)
        return State(*(d * old + (1 - d) * a for d, old, a in mixes))

    def d_new(self, d: State) -> State:
        """dL/ds^ of dL/ds_t."""
        return (
            d
            if self.held is None
            else State(*((1 - a) * b for a, b in zip(self.held, d, strict=True)))
        )

    def d_connected(self, adjoint: State, d: State) -> State:
        """dL/ds~_t, of what the gates send back, U dL/dz and their dL/dc~, and of dL/ds_t."""
        adjoint = State(self.d_dropped(adjoint.h, adjoint.c.shape[-1]), adjoint.c)
        if self.held is None:
            return adjoint
        return plus(adjoint, State(*(a * b for a, b in zip(self.held, d, strict=True))))
