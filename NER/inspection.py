"""Inspects a trained tagger: tokens, the agents' choices, example texts, gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from common.data import generated_corpus
from common.data.treebank import split_words
from common.errors import InputError
from common.layers.make_layer import run_layer
from common.ops.agent import Trace
from common.training.restore import Trained
from NER import experiment, reader
from NER.presets import NERConfig

TITLE = "Named-entity recognition"

_TEXTS = (  # own work
    "Anna Smith , who left Siemens in 1998 , now leads the Berlin office of the World Bank .",
    "Officials in Moscow said the talks with NATO would begin on Monday .",
    "Borussia Dortmund beat Real Madrid 3 - 1 in the final in Munich , and Ricken scored twice .",
)


def recurrent_layers(trained: Trained) -> list:
    """The layer that reads from left to right, then the one from right to left."""
    return trained.model.recurrent_layers


def tokenise(trained: Trained, text: str) -> list[str]:
    """The words of a sentence, as the Penn Treebank separates them."""
    return split_words(text)


def traces(
    trained: Trained, texts: Sequence[Sequence[str]], greedy: bool, seed: tf.Tensor
) -> list[tuple[str, bool, Trace]]:
    """Each agent's direction, whether it reads from the end, and its trace of the padded texts."""
    data = trained.encoder.encode([reader.Sentence(list(words)) for words in texts])
    inputs = map(tf.constant, (data.words, data.chars, data.lengths))
    features = tf.constant(data.features)
    forward, backward = trained.model(*inputs, greedy=greedy, seed=seed, features=features)[1]
    found = [("left to right", False, forward), ("right to left", True, backward)]
    return found if trained.config.bidirectional else found[:1]


def example_texts(config: NERConfig, seed: int) -> list[str]:
    """Example texts of the kind that the network was trained on; no run trains on them."""
    if config.data_dir:
        return list(_TEXTS)
    return [" ".join(words) for words, _ in generated_corpus.tagged_sentences(5, seed)]


def dev_texts(config: NERConfig) -> list[list[str]]:
    """The sentences of the run's dev data, in order."""
    return [list(sentence.words) for sentence in experiment.load_data(config).dev]


def gradient_probe(
    trained: Trained, n_steps: int, n_texts: int
) -> tuple[Any, tf.Tensor, tf.Tensor | None, Callable]:
    """The layer, inputs, distances and loss for `experiments/figure_gradients.py`.

    The layer that reads from left to right; its inputs [B, T, D] for sentences of the dev data;
    sampled distances [B, T] (or None); and a function of h_T [B, H] that returns the cross-entropy
    of word T's tag under the tag scores [B].
    """
    config, model = trained.config, trained.model
    if not config.bidirectional or config.model != "rnn" or config.scores == "directions":
        raise InputError(
            "the figure needs a tagger with a layer each way and common scores of both; train one"
            " with --model rnn --bidirectional --scores linear"
        )
    long_enough = [one for one in experiment.load_data(config).dev if len(one.words) >= n_steps]
    if not long_enough:
        raise InputError(
            f"expected dev texts of at least --steps {n_steps}, found none: ask for fewer steps"
        )
    cut = [
        reader.Sentence(one.words[:n_steps], one.tags[:n_steps], one.classes[:n_steps])
        for one in long_enough[:n_texts]
    ]
    data = trained.encoder.encode(cut)
    words, chars = tf.constant(data.words), tf.constant(data.chars)
    x = model.inputs_of(words, chars)
    trace = run_layer(model.forward, x, seed=tf.constant([0, 0]))[2]
    # of word T, which it reads first
    back = run_layer(model.backward, x, seed=tf.constant([0, 1]))[0][:, 0]

    def loss(h: tf.Tensor) -> tf.Tensor:
        labels = tf.constant(data.tags[:, -1], tf.int32)
        scores = model.scores_of(tf.concat([h, back], -1))
        if config.features:
            scores += model.feature_scores(tf.constant(data.features[:, -1:]))[:, 0]
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)

    return model.forward, x, None if trace is None else trace.distances, loss


def page_inputs(trained: Trained) -> dict[str, Any]:
    """The preprocessing for `experiments/page.html`: typed text to the first layer's inputs.

    Its values are arrays and plain data; `unsupported`, alone, says why there is none.
    """
    encoder, model = trained.encoder, trained.model
    if trained.config.char_encoder != "cnn":
        return {"unsupported": "this page reads characters with filters alone (--char_encoder cnn)"}
    spelling = {
        "chars": list(encoder.chars.words),
        "embedding": model.char_vectors.embeddings,
        "max_chars": encoder.max_chars,
        "kernel": model.convolution.kernel,
        "bias": model.convolution.bias,
    }
    return {
        "tokens": "news",
        "words": list(encoder.words.words),
        "unknown": 1,
        "embedding": model.word_vectors.embeddings,
        "lower": encoder.lower,
        "zero_digits": encoder.zero_digits,
        "spelling": spelling,
    }
