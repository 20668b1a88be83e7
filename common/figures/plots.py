"""Plots as PNG and SVG, with their data as CSV beside them.

No display is needed; matplotlib is imported on first use.
"""

import csv
import io
import os
import pathlib
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import warn
from ..files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "dynamic-skip-lstm",  # the same picture gives the same bytes
}


def figure(
    width: float,
    height: float,
    columns: int = 1,
    rows: int = 1,
    share: bool | str = False,
    **gridspec: Any,
) -> tuple["Figure", list["Axes"]]:
    """A figure of that size in inches, and its axes, row by row.

    With `share`, all axes have the same limits (with "y" vertically), and only the outer ones have
    tick labels.
    `gridspec`: as for `Figure.subplots`, e.g. width_ratios.
    """
    import matplotlib

    # without pyplot there is no display to look for and nothing to close
    from matplotlib.figure import Figure

    matplotlib.rcdefaults()  # whatever a `matplotlibrc` in the current folder or the home says
    matplotlib.rcParams.update(_STYLE)
    made = Figure(figsize=(width, height), layout="constrained")
    both, gridspec = {"sharex": share is True, "sharey": bool(share)}, gridspec or None
    axes = made.subplots(rows, columns, squeeze=False, **both, gridspec_kw=gridspec)
    return made, list(axes.flat)


def caption(made: "Figure", text: str) -> None:
    """Write a caption below the axes, broken into lines that fit the figure's width."""
    text = textwrap.fill(drawable(text), int(14.5 * made.get_size_inches()[0]))
    made.supxlabel(text, fontsize=9, color="0.35", parse_math=False)  # a $ is a dollar


def drawable(text: str) -> str:
    """Escape characters that have no glyph and are not allowed in SVG: form feeds, U+FFFE ..."""
    return "".join(
        one if one.isprintable() or unicodedata.category(one) == "Zs" else ascii(one)[1:-1]
        for one in text
    )


def thinned(places: Sequence, most: int) -> Sequence:
    """At most `most` of them, evenly, for marks on an axis that do not run into each other."""
    return places[:: -(-len(places) // most)]


def heat_map(
    axes: "Axes",
    values: np.ndarray,
    rows: Sequence,
    columns: Sequence,
    *,
    row_label: str,
    column_label: str,
    value_label: str,
    maximum: float | None = None,
) -> "AxesImage":
    """Draw values [rows, columns] from 0 to `maximum` as shades; NaN is left white."""
    image = axes.imshow(
        np.ma.masked_invalid(values), cmap="Blues", vmin=0, vmax=maximum, aspect="equal"
    )
    marked = thinned(range(len(columns)), 40)
    axes.set_xticks(marked, [str(columns[i]) for i in marked])
    axes.set_yticks(range(len(rows)), [str(one) for one in rows])
    axes.set_xlabel(column_label)
    axes.set_ylabel(row_label)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.figure.colorbar(image, ax=axes, label=value_label, shrink=0.8)
    return image


def save(made: "Figure", stem: str | os.PathLike) -> list[pathlib.Path]:
    """Write `<stem>.png` and `<stem>.svg`, each atomically; returns the paths.

    Characters that the font lacks are drawn as boxes; a warning of one line names them.
    """
    paths, lacking = [], set()
    for kind, options in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
        path = pathlib.Path(f"{stem}.{kind}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            atomic_write(
                path,
                lambda file, kind=kind, options=options: made.savefig(file, format=kind, **options),
            )
        for one in said:
            if glyph := re.match(r"Glyph (\d+) .*missing from font", str(one.message)):
                lacking.add(chr(int(glyph[1])))
            else:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        paths.append(path)
    if lacking:
        letters = " ".join(sorted(lacking))
        warn(f"{stem}: the font has no {letters}, drawn as boxes; the .csv beside it has the words")
    return paths


def write_csv(path: str | os.PathLike, columns: Mapping[str, Sequence]) -> pathlib.Path:
    """Write columns of equal length under a line of names, atomically; returns the path."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    atomic_write(path, text.getvalue())
    return path
