"""Draws figure 5: perplexity against K and against lamda.

    python experiments/figure_sweep.py lm_sweep_small

The numbers are those of the committed results.
"""

import dataclasses
import math
import pathlib
import statistics
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files, read_results, selection, tables  # noqa: E402

_METRICS = (("valid_perplexity", "valid", "o-"), ("test_perplexity", "test", "s--"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Draw perplexity against K and lamda."""

    table: str = setting(
        "lm_sweep_small",
        "table of the results",
        choices=("lm_sweep_small", "lm_sweep", "lm_sweep_generated"),
    )
    out: str = setting(
        "", "output file without extension (empty: <table> among the figures)", path="stem"
    )


def points(table: str) -> dict[str, list[tuple[float, dict]]]:
    """The results by "K" (at lamda 1) and by "lamda" (at K = 5): value -> results, in order.

    Only rows that were run. lamda 0 is the LSTM.
    """
    rows = {name: read_results.results_of(table, name) for name in tables.TABLES[table].rows}
    by_k = [
        (int(name.removeprefix("K")), found)
        for name, found in rows.items()
        if name.startswith("K") and found
    ]
    by_lamda = [
        (float(name.removeprefix("lamda")), found)
        for name, found in rows.items()
        if name.startswith("lamda") and found
    ]
    by_lamda += [(value, rows[name]) for value, name in ((0.0, "K1"), (1.0, "K5")) if rows[name]]
    return {"K": sorted(by_k), "lamda": sorted(by_lamda)}


def draw(config: SweepConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths.

    Raises `InputError` if nothing was run yet.
    """
    found = points(config.table)
    if not any(found.values()):
        raise InputError(
            f"expected results of {config.table}, found none: python experiments/run.py"
            f" {config.table}"
        )
    figure, axes = plots.figure(9, 3.8, columns=2, share="y")
    columns: dict[str, list] = {
        "against": [],
        "value": [],
        "split": [],
        "perplexity": [],
        "deviation": [],
        "seeds": [],
    }
    for ax, (name, fixed) in zip(axes, (("K", "lamda = 1"), ("lamda", "K = 5")), strict=True):
        for metric, split, line in _METRICS:
            values = [
                [result[metric] for result in results if result[metric] is not None]
                for _, results in found[name]
            ]
            means = [statistics.fmean(one) if one else math.nan for one in values]
            deviations = [statistics.stdev(one) if len(one) > 1 else 0.0 for one in values]
            ax.errorbar(
                [x for x, _ in found[name]],
                means,
                deviations,
                fmt=line,
                ms=5,
                capsize=3,
                label=split,
            )
            for (x, _), mean, deviation, one in zip(
                found[name], means, deviations, values, strict=True
            ):
                for column, value in zip(
                    columns.values(), (name, x, split, mean, deviation, len(one)), strict=True
                ):
                    column.append(value)
        ax.set_xlabel(f"{name} ({fixed})")
        ax.set_xticks([x for x, _ in found[name]])
        ax.set_ylabel("perplexity")
        ax.legend(frameon=False)
    seeds = sorted(set(columns["seeds"]))
    not_run = selection.rows_not_run(config.table)
    lacks = f" Not run: {', '.join(not_run)}." if not_run else ""
    caption = (
        f"{tables.TABLES[config.table].title}: the number of states to choose from, and the weight"
        " of the chosen one. K = 1 and lamda = 0 are the LSTM; elsewhere distances are sampled."
        f" Seeds of a point: {' or '.join(map(str, seeds))}; bars: standard deviation."
        f"{lacks}"
    )
    title = tables.TABLES[config.table].title
    paths = figure_files.write(
        figure, config.out or figure_files.FOLDER / config.table, title, caption, columns
    )
    for line in [*filter(None, [lacks.strip()]), *paths]:
        print(line)
    return paths


if __name__ == "__main__":
    main(SweepConfig, {}, draw, bare=["table"])
