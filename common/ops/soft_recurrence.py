"""The recurrence in which each step connects to the mean of its K past states.

The policy, under which the mean is taken, is differentiated too.

With the policy's view of the inputs p_t = W1x x_t + b1 of all steps done before the loop, and the
observation o_t = h_{t-1} or the mean of the K past h:

    a_t    = tanh(p_t + W1h o_t),    pi_t = softmax(W2 a_t + b2)
    w_t(k) = lamda pi_t(k) + (1 - lamda) [k = 1]

The reverse loop carries the adjoints of the observation d_t = dL/do_t too, which h_u gets from the
steps that saw it, and

    dL/dpi_t(k) = lamda <e_t, s_{t-k}>     and from there through the softmax, W2 and W1h

Behind it the gradient of each weight is one product.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from .gates import Norm, State
from .loops import empty, slots
from .masks import Masks
from .products import product, through, weight_gradient
from .recurrence import Kept, Recurrence


class Attention(NamedTuple):
    """The policy over the K past states, all of it with a gradient."""

    projected: tf.Tensor  # [T, B, A] W1x x + b1
    recurrent_kernel: tf.Tensor  # [H, A] W1h
    action_kernel: tf.Tensor  # [A, K] W2
    action_bias: tf.Tensor  # [K] b2


class AttentionRecurrence(Recurrence):
    """Runs the recurrence over a sequence; K is above 1."""

    def __call__(
        self,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        norm: Norm | None,
        masks: Masks,
        attention: Attention,
    ) -> tuple[State, tf.Tensor]:
        """The states of all steps [K + T, B, H] (`past` first) and pi [T, B, K].

        pi has no gradient of its own. The arguments are those of `Recurrence._run`.
        """
        states, probs = self._run(projected, recurrent_kernel, past, norm, masks, attention)
        return states, tf.stop_gradient(probs)

    def _arrays(self, n_steps: tf.Tensor, batch: int | None, policy: Attention):
        widths = self.n_actions, policy.projected.shape[2]
        return [empty(n_steps, policy.projected.dtype, [batch, width]) for width in widths]

    def _connect(self, t: tf.Tensor, latest: State, read: Callable, policy: Attention, given: None):
        window = read()
        seen = self._seen_now(latest.h, window.h)
        probs, hidden = self._attend(policy.projected[t], policy[1:], seen)
        weights = tf.transpose(tf.reverse(probs, [1]))[:, :, None]  # slot j is distance K - j
        attended = State(*(tf.reduce_sum(weights * a, 0) for a in window))
        return self._mix(attended, latest), (probs, hidden)

    def _attend(self, projected: tf.Tensor, weights: tuple, seen: tf.Tensor):
        """pi [B, K] and the hidden layer [B, A]."""
        recurrent_kernel, action_kernel, action_bias = weights
        hidden = tf.tanh(projected + product(seen, recurrent_kernel))
        return tf.nn.softmax(product(hidden, action_kernel) + action_bias), hidden

    def _mixes(self, states: State, chosen: tuple):
        weights = self._weights(tf.transpose(chosen[0], [0, 2, 1]))
        n_actions = self.n_actions

        def mixed(a: tf.Tensor):
            at = [a[n_actions - k : -k] for k in range(1, n_actions + 1)]
            return tf.add_n([weights[:, k, :, None] * at[k] for k in range(n_actions)])

        return weights, State(*map(mixed, states))

    def _reverse(self, xla: bool, kept: Kept, policy: Attention):
        states, (probs, hidden) = kept.states, kept.chosen
        slopes = 1 - hidden * hidden
        through_w2 = through(policy.action_kernel, xla)
        through_w1 = through(policy.recurrent_kernel, xla)

        def step(t: tf.Tensor, adjoint: State):
            at = t + tf.range(self.n_actions)
            products = (tf.gather(a, at) * e for a, e in zip(states, adjoint, strict=True))
            d_probs = self.lamda * tf.reduce_sum(tf.add_n(list(products)), -1)  # [K, B], by slot
            d_probs = tf.reverse(tf.transpose(d_probs), [1])
            d_logits = probs[t] * (d_probs - tf.reduce_sum(probs[t] * d_probs, -1, keepdims=True))
            d_hidden = through_w2(d_logits) * slopes[t]
            return (through_w1(d_hidden),), (d_logits, d_hidden)

        return step, [states.h], [probs, hidden]

    def _sent(self, shares: tf.Tensor, read: Callable, u: tf.Tensor) -> State:
        h, c = super()._sent(shares, read, u)
        ahead = slots(u + 1, self.n_seen)
        return State(h + tf.reduce_mean(read(2, ahead), -3), c)

    def _d_policy(self, kept: Kept, policy: Attention, adjoints: State, written: list):
        d_logits, d_hidden = written
        return Attention(
            d_hidden,
            weight_gradient(self.seen(kept.states.h), d_hidden, policy.recurrent_kernel),
            weight_gradient(kept.chosen[1], d_logits, policy.action_kernel),
            tf.reduce_sum(d_logits, [0, 1]),
        )

    def _mixed(self, policy: tuple, chosen: tuple, window: list):
        probs, _ = self._attend(policy[0], policy[1:], self._seen_in(window))
        # No transpose: in a loop, XLA cannot compile the gradient of its gradient.
        weights = self.lamda * probs + (1 - self.lamda) * tf.one_hot(
            0, self.n_actions, dtype=probs.dtype
        )
        return tf.unstack(weights, axis=1)
