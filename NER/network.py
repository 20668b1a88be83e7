"""The tagger's network: words and characters, layers over them, scores of the tags."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.layers.crf import CRF
from common.layers.make_layer import make_layer, run_layer
from common.ops.mixture import repeated
from common.ops.random import dropout, fold
from NER import reader
from NER.characters import CharLSTM, WordShape
from NER.idcnn import IteratedDilations
from NER.presets import NERConfig


class SparseScores(keras.layers.Layer):
    """Features [B, T, F] int -> scores [B, T, N] of the tags, each feature's own added up.

    Huang et al. 2015, section 4.2.3.

        score_t = sum_{f in features(t)} S[f]

    Number 0 is no feature. Weights: S [number of features, N], zero at the start.
    """

    def __init__(self, n_features: int, n_tags: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n_features, self.n_tags = n_features, n_tags

    def build(self, input_shape: tuple) -> None:
        self.scores = self.add_weight(
            name="scores", shape=(self.n_features, self.n_tags), initializer="zeros"
        )

    def call(self, features: tf.Tensor) -> tf.Tensor:
        real = tf.cast(features != 0, self.compute_dtype)
        return tf.einsum("btfn,btf->btn", tf.gather(self.scores, features), real)


class Network(keras.Model):
    """Words and characters -> scores of the tags [B, T, N], and a CRF over them.

    Gui et al. 2019, section 4.1; Ma & Hovy 2016.

        w_t = [E[word_t] ; tanh max_i(D(C)_{i-1..i+1} * F)]
        h_t = [forward layer over D(w) ; backward layer over D(w)]
        p(tags | words) = CRF(S D(h_t) + b)

    with F the filters over the characters of the word, D dropout.

    Instead of the filters `--char_encoder` has an LSTM over the characters or the word's capitals
    (`characters.py`); instead of the layers `--model` has convolutions (`idcnn.py`) or D(w_t).
    `--features` are added to the scores (`features.py`). `--scores tanh` is Lample et al.'s (2016)
    S tanh(W D(h_t) + c) + b; `directions` Chiu & Nichols' (2016)

        log softmax(S_f D(h_t)_f + b_f) + log softmax(S_b D(h_t)_b + b_b)

    with the halves of the forward and of the backward layer. Without CRF the tags are independent:
    its transitions stay 0, and no sequence is ruled out.

    Args:
        config: the flags. encoder: the words, characters and tags. vectors: [V, D] initial word
            vectors, or None. singletons: [V] bool, the words that `--unknown_singletons` makes
            unknown in training, or None.
    """

    def __init__(
        self,
        config: NERConfig,
        encoder: reader.Encoder,
        vectors: np.ndarray | None = None,
        singletons: np.ndarray | None = None,
    ):
        super().__init__(name="ner_model")
        self.config, self.singletons = config, singletons

        def embedding(n: int, size: int, name: str, **kwargs: Any):
            bound = math.sqrt(3 / size)
            return keras.layers.Embedding(
                n, size, keras.initializers.RandomUniform(-bound, bound), name=name, **kwargs
            )

        self.word_vectors = embedding(
            len(encoder.words), config.word_size, "words", trainable=config.train_vectors
        )
        if config.char_encoder in ("cnn", "lstm"):
            self.char_vectors = embedding(len(encoder.chars), config.char_size, "chars")
        if config.char_encoder == "cnn":
            self.convolution = keras.layers.Conv1D(
                config.char_filters, config.char_width, padding="same", name="char_filters"
            )
        elif config.char_encoder == "lstm":
            self.char_layer = CharLSTM(config, config.char_rnn_size, name="char_lstm")
        elif config.char_encoder == "shape":
            self.shapes = WordShape(encoder.chars, name="shape")
        if config.model == "rnn":
            self.forward = make_layer(config, config.rnn_size, name="forward")
            if config.bidirectional:
                self.backward = make_layer(
                    config, config.rnn_size, name="backward", go_backwards=True
                )
        elif config.model == "idcnn":
            self.dilated = IteratedDilations(
                config.filters, config.dilations, config.iterations, name="dilated"
            )
        if config.scores == "tanh":
            self.hidden = keras.layers.Dense(config.rnn_size, "tanh", name="hidden")
        self.scores = keras.layers.Dense(len(encoder.tags), name="scores")
        if config.scores == "directions":
            self.backward_scores = keras.layers.Dense(len(encoder.tags), name="backward_scores")
        if config.features:
            self.feature_scores = SparseScores(
                len(encoder.features), len(encoder.tags), name="feature_scores"
            )
        scheme = config.scheme if config.crf else None
        self.crf = CRF(encoder.tags, scheme, name="crf", trainable=config.crf)
        self.crf.build([None, None, len(encoder.tags)])
        # creates the weights
        self(
            tf.ones([1, 1], tf.int32),
            tf.ones([1, 1, config.max_chars], tf.int32),
            tf.ones([1], tf.int32),
            features=tf.zeros([1, 1, 1], tf.int32),
        )
        if vectors is not None:
            self.word_vectors.embeddings.assign(vectors)

    @property
    def recurrent_layers(self) -> list[keras.layers.Layer]:
        """The layer that reads from left to right, then the one from right to left."""
        found = (getattr(self, name, None) for name in ("forward", "backward"))
        return [layer for layer in found if layer is not None]

    def call(
        self,
        words: tf.Tensor,
        chars: tf.Tensor,
        lengths: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: Sequence[tf.Tensor | None] = (None, None),
        features: tf.Tensor | None = None,
        n_chains: int = 1,
    ) -> tuple[tf.Tensor, tuple]:
        """Words [B, T], chars [B, T, C], lengths [B] int -> scores [B, T, N], traces.

        The traces are those of both directions, None without an agent. The backward layer's trace
        is in the order in which it reads, from the end of the sentence, after the padding; so are
        `distances`, the choices [B, T] to replay in each direction. `features` [B, T, F] int are
        read with `--features`. With several chains scores and traces are [B * S, ...].
        """
        inputs = words, chars, lengths, features
        scores, traces = self.all_scores(*inputs, training, greedy, seed, distances, n_chains)
        return scores[-1], traces

    def all_scores(
        self,
        words: tf.Tensor,
        chars: tf.Tensor,
        lengths: tf.Tensor,
        features: tf.Tensor | None = None,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: Sequence[tf.Tensor | None] = (None, None),
        n_chains: int = 1,
    ) -> tuple[list[tf.Tensor], tuple]:
        """As `call`, with the scores after each pass of the convolutions; elsewhere one."""
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        rate = self.config.dropout if training else 0.0
        mask = repeated(tf.sequence_mask(lengths, tf.shape(words)[1]), n_chains)
        # the chains share words and spelling
        x = repeated(self.inputs_of(words, chars, rate, fold(seed, 0)), n_chains)
        x = dropout(x, rate, fold(seed, 1))
        forward = backward = None
        if self.config.model == "linear":
            states = [x]
        elif self.config.model == "idcnn":
            states = self.dilated(x, mask)
        else:
            call = {"mask": mask, "training": training, "greedy": greedy}
            h, _, forward = run_layer(
                self.forward, x, seed=fold(seed, 2), distances=distances[0], **call
            )
            if self.config.bidirectional:
                back, _, backward = run_layer(
                    self.backward, x, seed=fold(seed, 3), distances=distances[1], **call
                )
                h = tf.concat([h, tf.reverse(back, [1])], -1)
            states = [h]
        if self.config.model != "linear":
            states = [dropout(h, rate, fold(seed, 4)) for h in states]
        scores = [tf.cast(self.scores_of(h), tf.float32) for h in states]
        if self.config.features:
            more = repeated(tf.cast(self.feature_scores(features), tf.float32), n_chains)
            scores = [one + more for one in scores]
        return scores, (forward, backward)

    def inputs_of(
        self, words: tf.Tensor, chars: tf.Tensor, rate: float = 0.0, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Words [B, T], chars [B, T, C] -> the inputs w [B, T, D] of the layers."""
        x = self.word_vectors(words)
        if self.config.char_encoder == "none":
            return x
        return tf.concat([x, self.spelling(chars, rate, seed)], -1)

    def spelling(self, chars: tf.Tensor, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
        """Characters [B, T, C] -> [B, T, S]; by default each filter's maximum over the word."""
        shape = tf.shape(chars)
        flat = tf.reshape(chars, [-1, chars.shape[-1]])
        if self.config.char_encoder == "shape":
            found = self.shapes(flat)
        elif self.config.char_encoder == "lstm":
            found = self.char_layer(self.char_vectors(flat), flat != 0)
        else:
            real = tf.cast(flat != 0, self.compute_dtype)[:, :, None]
            found = self.convolution(dropout(self.char_vectors(flat) * real, rate, seed))
            # places beyond the word cannot win
            found = tf.tanh(tf.reduce_max(found - (1 - real) * 1e4, 1))
        return tf.reshape(found, [shape[0], shape[1], found.shape[-1]])

    def scores_of(self, h: tf.Tensor) -> tf.Tensor:
        """States h [B, T, H] -> what `--scores` makes of them [B, T, N]."""
        if self.config.scores == "directions":
            ahead, back = tf.split(h, 2, -1)
            both = self.scores(ahead), self.backward_scores(back)
            return tf.add_n([tf.nn.log_softmax(tf.cast(one, tf.float32)) for one in both])
        return self.scores(self.hidden(h) if self.config.scores == "tanh" else h)
