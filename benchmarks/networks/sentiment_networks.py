"""Training steps of the sentiment network: ours, Keras' under `fit`, and PyTorch's."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.networks import torch_training
from common.training.make_trainer import make_trainer
from Sentiment.model import SentimentModel
from Sentiment.presets import SentimentConfig

N_WORDS, N_CLASSES = 30_000, 2
STEPS = 4  # training steps in one call


def examples(config: SentimentConfig) -> dict[str, np.ndarray]:
    """STEPS batches of random texts of the maximum length."""
    random, shape = np.random.default_rng(0), (STEPS, config.batch_size)
    return {
        "words": random.integers(2, N_WORDS, (*shape, config.max_tokens)).astype(np.int32),
        "lengths": np.full(shape, config.max_tokens, np.int32),
        "labels": random.integers(0, N_CLASSES, shape).astype(np.int32),
        "weights": np.ones(shape, np.float32),
    }


def our_steps(**flags: Any) -> Callable[[], object]:
    """STEPS training steps of the paper's preset, at a rate of 0, which takes the same time.

    Trained on random words over 400 steps, without clipping, a plain RNN's gradient soon overflows.
    """
    config = SentimentConfig(**flags)
    model = SentimentModel(config, N_WORDS, N_CLASSES)
    trainer = make_trainer(model, config, keras.optimizers.Adam(config.learning_rate), STEPS)
    batches = examples(config)
    return lambda: trainer.train(batches, (), 0, {"learning_rate": 0.0})


def keras_steps() -> Callable[[], object]:
    """The same network with `keras.layers.LSTM` under `fit`."""
    config = SentimentConfig()
    words = keras.layers.Embedding(N_WORDS, config.word_size)
    recurrent = [
        keras.layers.LSTM(config.rnn_size, return_sequences=True),
        keras.layers.GlobalAveragePooling1D(),
    ]
    model = keras.Sequential(
        [words, *recurrent, keras.layers.Dropout(config.dropout), keras.layers.Dense(N_CLASSES)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = examples(config)
    x, y = batches["words"].reshape(-1, config.max_tokens), batches["labels"].reshape(-1)
    return lambda: model.fit(x, y, batch_size=config.batch_size, shuffle=False, verbose=0)


def torch_steps() -> Callable[[], object] | None:
    """The same network in PyTorch, or None if it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    config = SentimentConfig()
    network = torch.nn.ModuleDict(
        {
            "words": torch.nn.Embedding(N_WORDS, config.word_size),
            "lstm": torch.nn.LSTM(config.word_size, config.rnn_size, batch_first=True),
            "head": torch.nn.Sequential(
                torch.nn.Dropout(config.dropout), torch.nn.Linear(config.rnn_size, N_CLASSES)
            ),
        }
    )
    batches = {
        name: torch.tensor(array.astype(np.int64)) for name, array in examples(config).items()
    }

    def loss(words: torch.Tensor, labels: torch.Tensor):
        outputs = network["lstm"](network["words"](words))[0]
        return torch.nn.functional.cross_entropy(network["head"](outputs.mean(1)), labels)

    parameters = [*network.parameters()]
    optimizer = torch.optim.Adam(parameters, config.learning_rate)
    return torch_training.steps(
        parameters, optimizer, loss, list(zip(batches["words"], batches["labels"], strict=True))
    )


def candidates() -> dict[str, Callable[[], object]]:
    """All networks that are compared, by name."""
    found = {
        "dynamic_skip": our_steps(),
        "lstm": our_steps(cell="lstm"),
        "keras LSTM, fit": keras_steps(),
        "torch LSTM": torch_steps(),
    }
    return {name: function for name, function in found.items() if function is not None}
