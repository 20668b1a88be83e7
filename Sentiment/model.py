"""The classifier: word vectors, one recurrent layer, a softmax over the classes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common import objective
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.losses import masked_mean
from common.ops.agent import Trace
from common.ops.mixture import by_chain, log_mean, repeated
from common.ops.random import dropout, fold
from common.ops.replicas import total
from common.training.metrics import classification_metrics, judged
from common.training.task_model import NamedTensors
from Sentiment.jump import JumpReader, Skimmed, value_loss
from Sentiment.pooling import AttentionPooling, HierarchicalPooling
from Sentiment.presets import SentimentConfig
from Sentiment.reading_time import ReadingTimePooling

CLASSES = {
    2: ("negative", "positive"),
    5: ("very negative", "negative", "neutral", "positive", "very positive"),
}


class SentimentModel(keras.Model):
    """Words [B, T] -> logits [B, classes] (Gui et al. 2019, section 4.3).

        h_1 .. h_n = recurrent layer over E[w_1] .. E[w_n]
        p = softmax(V D(h) + b),    h = mean_t h_t or h_n,    D: dropout

    With `--pooling attention` h is a weighted mean (`pooling.py`), with `--sentences` one of
    weighted means of sentences; with `reading_time` the weights are predicted from the words
    (`reading_time.py`). With `--model jump` h is the state after the words that were read
    (`jump.py`).

    The agent is rewarded with log p(label), after the last word.

    Args:
        config: the flags. n_words: V. n_classes: of the labels. vectors: [V, D] initial word
            vectors, or None. ends: the numbers of the words that end a sentence.
    """

    def __init__(
        self,
        config: SentimentConfig,
        n_words: int,
        n_classes: int,
        vectors: np.ndarray | None = None,
        ends: Sequence[int] = (),
    ):
        super().__init__(name="sentiment_model")
        self.config = config
        uniform = keras.initializers.RandomUniform(-0.25, 0.25)
        self.word_vectors = keras.layers.Embedding(
            n_words, config.word_size, uniform, name="words", trainable=config.train_vectors
        )
        self.recurrent = make_layer(config, config.rnn_size, name="recurrent")
        self.reader = JumpReader(config, self.recurrent) if config.model == "jump" else None
        self.pooling = None
        kind = config.pooling if self.reader is None else ""
        if kind == "attention" and config.sentences:
            plain = {"name": "sentences", "zoneout": (0.0, 0.0)}  # that of the flags is of --cell
            sentence_layer = make_layer(config, config.rnn_size, "lstm", **plain)
            self.pooling = HierarchicalPooling(sentence_layer, ends, name="pooling")
        elif kind == "attention":
            self.pooling = AttentionPooling(name="pooling")
        elif "reading_time" in kind:
            both = kind == "attention_and_reading_time"
            self.pooling = ReadingTimePooling(n_words, both, name="pooling")
        self.classifier = keras.layers.Dense(n_classes, name="classifier")
        self(tf.ones([1, 1], tf.int32), tf.ones([1], tf.int32))  # creates the weights
        if vectors is not None:
            self.word_vectors.embeddings.assign(vectors)

    def call(
        self,
        words: tf.Tensor,
        lengths: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, object]:
        """Words [B, T], lengths [B] int -> logits [B, classes], the agent's trace (or None).

        With `--model jump` the trace is that of the jumps, and so are `distances` (`Skimmed`), with
        which they are replayed.
        """
        if self.reader is not None:
            logits, skimmed = self.skim(words, lengths, training, greedy, seed, distances)
            return logits, skimmed.trace
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        mask = tf.sequence_mask(lengths, tf.shape(words)[1])
        call = {
            "training": training,
            "greedy": greedy,
            "seed": fold(seed, 0),
            "distances": distances,
        }
        outputs, _, trace = run_layer(self.recurrent, self.word_vectors(words), mask=mask, **call)
        if isinstance(self.pooling, AttentionPooling):
            h = self.pooling(outputs, mask)
        elif self.pooling is not None:
            h = self.pooling(outputs, words, mask)
        elif self.config.pooling == "mean":
            real = tf.cast(mask, outputs.dtype)[:, :, None]
            h = tf.math.divide_no_nan(tf.reduce_sum(outputs * real, 1), tf.reduce_sum(real, 1))
        else:
            h = outputs[:, -1]  # behind the end of a text its last output is repeated
        h = dropout(h, self.config.dropout if training else 0.0, fold(seed, 1))
        return tf.cast(self.classifier(h), tf.float32), trace

    def skim(
        self,
        words: tf.Tensor,
        lengths: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        choices: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, Skimmed]:
        """Logits [B, classes] after a reading with jumps, and that reading."""
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        how = {"training": training, "greedy": greedy, "seed": fold(seed, 0), "choices": choices}
        skimmed = self.reader(self.word_vectors(words), lengths, **how)
        h = dropout(skimmed.h, self.config.dropout if training else 0.0, fold(seed, 1))
        return tf.cast(self.classifier(h), tf.float32), skimmed

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`."""
        inputs, values = (batch["words"], batch["lengths"]), None
        if self.reader is not None:
            logits, (_, trace, values, _) = self.skim(*inputs, training=True, seed=seed)
        else:
            logits, trace = self(*inputs, training=True, seed=seed)
        auxiliary_loss, reported = auxiliary([self.reader or self.recurrent], batch["weights"])
        terms = logits, trace, batch["labels"], batch["weights"], auxiliary_loss, schedule, values
        loss, metrics = self.loss_terms(*terms)
        return loss, metrics | reported, state

    def loss_terms(
        self,
        logits: tf.Tensor,
        trace: Trace | None,
        labels: tf.Tensor,
        weights: tf.Tensor,
        auxiliary_loss: tf.Tensor | float = 0.0,
        schedule: NamedTensors | None = None,
        values: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, dict]:
        """The loss and its terms, from logits [B, classes] and labels [B].

        Texts of weight 0 only fill up the batch. `values`: a learned baseline like the trace's
        choices, or None.
        """
        log_likelihood, right = judged(logits, labels)
        reward = 2 * right - 1 if self.config.reward == "sign" else log_likelihood
        options = self.config.agent_options
        if values is not None:
            options["baseline"] = tf.stop_gradient(values)
            auxiliary_loss += value_loss(values, reward, trace, weights)
        agent_loss = objective.agent_loss(options, schedule)
        agents = {} if trace is None else {"": objective.Agent(trace, reward, agent_loss)}
        loss, metrics = objective.combine(
            -masked_mean(log_likelihood, weights),
            agents,
            weights=weights,
            auxiliary_loss=auxiliary_loss,
        )
        accuracy = tf.reduce_sum(right * weights), total(tf.reduce_sum(weights))
        return loss, metrics | {"accuracy": accuracy}

    def evaluation_metrics(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> tuple[dict, object]:
        """See `TaskModel`."""
        inputs = repeated(batch["words"], n_chains), repeated(batch["lengths"], n_chains)
        share = {}
        if self.reader is not None:
            logits, skimmed = self.skim(*inputs, greedy=greedy, seed=seed)
            weights = repeated(batch["weights"], n_chains)
            n_read, n_words = (
                tf.reduce_sum(tf.cast(n, tf.float32) * weights) for n in (skimmed.n_read, inputs[1])
            )
            share = {"share_read": (n_read, n_words)}
        else:
            masked = n_chains > 1 and self.config.draws_masks
            logits, _ = self(*inputs, training=masked, greedy=greedy, seed=seed)
        metrics = classification_metrics(logits, batch["labels"], batch["weights"], n_chains)
        return metrics | share, state

    def infer(
        self, batch: NamedTensors, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> dict[str, tf.Tensor]:
        """The class probabilities [B, classes] and, with one chain, the distances [B, T]."""
        inputs = repeated(batch["words"], n_chains), repeated(batch["lengths"], n_chains)
        masked = n_chains > 1 and self.config.draws_masks
        logits, trace = self(*inputs, training=masked, greedy=greedy, seed=seed)
        if n_chains > 1:
            return {"probs": tf.exp(log_mean(by_chain(tf.nn.log_softmax(logits), n_chains)))}
        return {"probs": tf.nn.softmax(logits)} | (
            {} if trace is None or self.reader is not None else {"distances": trace.distances}
        )
