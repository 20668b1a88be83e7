"""The tagger: words and characters, a dynamic-skip layer in each direction, a CRF over the tags."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common import losses
from common.data import bucketing
from common.data.embeddings import load_vectors
from common.data.text import PADDING, UNKNOWN
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.ops.agent import Trace
from common.ops.random import dropout, fold
from common.ops.replicas import total
from common.training import loop
from common.training.compiled_steps import Tensors, Trainer, make_trainer
from common.training.experiment import Experiment, out_of_patience
from common.training.metrics import greedy_and_sampled
from common.training.restore import load_run
from NER import reader
from NER.crf import CRF
from NER.presets import NERConfig
from NER.span_f1 import span_f1

ENCODER = "encoder.json"  # in the run's folder
EVALUATION_BATCH = 100
STEPS_PER_CALL = 10
PADDED = ("words", "chars", "tags")


class Tagged(NamedTuple):
    """What the network says about sentences, each at its own length."""

    tags: list[list[str]]
    log_likelihood: np.ndarray  # [number of sentences] log p of the tags they came with, in nats
    forward: list[np.ndarray] | None  # of each sentence, how many words back the forward layer connects; None without an agent
    backward: list[np.ndarray] | None  # how many words ahead the backward layer connects


class NERModel(keras.Model):
    """Words and characters -> scores of the tags [B, T, N], and a CRF over them (Gui et al. 2019, section 4.1; Ma & Hovy 2016).

        w_t = [E[word_t] ; tanh max_i(D(C)_{i-1..i+1} * F)]       F: filters over the characters of the word, D: dropout
        h_t = [forward layer over D(w) ; backward layer over D(w)]
        p(tags | words) = CRF(S D(h_t) + b)

    Each direction has an agent of its own. Both are rewarded with log p(gold tags), after their last step.

    Args:
        config: the flags. encoder: the words, characters and tags. vectors: [V, D] what the word vectors start from, or None.
    """

    def __init__(self, config: NERConfig, encoder: reader.Encoder, vectors: np.ndarray | None = None):
        super().__init__(name="ner_model")
        self.config = config

        def embedding(n: int, size: int, name: str, **kwargs: Any):
            bound = math.sqrt(3 / size)
            return keras.layers.Embedding(n, size, keras.initializers.RandomUniform(-bound, bound), name=name, **kwargs)

        self.word_vectors = embedding(len(encoder.words), config.word_size, "words", trainable=config.train_vectors)
        self.char_vectors = embedding(len(encoder.chars), config.char_size, "chars")
        self.convolution = keras.layers.Conv1D(config.char_filters, config.char_width, padding="same", name="char_filters")
        self.forward = make_layer(config, config.rnn_size, name="forward")
        self.backward = make_layer(config, config.rnn_size, name="backward", go_backwards=True)
        self.scores = keras.layers.Dense(len(encoder.tags), name="scores")
        self.crf = CRF(encoder.tags, config.scheme, name="crf")
        self.crf.build([None, None, len(encoder.tags)])
        self(tf.ones([1, 1], tf.int32), tf.ones([1, 1, config.max_chars], tf.int32), tf.ones([1], tf.int32))  # creates the weights
        if vectors is not None:
            self.word_vectors.embeddings.assign(vectors)

    def call(
        self, words: tf.Tensor, chars: tf.Tensor, lengths: tf.Tensor, training: bool = False, greedy: bool = False,
        seed: tf.Tensor | None = None, distances: Sequence[tf.Tensor | None] = (None, None),
    ) -> tuple[tf.Tensor, tuple]:  # fmt: skip
        """words [B, T], chars [B, T, C], lengths [B] int -> scores [B, T, N], and the traces of both directions (or None).

        The backward layer's trace is in the order in which it reads, the end of the sentence first, behind the padding; so are
        `distances`, the choices [B, T] to replay in each direction.
        """
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        rate = self.config.dropout if training else 0.0
        mask = tf.sequence_mask(lengths, tf.shape(words)[1])
        x = tf.concat([self.word_vectors(words), self.spelling(chars, rate, fold(seed, 0))], -1)
        x = dropout(x, rate, fold(seed, 1))
        call = {"mask": mask, "training": training, "greedy": greedy}
        ahead, _, forward = run_layer(self.forward, x, seed=fold(seed, 2), distances=distances[0], **call)
        back, _, backward = run_layer(self.backward, x, seed=fold(seed, 3), distances=distances[1], **call)
        h = dropout(tf.concat([ahead, tf.reverse(back, [1])], -1), rate, fold(seed, 4))
        return tf.cast(self.scores(h), tf.float32), (forward, backward)

    def spelling(self, chars: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
        """chars [B, T, C] -> [B, T, filters]: the largest response of each filter over the characters of a word."""
        shape = tf.shape(chars)
        flat = tf.reshape(chars, [-1, chars.shape[-1]])
        real = tf.cast(flat != 0, self.compute_dtype)[:, :, None]
        found = self.convolution(dropout(self.char_vectors(flat) * real, rate, seed))
        found = tf.tanh(tf.reduce_max(found - (1 - real) * 1e4, 1))  # places beyond the word cannot win
        return tf.reshape(found, [shape[0], shape[1], self.config.char_filters])

    def initial_state(self, batch_size: int) -> tuple:
        """Nothing is carried from batch to batch."""
        return ()

    def losses(self, batch: Tensors, state: Any, seed: tf.Tensor, knobs: Tensors) -> tuple[tf.Tensor, dict, object]:
        """See `common/training/compiled_steps.py`."""
        scores, traces = self(batch["words"], batch["chars"], batch["lengths"], training=True, seed=seed)
        extra, reported = auxiliary([self.forward, self.backward])
        log_likelihood = self.crf.log_likelihood(scores, batch["tags"], _mask(batch))
        loss, metrics = self.loss_terms(log_likelihood, traces, batch["weights"])
        return loss + extra, metrics | reported, state

    def loss_terms(self, log_likelihood: tf.Tensor, traces: Sequence[Trace | None], weights: tf.Tensor) -> tuple[tf.Tensor, dict]:
        """The loss and its terms, of log p(tags) [B]: the CRF's for the network, a policy gradient for each direction's agent.

        Sentences of weight 0 only fill up the batch.
        """
        config = self.config
        task_loss = -losses.masked_mean(log_likelihood, weights)
        n = total(tf.reduce_sum(weights))
        loss, metrics = task_loss, {"task_loss": (task_loss * n, n)}
        for name, trace in zip(("forward", "backward"), traces, strict=True):
            if trace is None:
                continue
            trace = trace._replace(mask=trace.mask * weights[:, None])
            agent_loss = losses.policy_gradient(
                trace, losses.at_last_step(tf.stop_gradient(log_likelihood), trace.mask), **config.agent_options
            )
            loss += agent_loss
            entropy = losses.masked_mean(trace.entropies, trace.mask)
            metrics |= {f"agent_loss_{name}": (agent_loss * n, n), f"entropy_{name}": (entropy * n, n)}
        return loss, metrics

    def infer(self, batch: Tensors, seed: tf.Tensor, greedy: bool) -> dict[str, tf.Tensor]:
        """The best tags [B, T], log p(given tags) [B], and the distances [B, T] in the order of the words."""
        scores, (forward, backward) = self(batch["words"], batch["chars"], batch["lengths"], greedy=greedy, seed=seed)
        mask = _mask(batch)
        found = {"tags": self.crf(scores, mask), "log_likelihood": self.crf.log_likelihood(scores, batch["tags"], mask)}
        if forward is not None:
            found |= {"forward": forward.distances, "backward": tf.reverse(backward.distances, [1])}
        return found


def _mask(batch: Tensors):
    return tf.sequence_mask(batch["lengths"], tf.shape(batch["words"])[1])


def train_stacks(data: reader.Arrays, buckets: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[dict[str, np.ndarray]]:
    """All sentences in batches of like length, in an order that (seed, epoch) decides: stacks of up to 10 batches of one shape."""
    batches = bucketing.batches(data.lengths, batch_size, seed, epoch, round_to=buckets)
    return [bucketing.stack(run, data._asdict(), PADDED) for run in bucketing.runs(batches, STEPS_PER_CALL, seed, epoch)]


def tag(
    trainer: Trainer,
    encoder: reader.Encoder,
    sentences: Sequence[reader.Sentence],
    greedy: bool = True,
    n_buckets: int = 8,
    sample: int = 0,
) -> Tagged:
    """The tags of sentences, in their order, and the connections that were made for them.

    Args:
        trainer: of the model. greedy: the most probable distances, or sampled ones; `sample` numbers the repetition.
        n_buckets: padded lengths. Few sentences are padded to a multiple of 16 words instead, so that the next ones meet known shapes.
    """
    n = len(sentences)
    lengths = np.array([len(sentence.words) for sentence in sentences])
    round_to = bucketing.bucket_lengths(lengths, n_buckets) if n > EVALUATION_BATCH else 16
    batches = bucketing.batches(lengths, min(n, EVALUATION_BATCH), 0, 0, round_to)
    data = encoder.encode(sentences, max(batch.length for batch in batches))
    found: dict[str, list] = {}
    first = 0
    for run in bucketing.runs(batches, len(batches), 0, 0):
        arrays = trainer.infer(bucketing.stack(run, data._asdict(), PADDED), greedy, sample, first)
        first += len(run)
        for i, batch in enumerate(run):
            for name, array in arrays.items():
                column = found.setdefault(name, [None] * n)
                for row in np.flatnonzero(batch.weights):
                    one = batch.indices[row]
                    column[one] = array[i, row] if array.ndim == 2 else array[i, row, : lengths[one]]
    tags = encoder.decode_tags(found["tags"], lengths)
    return Tagged(tags, np.array(found["log_likelihood"]), found.get("forward"), found.get("backward"))


def scores(sentences: Sequence[reader.Sentence], tagged: Tagged) -> dict[str, float]:
    """Precision, recall and F1 in percent, and the mean of -log p(gold tags) in nats."""
    overall = span_f1([sentence.tags for sentence in sentences], tagged.tags).overall
    return {"f1": overall.f1, "precision": overall.precision, "recall": overall.recall, "loss": -float(np.mean(tagged.log_likelihood))}


def evaluate(
    trainer: Trainer, encoder: reader.Encoder, sentences: Sequence[reader.Sentence], split: str, n_buckets: int = 8
) -> dict[str, float]:
    """`scores` with the most probable and with sampled distances."""

    def measure(greedy: bool) -> dict[str, float]:
        return scores(sentences, tag(trainer, encoder, sentences, greedy, n_buckets))

    return greedy_and_sampled(measure, split, trainer.model.config.has_agent)


def make_encoder(config: NERConfig, corpus: reader.Corpus) -> tuple[reader.Encoder, np.ndarray | None]:
    """The encoder, and the pretrained vectors of its words [V, D] if there are any.

    It knows every word of the three parts that has a pretrained vector; of the others, the frequent words of the training part. A word
    whose digits were made 0 takes the vector of the most frequent word that it may stand for, "0000" perhaps that of "2008".
    """
    options = {"min_count": config.min_count, "scheme": config.scheme, "max_chars": config.max_chars}
    if not config.vectors:
        return reader.Encoder.build(corpus.train, **options), None
    seen = sorted({reader.normalise(word) for part in corpus for sentence in part for word in sentence.words} - {PADDING, UNKNOWN})
    seen = [PADDING, UNKNOWN, *seen]
    pretrained = load_vectors(
        config.vectors, seen, config.word_size, None, config.seed, cache_dir=config.cache_dir, form=reader.digits_to_zero
    )
    known = [word for word, found in zip(seen, pretrained.found, strict=True) if found and word not in (PADDING, UNKNOWN)]
    encoder = reader.Encoder.build(corpus.train, known, **options)
    rows = {word: row for row, word in enumerate(seen)}
    rows = [rows[word] for word in encoder.words.words]
    print(f"{config.vectors}: {pretrained._replace(found=pretrained.found[rows]).summary()}")
    return encoder, pretrained.matrix[rows]


def build(config: NERConfig) -> Experiment:
    """Data, model and schedule of a run."""
    corpus = reader.load(config.data_dir, config.scheme)
    if config.max_train_examples:
        corpus = corpus._replace(train=corpus.train[: config.max_train_examples])
    encoder, vectors = make_encoder(config, corpus)
    train_data = encoder.encode(corpus.train)
    buckets = bucketing.bucket_lengths(train_data.lengths, config.n_buckets)
    model = NERModel(config, encoder, vectors)
    encoder.save(pathlib.Path(config.run_dir, ENCODER))
    print(f"corpus: {config.data_dir or 'generated'}, {len(corpus.train):,} training sentences, {len(encoder.words):,} words", flush=True)
    monitor = "dev_f1_sampled"
    return Experiment(
        model=model,
        optimizer=keras.optimizers.SGD(config.learning_rate, config.momentum),
        train_batches=lambda epoch: train_stacks(train_data, buckets, config.batch_size, config.seed, epoch),
        knobs=lambda epoch, records: {"learning_rate": config.learning_rate / (1 + config.learning_rate_decay * epoch)},
        evaluate=lambda trainer, split: evaluate(trainer, encoder, getattr(corpus, split), split, config.n_buckets),
        monitor=monitor,
        stop_early=lambda records: out_of_patience(records, monitor, config.patience),
        tokens_per_epoch=int(train_data.lengths.sum()),
        steps_per_call=STEPS_PER_CALL,
        many_shapes=True,
    )


def load(run_dir: str, checkpoint_file: str = "") -> tuple[NERConfig, Trainer, reader.Encoder]:
    """Flags, a trainer that holds the model, and the encoder of a run; see `load_run`."""

    encoders = []

    def make(config: NERConfig) -> NERModel:  # called once the run is known to be one
        encoders.append(reader.Encoder.load(pathlib.Path(run_dir, ENCODER)))
        return NERModel(config, encoders[0])

    config, model = load_run(run_dir, NERConfig, make, checkpoint_file)
    return config, make_trainer(model, config, None, STEPS_PER_CALL, many_shapes=True), encoders[0]


def train(config: NERConfig) -> None:
    """The whole run: train, select on dev, test."""
    loop.run(config, build)
