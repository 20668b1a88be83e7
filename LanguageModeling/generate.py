"""Generates text with a trained model, and shows its connections.

python LanguageModeling/generate.py --run_dir RUN --prompt "the company said"
python LanguageModeling/generate.py --run_dir REVIEWS_RUN --rating positive --n_words 300
python LanguageModeling/generate.py --run_dir VAE_RUN --between "he was silent" "the market fell"
"""

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING

import numpy as np

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import TrainedRun, main, setting, settings  # noqa: E402
from common.data.text import EOS, Vocabulary, words_of  # noqa: E402
from common.errors import InputError  # noqa: E402
from LanguageModeling.vae.presets import is_vae  # noqa: E402

if TYPE_CHECKING:
    from LanguageModeling.model import LanguageModel
    from LanguageModeling.parts.mixed_model import MixedModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerateConfig(TrainedRun):
    """Generate text with a trained language model, or sentences with a sentence VAE."""

    prompt: str = setting("", "words that the text begins with")
    between: str = setting(
        "", "of a sentence VAE: decode vectors between this sentence and the next argument"
    )
    to: str = setting("", "that next argument")
    rating: str = setting("", "of a run with --condition: the rating or label to write a review of")
    n_words: int = setting(30, "number of words to generate", minimum=1)
    temperature: float = setting(
        1.0, "temperature of the draws; 0: the most probable words and distances", minimum=0
    )
    seed: int = setting(0, "seed of the sampled words and distances", minimum=0, maximum=2**31 - 1)
    picture: str = setting("", "picture file of the connections, without extension", path="stem")


def generate(config: GenerateConfig) -> tuple[list[str], np.ndarray]:
    """Print the text and, for every word, the word whose state the network took.

    Returns words and distances.
    """
    if config.between or config.to or is_vae(config.run_dir):
        return sentences(config), None
    # imports TensorFlow, so only after the flags were read
    from common.figures import arcs
    from LanguageModeling import experiment, reader
    from LanguageModeling.corpora import reviews

    run_config, trainer, vocabulary = experiment.load(config.run_dir, config.checkpoint)
    classes = reviews.CLASSES.get(run_config.condition, ())
    if config.rating not in (classes or ("",)):
        wanted = f"one of {', '.join(classes)}" if classes else "a run with --condition"
        raise InputError(f"--rating expects {wanted}; got {config.rating!r}")
    given = classes.index(config.rating) if classes else None
    prompt = reader.TOKENS[run_config.tokens](config.prompt)
    ids = vocabulary.encode([EOS, *prompt])
    ids, distances = continue_text(
        trainer.model, ids, config.n_words, config.temperature, config.seed, given
    )
    words = vocabulary.decode(ids)
    between = "" if run_config.tokens == "characters" else " "
    print(between.join(words[1:]).replace(EOS, "\n"))
    if distances is None:
        if config.picture:
            raise arcs.unconnected(run_config)
        return words, None
    if run_config.model == "mixed":
        words, distances = at_words(trainer.model, ids, distances, vocabulary)
        if not words and config.picture:
            raise InputError(
                "--picture expects a text in which a word ends, found none: give a larger --n_words"
            )
        if not words:
            return words, distances
    print("\n" + arcs.as_text(words, distances))
    if config.picture:
        for path in arcs.draw(words, distances, config.picture, arcs.caption(run_config)):
            print(path)
    return words, distances


