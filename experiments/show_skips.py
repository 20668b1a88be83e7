"""Draws the connections that a trained network makes in a text.

    python experiments/show_skips.py RUN_DIR "some text"

Arcs over the words as SVG and PNG, with the distances as CSV; with --html, an interactive page
with each word's distribution.
"""

import dataclasses
import pathlib
import sys
import textwrap
from typing import TYPE_CHECKING

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.data.text import EOS, lines, words_of  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import arcs  # noqa: E402
from experiments import figure_files  # noqa: E402

if TYPE_CHECKING:
    from experiments.connections import Reading

_SEED = 99  # of generated texts; no run trains on it


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShowConfig:
    """Draw which earlier word each word connects to, for a run of any task."""

    run_dir: str = setting("", "folder of the run", path=True)
    text: str = setting("", "text to read, one per line (empty: example texts of the task)")
    out: str = setting(
        "",
        "output file without extension (empty: connections in the folder of the run)",
        path="stem",
    )
    html: bool = setting(
        False, "write a page instead: all texts, each word's distribution, sampled choices"
    )
    samples: int = setting(100, "with --html: number of samples of all distances", minimum=1)
    max_megabytes: float = setting(
        20.0,
        "with --html: largest network to include, which is needed to type texts, in MB",
        minimum=0,
    )
    seed: int = setting(0, "with --html: seed of the samples", minimum=0, maximum=2**31 - 1)


def show(config: ShowConfig) -> list[pathlib.Path]:
    """Write pictures, or a page; print connections and paths; return the paths.

    Raises `InputError` for a run without connections.
    """
    for name in ("samples", "max_megabytes", "seed"):
        if not config.html and getattr(config, name) != getattr(ShowConfig, name):
            raise InputError(
                f"--{name} is of the page that --html writes: give that too, or leave it out"
            )
    from experiments import connections  # imports TensorFlow, so only after the flags were read

    network = connections.load(config.run_dir)
    given = [line for line in lines(config.text) if words_of(line)]
    texts = given or network.inspection.example_texts(network.config, _SEED)
    tokens = [network.tokenise(text) for text in texts]
    stem = pathlib.Path(config.out or pathlib.Path(config.run_dir, "connections"))
    n_samples = config.samples if config.html else 0
    try:
        every = connections.read(network, tokens, n_samples, config.seed)
    except InputError as error:
        if given:
            raise
        why = str(error).split(",")[0]
        raise InputError(f"no example text fits this run ({why}): name one of your own") from None
    if config.html:
        from experiments import connections_page

        paths = [connections_page.write(network, texts, every, stem, config.max_megabytes)]
    else:
        paths = []
        for number, readings in enumerate(every, 1):
            for reading in readings:
                parts = [
                    stem.name,
                    *([str(number)] if len(texts) > 1 else []),
                    *reading.name.split()[:1],
                ]
                paths += draw(reading, network.caption, stem.with_name("-".join(parts)))
    for path in paths:
        print(path)
    return paths


def draw(reading: "Reading", caption: str, stem: pathlib.Path) -> list[pathlib.Path]:
    """The arcs of one reading, and the connections as text on standard output."""
    print(arcs.as_text(reading.words, reading.distances) + "\n")
    direction = f", {reading.name}, in the order of reading" if reading.name else ""
    text = f"Each word and the one whose state it took{direction}; {arcs.LEFT_OUT}."
    text += f" Most probable distances. {caption}."
    paths = arcs.draw(reading.words, reading.distances, stem, text)
    title = "Connections: " + textwrap.shorten(
        " ".join(word for word in reading.words if word != EOS), 50, placeholder=" ..."
    )
    return [*paths, figure_files.describe(stem, title, text)]


if __name__ == "__main__":
    main(ShowConfig, {}, show, bare=["run_dir", "text..."])
