"""Tags sentences, typed or piped, one per line.

echo "Anna Smith left Siemens for Rome." | python NER/tag.py --run_dir RUN
"""

import dataclasses
import os
import pathlib
import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import TrainedRun, main, setting  # noqa: E402
from common.data.text import typed_lines  # noqa: E402
from common.data.treebank import split_words  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import arcs  # noqa: E402
from NER.span_f1 import spans, write_conll  # noqa: E402

if TYPE_CHECKING:
    from common.training.compiled_steps import Trainer
    from NER.experiment import Tagged
    from NER.reader import Encoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagConfig(TrainedRun):
    """Tag the entities of sentences, and show which word's state each word connects to."""

    file: str = setting(
        "", "file to tag, in CoNLL-2003's format (empty: lines of standard input)", path=True
    )
    columns: list[int] | None = setting(
        None, "columns of the words and of the tags in the data (none: those of the run)", minimum=1
    )
    output: str = setting(
        "",
        "with --file: output file of words, gold and predicted tags, for conlleval",
        path="output",
    )
    connections: bool = setting(True, "also print the connections of each word")
    picture: str = setting(
        "", "picture file of the first sentence's connections, without extension", path="stem"
    )
    sampled: bool = setting(False, "sample the distances instead of taking the most probable ones")
    seed: int = setting(0, "seed of the sampled distances", minimum=0, maximum=2**31 - 1)


def tag(config: TagConfig) -> None:
    """Print sentences with their entities.

    Raises `InputError` for a run, a checkpoint or a file that cannot be used.
    """
    if config.output and not config.file:
        raise InputError(
            "--output needs the gold tags of a file: give --file in CoNLL-2003's format too"
        )
    if config.output and os.path.realpath(config.output) == os.path.realpath(config.file):
        raise InputError(
            f"--output {config.output} is the --file that is read, which it would replace: name"
            " another"
        )
    if config.columns and not config.file:
        raise InputError("--columns are those of a --file, standard input has none: leave them out")

    from NER import experiment  # imports TensorFlow, so only after the flags were read

    run_config, trainer, encoder = experiment.load(config.run_dir, config.checkpoint)
    trainer.seed = config.seed
    if config.columns is not None:
        here = {"columns": config.columns, "data_dir": config.file}
        run_config = dataclasses.replace(run_config, **here)
    if config.file:
        sentences = experiment.read_file(run_config, config.file)
        tagged = experiment.tag(
            trainer, encoder, sentences, not config.sampled, run_config.n_buckets
        )
        if config.output:
            words, gold = (
                [sentence.words for sentence in sentences],
                [sentence.tags for sentence in sentences],
            )
            write_conll(config.output, words, gold, tagged.tags)
            print(config.output)
        groups = [] if config.output and not config.picture else [(sentences, tagged)]
    else:
        groups = _answers(experiment, trainer, encoder, not config.sampled)
    picture = config.picture
    for sentences, tagged in groups:
        for i, sentence in enumerate(sentences):
            if tagged is None:
                print(flush=True)  # one line of output per line of input
                continue
            if not config.output:
                print(bracketed(sentence.words, tagged.tags[i]))
            if tagged.forward is None:
                if picture:
                    raise arcs.unconnected(run_config)
                continue
            if config.connections and not config.output:
                print(connections(sentence.words, *_directions(tagged, i)), flush=True)
            if picture:
                title = arcs.caption(run_config)
                for path in draw(sentence.words, *_directions(tagged, i), picture, title):
                    print(path)
                picture = ""


def _answers(experiment: types.ModuleType, trainer: "Trainer", encoder: "Encoder", greedy: bool):
    """Each line of standard input, answered before the next one is read."""
    from NER.reader import Sentence

    for number, line in enumerate(typed_lines()):
        words = split_words(line)
        yield (
            [Sentence(words)],
            (
                experiment.tag(trainer, encoder, [Sentence(words)], greedy, sample=number)
                if words
                else None
            ),
        )


def _directions(tagged: "Tagged", i: int) -> tuple:
    """The connections of both directions in a sentence; None for one that there is not."""
    return tagged.forward[i], tagged.backward and tagged.backward[i]


def bracketed(words: Sequence[str], tags: Sequence[str]) -> str:
    """A sentence with its entities in brackets: [PER Anna Smith] left [ORG Siemens] ."""
    words = list(words)
    for kind, first, stop in spans(tags):
        words[first] = f"[{kind} {words[first]}"
        words[stop - 1] += "]"
    return " ".join(words)


def connections(
    words: Sequence[str], forward: Sequence[int], backward: Sequence[int] | None
) -> str:
    """The connections of both directions as text; `backward`, if any, counts words ahead."""
    lines = ["", "left to right", arcs.as_text(words, forward), ""]
    if backward is not None:
        lines += ["right to left", arcs.as_text(words[::-1], backward[::-1]), ""]
    return "\n".join(lines)


def draw(
    words: Sequence[str],
    forward: Sequence[int],
    backward: Sequence[int] | None,
    stem: str,
    title: str,
) -> list[pathlib.Path]:
    """Draw a picture for each direction, the second in the order in which it is read."""
    drawn = arcs.draw(words, forward, f"{stem}-forward", f"{title}, left to right")
    if backward is None:
        return list(drawn)
    title = f"{title}, right to left (in the order of reading)"
    return [*drawn, *arcs.draw(words[::-1], backward[::-1], f"{stem}-backward", title)]


if __name__ == "__main__":
    main(TagConfig, {}, tag)
