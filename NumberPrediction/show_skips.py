"""Draws which earlier steps a trained network connects to.

    python NumberPrediction/show_skips.py --run_dir runs/NumberPrediction/paper-dynamic_skip-seed0

Writes skips.png and skips.svg, and the numbers they show as skips.csv and skips_by_step.csv.
"""

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING

import numpy as np

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import TrainedRun, main, setting  # noqa: E402
from common.figures import plots  # noqa: E402
from NumberPrediction.presets import NumberConfig  # noqa: E402
from NumberPrediction.reader import rule_labels  # noqa: E402

if TYPE_CHECKING:
    from NumberPrediction.inspection import Skips


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShowConfig(TrainedRun):
    """Draw which earlier step a trained network connects to."""

    out: str = setting(
        "", "output file without extension (empty: skips in the folder of the run)", path="stem"
    )


def show(config: ShowConfig) -> list[pathlib.Path]:
    """Write the picture and its numbers; print and return their paths.

    Raises `InputError` for a run that cannot be used or has no agent.
    """
    # imports TensorFlow, so only after the flags were read
    from NumberPrediction import experiment, inspection

    run_config, trainer, _ = experiment.load(config.run_dir, config.checkpoint)
    found = inspection.skips(trainer.model, experiment.examples(run_config, "dev"))
    paths = write(
        found, run_config, pathlib.Path(config.out or pathlib.Path(config.run_dir, "skips"))
    )
    for path in paths:
        print(path)
    return paths


def asked_distance(length: int, label_rule: str) -> np.ndarray:
    """The distance from the last step to the digit it asks for, for each index digit: [10].

    NaN if the inputs do not determine it.
    """
    places = np.tile(np.arange(length), (10, 1))  # as digits, which the rule then picks from
    asked = rule_labels(np.column_stack([places, np.arange(10)]), label_rule)
    return np.full(10, np.nan) if asked is None else length - asked.astype(float)


def write(found: "Skips", config: NumberConfig, stem: pathlib.Path) -> list[pathlib.Path]:
    """Write the picture and its numbers as four files."""
    n_actions, n_steps = found.last_step.shape[1], len(found.mean_distance)
    digits, distances, steps = np.arange(10), np.arange(1, n_actions + 1), np.arange(1, n_steps + 1)
    figure, (left, right) = plots.figure(11, 5, columns=2, width_ratios=(1.1, 1))

    asked = asked_distance(config.length, config.label_rule)
    first, last = drawn(found.last_step, asked)
    plots.heat_map(
        left,
        found.last_step[:, first - 1 : last],
        digits,
        distances[first - 1 : last],
        row_label="index digit (the last input)",
        column_label="distance back from the last step (steps)",
        value_label="mean probability",
        maximum=1,
    )
    reached = np.flatnonzero(asked <= n_actions)
    if reached.size:
        square = {
            "s": 150,
            "marker": "s",
            "facecolors": "none",
            "edgecolors": "tab:orange",
            "linewidths": 1.8,
        }
        left.scatter(
            asked[reached] - first,
            reached,
            **square,
            label="the state that has just read the asked digit",
        )
        left.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2)
    left.set_title("Which state the last step connects to", pad=26)

    marked = "o-" if n_steps <= 40 else "-"
    right.plot(steps, found.mean_distance, marked, color="tab:blue", label="mean")
    low, high = np.clip(found.mean_distance + np.outer([-1, 1], found.deviation), 1, n_actions)
    right.fill_between(
        steps,
        low,
        high,
        color="tab:blue",
        alpha=0.2,
        lw=0,
        label="mean plus and minus one standard deviation",
    )
    right.plot(
        steps[: n_actions + 1],
        steps[: n_actions + 1] - 1,
        ":",
        color="0.4",
        label="the first input; above it, states are zero",
    )
    right.set_xlabel(f"step (the last, {n_steps}, reads the index)")
    right.set_ylabel("distance back (steps)")
    right.set_xticks(plots.thinned(steps, 12))
    right.set_ylim(0, 1.35 * n_actions)  # room for the legend
    right.set_yticks(plots.thinned(distances, 12))
    right.legend(loc="upper left", framealpha=0.9)
    right.set_title("How far back each step connects", pad=26)
    plots.caption(
        figure,
        f"Number prediction, {config.length} + 1 inputs, preset {config.preset}, cell"
        f" {config.cell}, {network(config)}; {found.n_examples:,} dev examples, most probable"
        " distances.",
    )
    rows = {
        "index": np.repeat(digits, n_actions),
        "distance": np.tile(distances, 10),
        "probability": found.last_step.ravel(),
    }
    by_step = {
        "step": steps,
        "mean_distance": found.mean_distance,
        "standard_deviation": found.deviation,
    }
    return [
        *plots.save(figure, stem),
        plots.write_csv(f"{stem}.csv", rows),
        plots.write_csv(f"{stem}_by_step.csv", by_step),
    ]


def drawn(last_step: np.ndarray, asked: np.ndarray) -> tuple[int, int]:
    """The first and the last distance to draw: all of up to 20, of more those with anything in.

    last_step: [10, K] probabilities, NaN for a digit that no example has. asked: see
    `asked_distance`.
    """
    n_actions = last_step.shape[1]
    seen = np.union1d(np.flatnonzero((last_step >= 0.01).any(0)) + 1, asked[asked <= n_actions])
    if n_actions <= 20 or not seen.size:
        return 1, n_actions
    return int(seen[0]), int(seen[-1])


def network(config: NumberConfig) -> str:
    """The flags that distinguish a run's network, for a caption."""
    how = "" if config.estimator == "policy_gradient" else f", estimator {config.estimator}"
    return f"lamda {config.lamda:g}, K = {config.n_actions}{how}, seed {config.seed}"


if __name__ == "__main__":
    main(ShowConfig, {}, show, bare=["run_dir"])
