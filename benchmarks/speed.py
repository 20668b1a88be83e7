"""Measures our layers and networks beside those that a user would pick instead.

    python benchmarks/speed.py

Writes benchmarks/results/PART.json. Candidates of one table take turns in one process, except in
`compilation` (one after another) and `memory` (a process for each case). Read the ratios.
"""

import contextlib
import dataclasses
import importlib
import importlib.metadata
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.config import main, setting  # noqa: E402
from common.files import atomic_write, to_json  # noqa: E402


def layer(runs: int, size: str) -> dict:
    """One layer, forward and backward, at a size that benchmarks/layers.py names."""
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


def cells(runs: int) -> dict:
    """A layer of every cell, forward and backward, at the sizes of the four tasks."""
    from benchmarks import layers, timing

    sizes = {
        "language model": layers.PTB,
        "number prediction": layers.NUMBERS,
        "sentiment": layers.IMDB,
        "tagger": layers.CONLL,
    }
    found = {
        name: timing.interleaved(layers.all_cells(size), runs, warm_up=1)
        for name, size in sizes.items()
    }
    operations = {name: layers.operations_of_cells(size) for name, size in sizes.items()}
    return by_cell(found) | {"per_operation": per_operation(found, operations)}


def per_operation(
    seconds: dict[str, dict[str, list[float]]], operations: dict[str, dict[str, int]]
) -> dict[str, dict[str, float]]:
    """Each cell's time for an operation of its products, as a share of `lstm`'s in the column."""
    from benchmarks import timing

    def share(name: str, cell: str):
        work = operations[name][cell] / operations[name]["lstm"]
        return round(timing.ratio(seconds[name], cell, "lstm") / work, 2)

    cells = next(iter(seconds.values()))
    return {cell: {name: share(name, cell) for name in seconds} for cell in cells}


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


def step(runs: int, networks: str, *preset: str) -> dict:
    """One training step of each network in a file of benchmarks/networks/, beside `dynamic_skip`.

    What is timed are calls of `STEPS` steps each.
    """
    from benchmarks import timing

    networks = importlib.import_module(f"benchmarks.networks.{networks}")
    seconds = timing.interleaved(networks.candidates(*preset), runs, warm_up=1)
    return table(
        {name: [s / networks.STEPS for s in values] for name, values in seconds.items()},
        "dynamic_skip",
    )


def growth(runs: int, size: str, name: str, values: tuple[int, ...]) -> dict:
    """Time of a layer against one of its sizes, beside the operations of an LSTM's products."""
    from benchmarks import layers, timing

    size = getattr(layers, size)
    seconds = timing.interleaved(
        {str(n): layers.dynamic_skip(size, **{name: n}) for n in values}, runs
    )
    milliseconds = {n: round(timing.milliseconds(value), 2) for n, value in seconds.items()}
    gflop = {str(n): size._replace(**{name: n}).operations / 1e9 for n in values}
    return {"against": name, "milliseconds_at": milliseconds, "gflop_at": gflop, "shape": str(size)}


def elsewhere(runs: int, module: str) -> dict:
    """What a file of benchmarks/ measures."""
    return importlib.import_module(f"benchmarks.{module}").measure(runs)


def memory(runs: int) -> dict:
    """Peak memory of a layer, forward and backward, at three lengths."""
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


class Part(NamedTuple):
    """One table of benchmarks/RESULTS.md: its title, and what measures it with which arguments."""

    title: str
    measure: Callable[..., dict]
    arguments: tuple = ()


PARTS = {
    "layer": Part(
        "Forward and backward of one layer at the size of the paper's language model",
        layer,
        ("PTB",),
    ),
    "layer_number": Part(
        "Forward and backward of one layer at the size of number prediction", layer, ("NUMBERS",)
    ),
    "layer_imdb": Part(
        "Forward and backward of one layer at the size of the sentiment network", layer, ("IMDB",)
    ),
    "layer_conll": Part(
        "Forward and backward of one layer at the size of the tagger's, one direction",
        layer,
        ("CONLL",),
    ),
    "cells": Part(
        "Forward and backward of a layer of every cell, at the sizes of the four tasks", cells
    ),
    "step": Part(
        "One training step of the paper's language model", step, ("language_models", "paper")
    ),
    "small_step": Part(
        "One training step of the small language model: 2 x 200, 20 steps, no dropout",
        step,
        ("language_models", "small"),
    ),
    "char_step": Part(
        "One training step of the character-aware language model",
        step,
        ("language_models", "char"),
    ),
    "number_step": Part(
        "One training step of number prediction, T = 11, B = 100, H = 200",
        step,
        ("number_networks",),
    ),
    "sentiment_step": Part(
        "One training step of the sentiment network on IMDB, T = 400, B = 50, H = 128",
        step,
        ("sentiment_networks",),
    ),
    "tagger_step": Part(
        "One training step of the tagger on CoNLL-2003, T = 25, B = 10, H = 200 in each direction",
        step,
        ("taggers",),
    ),
    "inference": Part(
        "Inference, a word: of a sentence of 25 words that is tagged, of one that the language"
        " model reads, and of 25 that it generates one by one",
        elsewhere,
        ("inference",),
    ),
    "length": Part(
        "Time of the layer, forward and backward, against T",
        growth,
        ("SMALL", "n_steps", (35, 100, 400, 1000, 2000)),
    ),
    "actions": Part(
        "Time of the layer, forward and backward, against K",
        growth,
        ("PTB", "n_actions", (2, 5, 10, 50, 100)),
    ),
    "batch": Part(
        "Time of the layer, forward and backward, against B",
        growth,
        ("SMALL", "batch", (20, 64, 128, 256, 512)),
    ),
    "units": Part(
        "Time of the layer, forward and backward, against H",
        growth,
        ("SMALL", "units", (200, 400, 650, 1000, 1500)),
    ),
    "memory": Part(
        "Peak memory of the layer, forward and backward, above weights and inputs, beside autodiff"
        " through the cell; a plain graph without oneDNN",
        memory,
    ),
    "systems": Part(
        "One training step of other systems' networks, beside the same ones of Keras' own layers",
        elsewhere,
        ("systems",),
    ),
    "compilation": Part(
        "Training steps as `--jit_compile` chooses by default, compiled as a whole by XLA, and as a"
        " plain graph",
        elsewhere,
        ("compilation",),
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """Measure speed and memory beside what a user would pick instead."""

    parts: list[str] = setting(list(PARTS), "tables to measure", choices=tuple(PARTS))
    runs: int = setting(7, "timed runs of each candidate", minimum=1)
    results: str = setting("", "output folder (empty: benchmarks/results)", path=True)


def measure(config: SpeedConfig) -> None:
    """Measure the parts; print and write the results."""
    from common.training.provenance import describe_start

    folder = pathlib.Path(config.results or ROOT / "benchmarks" / "results")
    folder.mkdir(parents=True, exist_ok=True)
    sitting = describe_start()
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        sitting["versions"]["torch"] = importlib.metadata.version("torch")
    for name in config.parts:
        title, function, arguments = PARTS[name]
        found = function(config.runs, *arguments)
        print(f"\n{name}: {title}", to_json(found, indent=1), sep="\n", flush=True)
        record = found | {"part": name, "title": title, "runs": config.runs} | sitting
        atomic_write(folder / f"{name}.json", to_json(record, indent=1) + "\n")


if __name__ == "__main__":
    main(SpeedConfig, {}, measure)
