"""Measures and draws the bias and the noise of every estimator of the agent's gradient.

    python experiments/figure_noise.py

All K^T choices of short sequences are enumerated, so that the exact gradient of the expected
log-likelihood is known.
"""

import dataclasses
import itertools
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files  # noqa: E402

B, T, K, D, H, A, LAMDA = 4, 5, 3, 2, 6, 4, 0.5  # B different inputs
LABELS = {
    "none": "policy gradient, no baseline",
    "leave_one_out": "policy gradient, mean of other inputs (default)",
    "samples": "policy gradient, {s} samples of each input",
    "straight_through": "straight-through",
    "reinmax": "ReinMax",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Measure bias and noise of every estimator on short sequences, and draw them."""

    draws: int = setting(2_000, "batches drawn for each estimator", minimum=2)
    networks: int = setting(8, "networks with random weights; medians are drawn", minimum=1)
    samples: int = setting(4, "samples of each input, for the estimators with several", minimum=2)
    out: str = setting(
        "", "output file without extension (empty: noise among the figures)", path="stem"
    )


class Every(NamedTuple):
    """All N = K^T choices for B inputs to one network, whose agent has P weights."""

    probs: np.ndarray  # [B, N] probability of the choices
    log_p: np.ndarray  # [B, N] log-likelihood of the label after them
    log_probs: np.ndarray  # [B, N, T] log pi_t(k_t)
    scores: np.ndarray  # [B, N, T, P] its gradient
    by_loss: dict[str, np.ndarray]  # [B, N, P] gradient of log_p by each surrogate

    def exact(self) -> np.ndarray:
        """The gradient of the mean over inputs of E[log p(label)], [P]."""
        return np.einsum("bn,bn,bntp->p", self.probs, self.log_p, self.scores) / B


def enumerate_choices(seed: int) -> Every:
    """All choices of a network with random weights."""
    import tensorflow as tf

    from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
    from common.ops.estimators import SURROGATES

    random = np.random.default_rng(seed)
    distances = np.array(list(itertools.product(range(1, K + 1), repeat=T)), np.int32)
    inputs = random.normal(size=(B, 1, T, D)).astype(np.float32)
    readout = random.normal(size=(H, 2), scale=3).astype(np.float32)
    labels = random.integers(0, 2, B)

    def network(estimator: str) -> DynamicSkipLSTM:
        layer = DynamicSkipLSTM(H, K, LAMDA, A, estimator=estimator, jit_compile=False)
        layer.build([None, T, D])
        of_weights = np.random.default_rng([seed, 1])
        for variable in layer.trainable_variables:
            variable.assign(of_weights.normal(size=variable.shape))
        return layer

    def jacobian(layer: DynamicSkipLSTM, of: Callable) -> list[np.ndarray]:
        """`of(h [N, H], trace, b)` of each input, [B, N, ...], and its gradients [B, N, ..., P]."""
        agent = [v.value for v in layer.trainable_variables[3:]]
        found = []
        for b in range(B):
            with tf.GradientTape() as tape:
                h = layer(np.repeat(inputs[b], len(distances), 0), distances=distances)
                value = of(h, layer.trace, b)
            parts = tape.jacobian(value, agent)
            shape = [*value.shape, -1]
            gradient = tf.concat([tf.reshape(part, shape) for part in parts], -1)
            found.append((value.numpy(), gradient.numpy()))
        return [np.array(one, np.float64) for one in zip(*found, strict=True)]

    log_probs, scores = jacobian(network("policy_gradient"), lambda h, trace, b: trace.log_probs)
    by_loss = {}
    for name in SURROGATES:
        log_p, by_loss[name] = jacobian(
            network(name), lambda h, _, b: tf.nn.log_softmax(h @ readout)[:, labels[b]]
        )
    return Every(np.exp(log_probs.sum(-1)), log_p, log_probs, scores, by_loss)


def by_reward(every: Every, n_draws: int, n_samples: int, name: str, seed: int) -> np.ndarray:
    """Draws [n_draws, P] of a policy gradient, by `losses.policy_gradient` itself."""
    import tensorflow as tf

    from common import losses
    from common.ops.agent import Trace

    random = np.random.default_rng(seed)
    probs = every.probs / every.probs.sum(1, keepdims=True)
    drawn = np.stack(
        [random.choice(probs.shape[1], (n_draws, n_samples), p=one) for one in probs], -1
    ).reshape(n_draws, -1)  # [n_draws, S * B], sample after sample
    rows = np.tile(np.arange(B), n_samples)
    ones = tf.ones([len(rows), T])
    baseline = "none" if name == "none" else "leave_one_out"

    @tf.function(autograph=False)
    def factors(log_probs: tf.Tensor, log_p: tf.Tensor) -> tf.Tensor:
        """What each log pi_t(k_t) is multiplied with, [S * B, T]."""
        with tf.GradientTape() as tape:
            tape.watch(log_probs)
            trace = Trace(tf.ones_like(ones, tf.int32), log_probs, 0 * ones, ones[..., None], ones)
            rewards = losses.at_last_step(log_p, ones)
            loss = losses.policy_gradient(trace, rewards, baseline=baseline, n_samples=n_samples)
            gain = -T * loss  # a sum over the steps
        return tape.gradient(gain, log_probs)

    found = []
    for one in drawn:
        given = every.log_probs[rows, one], every.log_p[rows, one]
        each = factors(*(tf.constant(a, tf.float32) for a in given)).numpy()
        found.append(np.einsum("rt,rtp->p", each, every.scores[rows, one]))
    return np.array(found)


def bias_and_noise(draws: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """|E g - g*| and the root of tr Cov g, both in units of |g*|."""
    size = np.linalg.norm(exact)
    return np.linalg.norm(draws.mean(0) - exact) / size, np.sqrt(draws.var(0).sum()) / size


def measure(every: Every, config: NoiseConfig, seed: int) -> dict[str, tuple[float, float]]:
    """Bias and noise of each estimator: of those that learn from the loss exactly."""
    exact = every.exact()
    found = {}
    for name in ("none", "leave_one_out", "samples"):
        n = config.samples if name == "samples" else 1
        draws = by_reward(every, config.draws, n, name, seed)
        found[name] = 0.0, bias_and_noise(draws, exact)[1]  # no bias: tests/test_losses.py
    for name, gradients in every.by_loss.items():
        mean = np.einsum("bn,bnp->bp", every.probs, gradients)
        square = np.einsum("bn,bnp->bp", every.probs, gradients**2)
        noise = np.sqrt((square - mean**2).sum() / B**2)  # of a mean over B inputs
        size = np.linalg.norm(exact)
        found[name] = np.linalg.norm(mean.mean(0) - exact) / size, noise / size
    return found


def draw(config: NoiseConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # each network is traced anew, and that is meant
    measured = [measure(enumerate_choices(seed), config, seed) for seed in range(config.networks)]
    names = list(measured[0])
    values = np.array([[one[name] for name in names] for one in measured])  # [networks, names, 2]
    median = np.median(values, 0)
    labels = [LABELS[name].format(s=config.samples) for name in names]
    figure, axes = plots.figure(11, 3.2, columns=2)
    for ax, column, title in zip(axes, median.T, ("bias", "noise"), strict=True):
        ax.barh(labels, column, color="0.6")
        for at, value in enumerate(column):
            ax.text(value, at, f" {value:.2f}", va="center", fontsize=8)
        ax.invert_yaxis()
        ax.set_title(f"{title}, in units of the exact gradient's norm")
    axes[1].set_yticklabels([])
    caption = (
        f"Bias and noise of one gradient of the agent's weights, a mean over {B} inputs, medians of"
        f" {config.networks} networks with random weights (T {T}, K {K}, lamda {LAMDA:g}; reward at"
        f" the end). Exact: all {K**T} choices enumerated. With {config.samples} samples a step"
        f" costs {config.samples} times as much: the same number of sequences without them has"
        f" {1 / np.sqrt(config.samples):.2g} of the noise of one."
    )
    columns = {"estimator": labels, "bias": median[:, 0], "noise": median[:, 1]}
    stem = config.out or figure_files.FOLDER / "noise"
    paths = figure_files.write(figure, stem, "Bias and noise of the estimators", caption, columns)
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(NoiseConfig, {}, draw)
