"""Draws how deep plain and highway networks train, and what the gates of a deep one do.

    python experiments/figure_highway.py

After Srivastava, Greff & Schmidhuber (2015), figures 1 to 3. The data are generated: digits of
5 x 7 dots, each somewhere in 8 x 8 dots, with noise.
"""

import dataclasses
import pathlib
import sys
from typing import Any

import numpy as np

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files  # noqa: E402

_DIGITS = (  # seven rows of five dots each
    "01110 10001 10011 10101 11001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00010 00100 01000 11111",
    "11111 00010 00100 00010 00001 10001 01110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)
_SIZE = 8
_PLAIN, _HIGHWAY = 71, 50  # units: about as many weights a layer


@dataclasses.dataclass(frozen=True, kw_only=True)
class HighwayConfig:
    """Train plain and highway networks of several depths, and draw what came of it."""

    depths: list[int] = setting([10, 20, 50], "layers of the networks", minimum=3)
    rates: list[float] = setting(
        [0.1, 0.03], "learning rates tried, of which the best is shown", minimum=0
    )
    epochs: int = setting(10, minimum=1)
    n_train: int = setting(5_000, "number of training examples", minimum=100)
    seed: int = setting(0, minimum=0, maximum=2**31 - 1)
    out: str = setting(
        str(figure_files.FOLDER / "highway"), "output file without extension", path="stem"
    )


def digits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images [n, 64] of digits, and which they are [n]."""
    random = np.random.default_rng(seed)
    shapes = np.array([[[int(dot) for dot in row] for row in one.split()] for one in _DIGITS])
    labels = random.integers(0, len(shapes), n)
    images = np.zeros((n, _SIZE, _SIZE), np.float32)
    rows, columns = (random.integers(0, _SIZE - size + 1, n) for size in shapes.shape[1:])
    for image, label, row, column in zip(images, labels, rows, columns, strict=True):
        image[row : row + shapes.shape[1], column : column + shapes.shape[2]] = shapes[label]
    images += random.normal(0, 0.3, images.shape)
    return images.reshape(n, -1), labels


def network(kind: str, depth: int) -> Any:
    """A network of that many layers, the first of which changes the size, and a softmax.

    Gates begin the more shut the deeper it is, as in the source.
    """
    import keras

    from common.layers.highway import Highway

    he = keras.initializers.HeNormal
    if kind == "plain":
        layers = [keras.layers.Dense(_PLAIN, "relu", kernel_initializer=he()) for _ in range(depth)]
    else:
        bias = -2.0 if depth <= 10 else -4.0 if depth <= 20 else -6.0
        block = 1 if kind == "highway" else _HIGHWAY
        layers = [keras.layers.Dense(_HIGHWAY, "relu", kernel_initializer=he())]
        layers += [
            Highway(_HIGHWAY, block, gate_bias=bias, kernel_initializer="he_normal")
            for _ in range(depth - 1)
        ]
    return keras.Sequential([keras.Input([_SIZE**2]), *layers, keras.layers.Dense(10)])


def train(kind: str, depth: int, config: HighwayConfig) -> tuple[Any, list[float], float]:
    """The network of the best learning rate, its training loss by epoch, and that rate."""
    import keras

    x, labels = digits(config.n_train, config.seed)
    found = []
    for rate in config.rates:
        keras.utils.set_random_seed(config.seed)
        model = network(kind, depth)
        steps = config.epochs * (len(x) // 100)
        model.compile(
            keras.optimizers.SGD(
                keras.optimizers.schedules.CosineDecay(rate, steps), momentum=0.9, clipnorm=1.0
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,  # to compile fifty layers takes longer than to train them
        )
        history = model.fit(x, labels, 100, config.epochs, verbose=0).history["loss"]
        found.append((model, history, rate))
        print(f"{kind}, {depth} layers, rate {rate:g}: loss {history[-1]:.4f}", flush=True)
    return min(found, key=lambda one: np.nan_to_num(one[1][-1], nan=np.inf))


def activity(model: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gates [L, N, F] and the outputs [L, N, F] of a network's highway layers."""
    from common.layers.highway import Highway

    gates, outputs = [], []
    for layer in model.layers:
        if isinstance(layer, Highway):
            gates.append(layer.gates(x))
        x = layer(x)
        if isinstance(layer, Highway):
            outputs.append(x)
    return np.stack(gates), np.stack(outputs)


def lesions(model: Any, x: np.ndarray, labels: np.ndarray) -> list[float]:
    """The error when one highway layer passes on what it is given, for each."""
    from common.layers.highway import Highway

    def error(without: Any):
        h = x
        for layer in model.layers:
            h = h if layer is without else layer(h)
        return float(np.mean(np.argmax(h, -1) != labels))

    return [error(layer) for layer in model.layers if isinstance(layer, Highway)]


def draw(config: HighwayConfig) -> list[pathlib.Path]:
    """Train, write the figure; print and return its paths."""
    kinds = ("plain", "highway", "highway, one gate a layer")
    figure, axes = plots.figure(10, 10.2, columns=2, rows=3)
    columns: dict[str, list] = {name: [] for name in ("network", "layers", "rate", "epoch", "loss")}
    errors, deepest = [], None
    x, labels = digits(2000, config.seed + 1)
    for kind in kinds:
        for number, depth in enumerate(sorted(config.depths)):
            model, losses, rate = train(kind, depth, config)
            epochs = range(1, len(losses) + 1)
            style = {"color": f"C{number}", "ls": ("--", "-", ":")[kinds.index(kind)]}
            axes[0].plot(epochs, losses, label=f"{kind}, {depth} layers", **style)
            row = [kind] * len(losses), [depth] * len(losses), [rate] * len(losses), epochs, losses
            for column, values in zip(columns.values(), row, strict=True):
                column += list(values)
            wrong = float(np.mean(np.argmax(model(x), -1) != labels))
            errors.append({"network": kind, "layers": depth, "rate": rate, "test error": wrong})
            if kind == "highway":
                deepest = model
    axes[0].set_yscale("log")
    axes[0].set_xlabel("epoch")
    axes[0].set_ylabel("training loss (nats)")
    axes[0].legend(fontsize=7, frameon=False)
    without = lesions(deepest, x, labels)
    axes[1].plot(range(2, len(without) + 2), [100 * one for one in without], "o-", ms=3)
    whole = next(one for one in reversed(errors) if one["network"] == "highway")["test error"]
    axes[1].axhline(100 * whole, color="0.5", ls=":", lw=1)
    axes[1].set_xlabel("layer whose gates are shut")
    axes[1].set_ylabel("test error (%)")
    gates, outputs = activity(deepest, x)
    from common.layers.highway import Highway

    biases = [layer.gate.bias.numpy() for layer in deepest.layers if isinstance(layer, Highway)]
    for ax, values, title, limits in (
        (axes[2], np.stack(biases), "b_t after training", (None, None)),
        (axes[3], gates.mean(1), "mean gate over 2,000 images", (0, None)),
        (axes[4], gates[:, 0], "gates for one image", (0, None)),
        (axes[5], outputs[:, 0], "outputs for that image", (None, None)),
    ):
        ends = (-0.5, values.shape[1] - 0.5, len(values) + 1.5, 1.5)  # the first layer is plain
        image = ax.imshow(
            values, aspect="auto", cmap="viridis", vmin=limits[0], vmax=limits[1], extent=ends
        )
        ax.figure.colorbar(image, ax=ax, shrink=0.8)
        ax.set_title(title)
        ax.set_xlabel("unit")
        ax.set_ylabel("layer")
    depth = max(config.depths)
    caption = (
        f"Networks on {config.n_train:,} generated digits of {_SIZE} x {_SIZE} dots, the best of"
        f" {len(config.rates)} learning rates each; layers are {_PLAIN} units wide in plain"
        f" networks and {_HIGHWAY} in highway networks, for as many weights (half as many with one"
        f" gate a layer). From the second picture on: the {depth} layers with a gate for each unit,"
        " of which the first is plain. Dotted: with all layers."
    )
    paths = figure_files.write(
        figure, config.out, "Deep plain and highway networks", caption, columns, tested=errors
    )
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(HighwayConfig, {}, draw)
