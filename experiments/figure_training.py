"""Draws the agent's entropy and reward over training.

    python experiments/figure_training.py numbers11

The numbers are those of the committed results.
"""

import dataclasses
import math
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.config.flags import hint  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files, read_results, tables  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Draw the entropy and the reward of the agents of a table over their training."""

    table: str = setting("", "table of the results", choices=("", *tables.TABLES))
    rows: list[str] = setting([], "rows to draw (empty: all with an agent)")
    out: str = setting(
        "",
        "output file without extension (empty: training-<table> among the figures)",
        path="stem",
    )


def agents(table: str, rows: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The results, by row, of those rows that have an agent."""
    chosen = {
        name: read_results.results_of(table, name) for name in rows or tables.TABLES[table].rows
    }
    return {
        name: found
        for name, found in chosen.items()
        if any(read_results.entropy(one) is not None for run in found for one in run["records"])
    }


def _choices(flags: Mapping[str, Any]) -> int:
    """How many choices a run's agent has at each of its steps."""
    return flags["max_jump"] + 1 if flags.get("model") == "jump" else flags["n_actions"]


def draw(config: TrainingConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths.

    Raises `InputError` for a table without such results.
    """
    if not config.table:
        raise InputError(
            "expected a table, as in python experiments/figure_training.py numbers11; one of"
            f" {', '.join(tables.TABLES)}"
        )
    known = tables.TABLES[config.table].rows
    for row in config.rows:
        if row not in known:
            raise InputError(
                f"--rows expects some of {', '.join(known)}; got {row!r}{hint(row, known)}"
            )
    found = agents(config.table, config.rows)
    if not found and any(read_results.results_of(config.table, row) for row in known):
        raise InputError(
            f"expected rows with an agent in {config.table}, found results of others alone: name"
            " another table, or other --rows"
        )
    if not found:
        raise InputError(
            f"expected results of rows with an agent in {config.table}, found none: python"
            f" experiments/run.py {config.table}"
        )
    table = tables.TABLES[config.table]
    figure, (left, right) = plots.figure(9, 3.9, columns=2)
    columns: dict[str, list] = {"row": [], "seed": [], "epoch": [], "entropy": [], "reward": []}
    for number, (name, results) in enumerate(found.items()):
        for i, result in enumerate(results):
            records = result["records"]
            epochs = [record["epoch"] for record in records]
            entropies = [read_results.entropy(record) for record in records]
            rewards = [read_results.reward(result, record) for record in records]
            style = {
                "color": f"C{number}",
                "label": table.rows[name].label if i == 0 else None,
                "marker": "o",
                "ms": 3,
            }
            left.plot(epochs, entropies, **style)
            right.plot(epochs, [math.nan if value is None else value for value in rewards], **style)
            columns["row"] += [name] * len(epochs)
            columns["seed"] += [result["seed"]] * len(epochs)
            for column, values in (("epoch", epochs), ("entropy", entropies), ("reward", rewards)):
                columns[column] += ["" if value is None else value for value in values]
    actions = max(_choices(result["flags"]) for results in found.values() for result in results)
    uniform = math.log(actions)
    left.axhline(uniform, color="0.5", ls=":", lw=1)
    where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right"}
    left.annotate(
        f"uniform over {actions} choices", (1, uniform), (0, 3), fontsize=8, color="0.4", **where
    )
    left.set_ylim(0, 1.12 * uniform)
    left.set_ylabel("entropy of the agent (nats)")
    right.set_ylabel("reward: log p of the truth (nats)")
    for ax in (left, right):
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    left.figure.legend(
        *right.get_legend_handles_labels(), frameon=False, loc="outside upper left", ncols=2
    )
    seeds = max(len(results) for results in found.values())
    what = table.title.partition(":")[0]
    caption = (
        f"{what}: the agent while it learns, means over each epoch of training; a line for each"
        f" seed (at most {seeds})."
    )
    if "" in columns["reward"]:
        caption += " The reward is drawn where it is the log-likelihood of the truth."
    title = f"The agent's entropy and reward over training: {what}"
    paths = figure_files.write(
        figure,
        config.out or figure_files.FOLDER / f"training-{config.table}",
        title,
        caption,
        columns,
    )
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(TrainingConfig, {}, draw, bare=["table"])
