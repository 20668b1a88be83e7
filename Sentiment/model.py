"""The classifier: word vectors, one recurrent layer, the mean of its outputs or the last one to a softmax over the classes."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common import losses
from common.data import bucketing
from common.data.embeddings import load_vectors
from common.data.text import Vocabulary
from common.errors import InputError
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.ops.agent import Trace
from common.ops.random import dropout, fold
from common.ops.replicas import total
from common.training import loop
from common.training.compiled_steps import Tensors, Trainer, make_trainer
from common.training.experiment import Experiment, out_of_patience
from common.training.metrics import add, greedy_and_sampled, means
from common.training.restore import load_run
from Sentiment import reader
from Sentiment.presets import SentimentConfig

VOCABULARY = "vocabulary.txt"  # in the run's folder
EVALUATION_BATCH = 250
STEPS_PER_CALL = 10
PADDED = ("words",)
CLASSES = {2: ("negative", "positive"), 5: ("very negative", "negative", "neutral", "positive", "very positive")}


class Predicted(NamedTuple):
    """What the network says about N texts."""

    probs: np.ndarray  # [N, classes]
    distances: list[np.ndarray] | None  # of each text, the distance taken at each of its words; None without an agent


class SentimentModel(keras.Model):
    """Words [B, T] -> logits [B, classes] (Gui et al. 2019, section 4.3).

        h_1 .. h_n = recurrent layer over E[w_1] .. E[w_n],   p = softmax(V D(h) + b),   h = mean_t h_t or h_n,   D: dropout

    The agent is rewarded with log p(label), after the last word.

    Args:
        config: the flags. n_words: V. n_classes: of the labels. vectors: [V, D] what the word vectors start from, or None.
    """

    def __init__(self, config: SentimentConfig, n_words: int, n_classes: int, vectors: np.ndarray | None = None):
        super().__init__(name="sentiment_model")
        self.config = config
        uniform = keras.initializers.RandomUniform(-0.25, 0.25)
        self.word_vectors = keras.layers.Embedding(n_words, config.word_size, uniform, name="words", trainable=config.train_vectors)
        self.recurrent = make_layer(config, config.rnn_size, name="recurrent")
        self.classifier = keras.layers.Dense(n_classes, name="classifier")
        self(tf.ones([1, 1], tf.int32), tf.ones([1], tf.int32))  # creates the weights
        if vectors is not None:
            self.word_vectors.embeddings.assign(vectors)

    def call(
        self, words: tf.Tensor, lengths: tf.Tensor, training: bool = False, greedy: bool = False, seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, object]:  # fmt: skip
        """words [B, T], lengths [B] int -> logits [B, classes] and the agent's trace (or None)."""
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        mask = tf.sequence_mask(lengths, tf.shape(words)[1])
        call = {"training": training, "greedy": greedy, "seed": fold(seed, 0), "distances": distances}
        outputs, _, trace = run_layer(self.recurrent, self.word_vectors(words), mask=mask, **call)
        if self.config.pooling == "mean":
            real = tf.cast(mask, outputs.dtype)[:, :, None]
            h = tf.math.divide_no_nan(tf.reduce_sum(outputs * real, 1), tf.reduce_sum(real, 1))
        else:
            h = outputs[:, -1]  # behind the end of a text its last output is repeated
        h = dropout(h, self.config.dropout if training else 0.0, fold(seed, 1))
        return tf.cast(self.classifier(h), tf.float32), trace

    def initial_state(self, batch_size: int) -> tuple:
        """Nothing is carried from batch to batch."""
        return ()

    def losses(self, batch: Tensors, state: Any, seed: tf.Tensor, knobs: Tensors) -> tuple[tf.Tensor, dict, object]:
        """See `common/training/compiled_steps.py`."""
        logits, trace = self(batch["words"], batch["lengths"], training=True, seed=seed)
        extra, reported = auxiliary([self.recurrent])
        loss, metrics = self.loss_terms(logits, trace, batch["labels"], batch["weights"])
        return loss + extra, metrics | reported, state

    def loss_terms(self, logits: tf.Tensor, trace: Trace | None, labels: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, dict]:
        """The loss and its terms: cross-entropy for the network, a policy gradient for the agent.

        Texts of weight 0 only fill up the batch.
        """
        config, n = self.config, total(tf.reduce_sum(weights))
        log_likelihood, right = _judge(logits, labels)
        task_loss = -losses.masked_mean(log_likelihood, weights)
        metrics = {"task_loss": (task_loss * n, n), "accuracy": (tf.reduce_sum(right * weights), n)}
        if trace is None:
            return task_loss, metrics
        trace = trace._replace(mask=trace.mask * weights[:, None])
        agent_loss = losses.policy_gradient(
            trace, losses.at_last_step(tf.stop_gradient(log_likelihood), trace.mask), **config.agent_options
        )
        entropy = losses.masked_mean(trace.entropies, trace.mask)
        return task_loss + agent_loss, metrics | {"agent_loss": (agent_loss * n, n), "entropy": (entropy * n, n)}

    def evaluate(self, batch: Tensors, state: Any, seed: tf.Tensor, greedy: bool) -> tuple[dict, object]:
        """See `common/training/compiled_steps.py`."""
        logits, _ = self(batch["words"], batch["lengths"], greedy=greedy, seed=seed)
        log_likelihood, right = _judge(logits, batch["labels"])
        weights, n = batch["weights"], tf.reduce_sum(batch["weights"])
        return {"accuracy": (tf.reduce_sum(right * weights), n), "loss": (-tf.reduce_sum(log_likelihood * weights), n)}, state

    def infer(self, batch: Tensors, seed: tf.Tensor, greedy: bool) -> dict[str, tf.Tensor]:
        """See `common/training/compiled_steps.py`: the classes' probabilities [B, classes] and the distances [B, T]."""
        logits, trace = self(batch["words"], batch["lengths"], greedy=greedy, seed=seed)
        return {"probs": tf.nn.softmax(logits)} | ({} if trace is None else {"distances": trace.distances})


