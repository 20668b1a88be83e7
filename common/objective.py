"""The objective of a training step: task loss, policy gradient and auxiliary loss in one sum.

    loss = task_weight * task_loss
           + sum over the agents of agent_loss(trace, reward)
           + auxiliary_loss

The agents' weights get their gradient from their own term (with the estimators straight_through and
reinmax also from the task loss); all other weights from the task loss and the auxiliary loss. Every
task and `PolicyGradientModel` uses this function.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from . import losses
from .ops.agent import Trace
from .ops.replicas import total

# (total, weight) by name; over the batches both are summed, then divided.
Metrics = dict[str, tuple[tf.Tensor, tf.Tensor | float]]


class Agent(NamedTuple):
    """An agent in a training step: its actions, its reward, and the loss it learns from."""

    trace: Trace
    reward: tf.Tensor  # [B], after a sequence's last step, or [B, T], at each step
    # of the trace and rewards [B, T]
    loss: Callable[[Trace, tf.Tensor], tf.Tensor] = losses.policy_gradient


def agent_loss(
    options: Mapping[str, Any], schedule: Mapping[str, tf.Tensor] | None = None
) -> Callable[[Trace, tf.Tensor], tf.Tensor]:
    """`losses.policy_gradient` with these options, those in an epoch's schedule as it has them."""
    scheduled = {name: value for name, value in (schedule or {}).items() if name in options}
    return functools.partial(losses.policy_gradient, **{**options, **scheduled})


def combine(
    task_loss: tf.Tensor,
    agents: Mapping[str, Agent],
    *,
    auxiliary_loss: tf.Tensor | float = 0.0,
    task_weight: float | tf.Tensor = 1.0,
    weights: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Metrics]:
    """The loss to minimise, a scalar, and its terms as metrics.

    On several replicas, arguments and results are each replica's share of the mean (see
    `ops/replicas.py`).

    Args:
        task_loss: a scalar. agents: by name, "" for a single one; empty for a network without.
        auxiliary_loss: sum of the layers' own losses. task_weight: factor of the task loss.
        weights: [B], 0 for rows that only fill up a batch; None if every row counts.

    Returns:
        The sum above, and (total, weight) of `task_loss` and, for each agent, of `agent_loss` and
        `entropy` in nats, with `_NAME` appended if the agent has a name. `weight` is the number of
        rows that count, or 1.
    """
    dtype = tf.convert_to_tensor(task_loss).dtype  # an agent may compute in float64
    n = 1.0 if weights is None else total(tf.reduce_sum(weights))
    traces = {name: _counting(agent.trace, weights) for name, agent in agents.items()}
    agent_losses = {
        name: tf.cast(agent.loss(traces[name], _at_steps(agent.reward, traces[name].mask)), dtype)
        for name, agent in agents.items()
    }

    loss = sum(agent_losses.values(), start=task_weight * task_loss) + auxiliary_loss

    metrics: Metrics = {"task_loss": (task_loss * n, n)}
    for name, trace in traces.items():
        of = f"_{name}" if name else ""
        entropy = tf.cast(losses.masked_mean(trace.entropies, trace.mask), dtype)
        metrics |= {
            f"agent_loss{of}": (agent_losses[name] * n, n),
            f"entropy{of}": (entropy * n, n),
        }
    return loss, metrics


def _counting(trace: Trace, weights: tf.Tensor | None) -> Trace:
    if weights is None:
        return trace
    return trace._replace(mask=trace.mask * tf.cast(weights[:, None], trace.mask.dtype))


def _at_steps(reward: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """A reward [B] or [B, T] as rewards [B, T], through which no gradient flows."""
    reward = tf.cast(tf.stop_gradient(reward), mask.dtype)
    return losses.at_last_step(reward, mask) if reward.shape.rank == 1 else reward
