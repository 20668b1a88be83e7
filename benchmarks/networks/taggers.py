"""Training steps of the tagger: ours, ours around Keras' LSTM layers, and PyTorch's."""

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np

from benchmarks.networks import torch_training
from common.data.text import PADDING, UNKNOWN, Vocabulary
from common.training.compiled_steps import Trainer
from common.training.make_trainer import make_trainer
from NER import network
from NER.experiment import make_optimizer
from NER.model import NERModel
from NER.presets import NERConfig
from NER.reader import Encoder

# vocabulary; words of a sentence; training steps in one call
N_WORDS, N_STEPS, STEPS = 17_000, 25, 10


def encoder(config: NERConfig) -> Encoder:
    """An encoder of as many words, characters and tags as CoNLL-2003 has."""
    words = Vocabulary((PADDING, UNKNOWN, *map(str, range(2, N_WORDS))))
    chars = Vocabulary((PADDING, UNKNOWN, *map(chr, range(ord("!"), ord("!") + 83))))
    tags = (
        "O",
        *(
            f"{prefix}-{kind}"
            for kind in ("LOC", "MISC", "ORG", "PER")
            for prefix in config.scheme.replace("O", "")
        ),
    )
    return Encoder(words, chars, tags, config.scheme, max_chars=config.max_chars)


def examples(config: NERConfig, n_chars: int, n_tags: int) -> dict[str, np.ndarray]:
    """STEPS batches of random sentences."""
    random, shape = np.random.default_rng(0), (STEPS, config.batch_size)
    return {
        "words": random.integers(2, N_WORDS, (*shape, N_STEPS)).astype(np.int32),
        "chars": random.integers(1, n_chars, (*shape, N_STEPS, config.max_chars)).astype(np.int32),
        "lengths": np.full(shape, N_STEPS, np.int32),
        "tags": random.integers(0, n_tags, (*shape, N_STEPS)).astype(np.int32),
        "weights": np.ones(shape, np.float32),
    }


def our_steps(**flags: Any) -> Callable[[], object]:
    """STEPS training steps of the paper's preset, or of another's flags."""
    trainer, batches = our_trainer(**flags)
    return lambda: trainer.train(batches, (), 0, {"learning_rate": 1e-5})


def our_trainer(**flags: Any) -> tuple[Trainer, dict[str, np.ndarray]]:
    """The trainer of the paper's preset, or of another's flags, and STEPS batches."""
    config = NERConfig(**flags)
    words = encoder(config)
    model = NERModel(config, words)
    optimizer = make_optimizer(config)
    trainer = make_trainer(model, config, optimizer, STEPS, many_shapes=True)
    return trainer, examples(config, len(words.chars), len(words.tags))


def keras_steps(**flags: Any) -> Callable[[], object]:
    """The same tagger with recurrent layers `keras.layers.LSTM`."""
    with around_keras_layers():
        return our_steps(cell="lstm", **flags)


def around_keras_layers() -> contextlib.AbstractContextManager:
    """A context in which taggers are made with recurrent layers `keras.layers.LSTM`."""

    def layer(_: object, units: int, **kwargs: Any):
        return keras.layers.LSTM(
            units, return_sequences=True, return_state=True, use_cudnn=False, **kwargs
        )

    return mock.patch.object(network, "make_layer", layer)


def torch_network(config: NERConfig, n_chars: int, n_tags: int) -> Any:
    """The same tagger as a module of PyTorch: words, characters and tags -> the mean loss."""
    import torch
    from torch import nn

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(N_WORDS, config.word_size)
            self.chars = nn.Embedding(n_chars, config.char_size)
            self.convolution = nn.Conv1d(
                config.char_size, config.char_filters, config.char_width, padding=1
            )
            features = config.word_size + config.char_filters
            self.lstm = nn.LSTM(features, config.rnn_size, bidirectional=True, batch_first=True)
            self.scores = nn.Linear(2 * config.rnn_size, n_tags)
            self.dropout = nn.Dropout(config.dropout)
            self.transitions = nn.Parameter(torch.zeros(n_tags, n_tags))
            self.start = nn.Parameter(torch.zeros(n_tags))
            self.end = nn.Parameter(torch.zeros(n_tags))

        def emissions(self, word_ids: torch.Tensor, char_ids: torch.Tensor):
            """Scores of the tags [B, T, N]."""
            letters = self.dropout(self.chars(char_ids.flatten(0, 1))).transpose(1, 2)
            spelling = torch.tanh(self.convolution(letters).amax(-1)).view(*word_ids.shape, -1)
            x = self.dropout(torch.cat([self.words(word_ids), spelling], -1))
            return self.scores(self.dropout(self.lstm(x)[0]))

        def forward(self, word_ids: torch.Tensor, char_ids: torch.Tensor, tags: torch.Tensor):
            e = self.emissions(word_ids, char_ids)
            alpha = self.start + e[:, 0]
            for t in range(1, e.shape[1]):
                alpha = torch.logsumexp(alpha[:, :, None] + self.transitions, 1) + e[:, t]
            gold = e.gather(2, tags[:, :, None]).sum((1, 2)) + self.transitions[
                tags[:, :-1], tags[:, 1:]
            ].sum(1)
            gold = gold + self.start[tags[:, 0]] + self.end[tags[:, -1]]
            return (torch.logsumexp(alpha + self.end, 1) - gold).mean()

        def best_tags(self, word_ids: torch.Tensor, char_ids: torch.Tensor):
            """The best tags [B, T], by Viterbi's algorithm."""
            e = self.emissions(word_ids, char_ids)
            score, back = self.start + e[:, 0], []
            for t in range(1, e.shape[1]):
                score, best = (score[:, :, None] + self.transitions).max(1)
                score = score + e[:, t]
                back.append(best)
            tags = [(score + self.end).argmax(1)]
            for best in reversed(back):
                tags.append(best.gather(1, tags[-1][:, None])[:, 0])
            return torch.stack(tags[::-1], 1)

    return Tagger()


def torch_steps() -> Callable[[], object] | None:
    """Training steps of it, or None if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    config = NERConfig()
    words = encoder(config)
    n_chars, n_tags = len(words.chars), len(words.tags)
    model = torch_network(config, n_chars, n_tags)
    optimizer = torch.optim.SGD(model.parameters(), 1e-5, config.momentum)
    batches = examples(config, n_chars, n_tags)
    batches = [torch.tensor(batches[name].astype(np.int64)) for name in ("words", "chars", "tags")]
    return torch_training.steps(
        model.parameters(), optimizer, model, list(zip(*batches, strict=True)), config.max_grad_norm
    )


def candidates() -> dict[str, Callable[[], object]]:
    """All networks that are compared, by name."""
    found = {
        "dynamic_skip": our_steps(),
        "lstm": our_steps(cell="lstm"),
        "keras LSTM": keras_steps(),
        "torch LSTM": torch_steps(),
    }
    return {name: function for name, function in found.items() if function is not None}
