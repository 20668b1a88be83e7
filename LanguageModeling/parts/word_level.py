"""The word level of `--model mixed`: it takes a step where a word has ended."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from common.layers.make_layer import run_layer
from common.ops.agent import Trace
from common.ops.random import fold
from LanguageModeling.parts.regularisation import drop
from LanguageModeling.parts.softmax import log_likelihood
from LanguageModeling.parts.word_tree import WordTree
from LanguageModeling.presets import LanguageConfig


class Words(NamedTuple):
    """What the word level makes of T characters, among which at most M = (T + 1) // 2 words end.

    h: [B, T, H], the state behind the last word that has ended. log_p: [B, M], log p of each word
    that ends, given those before it. ends: [B, T, M] bool, which of them ends at a character.
    behind: [B, T, M] bool, which of them is the last one that has ended. state, trace: of the
    layers, the trace's steps are the M words.
    """

    h: tf.Tensor
    log_p: tf.Tensor
    ends: tf.Tensor
    behind: tf.Tensor
    state: list
    trace: Trace | None


class WordLevel(keras.layers.Layer):
    """Characters [B, T] -> `Words`: a language model of the words that they spell.

        h_n = layers(E[w_n]),   p(w_{n+1}) = softmax(S h_n + b)

    A word is what stands between blanks and ends of lines, and it is read with the blank behind it:
    at no character is anything known of a word that has not ended there. Those that end within the
    window stand side by side for the layers, behind them the steps are masked.

    State: those of the layers, h [B, H] and the place in the tree [B] int32.

    Args:
        tree: of W words. layers: the lowest first. config: the flags. initializer: of matrices.
    """

    def __init__(
        self,
        tree: WordTree,
        layers: Sequence[keras.layers.Layer],
        config: LanguageConfig,
        initializer: Callable,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.tree, self.recurrent, self.config = tree, list(layers), config
        self.embedding = keras.layers.Embedding(
            tree.n_words, config.rnn_size, embeddings_initializer=initializer, name="embedding"
        )
        self.softmax = keras.layers.Dense(
            tree.n_words, kernel_initializer=initializer, name="softmax"
        )

    def build(self, *_: Any) -> None:
        self.softmax.build((None, self.config.rnn_size))

    def get_initial_state(self, batch_size: int | tf.Tensor) -> list:
        """Between words, before any."""
        states = [layer.get_initial_state(batch_size) for layer in self.recurrent]
        size = [batch_size, self.config.rnn_size]
        return [*states, tf.zeros(size, self.compute_dtype), tf.zeros([batch_size], tf.int32)]

    def places(
        self, characters: tf.Tensor, place: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The places in the tree before and after each character, whether a word ended; [B, T] all.

        `place`: that before the first [B].
        """
        after, width = tf.constant(self.tree.after.ravel()), self.tree.after.shape[1]

        def step(place: tf.Tensor, character: tf.Tensor) -> tf.Tensor:
            return tf.gather(after, place * width + character)

        each = tf.transpose(tf.scan(step, tf.transpose(characters), place))
        before = tf.concat([place[:, None], each[:, :-1]], 1)
        return before, each, (each == 0) & (before > 0)

    def call(
        self,
        characters: tf.Tensor,
        state: list,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> Words:
        """`distances` [B, M] replays the agent's choices."""
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        *states, h, place = state
        before, after, ended = self.places(characters, place)
        n = tf.cumsum(tf.cast(ended, tf.int32), 1)[..., None]  # words that have ended
        behind = n == tf.range(1, (characters.shape[1] + 1) // 2 + 1)
        ends = behind & ended[..., None]
        ids = tf.gather(tf.constant(self.tree.words), before)
        words = tf.reduce_sum(tf.where(ends, ids[..., None], 0), 1)
        mask = tf.reduce_any(ends, 1)

        x, new_states, trace = self.embedding(words), [], None
        for i, (layer, layer_state) in enumerate(zip(self.recurrent, states, strict=True)):
            how = {"training": training, "greedy": greedy, "seed": fold(seed, 1, i)}
            if i == len(self.recurrent) - 1:
                how["distances"] = distances
            x = drop(self.config, x, fold(seed, 2, i)) if training else x
            x, new, trace = run_layer(layer, x, layer_state, mask, **how)
            new_states.append(new)
        x = tf.concat([h[:, None], x], 1)  # behind no word of the window, behind the first, ...
        h = tf.gather(x, n[..., 0], batch_dims=1)
        before_each = x[:, :-1]
        if training:
            before_each = drop(self.config, before_each, fold(seed, 3))
        log_p = tf.where(mask, log_likelihood(self.softmax, before_each, words), 0)
        return Words(h, log_p, ends, behind, [*new_states, h[:, -1], after[:, -1]], trace)
