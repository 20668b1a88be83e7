"""The recurrence with soft skip connections and its hand-written gradient: `recurrence.py`, with a
policy that is differentiated too.

With s = (h, c), the agent's view of the inputs p_t = W1x x_t + b1 of all steps done before the
loop, and the observation o_t = h_{t-1} or the mean of the K past h:

    a_t  = tanh(p_t + W1h o_t),    pi_t = softmax(W2 a_t + b2)
    w_t  = lamda pi_t + (1 - lamda) [k = 1]
    s~_t = sum_k w_t(k) s_{t-k}
    z_t  = (W x_t + b) + U h~_t,   s_t = gates(z_t, c~_t)

The reverse loop carries the adjoints e_t = dL/ds~_t and, of the observation, d_t = dL/do_t:

    dL/ds_u     = (from outside) + sum_k w_{u+k}(k) e_{u+k}   and on h the d_t of those who saw it
    dL/dpi_t(k) = lamda <e_t, s_{t-k}>                        and through softmax, W2 and W1h on

Behind it the gradient of each weight is one product. What `recurrence.py` says of XLA and of
buffers goes for these loops too.
"""

from typing import NamedTuple

import tensorflow as tf

from .gates import Norm, Slopes, lstm_gates, lstm_gates_gradient, lstm_slopes
from .loops import loop
from .products import product, weight_gradient
from .recurrence import State, buffer, plus, previous_share, scaled, shares_by_source, weighted
from .second_order import second_order
from .sequence_gradient import compiled, compiles, differentiable


class Attention(NamedTuple):
    """The policy over the K past states, all of it with a gradient."""

    projected: tf.Tensor  # [T, B, A] W1x x + b1
    recurrent_kernel: tf.Tensor  # [H, A] W1h
    action_kernel: tf.Tensor  # [A, K] W2
    action_bias: tf.Tensor  # [K] b2


class _Kept(NamedTuple):
    """What the reverse loop needs of the forward one."""

    states: State  # [K + T, B, H]
    z: tf.Tensor  # [T, B, 4H]
    hidden: tf.Tensor  # [T, B, A] a
    probs: tf.Tensor  # [T, B, K] pi