def _judge(logits: tf.Tensor, labels: tf.Tensor):
    """log p(label) [B] in nats, and 1 where the label is the most probable class."""
    labels = tf.cast(labels, tf.int32)
    log_likelihood = -tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return log_likelihood, tf.cast(tf.argmax(logits, -1, output_type=tf.int32) == labels, tf.float32)


def train_stacks(data: reader.Arrays, buckets: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[dict[str, np.ndarray]]:
    """All texts in batches of like length, in an order that (seed, epoch) decides: stacks of up to 10 batches of one shape."""
    batches = bucketing.batches(data.lengths, batch_size, seed, epoch, round_to=buckets)
    return [bucketing.stack(run, data._asdict(), PADDED) for run in bucketing.runs(batches, STEPS_PER_CALL, seed, epoch)]


def evaluate(trainer: Trainer, data: reader.Arrays, split: str, n_buckets: int = 8) -> dict[str, float]:
    """Accuracy and mean cross-entropy in nats of all texts, with the most probable and with sampled distances."""
    size = min(EVALUATION_BATCH, len(data.lengths))
    batches = bucketing.batches(data.lengths, size, 0, 0, bucketing.bucket_lengths(data.lengths, n_buckets))
    stacks = [bucketing.stack(run, data._asdict(), PADDED) for run in bucketing.runs(batches, STEPS_PER_CALL, 0, 0)]

    def measure(greedy: bool) -> dict[str, float]:
        total: dict[str, np.ndarray] = {}
        for i, stack in enumerate(stacks):
            total = add(total, trainer.evaluate(stack, greedy=greedy, sample=i))
        return means(total)

    return greedy_and_sampled(measure, split, trainer.model.config.has_agent)


def predict(trainer: Trainer, vocabulary: Vocabulary, texts: Sequence[Sequence[str]], greedy: bool = True, sample: int = 0) -> Predicted:
    """The probabilities of the classes for texts, each a list of words, and the connections that were made. Texts one by one."""
    probs, distances = [], []
    for i, words in enumerate(texts):
        if not words:
            raise InputError(f"expected a text with at least one word, found none in text {i + 1}; leave it out")
        length = -(-len(words) // 32) * 32  # few shapes
        data = reader.encode([reader.Example(words, 0)], vocabulary, length)
        found = trainer.infer({"words": data.words[None], "lengths": data.lengths[None]}, greedy, sample + i)
        probs.append(found["probs"][0, 0])
        if "distances" in found:
            distances.append(found["distances"][0, 0, : len(words)])
    return Predicted(np.stack(probs), distances or None)


def load_data(config: SentimentConfig) -> reader.Corpus:
    """The data of a run."""
    corpus = reader.load(config.dataset, config.data_dir, config.seed, config.max_tokens, config.phrases, config.cache_dir)
    if config.max_train_examples:
        order = np.random.default_rng(config.seed).permutation(len(corpus.train))[: config.max_train_examples]
        corpus = corpus._replace(train=[corpus.train[i] for i in order])
    return corpus


def build(config: SentimentConfig) -> Experiment:
    """Data, model and schedule of a run."""
    corpus = load_data(config)
    vocabulary = reader.vocabulary(corpus.train, config.max_words, config.min_count)
    vectors = None
    if config.vectors:
        pretrained = load_vectors(config.vectors, vocabulary.words, config.word_size, seed=config.seed, cache_dir=config.cache_dir)
        vectors = pretrained.matrix
        print(f"{config.vectors}: {pretrained.summary()}")
    data = {split: reader.encode(getattr(corpus, split), vocabulary) for split in ("train", "dev", "test")}
    buckets = bucketing.bucket_lengths(data["train"].lengths, config.n_buckets)
    model = SentimentModel(config, len(vocabulary), corpus.classes, vectors)
    vocabulary.save(pathlib.Path(config.run_dir, VOCABULARY))
    name = f"{config.dataset} in {config.data_dir}" if config.data_dir else "generated"
    print(f"corpus: {name}, {len(corpus.train):,} training texts, {len(vocabulary):,} words", flush=True)
    monitor = "dev_accuracy_sampled"
    return Experiment(
        model=model,
        optimizer=keras.optimizers.Adam(config.learning_rate),
        train_batches=lambda epoch: train_stacks(data["train"], buckets, config.batch_size, config.seed, epoch),
        knobs=lambda epoch, records: {"learning_rate": config.learning_rate},
        evaluate=lambda trainer, split: evaluate(trainer, data[split], split, config.n_buckets),
        monitor=monitor,
        stop_early=lambda records: out_of_patience(records, monitor, config.patience),
        tokens_per_epoch=int(data["train"].lengths.sum()),
        steps_per_call=STEPS_PER_CALL,
        many_shapes=True,
    )


def n_classes(config: SentimentConfig) -> int:
    """The classes of a run's labels."""
    return 5 if config.dataset == "sst5" and config.data_dir else 2


def load(run_dir: str, checkpoint_file: str = "") -> tuple[SentimentConfig, Trainer, Vocabulary]:
    """Flags, a trainer that holds the model, and the vocabulary of a run; see `load_run`."""

    vocabularies = []

    def make(config: SentimentConfig) -> SentimentModel:  # called once the run is known to be one
        vocabularies.append(Vocabulary.load(pathlib.Path(run_dir, VOCABULARY)))
        return SentimentModel(config, len(vocabularies[0]), n_classes(config))

    config, model = load_run(run_dir, SentimentConfig, make, checkpoint_file)
    return config, make_trainer(model, config, None, STEPS_PER_CALL, many_shapes=True), vocabularies[0]


def train(config: SentimentConfig) -> None:
    """The whole run: train, select on dev, test."""
    loop.run(config, build)
