"""One training step of a whole language model: ours, Keras' under `fit`, and PyTorch's."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import layers
from benchmarks.networks import torch_language_model
from common.training.make_trainer import make_trainer, set_precision
from LanguageModeling.model import LanguageModel
from LanguageModeling.parts.char_cnn import WordsFromCharacters
from LanguageModeling.parts.spellings import Spellings
from LanguageModeling.presets import PRESETS, LanguageConfig

N_WORDS, STEPS = 10_000, 4  # vocabulary; training steps in one call
N_CHARS, LONGEST = 51, 21  # of the Penn Treebank


def random_words(shape: int | tuple[int, ...], n_words: int = N_WORDS, seed: int = 0) -> np.ndarray:
    """Random words, int32, as frequent as in text (Zipf's law).

    Some models benefit from words that occur twice in a batch.
    """
    weights = 1 / np.arange(1, n_words + 1)
    return (
        np.random.default_rng(seed)
        .choice(n_words, shape, p=weights / weights.sum())
        .astype(np.int32)
    )


def tokens(config: LanguageConfig) -> np.ndarray:
    """Random words [STEPS, B, T + 1]."""
    return random_words((STEPS, config.batch_size, config.num_unroll_steps + 1))


def spellings() -> Spellings:
    """Random letters for every word."""
    random = np.random.default_rng(0)
    letters = random.integers(1, N_CHARS, (N_WORDS, LONGEST))
    ids = np.where(
        np.arange(LONGEST) < random.integers(3, LONGEST + 1, (N_WORDS, 1)), letters, 0
    ).astype(np.int32)
    return Spellings(ids, tuple(map(chr, range(N_CHARS))))


def config_of(preset: str, **flags: Any) -> LanguageConfig:
    """The settings of a preset."""
    return LanguageConfig(**{**PRESETS[preset], "preset": preset, **flags})


def our_steps(config: LanguageConfig) -> Callable[[], object]:
    """STEPS training steps with dropout, clipping and update."""
    set_precision(config)
    model = LanguageModel(config, N_WORDS, spellings())
    trainer = make_trainer(model, config, keras.optimizers.SGD(config.learning_rate))
    words, state = tokens(config), model.initial_state(config.batch_size)
    batches = {"words": words[:, :, :-1], "targets": words[:, :, 1:]}
    return lambda: trainer.train(batches, state, 0, {"learning_rate": 1e-3})


def keras_steps(config: LanguageConfig) -> Callable[[], object]:
    """The same network of `keras.layers.LSTM` layers under `fit`.

    Words made of characters go through the same convolutions.
    """
    set_precision(config)
    if config.model == "char":
        chars = WordsFromCharacters(spellings().ids, N_CHARS, "glorot_uniform", **config.char_flags)
        layers = [keras.Input([config.num_unroll_steps], dtype="int32"), chars]
    else:
        layers = [
            keras.layers.Embedding(N_WORDS, config.rnn_size),
            keras.layers.Dropout(config.dropout),
        ]
    for _ in range(config.rnn_layers):
        layers += [
            keras.layers.LSTM(config.rnn_size, return_sequences=True),
            keras.layers.Dropout(config.dropout),
        ]
    model = keras.Sequential([*layers, keras.layers.Dense(N_WORDS)])
    optimizer = keras.optimizers.SGD(1e-3, global_clipnorm=5.0)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    words = tokens(config).reshape(-1, config.num_unroll_steps + 1)
    return lambda: model.fit(
        words[:, :-1], words[:, 1:], batch_size=config.batch_size, shuffle=False, verbose=0
    )


def product_floor(config: LanguageConfig) -> Callable[[], object]:
    """The matrix products alone of STEPS training steps of a word-level model.

    Those of its layers, and three of the softmax.
    """
    rows, size = config.batch_size * config.num_unroll_steps, config.rnn_size
    layer = layers.product_floor(
        layers.Size(config.batch_size, config.num_unroll_steps, size, size, 1, 1)
    )
    h, weights = tf.random.normal([rows, size]), tf.random.normal([size, N_WORDS])

    @tf.function(autograph=False)
    def softmax():
        logits = h @ weights
        return (
            tf.matmul(h, logits, transpose_a=True)[0, 0]
            + tf.matmul(logits, weights, transpose_b=True)[0, 0]
        )

    def run():
        for _ in range(STEPS):
            for _ in range(config.rnn_layers):
                layer()
            softmax().numpy()

    return run


def candidates(preset: str) -> dict[str, Callable[[], object]]:
    """All networks that are compared, by name."""
    config = config_of(preset)
    found = {
        "dynamic_skip": our_steps(config),
        "dynamic_skip, bfloat16": our_steps(config_of(preset, mixed_precision=True)),
        "lstm": our_steps(config_of(preset, cell="lstm")),
        "keras LSTM, fit": keras_steps(config),
    }
    if config.model == "word":
        found |= {
            "torch LSTM": torch_language_model.steps(config, tokens(config), N_WORDS),
            "matrix products alone": product_floor(config),
        }
    return {name: function for name, function in found.items() if function is not None}
