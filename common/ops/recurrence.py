"""The whole-sequence recurrence and its hand-written gradient.

Given the distances the recurrence is deterministic, with s = (h, c):

    s~_t = lamda s_{t-k_t} + (1 - lamda) s_{t-1}
    z_t  = (W x_t + b) + U h~_t
    s_t  = gates(z_t, c~_t)

All that does not depend on the state is done outside the loops: before the forward loop the
products of the inputs, before the reverse loop the slopes of the gates, after it the gradients of W
and U, one product each. The reverse loop only carries the adjoints e_t = dL/ds~_t and pulls them
along the connections that were made:

    dL/ds_u = (from outside) + (1 - lamda) e_{u+1} + lamda sum_k [k_{u+k} = k] e_{u+k}
    dz_t, dc~_t = gates' transposed Jacobian applied to dL/ds_t      `gates.lstm_gates_gradient`
    e_t  = (U dz_t, dc~_t)
    dL/dU = sum_t h~_t^T dz_t                                      one product [H, TB] x [TB, 4H]

Both loops read K slots of their buffers and write one; nothing is shifted or scattered. What they
read they gather, and the latest state
is carried beside the buffers: XLA fuses a plain slice into whatever uses it, also behind the write,
and would then copy the whole buffer at every step. h and c have a buffer each, because XLA computes
what is concatenated one number at a time. Arrays are time-major here.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from . import agent, vectorised  # noqa: F401
from .gates import Norm, Slopes, lstm_gates, lstm_gates_gradient, lstm_slopes
from .loops import loop
from .products import product, weight_gradient
from .second_order import second_order
from .sequence_gradient import compiled, compiles, differentiable


class State(NamedTuple):
    """Of one step [B, H], or of several [..., B, H]."""

    h: tf.Tensor
    c: tf.Tensor


class Policy(NamedTuple):
    """How each step chooses its distance: by `distances` where given, else by the agent."""

    distances: tf.Tensor | None = None  # [T, B] int32, 1..K, as `agent.checked` leaves them
    # [T, B, A] the agent's view of the inputs; with a gradient if `straight_through`,
    projected: tf.Tensor | None = None
    weights: agent.AgentWeights | None = None  # as these
    # [T, B, K] Gumbel noise for a sample; None for the most probable distance
    noise: tf.Tensor | None = None


class SkipRecurrence:
    """Runs the recurrence over a sequence.

    Args:
        n_actions: K. lamda: weight of the chosen state.
        observe: [K, ..., H] past h, oldest first -> [..., H], what the agent sees; None for the
            latest.
        straight_through: whether a policy's weights, and its view of the inputs, have the gradient

                dL/dpi_t(k) = lamda <e_t, s_{t-k}>,    behind the loop and for all steps at once

            and from there through the agent, or (the default) none.
        jit_compile: compile both loops with XLA, also where the caller is eager or a plain graph;
            None: as `compiles` says.

    With `unroll` the steps are copies of each other in place of a loop.
    """

    unroll = False

    def __init__(
        self,
        n_actions: int,
        lamda: float,
        observe: Callable[[tf.Tensor | list[tf.Tensor]], tf.Tensor] | None,
        jit_compile: bool | None = True,
        straight_through: bool = False,
    ):
        self.n_actions, self.lamda, self.observe, self.jit_compile = (
            n_actions,
            lamda,
            observe,
            jit_compile,
        )
        self.straight_through = straight_through
        self._forward, self._backward = compiled(self._forward_loop), compiled(self._backward_loop)

    def __call__(
        self,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        carried: State | None = None,
        norm: Norm | None = None,
        candidate_mask: tf.Tensor | None = None,
        policy: Policy | None = None,
    ):
        """The states of all steps, with the gradient above.

        Args:
            projected: W x + b of all steps [T, B, 4H] float32.
            recurrent_kernel: U [H, 4H]; its dtype is that of the products.
            past: the K states before the sequence [K, B, H] float32, oldest first.
            carried: a state [B, H] that is added at step 0 (the "window" history), or None.
            norm: layer normalisation, or None. candidate_mask: dropout masks [T, B, H], or None.
            policy: a `Policy`, or None for the previous state at each step.
        Returns:
            states [K + T, B, H] (`past` first) and distances [T, B] int32.
        """
        learned = ()
        if self.straight_through and policy is not None and policy.weights is not None:
            learned = policy.projected, policy.weights
        inputs = (projected, recurrent_kernel, past, carried, norm, learned)
        xla = compiles(self.jit_compile, projected.shape[0])

        def forward(inputs: tuple):
            *inputs, learned = inputs
            by = policy._replace(projected=learned[0], weights=learned[1]) if learned else policy
            states, distances, z = self._forward(xla, *inputs, candidate_mask, by)
            distances.set_shape(projected.shape[:2])
            return (*states, distances), (states, distances, z)

        def backward(inputs: tuple, kept: tuple, d_states: tuple):
            _, recurrent_kernel, _, carried, norm, learned = inputs
            dz, h, *rest = self._backward(
                xla,
                State(*d_states),
                *kept,
                recurrent_kernel,
                carried,
                norm,
                candidate_mask,
                learned,
            )
            return dz, weight_gradient(h, dz, recurrent_kernel.dtype), *rest

        def second(inputs: tuple, kept: tuple, d_states: tuple, w: tuple):
            return second_order(
                self.n_actions,
                self._split,
                self._step,
                (kept[1], candidate_mask),
                inputs,
                d_states,
                w,
            )

        h, c, distances = differentiable(inputs, forward, backward, second)
        return State(h, c), distances

    def _forward_loop(
        self,
        xla: bool,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        carried: State | None,
        norm: Norm | None,
        candidate_mask: tf.Tensor | None,
        policy: Policy | None,
    ):
        n_steps, n_actions = tf.shape(projected)[0], self.n_actions
        rows = tf.range(tf.shape(projected)[1])

        def step(
            t: tf.Tensor,
            state: State,
            history: State,
            zs: tf.TensorArray,
            distances: tf.TensorArray,
        ):
            first = None if carried is None else scaled(tf.cast(t == 0, tf.float32), carried)
            chosen, connected = tf.ones_like(rows), state
            if policy is not None:
                window = State(*(a.gather(t + tf.range(n_actions)) for a in history))
                chosen = self._choose(t, window.h, first, state.h, policy)
                at = tf.stack([n_actions - chosen, rows], 1)
                connected = self._mix(State(*(tf.gather_nd(a, at) for a in window)), state)
            h, c = plus(connected, first)
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
            return t + 1, state, history, zs.write(t, z), distances.write(t, chosen)

        history = State(*(buffer(tf.pad(a, [[0, n_steps], [0, 0], [0, 0]])) for a in past))
        zs = tf.TensorArray(tf.float32, n_steps, element_shape=projected.shape[1:])
        distances = tf.TensorArray(tf.int32, n_steps, element_shape=projected.shape[1:2])
        start = (0, State(past.h[-1], past.c[-1]), history, zs, distances)
        _, _, history, zs, distances = loop(
            projected.shape[0] if self.unroll else n_steps, step, start
        )
        return (
            State(history.h.stack(), history.c.stack()),
            distances.stack(),
            tf.ensure_shape(zs.stack(), projected.shape),
        )

    def _choose(
        self,
        t: tf.Tensor,
        window_h: tf.Tensor,
        first: State | None,
        latest_h: tf.Tensor,
        policy: Policy,
    ):
        """Distances [B] of step t."""
        if policy.distances is not None:
            return policy.distances[t]
        seen = latest_h if self.observe is None else self.observe(window_h)
        logits = agent.logits(
            policy.projected[t], seen if first is None else seen + first.h, policy.weights
        )
        return agent.greedy(logits if policy.noise is None else logits + policy.noise[t])

    def _mix(self, chosen: State, latest: State) -> State:
        """lamda s_{t-k} + (1 - lamda) s_{t-1}."""
        return (
            chosen
            if self.lamda == 1
            else plus(scaled(self.lamda, chosen), scaled(1 - self.lamda, latest))
        )

    def _connected(self, states: State, distances: tf.Tensor, carried: State | None) -> State:
        """s~ of all steps [T, B, H]."""
        n_steps, batch = tf.unstack(tf.shape(distances))
        slots = self.n_actions + tf.range(n_steps)[:, None] - distances
        at = tf.stack([slots, tf.broadcast_to(tf.range(batch), [n_steps, batch])], -1)
        latest = State(*(a[self.n_actions - 1 : -1] for a in states))
        connected = self._mix(State(*(tf.gather_nd(a, at) for a in states)), latest)
        if carried is None:
            return connected
        return State(
            *(tf.concat([a[:1] + b, a[1:]], 0) for a, b in zip(connected, carried, strict=True))
        )

    def _backward_loop(
        self,
        xla: bool,
        d_states: State,
        states: State,
        distances: tf.Tensor,
        z: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        carried: State | None,
        norm: Norm | None,
        candidate_mask: tf.Tensor | None,
        learned: tuple,
    ):
        n_steps, n_actions = tf.shape(z)[0], self.n_actions
        connected = self._connected(states, distances, carried)
        new_c = states.c[n_actions:]
        slopes = lstm_slopes(z, connected.c, new_c, norm, candidate_mask)
        transposed = None if xla else tf.transpose(recurrent_kernel)
        shares = shares_by_source(self._weights(distances))
        ahead = tf.range(1, n_actions + 1)

        def pull(window: tf.Tensor, u: tf.Tensor):
            """What the next K steps, with adjoints [K, B, H], send back to step u [B, H]."""
            return tf.reduce_sum(shares[n_actions + u][:, :, None] * window, 0)

        def step(
            i: tf.Tensor,
            adjoint: State,
            adjoints: State,
            dzs: tf.TensorArray,
            d_norm: list[tf.Tensor],
        ):
            t = n_steps - 1 - i  # the loop counts up, so that XLA knows its trip count
            sent = (
                adjoint
                if n_actions == 1
                else State(*(pull(a.gather(t + ahead), t) for a in adjoints))
            )
            d_h, d_c = plus(State(*(a[n_actions + t] for a in d_states)), sent)
            normalised = () if norm is None else (norm, z[t], new_c[t])
            dz, d_c, *dn = lstm_gates_gradient(
                d_h, d_c, Slopes(*(a[t] for a in slopes)), *normalised
            )
            # XLA transposes for nothing; a graph would do it anew at every step
            if transposed is None:
                d_h = product(dz, recurrent_kernel, transpose_b=True)
            else:
                d_h = product(dz, transposed)
            adjoint = State(d_h, d_c)
            adjoints = State(*(a.write(t, b) for a, b in zip(adjoints, adjoint, strict=True)))
            return (
                i + 1,
                adjoint,
                adjoints,
                dzs.write(t, dz),
                [a + b for a, b in zip(d_norm, dn, strict=True)],
            )

        zeros = tf.zeros_like(states.h[0])
        adjoints = State(*(buffer(tf.zeros_like(states.h)) for _ in range(2)))
        dzs = tf.TensorArray(tf.float32, n_steps, element_shape=z.shape[1:])
        start = (0, State(zeros, zeros), adjoints, dzs, [tf.zeros_like(n) for n in norm or ()])
        _, _, adjoints, dzs, d_norm = loop(z.shape[0] if self.unroll else n_steps, step, start)

        adjoints = State(adjoints.h.stack(), adjoints.c.stack())
        # Steps -K..K-1, of which those before the sequence were none.
        around = [tf.pad(a[:n_actions], [[n_actions, 0], [0, 0], [0, 0]]) for a in adjoints]
        before = tf.map_fn(
            lambda j: [pull(tf.gather(a, j + ahead), j - n_actions) for a in around],
            tf.range(n_actions),
            fn_output_signature=[tf.float32, tf.float32],
        )
        d_past = State(*(a[:n_actions] + b for a, b in zip(d_states, before, strict=True)))
        d_carried = None if carried is None else State(adjoints.h[0], adjoints.c[0])
        d_learned = ()
        if learned:
            d_learned = self._agent_gradient(
                learned, states, carried, State(*(a[:n_steps] for a in adjoints))
            )
        return dzs.stack(), connected.h, d_past, d_carried, d_norm, d_learned

    def _agent_gradient(
        self, learned: tuple, states: State, carried: State | None, adjoints: State
    ):
        """The straight-through gradient of the agent's weights and of its view of the inputs, from
        adjoints [T, B, H].
        """
        n_steps, n_actions = tf.shape(adjoints.h)[0], self.n_actions
        slots = [n_actions - k for k in range(1, n_actions + 1)]
        d_probs = [
            tf.add_n(
                [
                    tf.reduce_sum(a[j : j + n_steps] * b, -1)
                    for a, b in zip(states, adjoints, strict=True)
                ]
            )
            for j in slots
        ]
        with tf.GradientTape() as tape:
            tape.watch(learned)
            projected, weights = learned
            probs = tf.nn.softmax(agent.logits(projected, self.seen(states.h, carried), weights))
        return tape.gradient(
            probs, learned, self.lamda * tf.stack(d_probs, -1), unconnected_gradients="zero"
        )

    def _split(self, inputs: tuple):
        """For `second_order`."""
        projected, recurrent_kernel, past, carried, norm, learned = inputs
        agent_input, weights = learned or (None, None)
        first = (
            None
            if carried is None
            else State(
                *(
                    tf.pad(a[None], [[0, tf.shape(projected)[0] - 1], [0, 0], [0, 0]])
                    for a in carried
                )
            )
        )
        return tuple(past), (projected, agent_input, first), (recurrent_kernel, norm, weights)

    def _step(self, window: list[tuple], own: tuple, of_all: tuple, given: tuple):
        """A step for given distances, as TensorFlow alone differentiates it; learned weights
        straight through. For `second_order`.
        """
        (
            (projected, agent_input, first),
            (recurrent_kernel, norm, agent_weights),
            (distances, candidate_mask),
        ) = (own, of_all, given)
        weights = tf.unstack(self._weights(distances[None])[0])
        if agent_input is not None:
            seen = window[-1][0] if self.observe is None else self.observe([h for h, _ in window])
            probs = tf.nn.softmax(
                agent.logits(agent_input, seen if first is None else seen + first.h, agent_weights)
            )
            through = tf.unstack(self.lamda * (probs - tf.stop_gradient(probs)), axis=1)
            weights = [a + b for a, b in zip(weights, through, strict=True)]
        h, c = plus(weighted(weights, window), first)
        return lstm_gates(projected + product(h, recurrent_kernel), c, norm, candidate_mask)

    def seen(self, h: tf.Tensor, carried: State | None) -> tf.Tensor:
        """What the agent saw at all steps [T, B, H], of all states h [K + T, B, H]."""
        n_steps = tf.shape(h)[0] - self.n_actions
        past = [h[j : j + n_steps] for j in range(self.n_actions)]
        seen = past[-1] if self.observe is None else self.observe(past)
        return seen if carried is None else tf.concat([seen[:1] + carried.h, seen[1:]], 0)

    def _weights(self, distances: tf.Tensor):
        """[T, K, B] of the K states in each step's mix."""
        return self.lamda * tf.one_hot(distances - 1, self.n_actions, axis=1) + previous_share(
            self.n_actions, self.lamda
        )


