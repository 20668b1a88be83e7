"""The whole-sequence recurrence and its hand-written gradient.

Given the distances the recurrence is deterministic:

    s~_t = lamda s_{t-k_t} + (1 - lamda) s_{t-1}            s = [h ; c], slots of one history buffer
    z_t  = (W x_t + b) + U h~_t
    s_t  = gates(z_t, c~_t)

All that does not depend on the state is done outside the loop: the input's products before it, and after it, in one product each, the
gradients of W and U. The reverse loop only carries the adjoints e_t = dL/ds~_t and pulls them along the connections that were made:

    dL/ds_u = (from outside) + (1 - lamda) e_{u+1} + lamda sum_k [k_{u+k} = k] e_{u+k}
    dz_t, dc~_t = gates' transposed Jacobian applied to dL/ds_t
    e_t  = [U dz_t ; dc~_t]
    dL/dU = sum_t h~_t^T dz_t                               one product [H, TB] x [TB, 4H]

Both loops read K slots of their buffer and write one; nothing is shifted or scattered. What they read goes through a sum over the slots,
and the latest state is carried beside the buffer: XLA fuses a plain slice into whatever uses it, also behind the write, and would then
copy the whole buffer at every step. Arrays are time-major in this file.
"""

from typing import NamedTuple

import tensorflow as tf

from . import agent
from .gates import Norm, lstm_gates


class Policy(NamedTuple):
    """How each step chooses its distance: by `distances` where given, else by the agent."""

    distances: tf.Tensor | None = None  # [T, B] int32, 1..K
    projected: tf.Tensor | None = None  # [T, B, A] the agent's view of the inputs
    weights: agent.AgentWeights | None = None
    noise: tf.Tensor | None = None  # [T, B, K] Gumbel noise for a sample; None for the most probable distance


