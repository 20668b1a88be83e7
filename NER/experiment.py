"""Builds, trains and evaluates a tagger; loads a trained one."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from common.data import bucketing
from common.data.embeddings import load_vectors
from common.data.text import PADDING, UNKNOWN
from common.training import loop
from common.training.compiled_steps import Trainer
from common.training.experiment import Experiment, dev_then_both, out_of_patience
from common.training.make_trainer import make_trainer
from common.training.metrics import random_and_mixed
from common.training.restore import Trained, keep_encoder, load_run
from NER import reader
from NER.model import NERModel
from NER.presets import NERConfig
from NER.span_f1 import span_f1

ENCODER = "encoder.json"  # in the run's folder
EVALUATION_BATCH = 100
STEPS_PER_CALL = 10
PADDED = ("words", "chars", "tags", "features")


class Tagged(NamedTuple):
    """The network's predictions for sentences, each at its own length."""

    tags: list[list[str]]
    log_likelihood: np.ndarray  # [number of sentences] log p of the tags they came with, in nats
    # of each sentence, how many words back the forward layer connects; None without an agent
    forward: list[np.ndarray] | None
    backward: list[np.ndarray] | None  # how many words ahead the backward layer connects


def tag(
    trainer: Trainer,
    encoder: reader.Encoder,
    sentences: Sequence[reader.Sentence],
    greedy: bool = True,
    n_buckets: int = 8,
    sample: int = 0,
    n_chains: int = 1,
) -> Tagged:
    """Tags sentences; also returns the connections that the network made.

    Args:
        trainer: of the model. greedy: with the most probable distances, or with sampled ones, whose
            repetition `sample` numbers.
        n_chains: if several, tags and log-likelihoods of their mixture, and no connections.
        n_buckets: number of padded lengths. A few sentences are instead padded to a multiple of 16
            words, so that later calls meet known shapes.
    """
    n = len(sentences)
    lengths = np.array([len(sentence.words) for sentence in sentences])
    round_to = bucketing.bucket_lengths(lengths, n_buckets) if n > EVALUATION_BATCH else 16
    size = min(n, max(1, EVALUATION_BATCH // n_chains))  # chains are rows too
    batches = bucketing.batches(lengths, size, 0, 0, round_to)
    data = encoder.encode(sentences, max(batch.length for batch in batches))
    found: dict[str, list] = {}
    first = 0
    for chunk in bucketing.chunks(batches, len(batches), 0, 0):
        arrays = trainer.infer(
            bucketing.stack(chunk, data._asdict(), PADDED), greedy, sample, first, n_chains
        )
        first += len(chunk)
        for i, batch in enumerate(chunk):
            for name, array in arrays.items():
                column = found.setdefault(name, [None] * n)
                for row in np.flatnonzero(batch.weights):
                    one = batch.indices[row]
                    column[one] = (
                        array[i, row] if array.ndim == 2 else array[i, row, : lengths[one]]
                    )
    tags = encoder.decode_tags(found["tags"], lengths)
    return Tagged(
        tags, np.array(found["log_likelihood"]), found.get("forward"), found.get("backward")
    )


def scores(sentences: Sequence[reader.Sentence], tagged: Tagged) -> dict[str, float]:
    """Precision, recall and F1 in percent, and the mean of -log p(gold tags) in nats."""
    overall = span_f1([sentence.tags for sentence in sentences], tagged.tags).overall
    return {
        "f1": overall.f1,
        "precision": overall.precision,
        "recall": overall.recall,
        "loss": -float(np.mean(tagged.log_likelihood)),
    }


def evaluate(
    trainer: Trainer,
    encoder: reader.Encoder,
    sentences: Sequence[reader.Sentence],
    split: str,
    n_buckets: int = 8,
    n_chains: int = 1,
) -> dict[str, float]:
    """`scores` with the most probable and with sampled distances.

    With several chains, also those of their mixture.
    """

    def measure(greedy: bool, n_chains: int = 1) -> dict[str, float]:
        return scores(
            sentences, tag(trainer, encoder, sentences, greedy, n_buckets, n_chains=n_chains)
        )

    return random_and_mixed(measure, split, trainer.model.config.has_agent, n_chains)


def make_encoder(
    config: NERConfig, corpus: reader.Corpus
) -> tuple[reader.Encoder, np.ndarray | None]:
    """The encoder, and the pretrained vectors of its words [V, D] if there are any.

    The encoder knows every word of the three parts that has a pretrained vector, and the frequent
    words of the training part. A word whose digits were replaced by 0 takes the vector of the most
    frequent word that it can stand for: "0000" may take that of "2008".
    """
    options = {
        "min_count": config.min_count,
        "scheme": config.scheme,
        "max_chars": config.max_chars,
        "feature_sets": config.features,
    }
    if not config.vectors:
        return reader.Encoder.build(corpus.train, **options), None
    seen = sorted(
        {reader.normalise(word) for part in corpus for sentence in part for word in sentence.words}
        - {PADDING, UNKNOWN}
    )
    seen = [PADDING, UNKNOWN, *seen]
    pretrained = load_vectors(
        config.vectors,
        seen,
        config.word_size,
        None,
        config.seed,
        cache_dir=config.cache_dir,
        form=reader.digits_to_zero,
    )
    known = [
        word
        for word, found in zip(seen, pretrained.found, strict=True)
        if found and word not in (PADDING, UNKNOWN)
    ]
    encoder = reader.Encoder.build(corpus.train, known, **options)
    rows = {word: row for row, word in enumerate(seen)}
    rows = [rows[word] for word in encoder.words.words]
    print(f"{config.vectors}: {pretrained._replace(found=pretrained.found[rows]).summary()}")
    return encoder, pretrained.matrix[rows]


def load_data(config: NERConfig, data_dir: str = "") -> reader.Corpus:
    """The data of a run, or those of another folder that are like them."""
    columns = config.columns, config.kept_columns
    corpus = reader.load(data_dir or config.data_dir, config.scheme, *columns)
    kept = bucketing.some(len(corpus.train), config.max_train_examples, config.seed)
    return corpus._replace(train=[corpus.train[i] for i in kept])


def read_file(config: NERConfig, path: str) -> list[reader.Sentence]:
    """The sentences of a file, as the network of a run reads them."""
    return reader.read_conll(path, config.scheme, config.columns, config.kept_columns)


def make_optimizer(config: NERConfig) -> keras.optimizers.Optimizer:
    """SGD; of the convolutions Adam, as Strubell et al. (2017) set it."""
    if config.model == "idcnn":
        return keras.optimizers.Adam(config.learning_rate, beta_2=0.9, epsilon=1e-6)
    return keras.optimizers.SGD(config.learning_rate, config.momentum)


def build(config: NERConfig) -> Experiment:
    """The data, model and schedule of a run."""
    corpus = load_data(config)
    encoder, vectors = make_encoder(config, corpus)
    train_data = encoder.encode(corpus.train)
    buckets = bucketing.bucket_lengths(train_data.lengths, config.n_buckets)
    model = NERModel(config, encoder, vectors, encoder.seen_once(corpus.train))
    keep_encoder(encoder, config.run_dir, ENCODER)
    print(
        f"corpus: {config.data_dir or 'generated'}, {len(corpus.train):,} training sentences,"
        f" {len(encoder.words):,} words",
        flush=True,
    )
    packed, monitor = (train_data._asdict(), PADDED, buckets), "dev_f1_sampled"
    return Experiment(
        model=model,
        optimizer=make_optimizer(config),
        train_batches=lambda epoch: bucketing.epoch_chunks(
            *packed, config.batch_size, STEPS_PER_CALL, config.seed, epoch
        ),
        schedule=lambda epoch, records: config.schedule(
            epoch, config.learning_rate / (1 + config.learning_rate_decay * epoch)
        ),
        evaluate=dev_then_both(
            lambda trainer, split, n: evaluate(
                trainer, encoder, getattr(corpus, split), split, config.n_buckets, n
            ),
            config.n_chains,
        ),
        monitor=monitor,
        stop_early=lambda records: out_of_patience(records, monitor, config.patience),
        tokens_per_epoch=int(train_data.lengths.sum()),
        steps_per_call=STEPS_PER_CALL,
        many_shapes=True,
    )


def load(run_dir: str, checkpoint_file: str = "", **changes: Any) -> Trained:
    """Flags, network and encoder of a run; see `load_run`."""

    def make(config: NERConfig) -> tuple[NERModel, reader.Encoder]:
        encoder = reader.Encoder.load(pathlib.Path(run_dir, ENCODER))
        return NERModel(config, encoder), encoder

    config, model, encoder = load_run(run_dir, NERConfig, make, checkpoint_file, **changes)
    trainer = make_trainer(model, config, None, STEPS_PER_CALL, many_shapes=True)
    return Trained(config, trainer, encoder)


def train(config: NERConfig) -> None:
    """Train, select on dev, test."""
    loop.run(config, build)
