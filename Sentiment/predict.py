"""Classifies texts, typed or piped, one per line.

echo "a slow start, but what an ending" | python Sentiment/predict.py --run_dir RUN
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import TrainedRun, main, setting  # noqa: E402
from common.data.text import typed_lines  # noqa: E402
from common.figures import arcs  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(TrainedRun):
    """Classify texts, and show which word's state each word connects to."""

    file: str = setting(
        "",
        "text file with a text per line, or .tsv or .jsonl with texts (empty: standard input)",
        path=True,
    )
    connections: bool = setting(True, "also print the connections of each word")
    picture: str = setting(
        "", "picture file of the first text's connections, without extension", path="stem"
    )
    sampled: bool = setting(False, "sample the distances instead of taking the most probable ones")
    seed: int = setting(0, "seed of the sampled distances", minimum=0, maximum=2**31 - 1)


def predict(config: PredictConfig) -> None:
    """Print each text's classes with their probabilities.

    Raises `InputError` for a run, a checkpoint or a file that cannot be used.
    """
    from Sentiment import (
        experiment,  # imports TensorFlow, so only after the flags were read
        own_texts,
        reader,
    )

    run_config, trainer, vocabulary = experiment.load(config.run_dir, config.checkpoint)
    trainer.seed = config.seed
    classes = experiment.class_names(run_config, config.run_dir)
    picture = config.picture
    texts = own_texts.read_texts(config.file) if config.file else typed_lines()
    for number, line in enumerate(texts):
        words = reader.split_text(line, run_config.dataset, run_config.max_tokens)
        if not words:
            print(flush=True)  # one line of output per line of input
            continue
        found = experiment.predict(trainer, vocabulary, [words], not config.sampled, number)
        print(
            "  ".join(f"{name} {p:.3f}" for name, p in zip(classes, found.probs[0], strict=True)),
            " ",
            " ".join(words),
            flush=True,
        )
        if found.distances is None:
            if picture:
                raise arcs.unconnected(run_config)
            continue
        if config.connections:
            print(arcs.as_text(words, found.distances[0]) + "\n", flush=True)
        if picture:
            for path in arcs.draw(words, found.distances[0], picture, arcs.caption(run_config)):
                print(path)
            picture = ""


if __name__ == "__main__":
    main(PredictConfig, {}, predict)