class SkipRecurrence:
    """Runs the recurrence over a sequence, compiled by XLA in both directions.

    Args:
        n_actions: K. lamda: weight of the chosen state.
        observe: [K, B, H] past h, oldest first -> [B, H], what the agent sees; None for the latest.
        jit_compile: compile both loops with XLA, also where the caller is eager or a plain graph.
    """

    def __init__(self, n_actions: int, lamda: float, observe, jit_compile: bool = True):
        self.n_actions, self.lamda, self.observe, self.jit_compile = n_actions, lamda, observe, jit_compile
        self._forward = tf.function(self._forward_loop, jit_compile=jit_compile)
        self._backward = tf.function(self._backward_loop, jit_compile=jit_compile)

    def __call__(self, projected, recurrent_kernel, past, carried=None, norm=None, candidate_mask=None, policy=None):
        """The states of all steps, with the gradient above.

        Args:
            projected: W x + b of all steps [T, B, 4H] float32.
            recurrent_kernel: U [H, 4H]; its dtype is that of the products.
            past: the K states before the sequence [K, B, 2H] float32, oldest first.
            carried: a state [B, 2H] that is added at step 0 (the "window" history), or None.
            norm: layer normalisation, or None. candidate_mask: dropout masks [T, B, H], or None.
            policy: a `Policy`, or None for the previous state at each step.
        Returns:
            states [K + T, B, 2H] (`past` first) and distances [T, B] int32.
        """
        if carried is None:
            carried = tf.zeros_like(past[0])

        @tf.custom_gradient
        def run(projected, recurrent_kernel, past, carried, *norm):
            # No tape may look inside: it would ask for the loop's own gradient, which is what this function replaces.
            inputs = [tf.stop_gradient(a) for a in (projected, recurrent_kernel, past, carried, *norm)]
            projected, recurrent_kernel, past, carried, *norm = inputs
            norm = Norm(*norm) if norm else None
            states, distances, z = self._forward(projected, recurrent_kernel, past, carried, norm, candidate_mask, policy)

            def gradient(d_states, _=None):
                dz, connected, *rest = self._backward(d_states, states, distances, z, recurrent_kernel, carried, norm, candidate_mask)
                return dz, weight_gradient(connected, dz, recurrent_kernel.dtype), *tf.nest.flatten(rest)

            return (states, distances), gradient

        return run(projected, recurrent_kernel, past, carried, *(norm or ()))

    def _connect(self, states, distances, carried):
        """s~ of all steps [T, B, 2H]."""
        n_steps, batch = tf.unstack(tf.shape(distances))
        slots = self.n_actions + tf.range(n_steps)[:, None] - distances
        chosen = tf.gather_nd(states, tf.stack([slots, tf.broadcast_to(tf.range(batch), [n_steps, batch])], -1))
        mixed = self.lamda * chosen + (1 - self.lamda) * states[self.n_actions - 1 : -1]
        return tf.concat([mixed[:1] + carried, mixed[1:]], 0)

    def _forward_loop(self, projected, recurrent_kernel, past, carried, norm, candidate_mask, policy):
        n_steps, batch, size = tf.shape(projected)[0], tf.shape(projected)[1], recurrent_kernel.shape[0]
        n_actions = self.n_actions
        rows = tf.range(batch)
        history = tf.TensorArray(tf.float32, n_actions + n_steps, clear_after_read=False, element_shape=past.shape[1:])
        history = history.unstack(tf.pad(past, [[0, n_steps], [0, 0], [0, 0]]))

        def step(t, state, history, zs, distances):
            first = tf.cast(t == 0, tf.float32) * carried
            chosen, connected = tf.ones_like(rows), state
            if policy is not None:
                window = history.gather(t + tf.range(n_actions))
                chosen = self._choose(t, window[:, :, :size], first[:, :size], state[:, :size], policy)
                picked = tf.one_hot(n_actions - chosen, n_actions, axis=0)[:, :, None]
                connected = self.lamda * tf.reduce_sum(picked * window, 0) + (1 - self.lamda) * state
            h, c = tf.split(connected + first, 2, -1)
            z = projected[t] + product(h, recurrent_kernel)
            state = tf.concat(lstm_gates(z, c, norm, None if candidate_mask is None else candidate_mask[t]), -1)
            state = tf.ensure_shape(state, past.shape[1:])  # a loop's variables keep the shapes they enter with
            return t + 1, state, history.write(n_actions + t, state), zs.write(t, z), distances.write(t, chosen)

        zs = tf.TensorArray(tf.float32, n_steps, element_shape=projected.shape[1:])
        distances = tf.TensorArray(tf.int32, n_steps, element_shape=projected.shape[1:2])
        _, _, history, zs, distances = tf.while_loop(
            lambda t, *_: t < n_steps, step, (0, past[-1], history, zs, distances), parallel_iterations=1
        )
        return history.stack(), distances.stack(), zs.stack()

    def _choose(self, t, past_h, first, latest_h, policy):
        """Distances [B] of step t."""
        if policy.distances is not None:
            return policy.distances[t]
        seen = latest_h if self.observe is None else self.observe(past_h)
        logits = agent.logits(policy.projected[t], seen + first, policy.weights)
        return agent.greedy(logits if policy.noise is None else logits + policy.noise[t])

    def _backward_loop(self, d_states, states, distances, z, recurrent_kernel, carried, norm, candidate_mask):
        n_steps, batch, size = tf.shape(z)[0], tf.shape(z)[1], recurrent_kernel.shape[0]
        n_actions = self.n_actions
        connected = self._connect(states, distances, carried)
        transposed = None if self.jit_compile else tf.transpose(recurrent_kernel)
        # follows[u + k, k - 1]: weight of e_{u+k} in dL/ds_u. Steps past the end make no connection.
        follows = self.lamda * tf.one_hot(distances - 1, n_actions, axis=1)
        follows += (1 - self.lamda) * tf.one_hot(0, n_actions)[None, :, None]
        follows = tf.pad(follows, [[0, n_actions], [0, 0], [0, 0]])  # [T + K, K, B]
        ahead = tf.range(n_actions)

        def pull(read, u):
            """What the next K steps send back to the state of step u [B, 2H] (u from -K, the oldest state before the sequence)."""
            start = tf.maximum(u + 1, 0)  # before the sequence there are no steps: the window starts at the first
            weights = tf.gather_nd(follows, tf.stack([start + ahead, tf.minimum(start + ahead - u - 1, n_actions - 1)], 1))
            weights *= tf.cast(start + ahead - u <= n_actions, tf.float32)[:, None]
            return tf.reduce_sum(weights[:, :, None] * read(start + ahead), 0)

        def step(i, adjoint, adjoints, dzs, d_norm):
            t = n_steps - 1 - i  # the loop counts up, so that XLA knows its trip count
            d_state = d_states[n_actions + t] + (adjoint if n_actions == 1 else pull(adjoints.gather, t))
            mask = None if candidate_mask is None else candidate_mask[t]
            # One axis at a time: XLA reads the wrong row for `connected[t, :, size:]` with a `t` that it cannot know.
            inputs = (z[t], connected[t][:, size:], *(norm or ()))
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                new_state = tf.concat(lstm_gates(inputs[0], inputs[1], Norm(*inputs[2:]) if norm else None, mask), -1)
            dz, dc, *dn = tape.gradient(new_state, inputs, d_state)
            if transposed is None:  # XLA transposes for nothing; a graph would do it anew at every step
                d_h = product(dz, recurrent_kernel, transpose_b=True)
            else:
                d_h = product(dz, transposed)
            adjoint = tf.concat([d_h, dc], -1)
            return i + 1, adjoint, adjoints.write(t, adjoint), dzs.write(t, dz), [a + b for a, b in zip(d_norm, dn, strict=True)]

        adjoints = tf.TensorArray(tf.float32, n_steps + n_actions, clear_after_read=False, element_shape=states.shape[1:])
        adjoints = adjoints.unstack(tf.zeros(tf.stack([n_steps + n_actions, batch, 2 * size])))
        dzs = tf.TensorArray(tf.float32, n_steps, element_shape=z.shape[1:])
        _, _, adjoints, dzs, d_norm = tf.while_loop(
            lambda i, *_: i < n_steps,
            step,
            (0, tf.zeros_like(carried), adjoints, dzs, [tf.zeros_like(n) for n in norm or ()]),
            parallel_iterations=1,
        )
        adjoints, dz = adjoints.stack(), dzs.stack()
        before = tf.map_fn(lambda u: pull(lambda slots: tf.gather(adjoints, slots), u), ahead - n_actions, fn_output_signature=tf.float32)
        d_past = d_states[:n_actions] + before
        return dz, connected[:, :, :size], d_past, adjoints[0], *d_norm


def product(a: tf.Tensor, b: tf.Tensor, transpose_b: bool = False) -> tf.Tensor:
    """a b with operands in the dtype of b, as float32: products may be narrow, sums and states are not."""
    return tf.cast(tf.matmul(tf.cast(a, b.dtype), b, transpose_b=transpose_b), tf.float32)


def weight_gradient(inputs: tf.Tensor, d_outputs: tf.Tensor, dtype) -> tf.Tensor:
    """sum_t inputs_t^T d_outputs_t of [T, B, M] and [T, B, N], one product: [M, N]. Outside the loops' program, where products are fast."""
    a, b = (tf.reshape(tf.cast(x, dtype), [-1, x.shape[-1]]) for x in (inputs, d_outputs))
    return tf.matmul(a, b, transpose_a=True)
