"""Draws how far back each class of words connects.

    python experiments/figure_distances.py RUN_DIR

A histogram of the most probable distances for each class of words, over sentences of the run's own
dev data or of a file.
"""

import dataclasses
import pathlib
import sys

import numpy as np

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.data.text import read_lines  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files  # noqa: E402
from experiments.word_classes import NAMES, word_class  # noqa: E402

_COLUMNS, _FEWEST = 3, 20  # classes side by side; words that a class needs to be shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistancesConfig:
    """Draw histograms of distances per class of words, for a run of any task that reads text."""

    run_dir: str = setting("", "folder of the run", path=True)
    file: str = setting(
        "", "text file with a sentence per line (empty: the run's dev data)", path=True
    )
    n_texts: int = setting(300, "number of sentences, from the first on", minimum=1)
    out: str = setting(
        "",
        "output file without extension (empty: distances in the folder of the run)",
        path="stem",
    )


def draw(config: DistancesConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths.

    Raises `InputError` for a run or a file that cannot be used.
    """
    from experiments import connections  # imports TensorFlow, so only after the flags were read

    network = connections.load(config.run_dir)
    dev_texts = getattr(network.inspection, "dev_texts", None)
    if dev_texts is None:
        raise InputError(
            "expected a run that reads words, found digits: see NumberPrediction/show_skips.py"
        )
    if getattr(network.config, "tokens", "") == "characters":
        raise InputError(
            f"{config.run_dir}: expected a run that reads words, found --tokens characters: name"
            " another; experiments/look_inside.py is for such runs"
        )
    texts = (
        [network.tokenise(line) for line in read_lines(config.file)]
        if config.file
        else dev_texts(network.config)
    )
    texts = [words for words in texts if words][: config.n_texts]
    paths = []
    for readings in zip(*connections.read(network, texts), strict=True):
        name = readings[0].name
        stem = pathlib.Path(config.out or pathlib.Path(config.run_dir, "distances"))
        stem = stem.with_name(f"{stem.name}-{name.split()[0]}") if name else stem
        pairs = [
            pair
            for reading in readings
            for pair in zip(reading.words[1:], reading.distances[1:], strict=True)
        ]
        paths += write(
            counts(pairs, network.config.n_actions), name, len(texts), network.caption, stem
        )
    for path in paths:
        print(path)
    return paths


def counts(pairs: list[tuple[str, int]], n_actions: int) -> dict[str, np.ndarray]:
    """How often each class of words took each distance: class -> [K].

    Classes of fewer than twenty words are left out.
    """
    found = {name: np.zeros(n_actions, int) for name in NAMES}
    for word, distance in pairs:
        found[word_class(word)][distance - 1] += 1
    return {name: row for name, row in found.items() if row.sum() >= _FEWEST}


def write(
    found: dict[str, np.ndarray], direction: str, n_texts: int, caption: str, stem: pathlib.Path
) -> list[pathlib.Path]:
    """Write the histograms of one direction of reading."""
    if not found:
        raise InputError(
            f"expected classes of at least {_FEWEST} words, found none: give more --n_texts, or a"
            " longer --file"
        )
    rows = -(-len(found) // _COLUMNS)
    figure, axes = plots.figure(9, 0.9 + 1.9 * rows, columns=_COLUMNS, rows=rows, share=True)
    distances = np.arange(1, len(next(iter(found.values()))) + 1)
    for ax, (name, row) in zip(axes, found.items(), strict=False):
        ax.bar(distances, row / row.sum(), color="tab:blue", width=0.85)
        ax.set_title(
            f"{name} ({row.sum():,}), mean {np.average(distances, weights=row):.2f}", fontsize=9
        )
    for ax in axes[len(found) :]:
        ax.axis("off")
    for i, ax in enumerate(axes[: len(found)]):
        ax.set_xticks(distances)
        ax.tick_params(labelbottom=i + _COLUMNS >= len(found))
        if i + _COLUMNS >= len(found):
            ax.set_xlabel("distance back (steps)")
        if i % _COLUMNS == 0:
            ax.set_ylabel("share of the words")
    way = f", {direction}" if direction else ""
    text = (
        f"How far back words connect{way}: most probable distances in {n_texts:,} texts, each read"
        " on its own and without its "
    )
    text += f"first step; in brackets how many words. {caption}."
    names = [name for name in found for _ in distances]
    columns = {
        "class": names,
        "distance": np.tile(distances, len(found)),
        "words": np.concatenate(list(found.values())),
    }
    return figure_files.write(figure, stem, f"Distances per class of words{way}", text, columns)


if __name__ == "__main__":
    main(DistancesConfig, {}, draw, bare=["run_dir"])
