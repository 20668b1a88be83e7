"""Inspects a trained language model: tokens, the agent's choices, example texts, gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from common.data import bucketing, generated_corpus
from common.data.text import EOS, UNKNOWN
from common.errors import InputError
from common.layers.make_layer import run_layer
from common.ops.agent import Trace
from common.training.restore import Trained
from LanguageModeling import experiment, reader
from LanguageModeling.presets import LanguageConfig

TITLE = "Language model"

_TEXTS = (  # own work
    "the company said it expects to report a loss for the third quarter",
    (
        "shares of the bank which had risen in early trading fell N N after its chairman said he"
        " would resign"
    ),
    "the people who bought the old house near the river say they like it",
    "a spokesman for the group declined to comment on the offer",
)


def recurrent_layers(trained: Trained) -> list:
    """The recurrent layers, the lowest first; `InputError` for those whose steps are no tokens."""
    _check_steps_are_tokens(trained.config)
    return list(trained.model.recurrent)


def tokenise(trained: Trained, text: str) -> list[str]:
    """The tokens of a sentence, after the `<eos>` of the sentence before."""
    return [EOS, *reader.TOKENS[trained.config.tokens](text)]


def traces(
    trained: Trained, texts: Sequence[Sequence[str]], greedy: bool, seed: tf.Tensor
) -> list[tuple[str, bool, Trace]]:
    """Each agent's direction, whether it reads from the end, and its trace of the padded texts."""
    _check_steps_are_tokens(trained.config)
    words = tf.constant(bucketing.padded_rows([trained.encoder.encode(words) for words in texts]))
    state = trained.model.initial_state(len(texts))
    return [("", False, trained.model.features(words, state, greedy=greedy, seed=seed)[2])]


def _check_steps_are_tokens(config: LanguageConfig) -> None:
    if config.model == "mixed":
        raise InputError(
            "a run with --model mixed chooses at words, its tokens are characters, and only"
            " generate.py shows that: expected another run"
        )
    if config.condition != "none":
        raise InputError(
            "a run with --condition reads a class with every word, which is not shown: expected"
            " another run"
        )


def example_texts(config: LanguageConfig, seed: int) -> list[str]:
    """Example texts of the kind that the network was trained on; no run trains on them."""
    if config.data_dir:
        return list(_TEXTS)
    return sorted(generated_corpus.language_model_text(40, seed), key=len)[-6:]


def dev_texts(config: LanguageConfig) -> list[list[str]]:
    """The sentences of the run's valid text, in order, each after the `<eos>` of the one before."""
    _check_steps_are_tokens(config)
    corpus = experiment.load_data(config)
    texts, words = [], [EOS]
    for word in corpus.vocabulary.decode(corpus.valid):
        words.append(word)
        if word == EOS:
            texts.append(words)
            words = [EOS]
    return texts


def gradient_probe(
    trained: Trained, n_steps: int, n_texts: int
) -> tuple[Any, tf.Tensor, tf.Tensor | None, Callable]:
    """The layer, inputs, distances and loss for `experiments/figure_gradients.py`.

    The last layer; its inputs [B, T, D] for windows of the valid text; sampled distances [B, T] (or
    None); and a function of h_T [B, H] that returns the cross-entropy of the word after step T [B].
    """
    config, model = trained.config, trained.model
    unknown = {
        "--topics": config.topics,
        "--condition": config.condition != "none",
        "--model document": config.model == "document",
        "--model mixed": config.model == "mixed",
        "--output suffix": config.output == "suffix",
    }
    for name in [name for name, given in unknown.items() if given]:
        raise InputError(f"expected a run without {name}, which this figure does not know")
    tokens = reader.load_split(config.data_dir, "valid", trained.encoder, config.tokens)
    starts = range(0, len(tokens) - n_steps, n_steps + 1)
    if not starts:
        raise InputError(
            f"expected dev texts of at least --steps {n_steps}, found none: ask for fewer steps"
        )
    windows = np.stack([tokens[i : i + n_steps + 1] for i in starts[:n_texts]])
    x = model.embedding(tf.constant(windows[:, :-1]))
    for layer in model.recurrent[:-1]:
        x = run_layer(layer, x)[0]
    trace = run_layer(model.recurrent[-1], x, seed=tf.constant([0, 0]))[2]

    def loss(h: tf.Tensor) -> tf.Tensor:
        labels = tf.constant(windows[:, -1], tf.int32)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model.logits(h))

    return model.recurrent[-1], x, None if trace is None else trace.distances, loss


def page_inputs(trained: Trained) -> dict[str, Any]:
    """The preprocessing for `experiments/page.html`: typed text to the first layer's inputs.

    Its values are arrays and plain data; `unsupported`, alone, says why there is none.
    """
    if trained.config.model == "char":
        return {"unsupported": "its words are spelled by a network that this page does not run"}
    if trained.config.tokens != "spaces":
        return {"unsupported": "this page separates words at spaces alone"}
    known = all(hasattr(layer, "recurrence") for layer in trained.model.recurrent)
    if not known or trained.config.topics:
        return {"unsupported": "it has layers that this page does not run"}
    words = trained.encoder
    return {
        "tokens": "spaces",
        "first": EOS,
        "words": list(words.words),
        "unknown": words.ids.get(UNKNOWN),
        "embedding": trained.model.embedding.embeddings,
    }
