"""Draws which steps a network of number prediction connects to.

    python experiments/figure_numbers.py RUN_DIR

For each index digit, the step that the last one connects to: the picture of
NumberPrediction/show_skips.py in the form of the other figures.
"""

import dataclasses
import pathlib
import sys

import numpy as np

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from experiments import figure_files  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumbersConfig:
    """Draw which earlier step each step of number prediction connects to."""

    run_dir: str = setting("", "folder of the run", path=True)
    out: str = setting(
        "",
        "output file without extension (empty: numbers in the folder of the run)",
        path="stem",
    )


def draw(config: NumbersConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths.

    Raises `InputError` for a run that cannot be used or has no agent.
    """
    # imports TensorFlow, so only after the flags were read
    from NumberPrediction import experiment, inspection, show_skips

    run_config, trainer, _ = experiment.load(config.run_dir)
    found = inspection.skips(trainer.model, experiment.examples(run_config, "dev"))
    stem = pathlib.Path(config.out or pathlib.Path(config.run_dir, "numbers"))
    asked, said = show_skips.asked_distance(run_config.length, run_config.label_rule), ""
    if max(asked) <= run_config.n_actions:
        said = " Solved, the squares lie on the diagonal."
    elif not np.isnan(asked).any():
        said = (
            f" The digit that is asked for was read {min(asked):g} to {max(asked):g} steps before"
            " the last."
        )
    caption = (
        f"Number prediction, T = {run_config.length + 1}, {show_skips.network(run_config)}: which"
        " state the last step connects to, for each index digit, and how far back each step goes;"
        f" {found.n_examples:,} dev examples, most probable distances.{said}"
    )
    paths = show_skips.write(found, run_config, stem)
    paths.append(
        figure_files.describe(
            stem,
            f"Where the network looks: number prediction, T = {run_config.length + 1}",
            caption,
        )
    )
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(NumbersConfig, {}, draw, bare=["run_dir"])
