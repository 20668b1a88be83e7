"""Draws what `look_inside.py` measures."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.errors import warn
from common.figures import plots
from experiments import figure_files
from experiments.looking import closings, errors, ngrams, reading, structure
from experiments.looking.reading import Reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {
    "quoted": "inside quotes",
    "brackets": "depth of brackets",
    "column": "place in the line",
    "indentation": "indentation",
    "comment": "inside a comment",
}
_LINES, _WIDTH = 5, 78  # of the text that is shown for a cell
_PAIRS = {"brackets": ")]}", "quotes": "'\""}


def write(found: Sequence[Reading], stem: pathlib.Path) -> list[pathlib.Path]:
    """Write all figures of some runs, `<stem>-saturation.png` and so on; returns the paths."""
    text = found[0].text
    what = f"{len(text):,} characters that no run was trained on"
    of_text = structure.of(text)
    paths = saturation(found, what, stem) + cells(found, of_text, what, stem)
    paths += not_predicted(found, what, stem)
    with_states = [one for one in found if one.weighs]
    closed = np.array(list(text))[of_text.opening >= 0]
    pairs = [pair for pair, closing in _PAIRS.items() if np.isin(closed, list(closing)).any()]
    if with_states and pairs:
        paths += connections(with_states, pairs, of_text, what, stem)
    elif with_states:
        warn("the text has no brackets or quotes that close: no picture of what connects to them")
    return paths


def _write(
    figure: "Figure",
    stem: pathlib.Path,
    name: str,
    title: str,
    caption: str,
    columns: Mapping[str, Sequence],
) -> list[pathlib.Path]:
    stem = stem.with_name(f"{stem.name}-{name}")
    return figure_files.write(figure, stem, title, caption, columns)


def saturation(found: Sequence[Reading], what: str, stem: pathlib.Path) -> list[pathlib.Path]:
    """How often each gate of each unit is below .1 and above .9."""
    n_layers = max(len(one.layers) for one in found)
    figure, axes = plots.figure(9, 0.9 + 2.6 * n_layers, columns=3, rows=n_layers, share=True)
    columns: dict[str, list] = {
        name: [] for name in ("run", "layer", "gate", "unit", "below .1", "above .9")
    }
    for number, one in enumerate(found):
        for layer, of_layer in enumerate(one.layers):
            shut, opened = reading.saturation(of_layer)
            for gate, name in enumerate(reading.GATES):
                ax = axes[3 * layer + gate]
                ax.scatter(opened[gate], shut[gate], s=9, alpha=0.5, color=f"C{number}", lw=0)
                ax.set_title(f"layer {layer + 1}, {name} gate")
                n = len(shut[gate])
                for column, values in zip(
                    columns.values(),
                    (
                        [one.name] * n,
                        [layer + 1] * n,
                        [name] * n,
                        range(n),
                        shut[gate],
                        opened[gate],
                    ),
                    strict=True,
                ):
                    column += list(values)
    for ax in axes:
        ax.plot([0, 1], [1, 0], color="0.7", lw=0.8)
    for ax in axes[::3]:
        ax.set_ylabel("share of steps below .1")
    for ax in axes[-3:]:
        ax.set_xlabel("share of steps above .9")
    _legend(axes[0], [one.name for one in found])
    text = f"Each point is a unit's gate over {what}; right: mostly open, top: mostly shut."
    return _write(figure, stem, "saturation", "Saturation of the gates", text, columns)


def _legend(ax: "Axes", names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=f"C{i}", label=name) for i, name in enumerate(names)]
    ax.figure.legend(handles=handles, frameon=False, loc="outside upper left", ncols=len(names))


def cells(
    found: Sequence[Reading], of_text: structure.Structure, what: str, stem: pathlib.Path
) -> list[pathlib.Path]:
    """The cell that follows each target best, of each run, and the text with the first run's."""
    n = min(len(one.p) for one in found)
    halves = slice(n // 2), slice(n // 2, n)  # a target that never changes has no correlation
    targets = [
        target
        for target in structure.TARGETS
        if all(np.ptp(np.asarray(getattr(of_text, target)[half], int)) for half in halves)
    ]
    heights = [1.8, *[1.0] * len(targets)]
    rows = 1 + len(targets)
    figure, axes = plots.figure(9, 1.3 + sum(heights), rows=rows, height_ratios=heights)
    columns: dict[str, list] = {name: [] for name in ("run", "target", "layer", "unit", "r")}
    for number, one in enumerate(found):
        heights = []
        for place, target in enumerate(targets):
            values = np.asarray(getattr(of_text, target)[: len(one.p)], float)
            best = reading.follower(one.layers, values)
            heights.append(np.nan_to_num(best.correlation))
            row = (one.name, target, best.layer + 1, best.unit, best.sign * best.correlation)
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
            if number == 0:
                shown = best.sign * one.layers[best.layer].cells[:, best.unit]
                _coloured(axes[1 + place], one.text, shown, values)
                axes[1 + place].set_title(
                    f"{_LABELS[target]}: unit {best.unit} of layer {best.layer + 1}, {one.name},"
                    f" r = {best.correlation:.2f}",
                    loc="left",
                    fontsize=9,
                )
        width = 0.8 / len(found)
        axes[0].bar(np.arange(len(targets)) + number * width - 0.4, heights, width, align="edge")
    axes[0].set_xticks(range(len(targets)), [_LABELS[target] for target in targets])
    axes[0].set_ylabel("r")
    axes[0].set_ylim(min(0, *axes[0].get_ylim()), 1)
    _legend(axes[0], [one.name for one in found])
    text = (
        "Correlation of tanh(c) with what the text has at the same character: the unit is chosen in"
        f" the first half of {what}, r is that of the second half. Below, text of the second half"
        f" with such a cell of {found[0].name}: blue -1, red 1, turned to be positive in the first."
    )
    return _write(figure, stem, "cells", "Cells that follow the text", text, columns)


def _coloured(ax: "Axes", text: str, values: np.ndarray, target: np.ndarray) -> None:
    """Lines of the second half of the text in which the target varies most, one colour a value."""
    starts = [0, *(i + 1 for i, letter in enumerate(text) if letter == "\n")]
    later = [i for i, start in enumerate(starts[:-_LINES]) if start >= len(text) // 2]
    later = later or list(range(max(len(starts) - _LINES, 1)))
    spans = [(starts[i], starts[min(i + _LINES, len(starts) - 1)]) for i in later]
    full = [text[a:b].count("\n\n") == 0 for a, b in spans]
    spread = [full_one * np.std(target[a:b]) for full_one, (a, b) in zip(full, spans, strict=True)]
    start, end = spans[int(np.argmax(spread))]
    grid, row, column = np.full((_LINES, _WIDTH), np.nan), 0, 0
    for place in range(start, min(end, len(values))):
        letter = text[place]
        if row < _LINES and column < _WIDTH:
            grid[row, column] = values[place]
            if letter not in " \n":
                ax.text(
                    column,
                    row,
                    plots.drawable(letter),
                    fontsize=6.5,
                    family="monospace",
                    ha="center",
                    va="center",
                    parse_math=False,
                )
        row, column = (row + 1, 0) if letter == "\n" else (row, column + 1)
    ax.imshow(
        np.ma.masked_invalid(grid), cmap="coolwarm", vmin=-1, vmax=1, aspect="auto", alpha=0.7
    )
    ax.axis("off")


def not_predicted(found: Sequence[Reading], what: str, stem: pathlib.Path) -> list[pathlib.Path]:
    """The share of each class of errors."""
    first = found[0]
    models = ngrams.NGrams(first.train, len(first.vocabulary.words))
    p_ngrams = models.probabilities(first.tokens)[:, 1:]
    bits = -np.log2(p_ngrams).mean(1)
    figure, (ax,) = plots.figure(9, 5.2)
    columns: dict[str, list] = {
        name: [] for name in ("run", "class", "errors", "share of errors", "share of bits")
    }
    shown, notes = np.arange(len(errors.CLASSES)), []
    for number, one in enumerate(found):
        of = errors.classes(
            one.text, _from_start(one.p), _from_start(p_ngrams.max(0)), one.training_text
        )
        of = of[1:]
        counts = np.bincount(of[of >= 0], minlength=len(shown))
        lost = -np.log2(one.p)
        spent = np.bincount(of[of >= 0], lost[of >= 0], minlength=len(shown)) / lost.sum()
        shares = counts / max(counts.sum(), 1)
        height = 0.8 / len(found)
        ax.barh(shown + number * height - 0.4, 100 * shares, height, align="edge")
        notes.append(
            f"{one.name} {lost.mean():.3f} bits a character, {np.mean(of >= 0):.1%} errors"
        )
        columns["run"] += [one.name] * len(shown)
        columns["class"] += errors.CLASSES
        columns["errors"] += counts.tolist()
        columns["share of errors"] += shares.tolist()
        columns["share of bits"] += spent.tolist()
    ax.set_yticks(shown, errors.CLASSES)
    ax.invert_yaxis()
    ax.set_xlabel("share of the errors (%)")
    _legend(ax, [one.name for one in found])
    text = (
        f"Characters that a network gave less than one half, of {what}; each in the first class"
        f" that it belongs to. The n-gram models, n = 1 to {models.orders[-1]}, are of the training"
        f" text; that with n = {1 + int(np.argmin(bits))} is best, with {bits.min():.3f} bits a"
        f" character. {'; '.join(notes)}."
    )
    return _write(figure, stem, "errors", "What is not predicted", text, columns)


def _from_start(p: np.ndarray) -> np.ndarray:
    """Of all characters, where nothing predicts the first."""
    return np.concatenate([[1.0], p])


def connections(
    found: Sequence[Reading],
    pairs: Sequence[str],
    of_text: structure.Structure,
    what: str,
    stem: pathlib.Path,
) -> list[pathlib.Path]:
    """What closing characters connect to, by where they were opened."""
    figure, axes = plots.figure(
        9, 0.9 + 2.5 * len(found), columns=len(pairs), rows=len(found), share=True
    )
    rows = ("opened there", "opened elsewhere", "any character")
    columns: dict[str, list] = {name: [] for name in ("run", "pair", "steps", "distance", "weight")}
    for number, one in enumerate(found):
        probs = one.layers[-1].probs
        opening = of_text.opening[: len(probs)]
        letters = np.array(list(one.text[: len(probs)]))
        for place, pair in enumerate(pairs):
            ax = axes[len(pairs) * number + place]
            got = closings.measure(probs, opening, np.isin(letters, list(_PAIRS[pair])))
            distances = np.arange(1, probs.shape[1] + 1)
            for row, (name, weights) in enumerate(zip(rows, got.by_distance, strict=True)):
                ax.plot(distances, weights, "os^"[row] + "-", ms=4, color=f"C{row}", label=name)
                columns["run"] += [one.name] * len(distances)
                columns["pair"] += [pair] * len(distances)
                columns["steps"] += [name] * len(distances)
                columns["distance"] += distances.tolist()
                columns["weight"] += weights.tolist()
            n, mean = len(got.distances), got.weights.mean() if len(got.weights) else np.nan
            ax.set_title(
                f"{one.name}, {n:,} {pair}: {mean:.3f} to the opening one,\nby chance"
                f" {got.shuffled.mean():.3f} ± {got.shuffled.std():.3f}",
                fontsize=9,
            )
            ax.set_xticks(distances)
            if place == 0:
                ax.set_ylabel("probability of the distance")
            if number == len(found) - 1:
                ax.set_xlabel("distance back (characters)")
    figure.legend(
        *axes[0].get_legend_handles_labels(), frameon=False, loc="outside upper left", ncols=3
    )
    text = (
        "How probable a distance is where a bracket or a quote closes that was opened so far back,"
        f" where one closes that was opened elsewhere, and at any of {what}: the agent's"
        " probabilities, or attention's weights. By chance: with the distances of other closing"
        " ones, and its standard deviation over 1,000 shuffles."
    )
    return _write(figure, stem, "connections", "Do closing brackets connect back?", text, columns)
