"""The agent's objective and its gradient estimators, as pure functions of [B, T] tensors.

The objective is the expected return plus the entropy of the agent's choices, averaged over steps,

    J = E[ rl_weight * sum_t r_t + entropy_weight * sum_t H(pi_t) ] / T

and `policy_gradient` is a loss whose gradient is an unbiased estimate of -dJ (Williams 1992; Gui
et al. 2019, "Training Methods"). The paper's own estimate

    grad J2 = E[ sum_t grad log pi_t(k_t) (R - sum_t log pi_t(k_t) - 1) ],   R = log p(truth)

is `credit="total", baseline="none", entropy="sampled"` with both weights 1, but for the mean over
steps. The other options have the same expectation and less variance.
"""

import warnings

import tensorflow as tf

from .choices import BASELINES, CREDITS, ENTROPIES, POLICY_GRADIENT, one_of
from .ops.agent import Trace
from .ops.replicas import count, part_of_mean, total
from .ops.shapes import expect

ALONE = (
    "baseline='leave_one_out' has nothing to compare a batch of one with: the agent's gradient is"
    " noisy. Give larger batches, or several samples of each example (PolicyGradientModel"
    " n_samples=4, --train_samples 4), or choose baseline='none'"
)


def masked_mean(a: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean of a [B, T] over the steps where mask is 1, a scalar.

    On several replicas, this replica's share of the mean (see `replicas.py`).
    """
    a = tf.convert_to_tensor(a)  # no `:=` here: AutoGraph, in a function of the user's, lacks it
    mask = tf.cast(mask, a.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(a * mask), total(tf.reduce_sum(mask)))


def returns(rewards: tf.Tensor, credit: str, discount: float = 1.0) -> tf.Tensor:
    """Returns [B, T] of rewards [B, T].

    "to_go": sum_{u >= t} discount^(u - t) r_u at step t. "total": the whole sum at every step.

    Raises:
        ValueError: an unknown credit; a discount of the total.
    """
    if one_of("credit", credit, CREDITS) == "to_go":
        if discount == 1:
            return tf.cumsum(rewards, axis=1, reverse=True)
        steps = tf.cast(tf.range(tf.shape(rewards)[1]), rewards.dtype)
        ahead = steps[:, None] - steps
        return rewards @ tf.where(ahead >= 0, discount ** tf.maximum(ahead, 0), 0)
    if discount != 1:
        raise ValueError(f"discount must be 1 where credit is 'total'; received {discount}")
    return tf.reduce_sum(rewards, axis=1, keepdims=True) * tf.ones_like(rewards)


def leave_one_out(values: tf.Tensor, mask: tf.Tensor, n_samples: int = 1) -> tf.Tensor:
    """Baseline [B, T]: at each step the mean over the other sequences of the batch.

    With several samples of each input, [B * S, T], the mean over the other samples of the same
    input (Kool et al. 2019). 0 where there are no others.
    """
    values = tf.convert_to_tensor(values)
    mask = tf.cast(mask, values.dtype)
    expect("[B, T] [B, T]", values, mask)
    shape, everywhere = tf.shape(values), total
    values *= mask
    if n_samples > 1:  # all samples of an input are on one replica
        groups = [-1, n_samples, shape[1]]
        values, mask = tf.reshape(values, groups), tf.reshape(mask, groups)
        everywhere = tf.identity
    others = everywhere(tf.reduce_sum(mask, -2, keepdims=True)) - mask
    sums = everywhere(tf.reduce_sum(values, -2, keepdims=True))
    return tf.reshape(tf.math.divide_no_nan(sums - values, others), shape)


def policy_gradient(
    trace: Trace,
    rewards: tf.Tensor,
    *,
    credit: str = POLICY_GRADIENT.credit,
    baseline: str | tf.Tensor = POLICY_GRADIENT.baseline,
    entropy: str = POLICY_GRADIENT.entropy,
    rl_weight: float = POLICY_GRADIENT.rl_weight,
    entropy_weight: float | tf.Tensor = POLICY_GRADIENT.entropy_weight,
    n_samples: int = 1,
    discount: float = POLICY_GRADIENT.discount,
) -> tf.Tensor:
    """The agent's loss, a scalar; only the agent's weights get a gradient from it.

        loss = - mean_t( log pi_t(k_t) * stop_gradient(advantage_t) )
               - entropy_weight * mean_t( H(pi_t) )                           if analytic
        advantage_t = rl_weight * return_t(r) + entropy_weight * return_t(e) - baseline_t
        baseline_t = rl_weight * the prediction, if `baseline` is one
        e_t = H(pi_t) if analytic; -log pi_t(k_t), with -1 added to its return, if sampled

    Args:
        trace: of the sequences.
        rewards: r [B, T]; one at a masked step counts in the returns of the steps before it; a
            reward for the whole sequence stands at its last step that is not masked.
        credit: "to_go" or "total".
        baseline: "none", "leave_one_out", or a prediction of the return of the rewards [B, T].
        entropy: "analytic" or "sampled".
        rl_weight, entropy_weight: floats or scalar tensors.
        n_samples: S, samples of each input: the rows are [B * S], those of an input side by side,
            and "leave_one_out" is the mean over the other samples of the same input.
        discount: in [0, 1], of what comes a step later, its entropy too; below 1 the gradient is
            biased, as if a choice told less on later steps, and has less noise.

    Warns (UserWarning) of a batch of one with "leave_one_out", where the size is known.

    Raises:
        ValueError: an unknown option; a discount of the total; rewards of another shape than the
            trace.

    Example:
        ```python
        layer(x, training=True)
        trace = layer.trace  # right after the call
        rewards = losses.at_last_step(log_likelihood, trace.mask)
        loss = task_loss + losses.policy_gradient(trace, rewards, entropy_weight=0.01)
        ```
    """
    rewards = tf.cast(rewards, trace.mask.dtype)
    expect("[B, T] [B, T] [B, T]", trace.log_probs, trace.mask, rewards)
    analytic = one_of("entropy", entropy, ENTROPIES) == "analytic"
    information = tf.stop_gradient(trace.entropies if analytic else -trace.log_probs)
    value = rl_weight * returns(rewards, credit, discount) + entropy_weight * (
        returns(information, credit, discount) - (0.0 if analytic else 1.0)
    )
    if not isinstance(baseline, str):
        expect("[B, T] [B, T]", rewards, baseline)
        value -= rl_weight * tf.cast(baseline, value.dtype)
    elif one_of("baseline", baseline, BASELINES) == "leave_one_out":
        if trace.mask.shape[0] == 1 and count() == 1:
            warnings.warn(ALONE, stacklevel=2)
        value -= leave_one_out(value, trace.mask, n_samples)
    loss = -masked_mean(trace.log_probs * tf.stop_gradient(value), trace.mask)
    return loss - entropy_weight * masked_mean(trace.entropies, trace.mask) if analytic else loss


def at_last_step(value: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """One reward per sequence [B] as rewards [B, T], placed at its last unmasked step."""
    value = tf.convert_to_tensor(value)
    mask = tf.cast(mask, value.dtype)
    expect("[B] [B, T]", value, mask)
    last = tf.cumsum(mask, axis=1, reverse=True, exclusive=True) == 0
    return value[:, None] * mask * tf.cast(last, mask.dtype)


def released_number_loss(trace: Trace, rewards: tf.Tensor) -> tf.Tensor:
    """The agent's loss in the released number-prediction code, a scalar.

    The mean over steps of -log(p + 1) * reward. The release means log(p + 0.000001) but writes the
    literal 0000001, which is octal 1. Its agent first acts at step 1.

    Args:
        trace: of the sequences.
        rewards: [B, T], +1 or -1 at the last step.
    """
    dtype = trace.probs.dtype
    chosen = tf.one_hot(trace.distances - 1, tf.shape(trace.probs)[-1], dtype=dtype)
    p = tf.reduce_sum(trace.probs * chosen, -1)[:, 1:]
    reward = tf.stop_gradient(tf.reduce_sum(rewards, 1, keepdims=True))
    return -part_of_mean(tf.math.log(p + 1.0) * reward)
