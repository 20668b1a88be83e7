"""Builds, trains and evaluates a classifier; loads a trained one."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from common.data import bucketing
from common.data.embeddings import load_vectors
from common.data.text import Vocabulary
from common.errors import InputError
from common.training import loop
from common.training.compiled_steps import Trainer
from common.training.experiment import Experiment, dev_then_both, out_of_patience
from common.training.make_trainer import make_trainer
from common.training.metrics import add, means, random_and_mixed
from common.training.restore import Trained, keep_encoder, load_run
from Sentiment import model as sentiment_model
from Sentiment import reader
from Sentiment.model import SentimentModel
from Sentiment.presets import SentimentConfig
from Sentiment.reading_time import ReadingTimePooling, word_features
from Sentiment.tokens import SENTENCE_ENDS

VOCABULARY = "vocabulary.txt"  # in the run's folder
CLASSES = "classes.txt"  # of own data, beside it
EVALUATION_BATCH = 250
STEPS_PER_CALL = 10
PADDED = ("words",)


class Predicted(NamedTuple):
    """The network's predictions for N texts."""

    probs: np.ndarray  # [N, classes]
    # of each text, the distance taken at each of its words; None without an agent
    distances: list[np.ndarray] | None


def evaluate(
    trainer: Trainer, data: reader.Arrays, split: str, n_buckets: int = 8, n_chains: int = 1
) -> dict[str, float]:
    """Accuracy and mean cross-entropy (nats), with the most probable and with sampled distances.

    With several chains, also those of their mixture.
    """
    buckets = bucketing.bucket_lengths(data.lengths, n_buckets)

    def measure(greedy: bool, n_chains: int = 1) -> dict[str, float]:
        # chains are rows too: as many as without them, or their states would fill the memory
        size = min(max(1, EVALUATION_BATCH // n_chains), len(data.lengths))
        batches = bucketing.batches(data.lengths, size, 0, 0, buckets)
        total: dict[str, np.ndarray] = {}
        for i, chunk in enumerate(bucketing.chunks(batches, STEPS_PER_CALL, 0, 0)):
            stacked = bucketing.stack(chunk, data._asdict(), PADDED)
            found = trainer.evaluate(stacked, greedy=greedy, sample=i, n_chains=n_chains)
            total = add(total, found)
        return means(total)

    return random_and_mixed(measure, split, trainer.model.config.has_agent, n_chains)


def predict(
    trainer: Trainer,
    vocabulary: Vocabulary,
    texts: Sequence[Sequence[str]],
    greedy: bool = True,
    sample: int = 0,
) -> Predicted:
    """The class probabilities of texts, each a list of words, and the connections made.

    Texts are processed one by one.
    """
    probs, distances = [], []
    for i, words in enumerate(texts):
        if not words:
            raise InputError(
                f"expected a text with at least one word, found none in text {i + 1}; leave it out"
            )
        length = -(-len(words) // 32) * 32  # few shapes
        data = reader.encode([reader.Example(words, 0)], vocabulary, length)
        found = trainer.infer(
            {"words": data.words[None], "lengths": data.lengths[None]}, greedy, sample + i
        )
        probs.append(found["probs"][0, 0])
        if "distances" in found:
            distances.append(found["distances"][0, 0, : len(words)])
    return Predicted(np.stack(probs), distances or None)


def load_data(config: SentimentConfig, names: Sequence[str] = ()) -> reader.Corpus:
    """The data of a run; `names` of the classes of own data that a network knows already."""
    corpus = reader.load(
        config.dataset,
        config.data_dir,
        config.seed,
        config.max_tokens,
        config.phrases,
        config.cache_dir,
        names,
    )
    kept = bucketing.some(len(corpus.train), config.max_train_examples, config.seed)
    return corpus._replace(train=[corpus.train[i] for i in kept])


def make_model(
    config: SentimentConfig,
    vocabulary: Vocabulary,
    n_classes: int,
    vectors: np.ndarray | None = None,
) -> SentimentModel:
    """The network for the words of a vocabulary; `vectors` [V, D] as of `SentimentModel`."""
    ends = [vocabulary.ids[end] for end in SENTENCE_ENDS if end in vocabulary.ids]
    return SentimentModel(config, len(vocabulary), n_classes, vectors, ends)


def build(config: SentimentConfig) -> Experiment:
    """The data, model and schedule of a run."""
    corpus = load_data(config)
    vocabulary = reader.vocabulary(corpus.train, config.max_words, config.min_count)
    vectors = None
    if config.vectors:
        pretrained = load_vectors(
            config.vectors,
            vocabulary.words,
            config.word_size,
            seed=config.seed,
            cache_dir=config.cache_dir,
        )
        vectors = pretrained.matrix
        print(f"{config.vectors}: {pretrained.summary()}")
    data = {
        split: reader.encode(getattr(corpus, split), vocabulary)
        for split in ("train", "dev", "test")
    }
    buckets = bucketing.bucket_lengths(data["train"].lengths, config.n_buckets)
    model = make_model(config, vocabulary, corpus.classes, vectors)
    if isinstance(model.pooling, ReadingTimePooling):
        features = word_features(vocabulary, (example.words for example in corpus.train))
        model.pooling.times.features.assign(features)  # of a trained one in its checkpoints
    keep_encoder(vocabulary, config.run_dir, VOCABULARY)
    if corpus.names:
        keep_encoder(Vocabulary(corpus.names), config.run_dir, CLASSES)
    name = f"{config.dataset} in {config.data_dir}" if config.data_dir else "generated"
    print(
        f"corpus: {name}, {len(corpus.train):,} training texts, {len(vocabulary):,} words",
        flush=True,
    )
    packed, monitor = (data["train"]._asdict(), PADDED, buckets), "dev_accuracy_sampled"
    return Experiment(
        model=model,
        optimizer=keras.optimizers.Adam(config.learning_rate),
        train_batches=lambda epoch: bucketing.epoch_chunks(
            *packed, config.batch_size, STEPS_PER_CALL, config.seed, epoch
        ),
        schedule=lambda epoch, records: config.schedule(epoch),
        evaluate=dev_then_both(
            lambda trainer, split, n: evaluate(trainer, data[split], split, config.n_buckets, n),
            config.n_chains,
        ),
        monitor=monitor,
        stop_early=lambda records: out_of_patience(records, monitor, config.patience),
        tokens_per_epoch=int(data["train"].lengths.sum()),
        steps_per_call=STEPS_PER_CALL,
        many_shapes=True,
    )


def class_names(config: SentimentConfig, run_dir: str) -> tuple[str, ...]:
    """The names of a run's classes, in order; `run_dir` is where the run lies now."""
    if config.dataset == "own":
        return Vocabulary.load(pathlib.Path(run_dir, CLASSES)).words
    return sentiment_model.CLASSES[5 if config.dataset == "sst5" and config.data_dir else 2]


def load(run_dir: str, checkpoint_file: str = "", **changes: Any) -> Trained:
    """Flags, network and vocabulary of a run; see `load_run`."""

    def make(config: SentimentConfig) -> tuple[SentimentModel, Vocabulary]:
        vocabulary = Vocabulary.load(pathlib.Path(run_dir, VOCABULARY))
        return make_model(config, vocabulary, len(class_names(config, run_dir))), vocabulary

    config, model, vocabulary = load_run(run_dir, SentimentConfig, make, checkpoint_file, **changes)
    trainer = make_trainer(model, config, None, STEPS_PER_CALL, many_shapes=True)
    return Trained(config, trainer, vocabulary)


def train(config: SentimentConfig) -> None:
    """Train, select on dev, test."""
    loop.run(config, build)
