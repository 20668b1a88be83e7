"""Builds, trains and evaluates a language model; loads a trained one."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from common.data.text import EOS, Vocabulary
from common.errors import InputError
from common.training import checkpoint, loop
from common.training.compiled_steps import Trainer
from common.training.experiment import Experiment
from common.training.make_trainer import make_trainer
from common.training.metrics import means, random_and_mixed
from common.training.restore import Trained, keep_encoder, load_run, restore
from LanguageModeling import reader
from LanguageModeling.corpora import classifier, documents, reviews
from LanguageModeling.model import LanguageModel
from LanguageModeling.parts import suffixes, topics, word_tree
from LanguageModeling.parts.mixed_model import MixedModel
from LanguageModeling.parts.spellings import spell
from LanguageModeling.parts.suffix_model import SuffixModel
from LanguageModeling.presets import LanguageConfig
from LanguageModeling.schedule import learning_rate

VOCABULARY = "vocabulary.txt"  # in the run's folder


def perplexity(
    trainer: Trainer,
    tokens: np.ndarray,
    n_streams: int,
    n_steps: int,
    greedy: bool = False,
    n_chains: int = 1,
    of: str = "loss",
) -> float:
    """Perplexity: exp of the mean negative log-likelihood of each token given those before it.

    The text is read as `n_streams` parts side by side (20, as in training), or in order with
    `n_streams=1`. With several chains, that of their mixture: each token's probability is the mean
    over the chains. `of`: the metric; "word_loss" for the words of `--model mixed`.
    """
    cut = reader.padded_streams, tokens, n_streams, n_steps
    words, targets, weights = reviews.with_classes(*cut)
    batches = {"words": words, "targets": targets, "weights": weights}
    state = trainer.model.initial_state(n_streams * n_chains)
    return math.exp(means(trainer.evaluate(batches, state, greedy, n_chains=n_chains))[of])


def evaluate(
    trainer: Trainer,
    tokens: np.ndarray,
    split: str,
    n_streams: int | None = None,
    n_chains: int = 1,
) -> dict[str, float]:
    """Perplexities of a text: `SPLIT_perplexity` with sampled distances, and others.

    `SPLIT_perplexity_greedy` is with the most probable distances, `SPLIT_perplexity_mixtureS` that
    of the mixture of S > 1 chains; with `--tokens characters` also their logarithms, bits per
    character. The text is read as `n_streams` parts, by default as many as a batch has rows. With
    `--model document` also `SPLIT_coherence` (`documents.coherence`), if the text has documents of
    several sentences; with `--condition` `SPLIT_accuracy` (`classifier.accuracies`); with `--model
    mixed` `SPLIT_word_perplexity`, that of its word level with the most probable distances.
    """
    config = trainer.model.config
    size = n_streams or config.batch_size, config.num_unroll_steps

    def measure(greedy: bool, n_chains: int = 1) -> dict[str, float]:
        return {"perplexity": perplexity(trainer, tokens, *size, greedy, n_chains)}

    found = random_and_mixed(measure, split, config.has_agent, n_chains)
    found = {name.removesuffix("_sampled"): value for name, value in found.items()}
    if config.tokens == "characters":
        found |= {
            name.replace("perplexity", "bits"): math.log2(value) for name, value in found.items()
        }
    if config.model == "mixed":
        of_words = perplexity(trainer, tokens, *size, greedy=True, of="word_loss")
        if of_words > 1:  # else the text has no whole word
            found[f"{split}_word_perplexity"] = of_words
    if config.model == "document" and (texts := documents.pairs(tokens, trainer.model.end)):
        found[f"{split}_coherence"] = documents.coherence(trainer, texts, trainer.model.end)
    if config.condition != "none":
        right = classifier.accuracies(trainer, tokens, config.condition)
        found |= {f"{split}_{name}": value for name, value in right.items()}
    return found


def make_model(
    config: LanguageConfig,
    vocabulary: Vocabulary,
    found: Sequence[suffixes.Suffix] | Vocabulary = (),
) -> LanguageModel:
    """The model of `--model` for these words.

    `found`: the suffixes, for --output suffix; the words of characters, for --model mixed.
    """
    spellings = spell(vocabulary, config.max_chars) if config.model == "char" else None
    sizes = vocabulary.ids.get(EOS, -1), len(reviews.CLASSES.get(config.condition, ()))
    if config.output == "suffix":
        table = suffixes.transitions(found, len(vocabulary))
        return SuffixModel(config, len(vocabulary), spellings, *sizes, table)
    if config.model == "mixed":
        table = word_tree.tree_of(found, vocabulary)
        return MixedModel(config, len(vocabulary), spellings, *sizes, table)
    return LanguageModel(config, len(vocabulary), spellings, *sizes)


def find_suffixes(config: LanguageConfig, corpus: reader.Corpus) -> list[suffixes.Suffix]:
    """The frequent suffixes of the training text, which the run keeps.

    Raises `InputError` where their matrices are too many for any machine.
    """
    ids = corpus.train if corpus.train.ndim == 1 else corpus.train[:, 0]
    limits = len(corpus.vocabulary), config.suffix_length, config.suffix_count
    found = suffixes.find(ids, *limits)
    n_weights = len(found) * len(corpus.vocabulary) * config.rnn_size
    if n_weights >= suffixes.MOST_WEIGHTS:
        raise InputError(
            f"--output suffix: {len(found):,} suffixes, a softmax over {len(corpus.vocabulary):,}"
            f" words for each, have {n_weights:,} weights; give --tokens characters, and of"
            " these a smaller --suffix_length or a larger --suffix_count"
        )
    keep_encoder(suffixes.encoder(found), config.run_dir, suffixes.FILE)
    print(f"suffixes: {len(found):,}, each with a softmax of its own")
    return found


def find_words(config: LanguageConfig, corpus: reader.Corpus) -> Vocabulary:
    """The frequent words of the training text, read by characters; the run keeps them."""
    words = word_tree.find(corpus.train, corpus.vocabulary, config.frequent_words)
    keep_encoder(words, config.run_dir, word_tree.FILE)
    print(f"words: {len(words):,}, <unk> among them")
    return words


def load_data(config: LanguageConfig) -> reader.Corpus:
    """The data of a run."""
    condition = reviews.Condition.of(config)
    return reader.load(config.data_dir, config.tokens, config.min_count, condition)


def build(config: LanguageConfig) -> Experiment:
    """The data, model and schedule of a run."""
    corpus = load_data(config)
    for name, tokens in (("valid", corpus.valid), ("test", corpus.test)):
        if config.model == "document" and not documents.pairs(tokens, corpus.vocabulary.ids[EOS]):
            raise InputError(
                f"{corpus.name}, {name}: expected documents of several sentences, an empty line"
                " between them, found none; give such a text, or another --model"
            )
        if len(tokens) <= config.batch_size:
            raise InputError(
                f"{corpus.name}, {name}: expected at least --batch_size + 1 ="
                f" {config.batch_size + 1} tokens, found {len(tokens)}; give more text, or a"
                " smaller --batch_size"
            )
    size = config.batch_size, config.num_unroll_steps
    words, targets = reviews.with_classes(reader.streams, corpus.train, *size)
    found, kept = (), {}
    if config.output == "suffix":
        found = find_suffixes(config, corpus)
        kept[suffixes.FILE] = suffixes.encoder(found)
    if config.model == "mixed":
        found = kept[word_tree.FILE] = find_words(config, corpus)
    model = make_model(config, corpus.vocabulary, found)
    if config.topics and not config.load_model:  # with those of a model its first layer was trained
        found = topics.fit(
            corpus.train,
            topics.documents(corpus.train, corpus.vocabulary.ids[EOS]),
            len(corpus.vocabulary),
            config.topics,
            config.seed,
        )
        model.topics.of_words.assign(np.log(found.of_words))
        bound = math.exp(-found.bounds[-1] / len(corpus.train))
        print(f"topics: {config.topics}, perplexity at most {bound:.5g} within documents")
    if config.load_model:
        load_weights(model, config.load_model, corpus.vocabulary, kept)
    keep_encoder(corpus.vocabulary, config.run_dir, VOCABULARY)
    print(
        f"corpus: {corpus.name}, {len(corpus.train):,} training tokens, {len(corpus.vocabulary):,}"
        f" {'characters' if config.tokens == 'characters' else 'words'}",
        flush=True,
    )

    def measure(trainer: Trainer, split: str) -> dict[str, float]:
        if split == "dev":
            return {
                "valid_perplexity": perplexity(
                    trainer, corpus.valid, config.batch_size, config.num_unroll_steps
                )
            }
        chains = {"n_chains": config.n_chains}
        return evaluate(trainer, corpus.valid, "valid", **chains) | evaluate(
            trainer, corpus.test, "test", **chains
        )

    return Experiment(
        model=model,
        optimizer=keras.optimizers.SGD(
            config.learning_rate, weight_decay=config.weight_decay or None
        ),
        train_batches=lambda epoch: [{"words": words, "targets": targets}],
        initial_state=model.initial_state(config.batch_size * config.n_train_samples),
        schedule=lambda epoch, records: config.schedule(epoch, learning_rate(config, records)),
        evaluate=measure,
        monitor="-valid_perplexity",
        tokens_per_epoch=targets.size,
    )


def load(run_dir: str, checkpoint_file: str = "", **changes: Any) -> Trained:
    """Flags, network and vocabulary of a run; see `load_run`."""

    def make(config: LanguageConfig) -> tuple[LanguageModel, Vocabulary]:
        vocabulary, found = Vocabulary.load(pathlib.Path(run_dir, VOCABULARY)), ()
        if config.output == "suffix":
            found = suffixes.decoded(Vocabulary.load(pathlib.Path(run_dir, suffixes.FILE)))
        if config.model == "mixed":
            found = Vocabulary.load(pathlib.Path(run_dir, word_tree.FILE))
        return make_model(config, vocabulary, found), vocabulary

    config, model, vocabulary = load_run(run_dir, LanguageConfig, make, checkpoint_file, **changes)
    return Trained(config, make_trainer(model, config), vocabulary)


def load_weights(
    model: LanguageModel,
    path: str,
    vocabulary: Vocabulary | None = None,
    kept: Mapping[str, Vocabulary] | None = None,
) -> None:
    """Load weights from a run's folder (its best checkpoint) or from a checkpoint file.

    A model with --condition takes those of one without: what is missing are the rows of the classes
    in what its first layer multiplies with its inputs, and they begin as zeros (Lipton et al. 2015,
    "weight transplantation").

    Raises `InputError` if they do not fit, or if they belong to a run with other words than
    `vocabulary`, if that is given. Comparing words is enough, for --model char too: they determine
    the characters. `kept`: what else has to be the same, by its file in the run's folder.
    """
    file = pathlib.Path(path)
    file = file / "checkpoints" / "best.npz" if file.is_dir() else file
    _, arrays, _ = checkpoint.load(file)
    for name, ours in {VOCABULARY: vocabulary, **(kept or {})}.items():
        words = file.absolute().parent.parent / name
        if ours is None or file.absolute().parent.name != "checkpoints" or not words.is_file():
            continue
        theirs = Vocabulary.load(words)
        if theirs != ours:
            what = "suffixes" if name == suffixes.FILE else "words"
            found = f"{len(theirs):,} {what}, other ones than the {len(ours):,} here"
            raise InputError(
                f"--load_model {path}: that run knows {found}; give the data and the flags that it"
                " was trained with"
            )
    restore(model.variables, with_class_rows(model, arrays))


def with_class_rows(model: LanguageModel, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A checkpoint's arrays, matrices of the first layer with rows of zeros for the classes.

    Where nothing but these last rows is missing; a model without classes has none.
    """
    arrays = dict(arrays)
    for variable in model.recurrent[0].variables if model.n_classes else ():
        place = [one is variable for one in model.variables].index(True)
        for name in [name for name in arrays if name.startswith(f"variable/{place}/")]:
            a, shape = arrays[name], tuple(variable.shape)
            if len(shape) == a.ndim == 2 and a.shape == (shape[0] - model.n_classes, shape[1]):
                arrays[name] = np.pad(a, [(0, model.n_classes), (0, 0)])
    return arrays


def train(config: LanguageConfig) -> None:
    """Train, select on dev, test."""
    loop.run(config, build)
