"""Shows which earlier step each step of a sentence connects to, as text and as a picture."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from . import plots

LEFT_OUT = (  # for a caption
    "not drawn: the previous one, and states before the beginning. The longer, the darker"
)
_WIDTH, _NARROWEST, _INCHES_A_LETTER = 11.0, 5.0, 0.085
_LONGEST = 60  # letters of a word that are drawn


def caption(config: Any) -> str:
    """The caption of a picture of a run's connections."""
    return (
        f"Connections of {config.cell}, K = {config.n_actions}, lamda {config.lamda:g}: each word"
        f" to the state it took; {LEFT_OUT}"
    )


def unconnected(config: Any) -> InputError:
    """The error of a `--picture` for a run that has no connections to draw."""
    return InputError(
        "--picture needs a network that chooses connections; this one is --model"
        f" {config.model} --cell {config.cell}"
    )


def as_text(words: Sequence[str], distances: Sequence[int]) -> str:
    """A line per word: the word, its distance, and the word whose state it connects to.

    `-` if that lies before the beginning.
    """
    words = [_shown(word) for word in words]
    width = max(map(len, words))
    lines = []
    for i, (word, distance) in enumerate(zip(words, distances, strict=True)):
        source = words[i - distance] if i >= distance else "-"
        lines.append(f"{word:>{width}}  <- {distance}  {source}")
    return "\n".join(lines)


def draw(
    words: Sequence[str], distances: Sequence[int], stem: str | os.PathLike, caption: str
) -> list[pathlib.Path]:
    """Draws an arc over the sentence from each word to the word whose state it took.

    Longer arcs are darker; connections to the previous word are left out. Long sentences are broken
    into several lines. Writes `<stem>.png`, `.svg` and, with the numbers, `.csv`; returns the
    paths.
    """
    from matplotlib.patches import Arc

    shown = [_shown(word) for word in words]
    shown = [word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..." for word in shown]
    x, line, place = np.zeros(len(words)), np.zeros(len(words), int), 0.0
    for i, word in enumerate(shown):
        width = (len(word) + 2) * _INCHES_A_LETTER
        if place + width > _WIDTH:
            place, line[i:] = 0.0, line[i] + 1
        x[i], place = place + width / 2, place + width
    width = min(max(place, _NARROWEST), _WIDTH) if line[-1] == 0 else _WIDTH
    longest = max(distances)
    figure, (axes,) = plots.figure(width + 0.5, 0.75 + 1.25 * (line[-1] + 1))
    y, n_arcs = -1.3 * line, 0
    for i, (word, distance) in enumerate(zip(shown, distances, strict=True)):
        axes.text(x[i], y[i], word, parse_math=False, ha="center", va="top", fontsize=9)
        source = i - distance
        if distance == 1 or source < 0:
            continue
        shade, n_arcs = _shade(distance, longest), n_arcs + 1
        if line[source] == line[i]:
            chord = x[i] - x[source]
            middle, height = (x[i] + x[source]) / 2, 0.25 + 0.7 * distance / longest
            axes.add_patch(
                Arc((middle, y[i] + 0.05), chord, height, theta2=180, color=shade, lw=1.3)
            )
            axes.plot([x[i]], [y[i] + 0.05], marker="v", color=shade, ms=4)
        else:  # the connection comes from the line above
            start = max(x[i] - 0.4, 0.1)
            axes.annotate(
                "",
                (x[i], y[i] + 0.03),
                (start, y[i] + 0.3),
                arrowprops={"arrowstyle": "-|>", "color": shade, "lw": 1.3},
            )
            label = {
                "ha": "center",
                "va": "bottom",
                "fontsize": 7,
                "color": shade,
                "style": "italic",
                "zorder": 5,
                "parse_math": False,
            }
            axes.text(
                start,
                y[i] + 0.31,
                shown[source],
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
                **label,
            )
    if not n_arcs:
        says = {"ha": "center", "va": "center", "fontsize": 9, "color": "0.5", "style": "italic"}
        axes.text(width / 2, 0.35, "no connection to a step before the previous one", **says)
    axes.set_xlim(0, width)
    axes.set_ylim(y[-1] - 0.3, 0.65)
    axes.axis("off")
    plots.caption(figure, caption)
    sources = [i - d if i >= d else "" for i, d in enumerate(distances)]
    rows = {
        "position": range(len(words)),
        "word": words,
        "distance": distances,
        "source_position": sources,
    }
    return [*plots.save(figure, stem), plots.write_csv(f"{stem}.csv", rows)]


def _shown(word: str) -> str:
    """A word as it is written; a blank, which a text by characters has, as a visible one."""
    return plots.drawable(word) if word.strip() else "\u2423" * len(word)


def _shade(distance: int, longest: int) -> tuple[float, float, float]:
    """A light shade for short connections, a dark one for long ones."""
    import matplotlib

    return matplotlib.colormaps["Blues"](0.35 + 0.6 * distance / longest)[:3]
