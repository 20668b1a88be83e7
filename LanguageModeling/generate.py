"""Generates text with a trained model, and shows its connections.

python LanguageModeling/generate.py --run_dir RUN --prompt "the company said"
"""

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING

import numpy as np

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.data.text import EOS  # noqa: E402
from common.errors import InputError  # noqa: E402

if TYPE_CHECKING:
    from LanguageModeling.model import LanguageModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """Generate text with a trained language model."""

    run_dir: str = setting("", "folder of the run", path=True)
    checkpoint: str = setting("", "checkpoint file (empty: the best epoch of the run)", path=True)
    prompt: str = setting("", "words that the text begins with")
    n_words: int = setting(30, "number of words to generate", minimum=1)
    temperature: float = setting(
        1.0, "temperature of the draws; 0: always the most probable word", minimum=0
    )
    seed: int = setting(0, "seed of the sampled words and distances", minimum=0, maximum=2**31 - 1)
    picture: str = setting("", "picture file of the connections, without extension", path="stem")


def generate(config: GenerateConfig) -> tuple[list[str], np.ndarray]:
    """Print the text and, for every word, the word whose state the network took.

    Returns words and distances.
    """
    # imports TensorFlow, so only after the flags were read
    from LanguageModeling import experiment, reader

    run_config, trainer, vocabulary = experiment.load(config.run_dir, config.checkpoint)
    prompt = reader.TOKENS[run_config.tokens](config.prompt)
    ids = vocabulary.encode([EOS, *prompt])
    ids, distances = continue_text(
        trainer.model, ids, config.n_words, config.temperature, config.seed
    )
    words = vocabulary.decode(ids)
    between = "" if run_config.tokens == "characters" else " "
    print(between.join(words[1:]).replace(EOS, "\n"))
    if distances is None:
        if config.picture:
            raise InputError(
                "--picture needs a network that chooses connections; this one is --cell"
                f" {run_config.cell}"
            )
        return words, None
    from common.figures import arcs

    print("\n" + arcs.as_text(words, distances))
    if config.picture:
        title = (
            f"Connections of {run_config.cell}, K = {run_config.n_actions}, lamda"
            f" {run_config.lamda:g}: each word to the state it took"
        )
        for path in arcs.draw(words, distances, config.picture, title):
            print(path)
    return words, distances


def continue_text(
    model: "LanguageModel", ids: np.ndarray, n_words: int, temperature: float, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """`ids` [N] followed by `n_words` sampled ones, and the distance at each word.

    Distances are [N + n_words], None without an agent.
    """
    import tensorflow as tf

    random = np.random.default_rng(seed)
    state, distances, ids = model.initial_state(1), [], list(ids)
    step = tf.function(
        lambda word, state, step_seed: model(word, state, seed=step_seed), autograph=False
    )
    total = len(ids) + n_words
    for position in range(total):
        logits, state, trace = step(
            tf.constant([[ids[position]]], tf.int32), state, tf.constant([seed, position], tf.int32)
        )
        if trace is not None:
            distances.append(int(trace.distances[0, 0]))
        if position + 1 == len(ids) < total:
            scores = logits[0, 0].numpy().astype(np.float64)
            # the largest of scores + T * Gumbel noise is a draw at temperature T
            noise = random.gumbel(size=scores.shape) * temperature
            ids.append(int(np.argmax(scores + noise)))
    return np.array(ids), np.array(distances) if distances else None


if __name__ == "__main__":
    main(GenerateConfig, {}, generate)
