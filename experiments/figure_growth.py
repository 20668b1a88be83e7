"""Draws how time and memory of the layer grow with its size.

    python experiments/figure_growth.py

The numbers are those that benchmarks/speed.py measured.
"""

import dataclasses
import pathlib
import re
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import plots  # noqa: E402
from common.files import read_object  # noqa: E402
from experiments import figure_files  # noqa: E402

_PARTS = {"length": "T", "batch": "B", "units": "H", "actions": "K"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowthConfig:
    """Draw time against T, B, H and K, and memory against T."""

    results: str = setting(
        str(ROOT / "benchmarks" / "results"), "folder that benchmarks/speed.py wrote to", path=True
    )
    out: str = setting(
        "", "output file without extension (empty: growth among the figures)", path="stem"
    )


def _read(folder: str, part: str) -> dict:
    path = pathlib.Path(folder, f"{part}.json")
    if not path.is_file():
        parts, place = ",".join([*_PARTS, "memory"]), ""
        if folder != GrowthConfig.results:
            place = f" --results {folder}"
        raise InputError(
            f"expected {path}, found none: python benchmarks/speed.py --parts {parts}{place}"
        )
    measured = "mib" if part == "memory" else "milliseconds_at"
    return read_object(path, "measure that part again", measured)


def draw(config: GrowthConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths.

    Raises `InputError` if a part was not measured.
    """
    records, memory = (
        {part: _read(config.results, part) for part in _PARTS},
        _read(config.results, "memory"),
    )
    figure, axes = plots.figure(12, 7, columns=3, rows=2)
    columns: dict[str, list] = {
        "of": [],
        "against": [],
        "at": [],
        "measured": [],
        "in_proportion": [],
    }

    def note(
        of: str, against: str, at: list[int], measured: list[float], line: list[float | str]
    ) -> None:
        for column, values in zip(
            columns.values(), ([of] * len(at), [against] * len(at), at, measured, line), strict=True
        ):
            column += values

    for ax, (part, letter) in zip(axes, _PARTS.items(), strict=False):
        record = records[part]
        at, measured = (
            [int(n) for n in record["milliseconds_at"]],
            [*record["milliseconds_at"].values()],
        )
        work = [*record["gflop_at"].values()]
        line = [one * measured[-1] / work[-1] if letter != "K" else measured[0] for one in work]
        ax.plot(at, line, ":", color="0.5", label="in proportion to an LSTM's products")
        ax.plot(at, measured, "o-", ms=4, label="measured")
        ax.set_title(re.sub(rf"\b{letter} \d+", f"{letter} varies", record["shape"]), fontsize=9)
        ax.set_xlabel(letter)
        ax.set_ylabel("milliseconds")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(at, [f"{n:,}" for n in at], fontsize=8)
        ax.set_xticks([], minor=True)
        if letter == "K":
            ax.set_ylim(measured[0] / 2, 2 * max(measured))
        note("milliseconds", letter, at, measured, line)
    for case, found in memory["mib"].items():
        at, measured = [int(n) for n in found], [*found.values()]
        axes[4].plot(at, measured, "o-", ms=4, label=case)
        note(f"MiB, {case}", "T", at, measured, [""] * len(at))
    axes[4].set(xlabel="T", ylabel="MiB above weights and inputs", ylim=(0, None), xticks=at)
    axes[4].set_title(re.sub(r"T \d+", "T varies", memory["shape"].partition(", K")[0]), fontsize=9)
    axes[5].axis("off")
    for ax, place in ((axes[0], "upper left"), (axes[4], "lower left")):
        axes[5].add_artist(
            axes[5].legend(*ax.get_legend_handles_labels(), frameon=False, loc=place)
        )
    hardware = memory["hardware"]
    caption = (
        "Forward and backward pass of one DynamicSkipLSTM layer: time against steps, batch, units"
        f" and number of actions, medians of {records['length']['runs']} interleaved runs; peak"
        " memory against steps, beside automatic differentiation through the cell."
        f" {hardware['processor']}, {hardware['cores']} cores, TensorFlow"
        f" {memory['versions']['tensorflow']}."
    )
    stem = config.out or figure_files.FOLDER / "growth"
    paths = figure_files.write(
        figure, stem, "How time and memory grow with the work", caption, columns
    )
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(GrowthConfig, {}, draw)
