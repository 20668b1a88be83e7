"""The whole-sequence recurrence and its hand-written gradient, for any choice of connections.

A step mixes its K past states s = (h, c) under weights w_t(k), which a subclass decides upon:

    s~_t = sum_k w_t(k) s_{t-k}
    z_t  = (W x_t + b) + U h~_t
    s_t  = gates(z_t, c~_t)                 dropout and zoneout change this: `masks.Masks`

Arrays are time-major. All that does not depend on the state is done outside the loops: before the
forward loop the products of the inputs, before the reverse loop the slopes of the gates, after it
the gradients of W and U, one product each. The reverse loop only carries the adjoints e_t =
dL/ds~_t and pulls them along the connections that were made:

    dL/ds_u     = (from outside) + sum_k w_{u+k}(k) e_{u+k}
    dz_t, dc~_t = gates' transposed Jacobian applied to dL/ds_t    `gates.lstm_gates_gradient`
    e_t         = (U dz_t, dc~_t)
    dL/dU       = sum_t h~_t^T dz_t                                one product [H, TB] x [TB, 4H]

Both loops read K slots of their buffers and write one; nothing is shifted or scattered. What they
read they gather, and the latest state is carried beside the buffers: XLA fuses a plain slice into
whatever uses it, also behind the write, and would then copy the whole buffer at every step. h and c
have a buffer each, because XLA computes what is concatenated one number at a time.

How TensorFlow is told of this gradient, and of its gradient, is in `sequence_gradient.py`,
`second_order.py` and `pfor_patches.py`, none of which is needed to understand the method.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from .gates import Norm, Slopes, State, lstm_gates, lstm_gates_gradient, lstm_slopes, plus
from .loops import Array, buffer, empty, loop, shares_by_source, slots, written
from .masks import Masks
from .products import product, through, weight_gradient
from .second_order import second_order
from .sequence_gradient import TwoLoops, differentiable


class Kept(NamedTuple):
    """What the reverse loop needs of the forward one."""

    states: State  # [K + T, B, H]
    z: tf.Tensor  # [T, B, 4H]
    chosen: tuple  # of the policy, [T, B, ...] each; the first is an output of the recurrence


class Recurrence(TwoLoops):
    """Runs a recurrence over a sequence; a subclass has the policy.

    Args:
        n_actions: K. lamda: share of what the policy chooses; the previous state has the rest.
        n_seen: how many past h the policy's observation is the mean of, 1 or K.

    With `unroll` the steps are copies of each other in place of a loop.
    """

    unroll = False

    def __init__(self, n_actions: int, lamda: float, n_seen: int = 1):
        super().__init__()
        self.n_actions, self.lamda, self.n_seen = n_actions, lamda, n_seen

    # ------------------------------------------------------------------------ what a policy is

    def _arrays(self, n_steps: tf.Tensor, batch: int | None, policy: Any) -> list[Array]:
        """Where the forward loop writes what the policy chose."""
        raise NotImplementedError

    def _connect(
        self, t: tf.Tensor, latest: State, read: Callable, policy: Any, given: Any
    ) -> tuple[State, tuple]:
        """s~_t [B, H], and what was chosen; `read()` gives the K past states [K, B, H]."""
        raise NotImplementedError

    def _mixes(self, states: State, chosen: tuple) -> tuple[tf.Tensor, State]:
        """w [T, K, B] and s~ [T, B, H] of all steps."""
        raise NotImplementedError

    def _reverse(self, xla: bool, kept: Kept, policy: Any) -> tuple[Callable, list, list]:
        """A differentiated policy's part of the reverse loop, and tensors of its arrays' shapes.

        It is a function of t and e_t -> what the loop keeps for `_sent`, and what else it writes.
        """
        return lambda t, adjoint: ((), ()), [], []

    def _d_policy(self, kept: Kept, policy: Any, adjoints: State, written: list) -> Any:
        """dL/dpolicy, in its structure."""
        raise NotImplementedError

    def _mixed(self, policy: tuple | None, chosen: tuple, window: list) -> list[tf.Tensor]:
        """The weights [B] of the distances 1..K in one step, as TensorFlow differentiates them.

        policy, chosen: those of the step. window: its K past states (h, c), oldest first.
        """
        raise NotImplementedError

    # ---------------------------------------------------------------------------- both loops

    def _run(
        self,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        norm: Norm | None,
        masks: Masks,
        policy: Any,
        given: Any = None,
    ) -> tuple[State, tf.Tensor]:
        """The states of all steps [K + T, B, H] (`past` first), and what was chosen (no gradient).

        Args:
            projected: W x + b of all steps [T, B, 4H] float32, or float64 as all else.
            recurrent_kernel: U as `Masks.weights` gives it; its dtype is that of the products.
            past: the K states before the sequence [K, B, H] float32, oldest first.
            norm: layer normalisation, or None. masks: dropout and zoneout.
            policy, given: what `_connect` takes, with and without a gradient.
        """
        n_steps, batch = projected.shape[:2]
        xla, any_length = self.how(n_steps)
        any_length = any_length and not self.unroll

        def forward(inputs: tuple, fixed: tuple):
            kept = self._forward(xla, any_length, *inputs, *fixed)
            for a in (kept.z, *kept.chosen):  # a loop for any length does not know this one
                a.set_shape([n_steps, batch, *a.shape[2:]])
            for a in kept.states:
                a.set_shape([n_steps and self.n_actions + n_steps, batch, a.shape[2]])
            return (*kept.states, kept.chosen[0]), kept

        def backward(inputs: tuple, fixed: tuple, kept: Kept, d_states: tuple):
            _, recurrent_kernel, _, norm, policy = inputs
            of_loop = recurrent_kernel, norm, policy, fixed[0]
            dz, h, *rest = self._backward(xla, any_length, State(*d_states), kept, *of_loop)
            return dz, weight_gradient(h, dz, recurrent_kernel), *rest

        def second(inputs: tuple, fixed: tuple, kept: Kept, d_states: tuple, w: tuple):
            of_steps = fixed[0], kept.chosen
            how = self.n_actions, self._split, self._step, of_steps
            return second_order(*how, inputs, d_states, w)

        inputs = projected, recurrent_kernel, past, norm, policy
        h, c, chosen = differentiable(inputs, (masks, given), forward, backward, second)
        return State(h, c), chosen

    def _forward_loop(
        self,
        xla: bool,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        norm: Norm | None,
        policy: Any,
        masks: Masks,
        given: Any,
    ):
        n_steps, n_actions = self._n_steps(projected), self.n_actions

        def step(t: tf.Tensor, state: State, history: State, zs: Array, chosen: list):
            def read():
                return State(*(a.gather(slots(t, n_actions)) for a in history))

            connected, choice = self._connect(t, state, read, policy, given)
            now = masks.at(t)
            z = projected[t] + product(now.dropped(connected.h), recurrent_kernel)
            state = now.step(z, connected, norm)
            # shapes as the loop enters with
            state = State(*map(tf.ensure_shape, state, (a.shape[1:] for a in past)))
            history = State(*written(history, n_actions + t, state))
            return t + 1, state, history, zs.write(t, z), written(chosen, t, choice)

        pad = [[0, n_steps], [0, 0], [0, 0]]
        history = State(*(buffer(tf.pad(a, pad), n_steps) for a in past))
        zs = empty(n_steps, projected.dtype, projected.shape[1:])
        chosen = self._arrays(n_steps, projected.shape[1], policy)
        start = 0, State(past.h[-1], past.c[-1]), history, zs, chosen
        *_, history, zs, chosen = loop(n_steps, step, start)
        chosen = [a.stack() for a in chosen]
        return Kept(
            State(history.h.stack(), history.c.stack()),
            tf.ensure_shape(zs.stack(), projected.shape),
            tuple(tf.ensure_shape(a, [projected.shape[0], *a.shape[1:]]) for a in chosen),
        )

    def _backward_loop(
        self,
        xla: bool,
        d_states: State,
        kept: Kept,
        recurrent_kernel: tf.Tensor,
        norm: Norm | None,
        policy: Any,
        masks: Masks,
    ):
        states, z, chosen = kept
        n_steps, n_actions = self._n_steps(z), self.n_actions
        weights, connected = self._mixes(states, chosen)
        shares = shares_by_source(weights)
        new_c = states.c[n_actions:]
        if masks.held is not None:  # it is not what the gates gave
            new_c = lstm_gates(z, connected.c, norm, masks.candidate).c
        slopes = lstm_slopes(z, connected.c, new_c, norm, masks.candidate)
        through_u = through(recurrent_kernel, xla)
        of_policy, like_sent, like_written = self._reverse(xla, kept, policy)

        def step(i: tf.Tensor, adjoint: State, sent: list, others: list, d_norm: list):
            t = n_steps - 1 - i  # the loop counts up, so that XLA knows its trip count
            received = adjoint  # K = 1
            if n_actions > 1:
                received = self._sent(shares, lambda n, at: sent[n].gather(at), t)
            now, d = masks.at(t), plus(State(*(a[n_actions + t] for a in d_states)), received)
            normalised = () if norm is None else (norm, z[t], new_c[t])
            slopes_t = Slopes(*(a[t] for a in slopes))
            dz, d_c, *dn = lstm_gates_gradient(*now.d_new(d), slopes_t, *normalised)
            adjoint = now.d_connected(State(through_u(dz), d_c), d)
            to_send, other = of_policy(t, adjoint)
            sent = written(sent, t, (*adjoint, *to_send))
            others = written(others, t, (dz, *other))
            return i + 1, adjoint, sent, others, [a + b for a, b in zip(d_norm, dn, strict=True)]

        sent = [buffer(tf.zeros_like(a), n_steps) for a in (*states, *like_sent)]
        others = [empty(n_steps, a.dtype, a.shape[1:]) for a in (z, *like_written)]
        zeros = tf.zeros_like(states.h[0])
        start = 0, State(zeros, zeros), sent, others, [tf.zeros_like(n) for n in norm or ()]
        *_, sent, others, d_norm = loop(n_steps, step, start)

        sent = [a.stack() for a in sent]
        dz, *others = (a.stack() for a in others)
        # Steps -K..K-1, of which those before the sequence sent nothing.
        around = [tf.pad(a[:n_actions], [[n_actions, 0], [0, 0], [0, 0]]) for a in sent]
        d_past = self._sent(
            shares,
            lambda n, at: tf.gather(around[n], n_actions + at),
            tf.range(n_actions) - n_actions,
        )
        d_past = plus(State(*(a[:n_actions] for a in d_states)), d_past)
        adjoints = State(*(a[:n_steps] for a in sent[:2]))
        d_policy = self._d_policy(kept, policy, adjoints, others)
        return dz, masks.dropped(connected.h), d_past, d_norm, d_policy

    def _sent(self, shares: tf.Tensor, read: Callable, u: tf.Tensor) -> State:
        """What the next K steps send back to the steps u [...], [..., B, H] each.

        `read(n, steps)`: their adjoints of h (n = 0) and c (1), and what else `_reverse` keeps.
        """
        share = tf.gather(shares, self.n_actions + u)[..., None]
        ahead = slots(u + 1, self.n_actions)
        return State(*(tf.reduce_sum(share * read(n, ahead), -3) for n in range(2)))

    def _n_steps(self, a: tf.Tensor):  # an int where they are written out
        return a.shape[0] if self.unroll else tf.shape(a)[0]

    def _split(self, inputs: tuple):
        """For `second_order`."""
        projected, recurrent_kernel, past, norm, policy = inputs
        of_steps, of_all = (None, None) if policy is None else (policy[0], policy[1:])
        return tuple(past), (projected, of_steps), (recurrent_kernel, norm, of_all)

    def _step(self, window: list[tuple], own: tuple, of_all: tuple, fixed: tuple):
        """A step as TensorFlow alone differentiates it. For `second_order`."""
        (projected, policy_input), (kernel, norm, policy_weights) = own, of_all
        masks, chosen = fixed
        policy = None if policy_input is None else (policy_input, *policy_weights)
        weights = self._mixed(policy, chosen, window)
        h, c = (
            tf.add_n([w[:, None] * a for w, a in zip(weights, b, strict=True)])
            for b in zip(*reversed(window), strict=True)
        )
        z = projected + product(masks.dropped(h), kernel)
        return masks.step(z, State(h, c), norm)

    # ----------------------------------------------------------------------------- the parts

    def seen(self, h: tf.Tensor) -> tf.Tensor:
        """What the policy saw at all steps [T, B, H], of all states h [K + T, B, H]."""
        at = [h[self.n_actions - n : -n] for n in range(self.n_seen, 0, -1)]
        return at[0] if self.n_seen == 1 else tf.add_n(at) / self.n_seen

    def _seen_now(self, latest_h: tf.Tensor, window_h: tf.Tensor):
        return latest_h if self.n_seen == 1 else tf.reduce_mean(window_h, 0)

    def _seen_in(self, window: list[tuple]):
        return tf.add_n([h for h, _ in window[-self.n_seen :]]) / self.n_seen

    def _mix(self, chosen: State, latest: State) -> State:
        """lamda s_chosen + (1 - lamda) s_{t-1}."""
        if self.lamda == 1:
            return chosen
        return State(
            *(self.lamda * a + (1 - self.lamda) * b for a, b in zip(chosen, latest, strict=True))
        )

    def _weights(self, probs: tf.Tensor) -> tf.Tensor:
        """w [T, K, B] of what was chosen, [T, K, B]: one-hot, or a mean's weights."""
        previous = tf.one_hot(0, self.n_actions, dtype=probs.dtype)[:, None]
        return self.lamda * probs + (1 - self.lamda) * previous
