"""The recurrence in which each step connects to one of its K past states.

    s~_t = lamda s_{t-k_t} + (1 - lamda) s_{t-1}

The distances k_t are given, or drawn by the agent. Given them the recurrence is deterministic.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from . import agent
from .estimators import Surrogate
from .gates import Norm, State
from .loops import empty
from .masks import Masks
from .products import product
from .recurrence import Kept, Recurrence


class Policy(NamedTuple):
    """The agent over a sequence."""

    projected: tf.Tensor  # [T, B, A] the input's part of its hidden layer, `agent.project`
    weights: agent.AgentWeights


class Choice(NamedTuple):
    """How each step chooses its distance: by `distances` where given, else by the agent."""

    distances: tf.Tensor | None = None  # [T, B] int32, 1..K, as `agent.checked` leaves them
    agent: Policy | None = None
    noise: tf.Tensor | None = None  # [T, B, K] Gumbel noise for a sample; None: the most probable

    def at(self, steps: int | slice) -> "Choice":
        """That of some steps, or of one."""
        return Choice(
            None if self.distances is None else self.distances[steps],
            self.agent and self.agent._replace(projected=self.agent.projected[steps]),
            None if self.noise is None else self.noise[steps],
        )


class SkipRecurrence(Recurrence):
    """Runs the recurrence over a sequence.

    Args:
        n_actions, lamda, n_seen: as for `Recurrence`.
        surrogate: of an estimator that learns from the task's loss, `estimators.SURROGATES`: the
            agent has the gradient of surrogate(logits, k) for the upstream gradient

                g_t(k) = lamda <e_t, s_{t-k}>

            of all steps in one pass behind the loop. None: it has no gradient here.
        window: the K past states of the first steps are zero, and what was before the sequence
            enters step 0 alone, as in a plain LSTM (the release's reading).
    """

    def __init__(
        self,
        n_actions: int,
        lamda: float,
        n_seen: int = 1,
        surrogate: Surrogate | None = None,
        window: bool = False,
    ):
        super().__init__(n_actions, lamda, n_seen)
        self.surrogate, self.window = surrogate, window

    def __call__(
        self,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        norm: Norm | None,
        masks: Masks,
        choice: Choice | None,
    ) -> tuple[State, tf.Tensor]:
        """The states of all steps [K + T, B, H], and the distances [T, B] int32.

        The states before the sequence come first.

        Args:
            past: [K, B, H] float32, oldest first; with `window` the last one, [1, B, H].
            choice: None for the previous state at each step.
            The rest as for `Recurrence._run`.
        """
        if not self.window:
            return self._chosen(projected, recurrent_kernel, past, norm, masks, choice)
        # A plain step from the state before, then the rest of the sequence from its result alone.
        before = State(past.h[-1], past.c[-1])
        first = masks.at(0)
        z = projected[0] + product(first.dropped(before.h), recurrent_kernel)
        states = State(*(a[None] for a in first.step(z, before, norm)))
        distances = tf.ones_like(states.h[..., 0], tf.int32)
        if choice is not None:
            distances = self._choose(choice.at(0), before.h)[None]
        if projected.shape[0] != 1:
            zeros = tf.repeat(tf.zeros_like(states.h), self.n_actions - 1, 0)
            started = State(*(tf.concat([zeros, a], 0) for a in states))
            # TensorFlow cannot stack the results of no steps where it does not know their shape:
            # then the one step that there is comes once more, and is cut off.
            n_steps = projected.shape[0] or tf.shape(projected)[0]
            rest = slice(1 if isinstance(n_steps, int) else tf.minimum(1, n_steps - 1), None)
            states, later = self._chosen(
                projected[rest],
                recurrent_kernel,
                started,
                norm,
                masks.at(rest),
                choice and choice.at(rest),
            )
            states = State(*(a[self.n_actions - 1 :][:n_steps] for a in states))
            distances = tf.concat([distances, later], 0)[:n_steps]
        pad = [[self.n_actions - 1, 0], [0, 0], [0, 0]]
        padded = (tf.pad(a[None], pad) for a in before)
        return State(*(tf.concat(pair, 0) for pair in zip(padded, states, strict=True))), distances

    def _chosen(
        self,
        projected: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        past: State,
        norm: Norm | None,
        masks: Masks,
        choice: Choice | None,
    ):
        policy = None
        if choice is not None and choice.agent is not None:
            # Here the estimators part: a surrogate lets the task's gradient into the agent, as a
            # policy; without one the agent only chooses, and learns from its loss (`losses.py`).
            if self.surrogate is None:
                fixed = tf.nest.map_structure(tf.stop_gradient, choice.agent)
            else:
                policy, fixed = choice.agent, None
            choice = choice._replace(agent=fixed)
        return self._run(projected, recurrent_kernel, past, norm, masks, policy, choice)

    def seen(self, h: tf.Tensor) -> tf.Tensor:
        """What the agent saw at all steps [T, B, H], of all states h [K + T, B, H]."""
        if not self.window:
            return super().seen(h)
        n = self.n_actions
        later = super().seen(tf.concat([tf.zeros_like(h[: n - 1]), h[n:]], 0))
        return tf.concat([h[n - 1 : n], later], 0)

    # ---------------------------------------------------------------------------- the policy

    def _arrays(self, n_steps: tf.Tensor, batch: int | None, policy: Policy | None):
        return [empty(n_steps, tf.int32, [batch])]

    def _connect(
        self,
        t: tf.Tensor,
        latest: State,
        read: Callable,
        policy: Policy | None,
        given: Choice | None,
    ):
        rows = tf.range(tf.shape(latest.h)[0])
        if given is None:
            return latest, (tf.ones_like(rows),)
        window = read()
        given = given if policy is None else given._replace(agent=policy)
        distances = self._choose(given.at(t), self._seen_now(latest.h, window.h))
        at = tf.stack([self.n_actions - distances, rows], 1)
        return self._mix(State(*(tf.gather_nd(a, at) for a in window)), latest), (distances,)

    def _choose(self, choice: Choice, seen: tf.Tensor) -> tf.Tensor:
        """Distances [B] of one step."""
        if choice.distances is not None:
            return choice.distances
        logits = agent.logits(choice.agent.projected, seen, choice.agent.weights)
        return agent.greedy(logits if choice.noise is None else logits + choice.noise)

    def _mixes(self, states: State, chosen: tuple):
        (distances,) = chosen
        n_steps, batch = tf.unstack(tf.shape(distances))
        slots = self.n_actions + tf.range(n_steps)[:, None] - distances
        at = tf.stack([slots, tf.broadcast_to(tf.range(batch), [n_steps, batch])], -1)
        latest = State(*(a[self.n_actions - 1 : -1] for a in states))
        connected = self._mix(State(*(tf.gather_nd(a, at) for a in states)), latest)
        one_hot = tf.one_hot(distances - 1, self.n_actions, axis=1, dtype=states.h.dtype)
        return self._weights(one_hot), connected

    def _d_policy(self, kept: Kept, policy: Policy | None, adjoints: State, written: list):
        if policy is None:
            return None
        products = [
            tf.add_n(
                [
                    tf.reduce_sum(a[j : j - self.n_actions] * e, -1)
                    for a, e in zip(kept.states, adjoints, strict=True)
                ]
            )
            for j in reversed(range(self.n_actions))
        ]
        seen = Recurrence.seen(self, kept.states.h)
        with tf.GradientTape() as tape:
            tape.watch(policy)
            logits = agent.logits(policy.projected, seen, policy.weights)
            mixed = self.surrogate(logits, kept.chosen[0])
        return tape.gradient(
            mixed, policy, self.lamda * tf.stack(products, -1), unconnected_gradients="zero"
        )

    def _mixed(self, policy: tuple | None, chosen: tuple, window: list):
        (distances,) = chosen
        dtype = window[-1][0].dtype
        one_hot = tf.one_hot(distances - 1, self.n_actions, axis=0, dtype=dtype)
        weights = tf.unstack(self._weights(one_hot))
        if policy is not None:
            projected, agent_weights = policy
            logits = agent.logits(projected, self._seen_in(window), agent_weights)
            mixed = self.surrogate(logits, distances)
            change = tf.unstack(self.lamda * (mixed - tf.stop_gradient(mixed)), axis=1)
            weights = [a + b for a, b in zip(weights, change, strict=True)]
        return weights
