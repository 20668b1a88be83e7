"""Inspects a trained network of number prediction: digits, the agent's choices, gradients."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common.data import bucketing
from common.data.text import words_of
from common.errors import InputError
from common.layers.make_layer import run_layer
from common.ops.agent import Trace
from common.training.restore import Trained
from NumberPrediction import experiment, reader
from NumberPrediction.presets import NumberConfig

TITLE = "Number prediction"


class Skips(NamedTuple):
    """The agent's connections over N examples, with the most probable distances."""

    # [10, K] pi at the last step, mean over the examples of each index digit; NaN for a digit that
    # did not occur
    last_step: np.ndarray
    mean_distance: np.ndarray  # [T] mean of the distances at each step
    deviation: np.ndarray  # [T] their standard deviation
    n_examples: int


def recurrent_layers(trained: Trained) -> list:
    """The single recurrent layer."""
    return [trained.model.recurrent]


def tokenise(trained: Trained, text: str) -> list[str]:
    """The digits of a text. Raises `InputError` for anything else in it."""
    digits = list("".join(words_of(text)))
    if not digits or not all(digit in "0123456789" for digit in digits):
        raise InputError(f"expected digits such as {'5 ' * trained.config.length}3, found {text!r}")
    return digits


def traces(
    trained: Trained, texts: Sequence[Sequence[str]], greedy: bool, seed: tf.Tensor
) -> list[tuple[str, bool, Trace]]:
    """Each agent's direction, whether it reads from the end, and its trace of the padded texts."""
    numbers = bucketing.padded_rows([np.array(digits, int) for digits in texts])
    return [("", False, trained.model(tf.constant(numbers), greedy=greedy, seed=seed)[1])]


def example_texts(config: NumberConfig, seed: int) -> list[str]:
    """Example inputs; no run trains on them."""
    random = np.random.default_rng(seed)
    return [" ".join(map(str, random.integers(0, 10, config.length + 1))) for _ in range(5)]


def gradient_probe(
    trained: Trained, n_steps: int, n_texts: int
) -> tuple[Any, tf.Tensor, tf.Tensor | None, Callable]:
    """The layer, inputs, distances and loss for `experiments/figure_gradients.py`.

    The only layer; its inputs [B, T, D] for dev examples; sampled distances [B, T] (or None); and a
    function of h_T [B, H] that returns the cross-entropy of the label [B]. T is the last step,
    whatever `n_steps` says.
    """
    model, data = trained.model, experiment.examples(trained.config, "dev")
    x = tf.one_hot(tf.constant(data.numbers[:n_texts], tf.int32), reader.N_DIGITS)
    trace = run_layer(model.recurrent, x, seed=tf.constant([0, 0]))[2]

    def loss(h: tf.Tensor) -> tf.Tensor:
        labels = tf.constant(data.labels[:n_texts], tf.int32)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model.classifier(h))

    return model.recurrent, x, None if trace is None else trace.distances, loss


def page_inputs(trained: Trained) -> dict[str, Any]:
    """The preprocessing for `experiments/page.html`: typed text to the first layer's inputs.

    Its values are arrays and plain data.
    """
    return {
        "tokens": "digits",
        "words": list("0123456789"),
        "unknown": None,
        "embedding": np.eye(reader.N_DIGITS),
    }


def skips(model: keras.Model, data: reader.Examples, batch_size: int = 1000) -> Skips:
    """The last step's connections for each index digit, and the distances of all steps.

    Raises `InputError` for a network without an agent.
    """
    ask = tf.function(
        lambda numbers: model(numbers, greedy=True)[1], reduce_retracing=True, autograph=False
    )
    parts = []
    for start in range(0, len(data.labels), batch_size):
        trace = ask(tf.constant(data.numbers[start : start + batch_size], tf.int32))
        if trace is None:
            found = f"--cell {model.config.cell} --n_actions {model.config.n_actions}"
            raise InputError(
                f"expected a run whose network chooses where to look, found one with {found}"
            )
        parts.append((trace.probs[:, -1].numpy(), trace.distances.numpy()))
    probs, distances = (np.concatenate(column) for column in zip(*parts, strict=True))
    index = data.numbers[:, -1]
    return Skips(
        np.stack(
            [
                (
                    probs[index == digit].mean(0)
                    if np.any(index == digit)
                    else np.full(probs.shape[1], np.nan)
                )
                for digit in range(10)
            ]
        ),
        distances.mean(0),
        distances.std(0),
        len(index),
    )
