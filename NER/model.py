"""The tagger: words and characters, a dynamic-skip layer in each direction, a CRF over the tags."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common import objective
from common.layers.crf import CRF
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.losses import masked_mean, mixture
from common.ops.agent import Trace
from common.ops.mixture import by_chain, log_mean, repeated
from common.ops.random import dropout, fold
from common.training.task_model import NamedTensors
from NER import reader
from NER.presets import NERConfig


class NERModel(keras.Model):
    """Words and characters -> scores of the tags [B, T, N], and a CRF over them.

    Gui et al. 2019, section 4.1; Ma & Hovy 2016.

        w_t = [E[word_t] ; tanh max_i(D(C)_{i-1..i+1} * F)]
        h_t = [forward layer over D(w) ; backward layer over D(w)]
        p(tags | words) = CRF(S D(h_t) + b)

    with F the filters over the characters of the word, D dropout.

    Each direction has its own agent. Both are rewarded with log p(gold tags), after their last
    step.

    Args:
        config: the flags. encoder: the words, characters and tags. vectors: [V, D] initial word
            vectors, or None.
    """

    def __init__(
        self, config: NERConfig, encoder: reader.Encoder, vectors: np.ndarray | None = None
    ):
        super().__init__(name="ner_model")
        self.config = config

        def embedding(n: int, size: int, name: str, **kwargs: Any):
            bound = math.sqrt(3 / size)
            return keras.layers.Embedding(
                n, size, keras.initializers.RandomUniform(-bound, bound), name=name, **kwargs
            )

        self.word_vectors = embedding(
            len(encoder.words), config.word_size, "words", trainable=config.train_vectors
        )
        self.char_vectors = embedding(len(encoder.chars), config.char_size, "chars")
        self.convolution = keras.layers.Conv1D(
            config.char_filters, config.char_width, padding="same", name="char_filters"
        )
        self.forward = make_layer(config, config.rnn_size, name="forward")
        self.backward = make_layer(config, config.rnn_size, name="backward", go_backwards=True)
        self.scores = keras.layers.Dense(len(encoder.tags), name="scores")
        self.crf = CRF(encoder.tags, config.scheme, name="crf")
        self.crf.build([None, None, len(encoder.tags)])
        # creates the weights
        self(
            tf.ones([1, 1], tf.int32),
            tf.ones([1, 1, config.max_chars], tf.int32),
            tf.ones([1], tf.int32),
        )
        if vectors is not None:
            self.word_vectors.embeddings.assign(vectors)

    def call(
        self,
        words: tf.Tensor,
        chars: tf.Tensor,
        lengths: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: Sequence[tf.Tensor | None] = (None, None),
    ) -> tuple[tf.Tensor, tuple]:
        """Words [B, T], chars [B, T, C], lengths [B] int -> scores [B, T, N], traces.

        The traces are those of both directions, None without an agent. The backward layer's trace
        is in the order in which it reads, from the end of the sentence, after the padding; so are
        `distances`, the choices [B, T] to replay in each direction.
        """
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        rate = self.config.dropout if training else 0.0
        mask = tf.sequence_mask(lengths, tf.shape(words)[1])
        x = tf.concat([self.word_vectors(words), self.spelling(chars, rate, fold(seed, 0))], -1)
        x = dropout(x, rate, fold(seed, 1))
        call = {"mask": mask, "training": training, "greedy": greedy}
        ahead, _, forward = run_layer(
            self.forward, x, seed=fold(seed, 2), distances=distances[0], **call
        )
        back, _, backward = run_layer(
            self.backward, x, seed=fold(seed, 3), distances=distances[1], **call
        )
        h = dropout(tf.concat([ahead, tf.reverse(back, [1])], -1), rate, fold(seed, 4))
        return tf.cast(self.scores(h), tf.float32), (forward, backward)

    def spelling(self, chars: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
        """Characters [B, T, C] -> [B, T, filters]: each filter's maximum over the word."""
        shape = tf.shape(chars)
        flat = tf.reshape(chars, [-1, chars.shape[-1]])
        real = tf.cast(flat != 0, self.compute_dtype)[:, :, None]
        found = self.convolution(dropout(self.char_vectors(flat) * real, rate, seed))
        # places beyond the word cannot win
        found = tf.tanh(tf.reduce_max(found - (1 - real) * 1e4, 1))
        return tf.reshape(found, [shape[0], shape[1], self.config.char_filters])

    def initial_state(self, batch_size: int) -> tuple:
        """(): no state is carried from batch to batch."""
        return ()

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`."""
        inputs = batch["words"], batch["chars"], batch["lengths"]
        scores, traces = self(*inputs, training=True, seed=seed)
        auxiliary_loss, reported = auxiliary([self.forward, self.backward])
        log_likelihood = self.crf.log_likelihood(scores, batch["tags"], _mask(batch))
        terms = log_likelihood, traces, batch["weights"], auxiliary_loss, schedule
        loss, metrics = self.loss_terms(*terms)
        return loss, metrics | reported, state

    def loss_terms(
        self,
        log_likelihood: tf.Tensor,
        traces: Sequence[Trace | None],
        weights: tf.Tensor,
        auxiliary_loss: tf.Tensor | float = 0.0,
        schedule: NamedTensors | None = None,
    ) -> tuple[tf.Tensor, dict]:
        """The loss and its terms, from log p(tags) [B]; each direction has its own agent.

        Sentences of weight 0 only fill up the batch.
        """
        reward = log_likelihood
        if self.config.reward == "mixture":
            log_likelihood, reward = mixture(log_likelihood, self.config.n_train_samples)
        agent_loss = objective.agent_loss(self.config.agent_options, schedule)
        agents = {
            name: objective.Agent(trace, reward, agent_loss)
            for name, trace in zip(("forward", "backward"), traces, strict=True)
            if trace is not None
        }
        task_loss = -masked_mean(log_likelihood, weights)
        return objective.combine(task_loss, agents, weights=weights, auxiliary_loss=auxiliary_loss)

    def infer(
        self, batch: NamedTensors, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> dict[str, tf.Tensor]:
        """The best tags [B, T], log p(given tags) [B] and, with one chain, distances [B, T].

        Distances are in the order of the words. With several chains, p(y) = mean_s p_s(y); the best
        path is approximated by the best, under that mean, of the chains' own best paths.
        """
        inputs = [repeated(batch[name], n_chains) for name in ("words", "chars", "lengths")]
        scores, (forward, backward) = self(*inputs, greedy=greedy, seed=seed)
        if n_chains > 1:
            return self._mixed(scores, repeated(_mask(batch), n_chains), batch["tags"], n_chains)
        mask = _mask(batch)
        found = {
            "tags": self.crf(scores, mask),
            "log_likelihood": self.crf.log_likelihood(scores, batch["tags"], mask),
        }
        if forward is not None:
            found |= {"forward": forward.distances, "backward": tf.reverse(backward.distances, [1])}
        return found

    def _mixed(
        self, scores: tf.Tensor, mask: tf.Tensor, tags: tf.Tensor, n_chains: int
    ) -> dict[str, tf.Tensor]:
        """The best candidate path and log p(tags) of the mixture.

        scores: [S * B, T, N]. mask: [S * B, T]. tags: [B, T].
        """

        def mixed(tags: tf.Tensor) -> tf.Tensor:
            return log_mean(
                self.crf.log_likelihood(scores, repeated(tags, n_chains), mask), n_chains
            )

        candidates = by_chain(self.crf(scores, mask), n_chains)
        values = tf.map_fn(mixed, candidates, fn_output_signature=tf.float32)  # [S, B]
        best = tf.gather(tf.transpose(candidates, [1, 0, 2]), tf.argmax(values, 0), batch_dims=1)
        return {"tags": best, "log_likelihood": mixed(tags)}


def _mask(batch: NamedTensors):
    return tf.sequence_mask(batch["lengths"], tf.shape(batch["words"])[1])
