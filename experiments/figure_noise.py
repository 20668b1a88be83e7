"""Measures and draws the bias and the noise of every estimator of the agent's gradient.

    python experiments/figure_noise.py
    python experiments/figure_noise.py RUN_DIR

Without a run, all K^T choices of short sequences are enumerated, so that the exact gradient of the
expected log-likelihood is known. In a trained language model the noise is measured, and the time.
"""

import dataclasses
import functools
import itertools
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.figures import plots  # noqa: E402
from common.training.provenance import describe_start  # noqa: E402
from experiments import figure_files, noise_in_training  # noqa: E402

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
    """Measure bias and noise of every estimator on short sequences, or noise in a run."""

    run: str = setting("", "folder of a language model's run (empty: short sequences)", path=True)
    draws: int | None = setting(
        None, "gradients drawn of each estimator (default 2,000, of a run 32)", minimum=2
    )
    networks: int = setting(8, "networks with random weights; medians are drawn", minimum=1)
    samples: int = setting(4, "samples of each input, for the estimators with several", minimum=2)
    out: str = setting(
        "",
        "output file without extension (empty: noise, in the run or among the figures)",
        path="stem",
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

    def mean(self, gradients: np.ndarray) -> np.ndarray:
        """The expectation of gradients [B, N, P]: [B, P]."""
        return np.einsum("bn,bnp->bp", self.probs, gradients)


@functools.cache
def network(estimator: str, n_steps: int, n_actions: int) -> tuple[Any, Callable]:
    """A layer, and a function of inputs [N, T, D], distances, a readout [H, 2], and a label.

    It gives the log-likelihood of the label [N] (for "policy_gradient": log pi_t(k_t) [N, T]), and
    a list of its gradients by the agent's weights.
    """
    import tensorflow as tf

    from common.layers.dynamic_skip_lstm import DynamicSkipLSTM

    layer = DynamicSkipLSTM(H, n_actions, LAMDA, A, estimator=estimator, jit_compile=False)
    layer.build([None, n_steps, D])
    agent = [v.value for v in layer.trainable_variables[3:]]

    @tf.function(autograph=False)
    def jacobian(inputs: tf.Tensor, distances: tf.Tensor, readout: tf.Tensor, label: tf.Tensor):
        with tf.GradientTape() as tape:
            h = layer(inputs, distances=distances)
            if estimator == "policy_gradient":
                value = layer.trace.log_probs
            else:
                value = tf.gather(tf.nn.log_softmax(h @ readout), label, axis=1)
        return value, tape.jacobian(value, agent)

    return layer, jacobian


def enumerate_choices(seed: int) -> Every:
    """All choices of a network with random weights."""
    import tensorflow as tf

    from common.ops.estimators import SURROGATES

    random = np.random.default_rng(seed)
    distances = tf.constant(list(itertools.product(range(1, K + 1), repeat=T)))
    inputs = random.normal(size=(B, 1, T, D)).astype(np.float32)
    readout = tf.constant(random.normal(size=(H, 2), scale=3), tf.float32)
    labels = random.integers(0, 2, B)

    def of(estimator: str) -> list[np.ndarray]:
        """The values of each input, [B, N, ...], and their gradients [B, N, ..., P]."""
        layer, jacobian = network(estimator, T, K)
        of_weights = np.random.default_rng([seed, 1])
        for variable in layer.trainable_variables:
            variable.assign(of_weights.normal(size=variable.shape))
        found = []
        for x, label in zip(inputs, labels, strict=True):
            x = tf.repeat(x, len(distances), 0)
            value, parts = jacobian(x, distances, readout, tf.constant(label))
            parts = [np.reshape(part, [*value.shape, -1]) for part in parts]
            found.append((value.numpy(), np.concatenate(parts, -1)))
        return [np.array(one, np.float64) for one in zip(*found, strict=True)]

    log_probs, scores = of("policy_gradient")
    by_loss = {}
    for name in SURROGATES:
        log_p, by_loss[name] = of(name)
    return Every(np.exp(log_probs.sum(-1)), log_p, log_probs, scores, by_loss)


def by_reward(every: Every, n_draws: int, n_samples: int, name: str, seed: int) -> np.ndarray:
    """Draws [n_draws, P] of a policy gradient, by `losses.policy_gradient` itself."""
    import tensorflow as tf

    from common import losses
    from common.ops.agent import Trace

    random = np.random.default_rng(seed)
    probs = every.probs / every.probs.sum(1, keepdims=True)
    drawn = np.stack(
        [random.choice(probs.shape[1], (n_draws, n_samples), p=one) for one in probs], 1
    ).reshape(n_draws, -1)  # [n_draws, B * S], the samples of an input side by side
    rows = np.repeat(np.arange(B), n_samples)
    ones = tf.ones([len(rows), T])
    how = {"baseline": "none" if name == "none" else "leave_one_out", "n_samples": n_samples}

    def factors(of_draw: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """What each log pi_t(k_t) is multiplied with, [B * S, T]."""
        log_probs, log_p = of_draw
        with tf.GradientTape() as tape:
            tape.watch(log_probs)
            trace = Trace(tf.ones_like(ones, tf.int32), log_probs, 0 * ones, ones[..., None], ones)
            rewards = losses.at_last_step(log_p, ones)
            loss = losses.policy_gradient(trace, rewards, **how)
            gain = -T * loss  # a sum over the steps
        return tape.gradient(gain, log_probs)

    @tf.function(autograph=False)
    def of_all(*of_draws: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(factors, of_draws, fn_output_signature=tf.float32)

    of_draws = (tf.constant(a[rows, drawn], tf.float32) for a in (every.log_probs, every.log_p))
    each = zip(of_all(*of_draws).numpy(), drawn, strict=True)
    return np.array([np.einsum("rt,rtp->p", f, every.scores[rows, one]) for f, one in each])


def measure(every: Every, config: NoiseConfig, seed: int) -> dict[str, tuple[float, float]]:
    """|E g - g*| and the root of tr Cov g, in units of |g*|, of each estimator.

    g* is the exact gradient. Of those without a reward both are exact.
    """
    exact, found = every.exact(), {}
    size = np.linalg.norm(exact)
    for name in LABELS:
        if name in every.by_loss:
            gradients = every.by_loss[name]
            mean = every.mean(gradients)
            variance = (every.mean(gradients**2) - mean**2).sum() / B**2  # a mean over B inputs
            bias = np.linalg.norm(mean.mean(0) - exact)
        else:  # without bias: tests/test_losses.py
            n, bias = config.samples if name == "samples" else 1, 0.0
            variance = by_reward(every, config.draws or 2_000, n, name, seed).var(0).sum()
        found[name] = bias / size, np.sqrt(variance) / size
    return found


def draw(config: NoiseConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths.

    Raises `InputError` for a run that is not of a language model with an agent.
    """
    started = describe_start()
    columns, axes, caption = in_run(config) if config.run else on_short_sequences(config)
    figure, panels = plots.figure(11, 0.8 + 0.42 * len(columns["estimator"]), columns=2)
    for ax, (column, title) in zip(panels, axes.items(), strict=True):
        if config.run and column == "noise":  # on a logarithmic axis a bar has no length
            ax.plot(columns[column], columns["estimator"], "o", color="0.4")
            ax.set_xscale("log")
            ax.margins(x=0.15)
        else:
            ax.barh(columns["estimator"], columns[column], color="0.6")
        for at, value in enumerate(columns[column]):
            ax.text(value, at, f"  {value:.2g}", va="center", fontsize=8)
        ax.set_ylim(len(columns[column]) - 0.4, -0.6)
        ax.set_title(title)
    panels[1].set_yticklabels([])
    stem = config.out or pathlib.Path(config.run or figure_files.FOLDER, "noise")
    title = (
        "Noise of the estimators in training" if config.run else "Bias and noise of the estimators"
    )
    paths = figure_files.write(figure, stem, title, caption, columns, measured=started)
    for path in paths:
        print(path)
    return paths


Drawn = tuple[dict[str, Any], dict[str, str], str]  # columns, titles of those drawn, caption


def on_short_sequences(config: NoiseConfig) -> Drawn:
    """Bias and noise where all choices can be enumerated."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # much is traced anew, and that is meant
    measured = [measure(enumerate_choices(seed), config, seed) for seed in range(config.networks)]
    median = np.median([[one[name] for name in LABELS] for one in measured], 0)
    caption = (
        f"Bias and noise of one gradient of the agent's weights, a mean over {B} inputs, medians of"
        f" {config.networks} networks with random weights (T {T}, K {K}, lamda {LAMDA:g}; reward at"
        f" the end). Exact: all {K**T} choices enumerated. With"
        f" {config.samples} samples a step costs {config.samples} times as much: the same number of"
        f" sequences without them has {1 / np.sqrt(config.samples):.2g} of the noise of one."
    )
    columns = {"estimator": labels(config), "bias": median[:, 0], "noise": median[:, 1]}
    of = "in units of the exact gradient's norm"
    return columns, {"bias": f"bias, {of}", "noise": f"noise, {of}"}, caption


def in_run(config: NoiseConfig) -> Drawn:
    """Noise and time at the weights of a trained language model."""
    n_draws = config.draws or 32
    flags, found = noise_in_training.measure(config.run, n_draws, config.samples)
    columns = {"estimator": labels(config, list(found))}
    columns |= {
        name: [getattr(one, name) for one in found.values()]
        for name in ("mean", "noise", "seconds")
    }
    caption = (
        f"Noise of one gradient of the agent's weights, the root of its variance over {n_draws}"
        " draws on one batch of training text, and CPU time of a training step, the median; at the"
        f" weights of a trained language model ({flags.rnn_layers} x {flags.rnn_size} units, K"
        f" {flags.n_actions}, lamda {flags.lamda:g}, trained with {flags.estimator}; B"
        f" {flags.batch_size}, T {flags.num_unroll_steps}), without dropout. The gradient is that"
        " of the loss summed over the steps."
    )
    axes = {"noise": "noise, in nats", "seconds": "seconds a step"}
    return columns, axes, caption


def labels(config: NoiseConfig, names: Sequence[str] = tuple(LABELS)) -> list[str]:
    """What the estimators are called."""
    return [LABELS[name].format(s=config.samples) for name in names]


if __name__ == "__main__":
    main(NoiseConfig, {}, draw, bare=["run"])
