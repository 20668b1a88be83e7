"""Builds, trains and evaluates a sentence VAE; loads a trained one and decodes sentences."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.data import bucketing
from common.data.text import EOS, UNKNOWN, Vocabulary
from common.errors import InputError
from common.training import loop
from common.training.compiled_steps import Trainer
from common.training.experiment import Experiment
from common.training.make_trainer import make_trainer
from common.training.metrics import add, greedy_and_sampled, means, named, room_for
from common.training.restore import Trained, keep_encoder, load_run
from LanguageModeling import reader
from LanguageModeling.corpora import reviews
from LanguageModeling.experiment import VOCABULARY
from LanguageModeling.vae.model import SentenceVAE
from LanguageModeling.vae.presets import VAEConfig

STEPS_PER_CALL = 10
PADDED = ("words",)
ACTIVE = 0.01  # a unit of z is active if its mean has more variance over the sentences


def arrays(tokens: np.ndarray, end: int) -> dict[str, np.ndarray]:
    """A text's sentences, each with its `end`: `words` [n, T], padded with 0, and `lengths` [n].

    Empty lines, which part documents, are none. Raises `InputError` where there is nothing else.
    """
    lines = np.split(tokens, np.flatnonzero(tokens == end) + 1)[:-1]
    sentences = [line for line in lines if len(line) > 1]
    if not sentences:
        raise InputError(
            f"expected sentences, found {len(lines)} lines without a word; give another text"
        )
    words = bucketing.padded_rows(sentences)
    return {"words": words, "lengths": np.array([*map(len, sentences)], np.int32)}


def evaluate(
    trainer: Trainer, data: dict[str, np.ndarray], split: str, n_samples: int = 1
) -> dict[str, float]:
    """Of a split's sentences, with drawn and with the most probable distances:

    `nll`, the bound -ELBO, and `kl` in nats a sentence; `perplexity` a word from that bound. With
    S samples those of the importance-weighted bound, too, as `nll_boundS`. Also `active_units`.
    """
    config = trainer.model.config
    size = min(config.batch_size, len(data["lengths"]))
    buckets = bucketing.bucket_lengths(data["lengths"], config.n_buckets)
    chunks = bucketing.epoch_chunks(data, PADDED, buckets, size, STEPS_PER_CALL, 0, 0)

    def measure(greedy: bool, n_samples: int = 1) -> dict[str, float]:
        total: dict[str, np.ndarray] = {}
        for i, chunk in enumerate(chunks):
            found = trainer.evaluate(chunk, greedy=greedy, sample=i, n_chains=n_samples)
            total = add(total, found)
        found = means(total)
        return found | {"perplexity": math.exp(found.pop("loss"))}

    found = greedy_and_sampled(measure, split, config.has_agent)
    if n_samples > 1:
        with room_for(n_samples):
            bound = measure(False, n_samples)
        del bound["kl"]  # the same
        found |= named(bound, split, f"bound{n_samples}")
    found = {name.removesuffix("_sampled"): value for name, value in found.items()}
    if config.latent_size:
        found[f"{split}_active_units"] = float(np.sum(np.var(encode(trainer, chunks), 0) > ACTIVE))
    return found


def encode(trainer: Trainer, chunks: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
    """The means of the vectors of all sentences [n, Z], in the order of the chunks."""
    every = []
    for chunk in chunks:
        mean = trainer.infer({name: chunk[name] for name in ("words", "lengths")}, True)["mean"]
        every.append(mean[chunk["weights"] > 0])
    return np.concatenate(every)


def make_model(config: VAEConfig, vocabulary: Vocabulary) -> SentenceVAE:
    """The network for these words."""
    n = len(vocabulary)
    return SentenceVAE(config, n, vocabulary.ids[EOS], vocabulary.ids.get(UNKNOWN, n))


def build(config: VAEConfig) -> Experiment:
    """The data, model and schedule of a run."""
    corpus = reader.load(config.data_dir, config.tokens, config.min_count, reviews.SENTENCES)
    end = corpus.vocabulary.ids[EOS]
    data = {split: arrays(getattr(corpus, split), end) for split in reader.SPLITS}
    train = data["train"]
    n = len(train["lengths"])
    model = make_model(config, corpus.vocabulary)
    keep_encoder(corpus.vocabulary, config.run_dir, VOCABULARY)
    print(
        f"corpus: {corpus.name}, {n:,} training sentences, {len(corpus.vocabulary):,} words",
        flush=True,
    )
    buckets = bucketing.bucket_lengths(train["lengths"], config.n_buckets)

    def train_batches(epoch: int) -> list[dict[str, np.ndarray]]:
        place = (config.batch_size, STEPS_PER_CALL, config.seed, epoch)
        chunks = bucketing.epoch_chunks(train, PADDED, buckets, *place)
        step = epoch * -(-n // config.batch_size)
        for chunk in chunks:
            n_steps, n_rows = chunk["lengths"].shape
            weights = [config.weight_of_kl(step + i) for i in range(n_steps)]
            chunk["kl_weight"] = np.repeat(np.array(weights, np.float32)[:, None], n_rows, 1)
            step += n_steps
        return chunks

    def measure(trainer: Trainer, split: str) -> dict[str, float]:
        if split == "dev":
            return evaluate(trainer, data["valid"], "valid")
        return evaluate(trainer, data["test"], "test", config.n_chains)

    return Experiment(
        model=model,
        optimizer=keras.optimizers.Adam(config.learning_rate),
        train_batches=train_batches,
        schedule=lambda epoch, records: config.schedule(epoch),
        evaluate=measure,
        monitor="-valid_nll",
        tokens_per_epoch=int(train["lengths"].sum()),
        steps_per_call=STEPS_PER_CALL,
        many_shapes=True,
    )


def load(run_dir: str, checkpoint_file: str = "", **changes: Any) -> Trained:
    """Flags, network and vocabulary of a run; see `load_run`."""

    def make(config: VAEConfig) -> tuple[SentenceVAE, Vocabulary]:
        vocabulary = Vocabulary.load(pathlib.Path(run_dir, VOCABULARY))
        return make_model(config, vocabulary), vocabulary

    config, model, vocabulary = load_run(run_dir, VAEConfig, make, checkpoint_file, **changes)
    trainer = make_trainer(model, config, None, STEPS_PER_CALL, many_shapes=True)
    return Trained(config, trainer, vocabulary)


def homotopy(model: SentenceVAE, first: np.ndarray, last: np.ndarray, n: int = 6) -> np.ndarray:
    """n vectors [n, Z] at equal steps from the mean of one sentence's to that of another's.

    Bowman et al. 2016, section 4.2. The sentences: ids with their end, [N] each.
    """
    ends = [
        model.encode(tf.constant(ids[None]), tf.constant([len(ids)]), greedy=True)[0][0].numpy()
        for ids in (first, last)
    ]
    share = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    return (1 - share) * ends[0] + share * ends[1]


def decode(
    model: SentenceVAE, z: np.ndarray, n_words: int, temperature: float = 0.0, seed: int = 0
) -> list[np.ndarray]:
    """The sentence of each vector z [N, Z]: ids without their end, at most `n_words`.

    Word by word the most probable one, at the most probable distances; or with a temperature a
    draw, at drawn distances.
    """
    random = np.random.default_rng(seed)
    greedy = temperature == 0
    step = tf.function(
        lambda *args: model.decode(*args[:3], seed=args[3], greedy=greedy)[:2], autograph=False
    )
    z = tf.constant(z)
    state, words = model.start(z), np.full([len(z), n_words + 1], model.end, np.int32)
    # the states of a window are those of one call: it reads from the first word on each time
    window = getattr(model.config, "history", "carried") == "window"
    for position in range(n_words):
        begin, place = (0, position) if window else (position, 0)
        read = words[:, :n_words] if window else words[:, position : position + 1]
        h, after = step(tf.constant(read), z, state, tf.constant([seed, begin]))
        state = state if window else after
        scores = tf.cast(model.softmax(h[:, place]), tf.float32).numpy().astype(np.float64)
        scores += random.gumbel(size=scores.shape) * temperature
        words[:, position + 1] = scores.argmax(1)
        if (words[:, 1 : position + 2] == model.end).any(1).all():
            break
    return [row[: np.argmax(np.append(row, model.end) == model.end)] for row in words[:, 1:]]


def train(config: VAEConfig) -> None:
    """Train, select on dev, test."""
    loop.run(config, build)