def sentences(config: GenerateConfig) -> list[list[str]]:
    """Print and return sentences of a VAE.

    Those whose vectors lie between two sentences', each word the most probable one; without two
    sentences one of a vector drawn from N(0, 1), its words drawn.
    """
    if config.to and not config.between:
        raise InputError(
            f"{config.to!r} has no flag: the beginning of a text is that of --prompt, two"
            " sentences are those of --between"
        )
    if config.between and not config.to:
        raise InputError('--between expects two sentences, such as --between "a b" "c d"; got one')
    for name in [name for name in ("prompt", "picture", "rating") if getattr(config, name)]:
        raise InputError(f"--{name} belongs to a language model's run, not a VAE's: leave it out")
    known = settings(GenerateConfig)
    for name in ("temperature", "seed"):
        if config.between and getattr(config, name) != known[name].default:
            raise InputError(
                f"--{name} has no effect with --between, where each word is the most probable one:"
                " leave it out"
            )
    from LanguageModeling import reader
    from LanguageModeling.vae import experiment as vae_experiment

    run_config, trainer, vocabulary = vae_experiment.load(config.run_dir, config.checkpoint)
    if config.between and not run_config.latent_size:
        raise InputError(
            "--between expects a run whose sentences have vectors, this one is --latent_size 0:"
            " name another --run_dir"
        )
    if config.between:
        split = reader.TOKENS[run_config.tokens]
        ends = (vocabulary.encode([*split(text), EOS]) for text in (config.between, config.to))
        z, temperature = vae_experiment.homotopy(trainer.model, *ends), 0.0
    else:
        shape = 1, run_config.latent_size
        z = np.random.default_rng([config.seed, 1]).normal(size=shape).astype(np.float32)
        temperature = config.temperature
    made = vae_experiment.decode(trainer.model, z, config.n_words, temperature, config.seed)
    found = [vocabulary.decode(ids) for ids in made]
    for words in found:
        print(("" if run_config.tokens == "characters" else " ").join(words))
    return found


def at_words(
    model: "MixedModel", ids: np.ndarray, distances: np.ndarray, characters: Vocabulary
) -> tuple[list[str], np.ndarray]:
    """The words that end among characters [N], and of the distances [N] those chosen there [n]."""
    from LanguageModeling.parts import word_tree

    places = model.word_ends(ids)
    words = words_of(word_tree.as_text(ids, characters))
    return words[: len(places)], distances[places]


def continue_text(
    model: "LanguageModel",
    ids: np.ndarray,
    n_words: int,
    temperature: float,
    seed: int,
    given: int | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """`ids` [N] followed by `n_words` sampled ones, and the distance at each word.

    At temperature 0 both are the most probable ones. Distances are [N + n_words], None without an
    agent. `given`: the class, if words have one.

    A network with --history window connects within a call alone: it reads the text as one window,
    anew for each word.
    """
    import tensorflow as tf

    random = np.random.default_rng(seed)
    state, distances, ids = model.initial_state(1), [], list(ids)
    greedy = temperature == 0
    step = tf.function(
        lambda word, state, step_seed: model(word, state, seed=step_seed, greedy=greedy),
        autograph=False,
    )
    total = len(ids) + n_words
    window = getattr(model.config, "history", "carried") == "window"
    by_word = window and model.config.model == "mixed"  # its trace's steps are a window's words
    for position in range(total):
        begin, place = (0, position) if window else (position, 0)
        words = np.zeros(total if window else 1, np.int32)  # what is to come changes nothing
        words[: place + 1] = ids[begin : position + 1]
        words = words if given is None else np.stack([words, np.full_like(words, given)], -1)
        logits, after, trace = step(
            tf.constant(words[None]), state, tf.constant([seed, begin], tf.int32)
        )
        state = state if window else after
        if trace is not None:
            at = max(len(model.word_ends(words[: place + 1])) - 1, 0) if by_word else place
            distances.append(int(trace.distances[0, at]))
        if position + 1 == len(ids) < total:
            scores = logits[0, place].numpy().astype(np.float64)
            # the largest of scores + T * Gumbel noise is a draw at temperature T
            noise = random.gumbel(size=scores.shape) * temperature
            ids.append(int(np.argmax(scores + noise)))
    return np.array(ids), np.array(distances) if distances else None


if __name__ == "__main__":
    main(GenerateConfig, {}, generate, bare=["to"])