def previous_share(n_actions: int, lamda: float) -> tf.Tensor:
    """(1 - lamda) at distance 1, [1, K, 1]: what the previous state has in every step's mix."""
    return (1 - lamda) * tf.one_hot(0, n_actions)[None, :, None]


def shares_by_source(weights: tf.Tensor) -> tf.Tensor:
    """[K + T, K, B] with share [K + u, k - 1] of the adjoint of step u + k in dL/ds_u; zero where
    that step is not in the sequence.

    `weights` [T, K, B]: of the K states in each step's mix, by the step that connects.
    """
    n_steps, n_actions = tf.shape(weights)[0], weights.shape[1]
    shares = tf.pad(weights, [[n_actions, n_actions], [0, 0], [0, 0]])
    return tf.stack(
        [shares[k : k + n_actions + n_steps, k - 1] for k in range(1, n_actions + 1)], 1
    )


def buffer(a: tf.Tensor) -> tf.TensorArray:
    """A buffer of slots a [N, B, H] that can be read and written."""
    return tf.TensorArray(
        tf.float32, tf.shape(a)[0], clear_after_read=False, element_shape=a.shape[1:]
    ).unstack(a)


def weighted(weights: list[tf.Tensor], window: list[tuple]) -> State:
    """The sum of K states [B, H], oldest first, under the weights [B] of the distances 1..K."""
    return State(
        *(
            tf.add_n([w[:, None] * a for w, a in zip(weights, b, strict=True)])
            for b in zip(*reversed(window), strict=True)
        )
    )


def scaled(factor: float | tf.Tensor, state: State) -> State:
    """factor s."""
    return State(factor * state.h, factor * state.c)


def plus(a: State, b: State | None) -> State:
    """a + b, or a."""
    return a if b is None else State(a.h + b.h, a.c + b.c)
