"""What the agents of a trained network do with texts: the run of any task, read in one way."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from common.data.text import EOS
from common.errors import InputError
from common.ops.agent import Trace
from common.ops.recurrence import SkipRecurrence
from experiments.run_folder import task_of


class Reading(NamedTuple):
    """What one agent did with a text of T words, in the order in which it reads. Distances count steps of that order."""

    name: str  # the direction; empty where there is one only
    words: list[str]
    probs: np.ndarray  # [T, K] pi_t, the most probable distances having been taken before t
    distances: np.ndarray  # [T] the most probable ones
    samples: np.ndarray  # [S, T] S draws of all distances


class Network(NamedTuple):
    """A trained network as this file uses it.

    tokenise: a text's words. ask: lists of words, greedy, seed -> for each agent its direction, whether it reads from the end, and its
    trace over the padded texts. caption: what was run. vocabulary: a `Vocabulary`, for NER an `Encoder`, None for digits.
    """

    task: str
    caption: str
    n_actions: int
    tokenise: Callable[[str], list[str]]
    ask: Callable[[Sequence[Sequence[str]], bool, int], list[tuple[str, bool, Trace]]]
    model: Any
    config: Any
    vocabulary: Any


def load(run_dir: str) -> Network:
    """The network of a run of any task. Raises `InputError` if there is none, or one whose cell chooses nothing."""
    task = task_of(run_dir, _LOADERS)
    tf.get_logger().setLevel("ERROR")  # each text has a shape of its own, and that is meant
    network = _LOADERS[task](run_dir)
    for layer in recurrent_layers(network.model):  # few texts of many lengths: compiling would take longer than it saves
        seen = layer.cell.observe if layer.cell.observation == "mean" else None
        layer.recurrence = SkipRecurrence(layer.cell.n_actions, layer.cell.lamda, seen, jit_compile=False)
    if not any(layer.cell.has_agent for layer in recurrent_layers(network.model)):
        config = network.config
        raise InputError(f"expected a run whose network chooses, found --cell {config.cell} --n_actions {config.n_actions}")
    return network


def read(network: Network, texts: Sequence[Sequence[str]], n_samples: int = 0, seed: int = 0) -> list[list[Reading]]:
    """What each agent did with each text, a list of words: one list of readings for each text."""
    for words in texts:
        if not words:
            raise InputError("expected a text with at least one word, found none; leave it out")
    greedy = network.ask(texts, True, seed)
    sampled = network.ask([words for words in texts for _ in range(n_samples)], False, seed) if n_samples else greedy
    found = []
    for i, words in enumerate(texts):
        readings = []
        for (name, backwards, trace), (_, _, draws) in zip(greedy, sampled, strict=True):
            n, width = len(words), trace.distances.shape[1]
            steps = slice(width - n, width) if backwards else slice(0, n)  # padding comes first for who reads from the end
            order = list(reversed(words)) if backwards else list(words)
            rows = slice(i * n_samples, (i + 1) * n_samples)
            samples = draws.distances.numpy()[rows, draws.distances.shape[1] - n :] if backwards else draws.distances.numpy()[rows, :n]
            readings.append(Reading(name, order, trace.probs.numpy()[i, steps], trace.distances.numpy()[i, steps], samples))
        found.append(readings)
    return found


def recurrent_layers(model: Any) -> list:
    """The layers of a task's model that are a `DynamicSkipLSTM` or a kind of it."""
    layers = getattr(model, "recurrent", None) or [model.forward, model.backward]
    layers = layers if isinstance(layers, list | tuple) else [layers]
    return [layer for layer in layers if hasattr(layer, "recurrence")]


def _caption(config: Any, what: str) -> str:
    data = pathlib.Path(config.data_dir).name if config.data_dir else "generated data"
    size = f"preset {config.preset}, H = {config.rnn_size}, K = {config.n_actions}, lamda {config.lamda:g}"
    return f"{what}, {data}, {size}, seed {config.seed}"


def _padded(rows: Sequence[np.ndarray]) -> tf.Tensor:
    width = max(map(len, rows))
    return tf.constant(np.stack([np.pad(row, (0, width - len(row))) for row in rows]), tf.int32)


def _seed(seed: int) -> tf.Tensor:
    return tf.constant([seed, 0], tf.int32)


# --------------------------------------------------------------------------------------------------------- the four tasks


def _language_model(run_dir: str) -> Network:
    from LanguageModeling import model as language_model

    config, model, vocabulary = language_model.load(run_dir)

    def ask(texts: Sequence[Sequence[str]], greedy: bool, seed: int):
        words = _padded([vocabulary.encode(words) for words in texts])
        trace = model.features(words, model.initial_state(len(texts)), greedy=greedy, seed=_seed(seed))[2]
        return [("", False, trace)]

    caption = _caption(config, "Language model")
    return Network("LanguageModeling", caption, config.n_actions, lambda text: [EOS, *text.split()], ask, model, config, vocabulary)


def _numbers(run_dir: str) -> Network:
    from NumberPrediction import trained

    config, model = trained.load(run_dir)

    def tokenise(text: str) -> list[str]:
        digits = list("".join(text.split()))
        if not digits or not all(digit in "0123456789" for digit in digits):
            raise InputError(f"expected digits such as {'5 ' * config.length}3, found {text!r}")
        return digits

    def ask(texts: Sequence[Sequence[str]], greedy: bool, seed: int):
        return [("", False, model(_padded([np.array(words, int) for words in texts]), greedy=greedy, seed=_seed(seed))[1])]

    return Network("NumberPrediction", _caption(config, "Number prediction"), config.n_actions, tokenise, ask, model, config, None)


def _ner(run_dir: str) -> Network:
    from common.data.treebank import split_words
    from NER import model as ner_model
    from NER.reader import Sentence

    config, trainer, encoder = ner_model.load(run_dir)

    def ask(texts: Sequence[Sequence[str]], greedy: bool, seed: int):
        data = encoder.encode([Sentence(list(words)) for words in texts])
        traces = trainer.model(*map(tf.constant, (data.words, data.chars, data.lengths)), greedy=greedy, seed=_seed(seed))[1]
        return [("left to right", False, traces[0]), ("right to left", True, traces[1])]

    return Network("NER", _caption(config, "Named-entity recognition"), config.n_actions, split_words, ask, trainer.model, config, encoder)


def _sentiment(run_dir: str) -> Network:
    from Sentiment import model as sentiment_model
    from Sentiment import reader

    config, trainer, vocabulary = sentiment_model.load(run_dir)

    def ask(texts: Sequence[Sequence[str]], greedy: bool, seed: int):
        data = reader.encode([reader.Example(list(words), 0) for words in texts], vocabulary)
        return [("", False, trainer.model(tf.constant(data.words), tf.constant(data.lengths), greedy=greedy, seed=_seed(seed))[1])]

    def tokenise(text: str) -> list[str]:
        return reader.split_text(text, config.dataset, config.max_tokens)

    return Network("Sentiment", _caption(config, "Sentiment"), config.n_actions, tokenise, ask, trainer.model, config, vocabulary)


_LOADERS = {"LanguageModeling": _language_model, "NumberPrediction": _numbers, "NER": _ner, "Sentiment": _sentiment}
