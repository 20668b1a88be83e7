"""Looks inside language models by characters: their gates, cells, errors and connections.

    python experiments/look_inside.py RUN_DIR RUN_DIR ...

Four pictures, of all the runs: how often each gate is shut and open; the cells that follow quotes,
brackets, comments and lines; what kinds of characters are not predicted (all three after Karpathy,
Johnson & Li 2015); and, for runs with dynamic skips or attention, whether what closes a bracket or
a quote connects to what opened it.
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookConfig:
    """Draw what goes on inside language models by characters, on text that they did not see."""

    runs: list[str] = setting([], "folders of runs on the same text", path=True)
    split: str = setting("test", "text that is read", choices=("valid", "test"))
    out: str = setting(
        "",
        "beginning of the output files (empty: look in the folder of the first run)",
        path="stem",
    )


def draw(config: LookConfig) -> list[pathlib.Path]:
    """Write the pictures; print and return their paths.

    Raises `InputError` for runs that cannot be used, or are of different texts.
    """
    if not config.runs:
        raise InputError("expected a run: python experiments/look_inside.py RUN_DIR")
    # imports TensorFlow, so only after the flags were read
    from experiments.looking import pictures, reading

    found = [reading.read(run, config.split) for run in config.runs]
    for run, one in zip(config.runs, found, strict=True):
        if one.text != found[0].text or one.training_text != found[0].training_text:
            raise InputError(
                f"{run} reads another text than {config.runs[0]}: give runs of one --data_dir"
            )
    names = [one.name for one in found]
    found = [  # two seeds, two lamdas
        dataclasses.replace(one, name=f"{one.name}, {pathlib.Path(run).name}")
        if names.count(one.name) > 1
        else one
        for run, one in zip(config.runs, found, strict=True)
    ]
    stem = pathlib.Path(config.out or pathlib.Path(config.runs[0], "look"))
    paths = pictures.write(found, stem)
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(LookConfig, {}, draw, bare=["runs..."])
