"""Inspects a trained classifier: tokens, the agent's choices, example texts."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from common.data import generated_corpus
from common.data.text import UNKNOWN
from common.ops.agent import Trace
from common.training.restore import Trained
from Sentiment import experiment, reader
from Sentiment.presets import SentimentConfig
from Sentiment.tokens import Example, split_text

TITLE = "Sentiment"

_TEXTS = (  # own work
    "a slow start and far too many speeches , but what an ending",
    "not a single scene of this film is dull , and the cast is never less than charming",
    "I wanted to like it , yet the jokes are stale and the story goes nowhere",
)


def recurrent_layers(trained: Trained) -> list:
    """The single recurrent layer."""
    return [trained.model.recurrent]


def tokenise(trained: Trained, text: str) -> list[str]:
    """The words of a text, as the run's data set separates them."""
    return split_text(text, trained.config.dataset, trained.config.max_tokens)


def traces(
    trained: Trained, texts: Sequence[Sequence[str]], greedy: bool, seed: tf.Tensor
) -> list[tuple[str, bool, Trace]]:
    """Each agent's direction, whether it reads from the end, and its trace of the padded texts."""
    data = reader.encode([Example(list(words), 0) for words in texts], trained.encoder)
    inputs = tf.constant(data.words), tf.constant(data.lengths)
    return [("", False, trained.model(*inputs, greedy=greedy, seed=seed)[1])]


def example_texts(config: SentimentConfig, seed: int) -> list[str]:
    """Example texts of the kind that the network was trained on; no run trains on them."""
    return (
        list(_TEXTS)
        if config.data_dir
        else [text for text, _ in generated_corpus.labelled_reviews(5, seed)]
    )


def dev_texts(config: SentimentConfig) -> list[list[str]]:
    """The texts of the run's dev data, in order."""
    return [list(example.words) for example in experiment.load_data(config).dev]


def page_inputs(trained: Trained) -> dict[str, Any]:
    """The preprocessing for `experiments/page.html`: typed text to the first layer's inputs.

    Its values are arrays and plain data.
    """
    words = trained.encoder
    return {
        "tokens": "reviews",
        "words": list(words.words),
        "unknown": words.ids.get(UNKNOWN),
        "limit": trained.config.max_tokens,
        "embedding": trained.model.word_vectors.embeddings,
    }
