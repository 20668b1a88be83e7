"""Speed beside what a user would pick instead:  python benchmarks/speed.py

Writes benchmarks/results/<part>.json. Everything of one part runs in one process, interleaved; read the ratios, not the milliseconds.
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common import run  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write  # noqa: E402

PTB = (20, 35, 650)  # B, T, D = H of the paper's language model
PARTS = ("layer", "step", "small_step", "char_step", "number_step", "length", "actions")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """Measure speed."""

    parts: list[str] = run.setting(list(PARTS), "what to measure", choices=PARTS)
    runs: int = run.setting(7, "counted runs of each", minimum=1)
    results: str = run.setting("", "folder to write to (empty: benchmarks/results)")


def layer(runs: int) -> dict:
    """Forward and backward of one layer at the size of the paper's language model."""
    from benchmarks import layers, timing

    seconds = timing.interleaved(layers.candidates(PTB, PTB[2], 5, 200), runs)
    operations = layers.product_floor(PTB, PTB[2])[1]
    floor = sorted(seconds["matrix products alone"])[len(seconds["matrix products alone"]) // 2]
    return table(seconds, "DynamicSkipLSTM") | {"gflop": operations / 1e9, "gflops_of_products": operations / floor / 1e9}


def step(runs: int, preset: str = "paper") -> dict:
    """One training step of the language model."""
    from benchmarks import language_models, timing

    seconds = timing.interleaved(language_models.candidates(preset), runs, warm_up=1)
    seconds = {name: [s / language_models.STEPS for s in values] for name, values in seconds.items()}
    return table(seconds, "dynamic_skip")


def small_step(runs: int) -> dict:
    """One training step of the small language model: 2 x 200, 20 steps, no dropout."""
    return step(runs, "small")


def char_step(runs: int) -> dict:
    """One training step of the character-aware language model."""
    return step(runs, "char")


def number_step(runs: int) -> dict:
    """One training step of number prediction, T = 11, B = 100, H = 200."""
    from benchmarks import number_networks, timing

    seconds = timing.interleaved(number_networks.candidates(), runs, warm_up=1)
    seconds = {name: [s / number_networks.STEPS for s in values] for name, values in seconds.items()}
    return table(seconds, "dynamic_skip")


def length(runs: int) -> dict:
    """Time of the layer, forward and backward, against T."""
    from benchmarks import layers, timing
    from common import DynamicSkipLSTM

    functions = {
        str(n): layers.tensorflow_step(DynamicSkipLSTM(200, n_actions=5, return_sequences=True), (20, n, 200), False)
        for n in (35, 100, 400, 1000)
    }
    seconds = timing.interleaved(functions, runs)
    per_step = {name: timing.milliseconds(values) / int(name) for name, values in seconds.items()}
    return {"milliseconds_per_step": per_step, "shape": "B 20, D = H = 200, K 5", "spread": max(per_step.values()) / min(per_step.values())}


def actions(runs: int) -> dict:
    """Time of the layer, forward and backward, against K."""
    from benchmarks import layers, timing
    from common import DynamicSkipLSTM

    functions = {
        str(k): layers.tensorflow_step(DynamicSkipLSTM(PTB[2], n_actions=k, agent_units=200, return_sequences=True), PTB, False)
        for k in (2, 5, 10, 50)
    }
    return table(timing.interleaved(functions, runs), "2")


def table(seconds: dict[str, list[float]], reference: str) -> dict:
    """Medians in milliseconds, and the reference's time as a share of each."""
    from benchmarks import timing

    return {
        "milliseconds": {name: round(timing.milliseconds(values), 2) for name, values in seconds.items()},
        "reference": reference,
        "reference_over": {name: round(timing.ratio(seconds, reference, name), 3) for name in seconds},
    }


def measure(config: SpeedConfig) -> None:
    """Run the parts, print and write what they found."""
    from common import run_directory

    functions = {function.__name__: function for function in (layer, step, small_step, char_step, number_step, length, actions)}
    folder = pathlib.Path(config.results or ROOT / "benchmarks" / "results")
    folder.mkdir(parents=True, exist_ok=True)
    for part in config.parts:
        if part not in functions:
            raise InputError(f"--parts expects some of {', '.join(PARTS)}; got {part!r}")
        found = functions[part](config.runs)
        title = functions[part].__doc__.strip().rstrip(".")
        print(f"\n{part}: {title}", run_directory.to_json(found, indent=1), sep="\n", flush=True)
        record = found | {"part": part, "title": title, "runs": config.runs} | run_directory.describe_start()
        atomic_write(folder / f"{part}.json", run_directory.to_json(record, indent=1) + "\n")


if __name__ == "__main__":
    run.main(SpeedConfig, {}, measure)
