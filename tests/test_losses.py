"""common/losses.py: by hand, and against the exact gradient of the expectation over every sequence
of choices.

The enumeration runs the real recurrence (`DynamicSkipLSTM` with forced distances) over all K^T
sequences of distances of a tiny layer, so that rewards depend on what was chosen before, through
the states.
"""

import inspect
import itertools

import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import long_but

from common import losses
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.ops.agent import Trace

# ------------------------------------------------------------------------------------------ by hand

REWARDS = tf.constant([[1.0, 2.0, 4.0], [8.0, 16.0, 0.0]])
MASK = tf.constant([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
LOG_PROBS = tf.constant([[-0.5, -1.0, -2.0], [-0.25, -0.75, 0.0]])
ENTROPIES = tf.constant([[0.5, 0.6, 0.7], [0.8, 0.9, 0.0]])
TRACE = Trace(tf.ones([2, 3], tf.int32), LOG_PROBS, ENTROPIES, tf.ones([2, 3, 1]), MASK)


def test_returns():
    np.testing.assert_array_equal(losses.returns(REWARDS, "to_go"), [[7, 6, 4], [24, 16, 0]])
    np.testing.assert_array_equal(losses.returns(REWARDS, "total"), [[7, 7, 7], [24, 24, 24]])
    expected = [[1 + 1 + 1, 2 + 2, 4], [8 + 8, 16, 0]]
    np.testing.assert_array_equal(losses.returns(REWARDS, "to_go", 0.5), expected)
    np.testing.assert_array_equal(losses.returns(REWARDS, "to_go", 0.0), REWARDS)
    with pytest.raises(ValueError, match="discount must be 1 where credit is 'total'; received"):
        losses.returns(REWARDS, "total", 0.5)


def test_policy_gradient_with_a_discount():
    # returns [3 4 4; 16 16 0], and the entropies'
    of_entropies = 0.3 * np.array([[0.5 + 0.3 + 0.175, 0.6 + 0.35, 0.7], [0.8 + 0.45, 0.9, 0]])
    found = losses.policy_gradient(
        TRACE, REWARDS, baseline="none", entropy_weight=0.3, discount=0.5
    )
    value = np.array([[3, 4, 4], [16, 16, 0]]) + of_entropies
    expected = -(LOG_PROBS * value).numpy().sum() / 5 - 0.3 * 3.5 / 5
    assert found.numpy() == pytest.approx(expected, rel=1e-6)


def test_leave_one_out():
    values = tf.constant([[1.0, 2.0, 3.0], [5.0, 7.0, 99.0], [9.0, 3.0, 99.0]])
    mask = tf.constant([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = losses.leave_one_out(values, mask) * mask
    np.testing.assert_allclose(found, [[7, 7, 0], [5, 2, 0], [3, 0, 0]])
    np.testing.assert_array_equal(losses.leave_one_out(values[:1], mask[:1]), [[0, 0, 0]])


def test_at_last_step():
    mask = tf.constant([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    found = losses.at_last_step(tf.constant([2.0, 3.0, 4.0, 5.0]), mask)
    np.testing.assert_array_equal(found, [[0, 0, 2], [0, 3, 0], [0, 4, 0], [0, 0, 0]])


def test_masked_mean():
    assert losses.masked_mean(REWARDS + 1, MASK).numpy() == (2 + 3 + 5 + 9 + 17) / 5
    assert losses.masked_mean(REWARDS, 0 * MASK).numpy() == 0


def test_policy_gradient_to_go_analytic_leave_one_out():
    # returns to go [7 6 4; 24 16 0] and entropies to go [1.8 1.3 0.7; 1.7 0.9 0], times 0.5 and 0.1
    value = np.array([[3.68, 3.13, 2.07], [12.17, 8.09, 0]])
    advantage = np.array([[3.68 - 12.17, 3.13 - 8.09, 2.07], [12.17 - 3.68, 8.09 - 3.13, 0]])
    assert np.allclose(value[0], 0.5 * np.array([7, 6, 4]) + 0.1 * np.array([1.8, 1.3, 0.7]))
    expected = -(LOG_PROBS * advantage).numpy().sum() / 5 - 0.1 * (0.5 + 0.6 + 0.7 + 0.8 + 0.9) / 5
    found = losses.policy_gradient(
        TRACE, REWARDS, baseline="leave_one_out", rl_weight=0.5, entropy_weight=0.1
    )
    assert found.numpy() == pytest.approx(expected, rel=1e-6)


def test_policy_gradient_with_a_prediction_as_baseline():
    # returns to go [7 6 4; 24 16 0] less [1 2 3; 4 5 .]
    gains = np.array([[6, 4, 1], [20, 11, 0]])
    expected = -(LOG_PROBS * (0.5 * gains)).numpy().sum() / 5
    values = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]])
    found = losses.policy_gradient(TRACE, REWARDS, baseline=values, rl_weight=0.5)
    assert found.numpy() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="expected tensors of shapes"):
        losses.policy_gradient(TRACE, REWARDS, baseline=values[:, :2])


def test_policy_gradient_total_sampled():
    # R - sum log pi - 1: 7 + 3.5 - 1 and 24 + 1 - 1
    expected = -((-3.5) * 9.5 + (-1.0) * 24) / 5
    found = losses.policy_gradient(
        TRACE, REWARDS, credit="total", baseline="none", entropy="sampled", entropy_weight=1.0
    )
    assert found.numpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("option", ["credit", "baseline", "entropy"])
def test_unknown_options(option):
    with pytest.raises(ValueError, match=f"{option} must be one of .*; received 'analytical'"):
        losses.policy_gradient(TRACE, MASK, **{option: "analytical"})


def test_released_number_loss():
    probs = tf.constant(
        [[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [[0.5, 0.5], [0.7, 0.3], [1.0, 0.0]]]
    )
    distances = tf.constant([[1, 2, 1], [2, 2, 1]])
    # step 0 has no action in the release
    expected = -(np.log(1.8) + np.log(1.6) - np.log(1.3) - np.log(2.0)) / 4
    zeros = tf.zeros([2, 3])
    trace = Trace(distances, zeros, zeros, probs, zeros + 1)
    rewards = tf.constant([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    assert losses.released_number_loss(trace, rewards).numpy() == pytest.approx(expected, rel=1e-6)


def test_only_the_log_probabilities_carry_a_gradient():
    with tf.GradientTape() as tape:
        tape.watch((REWARDS, TRACE))
        loss = losses.policy_gradient(
            TRACE, REWARDS, baseline="none", entropy_weight=0.1, rl_weight=0.5
        )
    rewards, trace = tape.gradient(loss, (REWARDS, TRACE))
    assert rewards is None
    np.testing.assert_allclose(trace.entropies, -0.1 * MASK / 5, rtol=1e-6)
    value = 0.5 * np.array([[7, 6, 4], [24, 16, 0]]) + 0.1 * np.array(
        [[1.8, 1.3, 0.7], [1.7, 0.9, 0]]
    )
    np.testing.assert_allclose(trace.log_probs, -value / 5, rtol=1e-6)


# ----------------------------------------------------------------------------------- by enumeration

T, K, D, H, A = 4, 3, 2, 3, 3
RL_WEIGHT, ENTROPY_WEIGHT = 0.7, 0.3


class Enumeration:
    """Every sequence of distances over one sequence of inputs of `n_steps` steps (the rest masked):
    [n, T] arrays.
    """

    def __init__(self, layer, n_steps, seed, rewards):
        choices = np.array(list(itertools.product(range(1, K + 1), repeat=n_steps)))
        self.n = len(choices)
        distances = np.pad(choices, [(0, 0), (0, T - n_steps)], constant_values=1).astype(np.int32)
        x = np.tile(
            np.random.default_rng(seed).normal(size=(1, T, D), scale=2).astype(np.float32),
            (self.n, 1, 1),
        )
        mask = np.tile(np.arange(T) < n_steps, (self.n, 1))
        outputs = layer(x, distances=distances, mask=tf.constant(mask))
        self.trace = layer.trace
        # any function of the states: depends on all choices up to the step
        per_step = tf.reduce_sum(tf.sin(5 * outputs), -1)
        if rewards == "end":
            self.rewards = losses.at_last_step(per_step[:, -1], self.trace.mask)
        else:
            self.rewards = tf.stop_gradient(per_step) * self.trace.mask
        # of each sequence, with its gradient
        self.probs = tf.exp(tf.reduce_sum(self.trace.log_probs, 1))

    def objective(self, n_counted):
        """J's share of this sequence, exactly: E[rl_weight sum r + entropy_weight sum H] over
        `n_counted` steps.
        """
        value = RL_WEIGHT * tf.reduce_sum(self.rewards, 1) + ENTROPY_WEIGHT * tf.reduce_sum(
            self.trace.entropies, 1
        )
        return tf.reduce_sum(self.probs * value) / n_counted


def pick(trace, indices):
    return Trace(*(tf.gather(a, indices) for a in trace))


def in_one(trace):
    """Batches [n, B, T] as one, [n * B, T]."""
    return Trace(*(tf.reshape(a, [-1, *a.shape[2:]]) for a in trace))


def mean_estimates(trace, rewards, probs, baseline):
    """For each of OPTIONS the mean of `policy_gradient` over batches: trace and rewards [n, B, T],
    their probabilities [n].
    """
    return [
        tf.reduce_sum(
            probs
            * tf.vectorized_map(
                lambda a, o=options: losses.policy_gradient(
                    Trace(*a[0]),
                    a[1],
                    **o,
                    baseline=baseline,
                    rl_weight=RL_WEIGHT,
                    entropy_weight=ENTROPY_WEIGHT,
                ),
                (tuple(trace), rewards),
            )
        )
        for options in OPTIONS
    ]


@pytest.fixture(scope="module")
def layer():
    layer = DynamicSkipLSTM(
        H, n_actions=K, agent_units=A, lamda=0.7, return_sequences=True, jit_compile=False
    )
    layer.build((1, T, D))
    for n, v in enumerate(layer.trainable_variables):
        v.assign(np.random.default_rng(n).normal(size=v.shape))
    return layer


def agent_weights(layer):
    return [v.value for v in layer.trainable_variables if v.name.startswith(("agent", "action"))]


def assert_same(found, wanted):
    scale = max(np.abs(w).max() for w in wanted)
    assert scale > 1e-3
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * max(scale, 1))


OPTIONS = [dict(credit=c, entropy=e) for c in ("to_go", "total") for e in ("analytic", "sampled")]


@pytest.mark.filterwarnings("ignore:baseline='leave_one_out' has nothing")
@pytest.mark.parametrize("rewards", ["each", "end"])
def test_unbiased_for_one_sequence(layer, rewards):
    """Every credit x entropy, one sequence a batch, without a baseline."""

    @tf.function
    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            every = Enumeration(layer, T, 11, rewards)
            # a mean over all sequences, each with its probability as its weight
            weights = tf.stop_gradient(every.probs)[:, None]
            weighted = every.trace._replace(mask=weights * every.trace.mask)
            estimates = [
                losses.policy_gradient(
                    weighted,
                    every.rewards,
                    **options,
                    baseline="none",
                    rl_weight=RL_WEIGHT,
                    entropy_weight=ENTROPY_WEIGHT,
                )
                for options in OPTIONS
            ]
            objective = -every.objective(T)
        return tf.reduce_sum(every.probs), [
            tape.gradient(a, agent_weights(layer)) for a in (objective, *estimates)
        ]

    total, (wanted, *found) = gradients()
    assert float(total) == pytest.approx(1, abs=1e-5)
    for estimate in found:
        assert_same(estimate, wanted)


def batches(*sequences):
    """All choices of independent sequences, side by side: traces and rewards [n, B, T],
    probabilities [n].
    """
    at = np.meshgrid(*(np.arange(one.n) for one in sequences), indexing="ij")

    def chosen(arrays):
        return [tf.gather(a, i.ravel()) for a, i in zip(arrays, at, strict=True)]

    traces = zip(*(one.trace for one in sequences), strict=True)
    trace = Trace(*(tf.stack(chosen(arrays), 1) for arrays in traces))
    rewards = tf.stack(chosen([one.rewards for one in sequences]), 1)
    probs = tf.reduce_prod(chosen([one.probs for one in sequences]), 0)
    return trace, rewards, tf.stop_gradient(probs)


@pytest.mark.parametrize("baseline", long_but(["leave_one_out"], ["none", "leave_one_out"]))
def test_unbiased_for_two_sequences(layer, baseline):
    """Every credit x entropy, over all pairs of choices of two sequences, one of them shorter."""

    @tf.function
    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            first, second = Enumeration(layer, T, 12, "each"), Enumeration(layer, T - 1, 13, "each")
            objective = -(first.objective(2 * T - 1) + second.objective(2 * T - 1))
            trace, rewards, probs = batches(first, second)
            estimates = mean_estimates(trace, rewards, probs, baseline)
        return [tape.gradient(a, agent_weights(layer)) for a in (objective, *estimates)]

    wanted, *found = gradients()
    for estimate in found:
        assert_same(estimate, wanted)


@pytest.mark.filterwarnings("ignore:baseline='leave_one_out' has nothing")
def test_the_papers_formula(layer):
    """credit total, entropy sampled, both weights 1 is, for each sequence of choices, the paper's

        grad J2 = sum_t grad log pi_t(k_t) (R - sum_t log pi_t(k_t) - 1),

    here as the gradient of a loss (so its negative), and a mean over the steps.
    """
    for i in (0, 40, 80):
        with tf.GradientTape(persistent=True) as tape:
            every = Enumeration(layer, T, 11, "end")
            one = pick(every.trace, [i])
            reward = tf.reduce_sum(every.rewards[i])
            loss = losses.policy_gradient(
                one, every.rewards[i][None], credit="total", entropy="sampled", entropy_weight=1.0
            )
            steps = [one.log_probs[0, t] for t in range(T)]
        factor = reward - sum(steps) - 1
        grads = [tape.gradient(step, agent_weights(layer)) for step in steps]
        literal = [-factor * sum(g) / T for g in zip(*grads, strict=True)]
        assert_same(tape.gradient(loss, agent_weights(layer)), literal)


def test_leave_one_out_lowers_the_variance(layer):
    """With two sequences alike, and rewards far from zero, as log-likelihoods are."""
    with tf.GradientTape(persistent=True) as tape:
        every = Enumeration(layer, 2, 14, "each")
        rewards = (every.rewards - 3) * every.trace.mask
        trace = Trace(*(tf.repeat(a[:, None], 2, 1) for a in every.trace))
        draws = []
        random = np.random.default_rng(0)
        probs = every.probs.numpy().astype(np.float64)
        for i, j in random.choice(every.n, (16, 2), p=probs / probs.sum()):
            pair = Trace(*(tf.stack([a[i, 0], a[j, 0]]) for a in trace))
            draws.append(
                [
                    losses.policy_gradient(pair, tf.gather(rewards, [i, j]), baseline=b)
                    for b in ("none", "leave_one_out")
                ]
            )
    variances = []
    for b in range(2):
        found = np.array([tape.gradient(draw[b], agent_weights(layer)[-1]) for draw in draws])
        variances.append(found.var(0).sum())
    assert variances[1] < 0.3 * variances[0]


# --------------------------------------------------------------------- several samples of an input


def test_leave_one_out_of_samples_by_hand():
    values = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)  # 3 samples of 2
    mask = np.repeat([[1, 1], [1, 0]], 3, axis=0).astype(np.float32)
    found = losses.leave_one_out(tf.constant(values), tf.constant(mask), 3).numpy()
    for row in range(6):
        others = [r for r in range(6) if r // 3 == row // 3 and r != row]
        np.testing.assert_allclose(
            found[row], (values * mask)[others].mean(0) * mask[row], atol=1e-6
        )


@pytest.mark.parametrize("lengths", [(T,), (2, 1)], ids=["one", "two"])
def test_unbiased_for_two_samples_of_each_input(layer, lengths):
    """Every credit x entropy, over all choices of all samples; two inputs are of unequal length."""
    with tf.GradientTape(persistent=True) as tape:
        inputs = [Enumeration(layer, n, 11 + n, "end") for n in lengths]
        trace, rewards, probs = batches(*(one for one in inputs for _ in range(2)))
        # all batches in one, where the samples of an input are side by side too; its mean is that
        # over batches, each with its probability as its weight
        weighted = in_one(trace._replace(mask=probs[:, None, None] * trace.mask))
        estimates = [
            losses.policy_gradient(
                weighted,
                tf.reshape(rewards, [-1, T]),
                **options,
                baseline="leave_one_out",
                rl_weight=RL_WEIGHT,
                entropy_weight=ENTROPY_WEIGHT,
                n_samples=2,
            )
            for options in OPTIONS
        ]
        objective = -sum(one.objective(sum(lengths)) for one in inputs)
    wanted, *found = (tape.gradient(a, agent_weights(layer)) for a in (objective, *estimates))
    for estimate in found:
        assert_same(estimate, wanted)


def test_leave_one_out_of_samples_lowers_the_variance(layer):
    """Exactly, over all choices of two samples of two inputs; in the bias behind the policy's
    logits, where the slope of log pi(k) is onehot(k) - pi. Rewards are far from zero.
    """
    inputs = [Enumeration(layer, n, 11 + n, "each") for n in (2, 1)]
    trace, rewards, probs = batches(*(one for one in inputs for _ in range(2)))
    slopes = (tf.one_hot(trace.distances - 1, K) - trace.probs).numpy()
    rows = in_one(trace)
    rewards = (tf.reshape(rewards, [-1, T]) - 3) * rows.mask
    p, variances = probs.numpy().astype(np.float64)[:, None], []
    for baseline in ("none", "leave_one_out"):
        with tf.GradientTape() as tape:
            tape.watch(rows.log_probs)
            loss = losses.policy_gradient(rows, rewards, baseline=baseline, n_samples=2)
        d = len(p) * tape.gradient(loss, rows.log_probs).numpy().reshape(slopes.shape[:-1])
        each = (d[..., None] * slopes).sum((1, 2))  # of a batch, [n, K]
        variances.append((p * (each - (p * each).sum(0)) ** 2).sum())
    assert variances[1] < 0.01 * variances[0]


def test_arrays_lists_and_masks_of_other_types():
    """As TensorFlow's own functions take them; the given array stays as it is."""
    rewards, mask = REWARDS.numpy(), MASK.numpy() > 0
    expected = losses.policy_gradient(TRACE, REWARDS)
    for given in (rewards, rewards.tolist(), rewards.astype(int), tf.cast(rewards, tf.bfloat16)):
        assert losses.policy_gradient(TRACE, given) == expected
    for given in (mask, mask.tolist(), mask.astype(int)):
        assert losses.masked_mean(rewards, given) == losses.masked_mean(REWARDS, MASK)
        found = losses.leave_one_out(rewards, given)
        np.testing.assert_array_equal(found, losses.leave_one_out(REWARDS, MASK))
        found = losses.at_last_step([1.0, 2.0], given)
        np.testing.assert_array_equal(found, [[0, 0, 1], [0, 2, 0]])
    np.testing.assert_array_equal(rewards, REWARDS)


def test_autograph_reads_them_all():
    """In a `tf.function` of the user's own; where it cannot, it warns and asks for a report."""
    own = [f for _, f in inspect.getmembers(losses, inspect.isfunction)]
    own = [f for f in own if f.__module__ == losses.__name__]
    assert losses.policy_gradient in own and losses.at_last_step in own
    for function in own:
        tf.autograph.to_graph(function)
