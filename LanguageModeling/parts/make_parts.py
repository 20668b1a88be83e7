"""The parts of a language model that its flags choose: what it reads, and its layers."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from common.layers.make_layer import make_layer
from LanguageModeling.parts.char_cnn import WordsFromCharacters
from LanguageModeling.parts.context_layer import make_context_layer
from LanguageModeling.parts.softmax import TiedSoftmax
from LanguageModeling.parts.spellings import Spellings
from LanguageModeling.parts.suffixes import SuffixSoftmax
from LanguageModeling.parts.word_level import WordLevel
from LanguageModeling.presets import LanguageConfig


def uniform_between(bound: float) -> Callable:
    """An initializer: uniform between minus and plus `bound`, other numbers for each weight."""

    # Not the initializer itself, which would give every weight the same numbers.
    def uniform(shape: tuple[int, ...], dtype: str | None = None):
        return keras.initializers.RandomUniform(-bound, bound)(shape, dtype)

    return uniform


def make_layers(
    config: LanguageConfig, uniform: Callable, table: Any = None
) -> list[keras.layers.Layer]:
    """The recurrent layers, the lowest first; matrices begin as `uniform` says.

    With `--model mixed` the word level and the layer of the characters; `table`: the words.
    """
    shared = {"kernel_initializer": uniform, "recurrent_initializer": uniform}
    if config.model == "document":
        return [make_context_layer(config, **shared)]
    agent = {"agent_initializer": uniform} if config.cell == "dynamic_skip" else {}
    masks = ("state_dropout", "state_masks", "weight_dropout")
    shared |= {name: value for name in masks if (value := getattr(config, name))}
    layers = [
        make_layer(config, config.rnn_size, "lstm", name=f"lstm_{i}", **shared)
        for i in range(config.rnn_layers - 1)
    ] + [make_layer(config, config.rnn_size, name="recurrent", **shared, **agent)]
    if config.model != "mixed":
        return layers
    word_level = WordLevel(table, layers, config, uniform, name="words")
    return [word_level, make_layer(config, config.char_rnn_size, "lstm", name="chars", **shared)]


def make_embedding(
    config: LanguageConfig, n_words: int, spellings: Spellings | None, uniform: Callable
) -> keras.layers.Layer:
    """Words [B, T] -> vectors [B, T, D], of `--model`; matrices begin as `uniform` says."""
    if config.model == "char":
        chars = spellings.ids, len(spellings.characters)
        return WordsFromCharacters(*chars, uniform, **config.char_flags, name="embedding")
    size = config.char_rnn_size if config.model == "mixed" else config.rnn_size
    return keras.layers.Embedding(n_words, size, embeddings_initializer=uniform, name="embedding")


def make_softmax(
    config: LanguageConfig,
    n_words: int,
    embedding: keras.layers.Layer,
    uniform: Callable,
    table: Any,
) -> keras.layers.Layer:
    """The layer of the logits; `table` of the suffixes, for --output suffix."""
    if config.output == "suffix":
        return SuffixSoftmax(table, uniform, name="softmax")
    if config.tied_embeddings:
        return TiedSoftmax(embedding, name="softmax")
    return keras.layers.Dense(n_words, kernel_initializer=uniform, name="softmax")


def beside(
    config: LanguageConfig, words: tf.Tensor, end: int, n_classes: int
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """The words [B, T] and the columns [B, T, C] that the first layer gets with their vectors.

    With `--model document` whether the word is `end`; with `--condition` the words are [B, T, 2],
    each with the class of the text that the next word is of, and the columns are one-hot.
    """
    columns = []
    if config.condition != "none":
        columns.append(tf.one_hot(words[..., 1], n_classes))
        words = words[..., 0]
    if config.model == "document":
        columns.append(tf.cast(words == end, tf.float32)[..., None])
    return words, tf.concat(columns, -1) if columns else None


def by_row(score: Callable, *arrays: tf.Tensor) -> tf.Tensor:
    """`score`, of arrays [B, ...] to [B], row after row, so that it has one row's logits a time."""
    return tf.map_fn(
        lambda row: score(*(a[None] for a in row))[0], arrays, fn_output_signature=tf.float32
    )
