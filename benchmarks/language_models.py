"""One training step of a whole language model: ours, Keras' under `fit`, and PyTorch's."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import layers
from common.training import make_trainer, set_precision
from LanguageModeling.char_cnn import WordsFromCharacters
from LanguageModeling.model import LanguageModel
from LanguageModeling.presets import PRESETS, LanguageConfig
from LanguageModeling.reader import Spellings

N_WORDS, STEPS = 10_000, 4  # vocabulary; training steps in one call
N_CHARS, LONGEST = 51, 21  # of the Penn Treebank


def tokens(config: LanguageConfig, seed: int = 0) -> np.ndarray:
    """Random words [STEPS, B, T + 1], each as often as in text (Zipf's law): a model may take advantage of what comes twice in a batch."""
    random, shape = np.random.default_rng(seed), (STEPS, config.batch_size, config.num_unroll_steps + 1)
    weights = 1 / np.arange(1, N_WORDS + 1)
    return random.choice(N_WORDS, shape, p=weights / weights.sum()).astype(np.int32)


def spellings() -> Spellings:
    """Random letters for every word."""
    random = np.random.default_rng(0)
    letters = random.integers(1, N_CHARS, (N_WORDS, LONGEST))
    ids = np.where(np.arange(LONGEST) < random.integers(3, LONGEST + 1, (N_WORDS, 1)), letters, 0).astype(np.int32)
    return Spellings(ids, tuple(map(chr, range(N_CHARS))), LONGEST - 2)


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
    """The same network of `keras.layers.LSTM` layers under `fit`, behind the same convolutions if words are made of characters."""
    set_precision(config)
    if config.model == "char":
        chars = WordsFromCharacters(spellings().ids, N_CHARS, "glorot_uniform", **config.char_flags)
        layers = [keras.Input([config.num_unroll_steps], dtype="int32"), chars]
    else:
        layers = [keras.layers.Embedding(N_WORDS, config.rnn_size), keras.layers.Dropout(config.dropout)]
    for _ in range(config.rnn_layers):
        layers += [keras.layers.LSTM(config.rnn_size, return_sequences=True), keras.layers.Dropout(config.dropout)]
    model = keras.Sequential([*layers, keras.layers.Dense(N_WORDS)])
    optimizer = keras.optimizers.SGD(1e-3, global_clipnorm=5.0)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    words = tokens(config).reshape(-1, config.num_unroll_steps + 1)
    return lambda: model.fit(words[:, :-1], words[:, 1:], batch_size=config.batch_size, shuffle=False, verbose=0)


def torch_steps(config: LanguageConfig) -> Callable[[], object] | None:
    """The same network in PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(N_WORDS, config.rnn_size)
            self.lstm = torch.nn.LSTM(config.rnn_size, config.rnn_size, config.rnn_layers, dropout=config.dropout, batch_first=True)
            self.dropout = torch.nn.Dropout(config.dropout)
            self.softmax = torch.nn.Linear(config.rnn_size, N_WORDS)

        def forward(self, words: torch.Tensor):
            return self.softmax(self.dropout(self.lstm(self.dropout(self.embedding(words)))[0]))

    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    words = torch.tensor(tokens(config).astype(np.int64))

    def run():
        for batch in words:
            optimizer.zero_grad(set_to_none=True)
            logits = model(batch[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        return loss.item()

    return run


def product_floor(config: LanguageConfig) -> Callable[[], object]:
    """The matrix products alone of STEPS training steps of a word-level model: its layers', and three of the softmax."""
    rows, size = config.batch_size * config.num_unroll_steps, config.rnn_size
    layer = layers.product_floor(layers.Size(config.batch_size, config.num_unroll_steps, size, size, 1, 1))
    h, weights = tf.random.normal([rows, size]), tf.random.normal([size, N_WORDS])

    @tf.function
    def softmax():
        logits = h @ weights
        return tf.matmul(h, logits, transpose_a=True)[0, 0] + tf.matmul(logits, weights, transpose_b=True)[0, 0]

    def run():
        for _ in range(STEPS):
            for _ in range(config.rnn_layers):
                layer()
            softmax().numpy()

    return run


def candidates(preset: str) -> dict[str, Callable[[], object]]:
    """All that are compared, by name."""
    config = config_of(preset)
    found = {
        "dynamic_skip": our_steps(config),
        "dynamic_skip, bfloat16": our_steps(config_of(preset, mixed_precision=True)),
        "lstm": our_steps(config_of(preset, cell="lstm")),
        "keras LSTM, fit": keras_steps(config),
    }
    if config.model == "word":
        found |= {"torch LSTM": torch_steps(config), "matrix products alone": product_floor(config)}
    return {name: function for name, function in found.items() if function is not None}
