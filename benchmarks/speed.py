"""Speed beside what a user would pick instead:  python benchmarks/speed.py

Writes benchmarks/results/<part>.json. What one table compares takes turns in one process, but for
`compilation` (one after another) and `memory` (a process for each case). Read the ratios, not the
milliseconds.
"""

import contextlib
import dataclasses
import importlib.metadata
import pathlib
import sys
from types import ModuleType

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write  # noqa: E402

PARTS = (
    "layer",
    "layer_number",
    "layer_imdb",
    "layer_conll",
    "cells",
    "step",
    "small_step",
    "char_step",
    "number_step",
    "sentiment_step",
    "tagger_step",
    "cell_steps",
    "length",
    "actions",
    "batch",
    "units",
    "memory",
    "compilation",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """Measure speed."""

    parts: list[str] = setting(list(PARTS), "what to measure", choices=PARTS)
    runs: int = setting(7, "counted runs of each", minimum=1)
    results: str = setting("", "folder to write to (empty: benchmarks/results)", path=True)


def layer(runs: int, size: str = "PTB") -> dict:
    """Forward and backward of one layer at the size of the paper's language model."""
    from benchmarks import layers, timing

    size = getattr(layers, size)
    seconds = timing.interleaved(layers.candidates(size), runs)
    gflop = size.operations / 1e9
    rates = {
        name: round(gflop / timing.milliseconds(values) * 1e3, 1)
        for name, values in seconds.items()
    }
    return table(seconds, "DynamicSkipLSTM") | {
        "shape": str(size),
        "gflop": gflop,
        "gflop_per_second": rates,
    }


def layer_number(runs: int) -> dict:
    """Forward and backward of one layer at the size of number prediction."""
    return layer(runs, "NUMBERS")


def layer_imdb(runs: int) -> dict:
    """Forward and backward of one layer at the size of the sentiment network."""
    return layer(runs, "IMDB")


def layer_conll(runs: int) -> dict:
    """Forward and backward of one layer at the size of the tagger's, one direction."""
    return layer(runs, "CONLL")


def cells(runs: int) -> dict:
    """Forward and backward of a layer of every cell, at the sizes of the four tasks."""
    from benchmarks import layers, timing

    sizes = {
        "language model": layers.PTB,
        "number prediction": layers.NUMBERS,
        "sentiment": layers.IMDB,
        "tagger": layers.CONLL,
    }
    return by_cell(
        {
            name: timing.interleaved(layers.all_cells(size), runs, warm_up=1)
            for name, size in sizes.items()
        }
    )


def cell_steps(runs: int) -> dict:
    """One training step of every task's network, with every cell."""
    from benchmarks import timing
    from benchmarks.networks import language_models, number_networks, sentiment_networks, taggers
    from common.config import CELLS

    makers = {
        "language model": (
            lambda cell: language_models.our_steps(language_models.config_of("paper", cell=cell)),
            language_models,
        ),
        "number prediction": (lambda cell: number_networks.our_steps(cell=cell), number_networks),
        "sentiment": (lambda cell: sentiment_networks.our_steps(cell=cell), sentiment_networks),
        "tagger": (lambda cell: taggers.our_steps(cell=cell), taggers),
    }
    found = {}
    for name, (make, networks) in makers.items():
        seconds = timing.interleaved({cell: make(cell) for cell in CELLS}, runs, warm_up=1)
        found[name] = {
            cell: [s / networks.STEPS for s in values] for cell, values in seconds.items()
        }
    return by_cell(found)


def by_cell(seconds: dict[str, dict[str, list[float]]]) -> dict:
    """Medians in milliseconds of each cell, in each of several columns."""
    from benchmarks import timing

    cells = next(iter(seconds.values()))
    found = {
        cell: {name: timing.milliseconds(values[cell]) for name, values in seconds.items()}
        for cell in cells
    }
    return {
        "milliseconds_of": {
            cell: {name: round(value, 2) for name, value in row.items()}
            for cell, row in found.items()
        }
    }


def steps(runs: int, networks: ModuleType, *preset: str) -> dict:
    """One training step of a task's whole network.

    What is timed are calls of several steps each.
    """
    from benchmarks import timing

    seconds = timing.interleaved(networks.candidates(*preset), runs, warm_up=1)
    return table(
        {name: [s / networks.STEPS for s in values] for name, values in seconds.items()},
        "dynamic_skip",
    )


def step(runs: int) -> dict:
    """One training step of the paper's language model."""
    from benchmarks.networks import language_models

    return steps(runs, language_models, "paper")


def small_step(runs: int) -> dict:
    """One training step of the small language model: 2 x 200, 20 steps, no dropout."""
    from benchmarks.networks import language_models

    return steps(runs, language_models, "small")


def char_step(runs: int) -> dict:
    """One training step of the character-aware language model."""
    from benchmarks.networks import language_models

    return steps(runs, language_models, "char")


def number_step(runs: int) -> dict:
    """One training step of number prediction, T = 11, B = 100, H = 200."""
    from benchmarks.networks import number_networks

    return steps(runs, number_networks)


def sentiment_step(runs: int) -> dict:
    """One training step of the sentiment network on IMDB, T = 400, B = 50, H = 128."""
    from benchmarks.networks import sentiment_networks

    return steps(runs, sentiment_networks)


def tagger_step(runs: int) -> dict:
    """One training step of the tagger on CoNLL-2003, T = 25, B = 10, H = 200 in each direction."""
    from benchmarks.networks import taggers

    return steps(runs, taggers)


def growth(runs: int, size: str, name: str, values: tuple[int, ...]) -> dict:
    """Time of the layer, forward and backward, against one number of its size, and the work of an
    LSTM's products there.
    """
    from benchmarks import layers, timing

    size = getattr(layers, size)
    seconds = timing.interleaved(
        {str(n): layers.dynamic_skip(size, **{name: n}) for n in values}, runs
    )
    milliseconds = {n: round(timing.milliseconds(value), 2) for n, value in seconds.items()}
    gflop = {str(n): size._replace(**{name: n}).operations / 1e9 for n in values}
    return {"against": name, "milliseconds_at": milliseconds, "gflop_at": gflop, "shape": str(size)}


def length(runs: int) -> dict:
    """Time of the layer, forward and backward, against T."""
    return growth(runs, "SMALL", "n_steps", (35, 100, 400, 1000, 2000))


def actions(runs: int) -> dict:
    """Time of the layer, forward and backward, against K."""
    return growth(runs, "PTB", "n_actions", (2, 5, 10, 50, 100))


def batch(runs: int) -> dict:
    """Time of the layer, forward and backward, against B."""
    return growth(runs, "SMALL", "batch", (20, 64, 128, 256, 512))


def units(runs: int) -> dict:
    """Time of the layer, forward and backward, against H."""
    return growth(runs, "SMALL", "units", (200, 400, 650, 1000, 1500))


def compilation(runs: int) -> dict:
    """Training steps as `--jit_compile` chooses by default, compiled as a whole by XLA, and as a
    plain graph.
    """
    from benchmarks import compilation

    return {"ways": compilation.measure(runs)}


def memory(runs: int) -> dict:
    """Peak memory of the layer, forward and backward, above weights and inputs, beside autodiff
    through the cell.
    """
    from benchmarks.layers import PTB
    from benchmarks.memory import CASES, peak_mib

    steps = PTB.n_steps, 2 * PTB.n_steps, 4 * PTB.n_steps
    return {
        "mib": {case: {str(n): round(peak_mib(case, n), 1) for n in steps} for case in CASES},
        "shape": str(PTB),
    }


def table(seconds: dict[str, list[float]], reference: str) -> dict:
    """Medians in milliseconds, and the reference's time as a share of each."""
    from benchmarks import timing

    return {
        "milliseconds": {
            name: round(timing.milliseconds(values), 2) for name, values in seconds.items()
        },
        "reference": reference,
        "reference_over": {
            name: round(timing.ratio(seconds, reference, name), 3) for name in seconds
        },
    }


def measure(config: SpeedConfig) -> None:
    """Run the parts, print and write what they found."""
    from common.files import to_json
    from common.training.provenance import describe_start

    functions = {part: globals()[part] for part in PARTS}
    folder = pathlib.Path(config.results or ROOT / "benchmarks" / "results")
    folder.mkdir(parents=True, exist_ok=True)
    sitting = describe_start()
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        sitting["versions"]["torch"] = importlib.metadata.version("torch")
    for part in config.parts:
        if part not in functions:
            raise InputError(f"--parts expects some of {', '.join(PARTS)}; got {part!r}")
        found = functions[part](config.runs)
        title = functions[part].__doc__.strip().rstrip(".")
        print(f"\n{part}: {title}", to_json(found, indent=1), sep="\n", flush=True)
        record = found | {"part": part, "title": title, "runs": config.runs} | sitting
        atomic_write(folder / f"{part}.json", to_json(record, indent=1) + "\n")


if __name__ == "__main__":
    main(SpeedConfig, {}, measure)