class AttentionRecurrence:
    """Runs the recurrence over a sequence.

    Args:
        n_actions: K, above 1. lamda: weight of the attended states. n_seen: how many past h the
            observation is the mean of, 1 or K.
        jit_compile: compile both loops with XLA, also where the caller is eager or a plain graph;
            None: as `compiles` says.
    """

    unroll = False

    def __init__(self, n_actions: int, lamda: float, n_seen: int, jit_compile: bool | None = True):
        self.n_actions, self.lamda, self.n_seen, self.jit_compile = (
            n_actions,
            lamda,
            n_seen,
            jit_compile,
        )
        self._forward, self._backward = compiled(self._forward_loop), compiled(self._backward_loop)

    def __call__(
        self,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        norm: Norm | None,
        candidate_mask: tf.Tensor | None,
        attention: Attention,
    ) -> tuple[State, tf.Tensor]:
        """The states of all steps [K + T, B, H] (`past` first) and pi [T, B, K], which has no
        gradient of its own.

        Args:
            projected: W x + b of all steps [T, B, 4H] float32.
            recurrent_kernel: U [H, 4H]; its dtype is that of the products with it.
            past: the K states before the sequence [K, B, H] float32, oldest first.
            norm: layer normalisation, or None. candidate_mask: dropout masks [T, B, H], or None.
        """
        xla = compiles(self.jit_compile, projected.shape[0])

        def forward(inputs: tuple):
            kept = self._forward(xla, *inputs, candidate_mask)
            return (*kept.states, kept.probs), kept

        def backward(inputs: tuple, kept: _Kept, d_states: tuple):
            return self._backward(
                xla, State(*d_states), kept, *inputs[1:2], *inputs[3:], candidate_mask
            )

        def second(inputs: tuple, _: _Kept, d_states: tuple, w: tuple):
            return second_order(
                self.n_actions, self._split, self._step, (candidate_mask,), inputs, d_states, w
            )

        h, c, probs = differentiable(
            (projected, recurrent_kernel, past, norm, attention), forward, backward, second
        )
        return State(h, c), tf.stop_gradient(probs)

    def _forward_loop(
        self,
        xla: bool,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        norm: Norm | None,
        attention: Attention,
        candidate_mask: tf.Tensor | None,
    ):
        n_steps, n_actions = tf.shape(projected)[0], self.n_actions

        def step(t: tf.Tensor, state: State, history: State, kept: list[tf.TensorArray]):
            window = State(*(a.gather(t + tf.range(n_actions)) for a in history))
            seen = state.h if self.n_seen == 1 else tf.reduce_mean(window.h, 0)
            hidden = tf.tanh(attention.projected[t] + product(seen, attention.recurrent_kernel))
            probs = tf.nn.softmax(product(hidden, attention.action_kernel) + attention.action_bias)
            weights = tf.transpose(tf.reverse(probs, [1]))[:, :, None]  # slot j is distance K - j
            attended = State(*(tf.reduce_sum(weights * a, 0) for a in window))
            h, c = (
                attended
                if self.lamda == 1
                else plus(scaled(self.lamda, attended), scaled(1 - self.lamda, state))
            )
            z = projected[t] + product(h, recurrent_kernel)
            state = State(
                *lstm_gates(z, c, norm, None if candidate_mask is None else candidate_mask[t])
            )
            # shapes as the loop enters with
            state = State(
                *(tf.ensure_shape(a, b.shape[1:]) for a, b in zip(state, past, strict=True))
            )
            history = State(
                *(a.write(n_actions + t, b) for a, b in zip(history, state, strict=True))
            )
            return (
                t + 1,
                state,
                history,
                [a.write(t, b) for a, b in zip(kept, (z, hidden, probs), strict=True)],
            )

        history = State(*(buffer(tf.pad(a, [[0, n_steps], [0, 0], [0, 0]])) for a in past))
        batch = projected.shape[1]
        widths = (projected.shape[2], attention.projected.shape[2], n_actions)
        kept = [
            tf.TensorArray(tf.float32, n_steps, element_shape=[batch, width]) for width in widths
        ]
        start = (0, State(past.h[-1], past.c[-1]), history, kept)
        _, _, history, kept = loop(projected.shape[0] if self.unroll else n_steps, step, start)
        z, *rest = (a.stack() for a in kept)
        return _Kept(
            State(history.h.stack(), history.c.stack()), tf.ensure_shape(z, projected.shape), *rest
        )

    def _backward_loop(
        self,
        xla: bool,
        d_states: State,
        kept: _Kept,
        recurrent_kernel: tf.Tensor,
        norm: Norm | None,
        attention: Attention,
        candidate_mask: tf.Tensor | None,
    ):
        states, z, hidden, probs = kept
        n_steps, n_actions, n_seen = tf.shape(z)[0], self.n_actions, self.n_seen
        # [T, K, B]
        weights = self.lamda * tf.transpose(probs, [0, 2, 1]) + previous_share(
            n_actions, self.lamda
        )
        distances = range(1, n_actions + 1)
        # s_{t-k} of all steps
        at = [
            State(*(a[n_actions - k : n_actions - k + n_steps] for a in states)) for k in distances
        ]
        connected = State(
            *(
                tf.add_n([weights[:, k - 1, :, None] * at[k - 1][n] for k in distances])
                for n in range(2)
            )
        )
        new_c = states.c[n_actions:]
        slopes = lstm_slopes(z, connected.c, new_c, norm, candidate_mask)
        slopes_hidden = 1 - hidden * hidden
        shares = shares_by_source(weights)
        ahead, seen_by = tf.range(1, n_actions + 1), tf.range(1, n_seen + 1)
        # XLA transposes for nothing; a graph would do it anew at every step.
        kernels = [recurrent_kernel, attention.action_kernel, attention.recurrent_kernel]
        transposed = None if xla else [tf.transpose(kernel) for kernel in kernels]

        def back(d: tf.Tensor, n: int):
            return (
                product(d, kernels[n], transpose_b=True)
                if transposed is None
                else product(d, transposed[n])
            )

        def pull(window: tf.Tensor, u: tf.Tensor):
            """What the next K steps, with adjoints [K, B, H], send back to step u [B, H]."""
            return tf.reduce_sum(shares[n_actions + u][:, :, None] * window, 0)

        def step(
            i: tf.Tensor,
            adjoints: State,
            d_seens: tf.TensorArray,
            kept: list[tf.TensorArray],
            d_norm: list[tf.Tensor],
        ):
            t = n_steps - 1 - i  # the loop counts up, so that XLA knows its trip count
            d_h, d_c = plus(
                State(*(a[n_actions + t] for a in d_states)),
                State(*(pull(a.gather(t + ahead), t) for a in adjoints)),
            )
            d_h += tf.reduce_mean(d_seens.gather(t + seen_by), 0)
            normalised = () if norm is None else (norm, z[t], new_c[t])
            dz, d_c, *dn = lstm_gates_gradient(
                d_h, d_c, Slopes(*(a[t] for a in slopes)), *normalised
            )
            adjoint = State(back(dz, 0), d_c)
            window = State(*(tf.gather(a, t + tf.range(n_actions)) for a in states))
            # [K, B], by slot
            d_probs = self.lamda * tf.reduce_sum(window.h * adjoint.h + window.c * adjoint.c, -1)
            d_probs = tf.reverse(tf.transpose(d_probs), [1])
            d_logits = probs[t] * (d_probs - tf.reduce_sum(probs[t] * d_probs, -1, keepdims=True))
            d_hidden = back(d_logits, 1) * slopes_hidden[t]
            adjoints = State(*(a.write(t, b) for a, b in zip(adjoints, adjoint, strict=True)))
            kept = [a.write(t, b) for a, b in zip(kept, (dz, d_logits, d_hidden), strict=True)]
            return (
                i + 1,
                adjoints,
                d_seens.write(t, back(d_hidden, 2)),
                kept,
                [a + b for a, b in zip(d_norm, dn, strict=True)],
            )

        *adjoints, d_seens = (buffer(tf.zeros_like(states.h)) for _ in range(3))
        kept = [
            tf.TensorArray(tf.float32, n_steps, element_shape=a.shape[1:])
            for a in (z, probs, hidden)
        ]
        start = (0, State(*adjoints), d_seens, kept, [tf.zeros_like(n) for n in norm or ()])
        _, adjoints, d_seens, kept, d_norm = loop(
            z.shape[0] if self.unroll else n_steps, step, start
        )
        dz, d_logits, d_hidden = (a.stack() for a in kept)

        # Steps -K..K-1, of which those before the sequence were none.
        of_h, of_c, of_seen = (
            tf.pad(a.stack()[:n_actions], [[n_actions, 0], [0, 0], [0, 0]])
            for a in (*adjoints, d_seens)
        )
        before = tf.map_fn(
            lambda j: [
                pull(tf.gather(of_h, j + ahead), j - n_actions)
                + tf.reduce_mean(tf.gather(of_seen, j + seen_by), 0),
                pull(tf.gather(of_c, j + ahead), j - n_actions),
            ],
            tf.range(n_actions),
            fn_output_signature=[tf.float32, tf.float32],
        )
        d_past = State(*(a[:n_actions] + b for a, b in zip(d_states, before, strict=True)))
        seen = tf.add_n([one.h for one in at[:n_seen]]) / n_seen
        d_attention = Attention(
            d_hidden,
            weight_gradient(seen, d_hidden, tf.float32),
            weight_gradient(hidden, d_logits, tf.float32),
            tf.reduce_sum(d_logits, [0, 1]),
        )
        return (
            dz,
            weight_gradient(connected.h, dz, recurrent_kernel.dtype),
            d_past,
            d_norm,
            d_attention,
        )

    def _split(self, inputs: tuple):
        """For `second_order`."""
        projected, recurrent_kernel, past, norm, attention = inputs
        return (
            tuple(past),
            (projected, attention.projected),
            (recurrent_kernel, norm, attention[1:]),
        )

    def _step(self, window: list[tuple], own: tuple, of_all: tuple, given: tuple):
        """A step as TensorFlow alone differentiates it. For `second_order`."""
        (
            (projected, viewed),
            (recurrent_kernel, norm, (kernel, action_kernel, action_bias)),
            (candidate_mask,),
        ) = (own, of_all, given)
        seen = tf.add_n([h for h, _ in window[-self.n_seen :]]) / self.n_seen
        probs = tf.nn.softmax(
            product(tf.tanh(viewed + product(seen, kernel)), action_kernel) + action_bias
        )
        weights = self.lamda * probs + (1 - self.lamda) * tf.one_hot(0, self.n_actions)
        h, c = weighted(tf.unstack(weights, axis=1), window)
        return lstm_gates(projected + product(h, recurrent_kernel), c, norm, candidate_mask)
