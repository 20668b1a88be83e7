"""Draws which deep networks learn the parity of how many bits.

    python experiments/figure_parity.py

One-dimensional Grid LSTMs against plain networks of as many layers and weights, after Kalchbrenner
et al. (2016), section 4.1. Batches are drawn anew at each step, so nothing can be learned by heart.
"""

import dataclasses
import pathlib
import sys
from typing import Any

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files  # noqa: E402

KINDS = ("grid", "grid, tied", "tanh")
_BATCH, _TESTED = 128, 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParityConfig:
    """Train Grid LSTMs and plain networks on the parity of some bits, and draw their accuracy."""

    bits: list[int] = setting([4, 8, 12], "lengths of the strings", minimum=1)
    units: int = setting(32, "units of a Grid LSTM; plain layers have twice as many", minimum=1)
    depth: int = setting(6, "layers", minimum=1)
    steps: int = setting(2000, "training steps of 128 strings", minimum=1)
    rates: list[float] = setting(
        [0.01, 0.003], "rates of Adam tried; the best on other strings is shown", minimum=0
    )
    seed: int = setting(0, minimum=0, maximum=2**31 - 1)
    out: str = setting(
        str(figure_files.FOLDER / "parity"), "output file without extension", path="stem"
    )


def network(kind: str, n_bits: int, units: int, depth: int) -> Any:
    """A network from strings [B, n] of -1 and 1 to a logit [B, 1] of an odd number of ones."""
    import keras

    from common.layers.grid_stack import GridStack

    if kind.startswith("grid"):
        layers = [GridStack(units, depth, tied=kind.endswith("tied"))]
    else:  # 4 H^2 weights a level of a Grid LSTM, as 2H units have
        layers = [keras.layers.Dense(2 * units, kind) for _ in range(depth)]
    return keras.Sequential([keras.Input([n_bits]), *layers, keras.layers.Dense(1)])


def accuracies(kind: str, n_bits: int, rate: float, config: ParityConfig) -> list[float]:
    """The accuracy after training on two sets of new strings."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(config.seed)
    model = network(kind, n_bits, config.units, config.depth)
    optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
    optimizer.build(model.trainable_variables)

    def drawn(n: int, seed: tf.Tensor):
        ones = tf.random.stateless_uniform([n, n_bits], seed, 0, 2, tf.int32)
        odd = tf.reduce_sum(ones, 1, keepdims=True) % 2
        return 2 * tf.cast(ones, tf.float32) - 1, tf.cast(odd, tf.float32)

    @tf.function(autograph=False, jit_compile=True)
    def step(seed: tf.Tensor):
        x, odd = drawn(_BATCH, seed)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(odd, model(x)))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [w.value for w in variables]))

    for i in range(config.steps):
        step(tf.constant([config.seed, i]))
    found = []
    for number in (-1, -2):
        x, odd = drawn(_TESTED, tf.constant([config.seed, number]))
        found.append(float(tf.reduce_mean(tf.cast((model(x) > 0) == (odd > 0), tf.float32))))
    return found


def draw(config: ParityConfig) -> list[pathlib.Path]:
    """Train, write the figure; print and return its paths."""
    figure, (ax,) = plots.figure(7, 4)
    columns: dict[str, list] = {name: [] for name in ("network", "bits", "accuracy")}
    for number, kind in enumerate(KINDS):
        found = []
        for n_bits in config.bits:
            tried = [accuracies(kind, n_bits, rate, config) for rate in config.rates]
            found.append(max(tried, key=lambda one: one[0])[1])  # of those as good, the first
            print(f"{kind}, {n_bits} bits: accuracy {found[-1]:.1%}", flush=True)
        ax.plot(config.bits, [100 * one for one in found], "os^D"[number] + "-", label=kind)
        columns["network"] += [kind] * len(found)
        columns["bits"] += config.bits
        columns["accuracy"] += found
    ax.axhline(50, color="0.5", ls=":", lw=1)
    ax.set_xlabel("bits")
    ax.set_ylabel("accuracy on new strings (%)")
    ax.legend(frameon=False)
    caption = (
        f"Networks of {config.depth} layers after {config.steps:,} steps of {_BATCH} random"
        f" strings: Grid LSTMs of one dimension with {config.units} units, their levels with"
        f" weights of their own or tied, and plain layers of {2 * config.units} units; the best of"
        f" {len(config.rates)} learning rates."
    )
    paths = figure_files.write(figure, config.out, "Parity of bits", caption, columns)
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(ParityConfig, {}, draw)
