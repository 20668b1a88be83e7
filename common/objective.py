"""The objective of a training step: the task's loss and the agents' policy gradient in one weighted
sum.

    loss = task_weight * task_loss + sum over the agents of agent_loss(trace, reward) +
    auxiliary_loss

The agents' weights learn from their own term alone (or, straight through, from the task's too); all
others from the task's and the auxiliary one. Every task and `PolicyGradientModel` comes through
here.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from . import losses
from .ops.agent import Trace
from .ops.replicas import total

# (total, weight) by name; over the batches both are summed, then divided.
Metrics = dict[str, tuple[tf.Tensor, tf.Tensor | float]]


class Agent(NamedTuple):
    """An agent in a training step: what it did, what it gets for it, how it learns from that."""

    trace: Trace
    reward: tf.Tensor  # [B], after a sequence's last step, or [B, T], at each step
    # of the trace and rewards [B, T]
    loss: Callable[[Trace, tf.Tensor], tf.Tensor] = losses.policy_gradient


def combine(
    task_loss: tf.Tensor,
    agents: Mapping[str, Agent],
    *,
    auxiliary_loss: tf.Tensor | float = 0.0,
    task_weight: float | tf.Tensor = 1.0,
    weights: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Metrics]:
    """The loss to minimise, a scalar, and its terms as metrics.

    On several replicas each hands in and gets its part of the mean (see `ops/replicas.py`).

    Args:
        task_loss: a scalar. agents: by name, "" where there is only one; none for a network
            without.
        auxiliary_loss: what layers add, a scalar. task_weight: of the task's loss.
        weights: [B], 0 for the rows that only fill up a batch; None where every row counts.

    Returns:
        The sum above, and (total, weight) of `task_loss` and, with `_NAME` behind it for an agent
        that has a name, `agent_loss` and `entropy` in nats; `weight` is the number of rows that
        count, or 1.
    """
    n = 1.0 if weights is None else total(tf.reduce_sum(weights))
    traces = {name: _counting(agent.trace, weights) for name, agent in agents.items()}
    agent_losses = {
        name: agent.loss(traces[name], _at_steps(agent.reward, traces[name].mask))
        for name, agent in agents.items()
    }

    loss = sum(agent_losses.values(), start=task_weight * task_loss) + auxiliary_loss

    metrics: Metrics = {"task_loss": (task_loss * n, n)}
    for name, trace in traces.items():
        of = f"_{name}" if name else ""
        entropy = losses.masked_mean(trace.entropies, trace.mask)
        metrics |= {
            f"agent_loss{of}": (agent_losses[name] * n, n),
            f"entropy{of}": (entropy * n, n),
        }
    return loss, metrics


def _counting(trace: Trace, weights: tf.Tensor | None) -> Trace:
    return trace if weights is None else trace._replace(mask=trace.mask * weights[:, None])


def _at_steps(reward: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Rewards [B, T] of a reward [B] or [B, T]; no gradient flows back through them."""
    reward = tf.stop_gradient(reward)
    return losses.at_last_step(reward, mask) if reward.shape.rank == 1 else reward
