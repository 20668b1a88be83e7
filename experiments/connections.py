"""Computes the connections that a trained network makes in texts, for runs of any task."""

import pathlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from common.errors import InputError
from common.ops.agent import Trace
from common.training.restore import Trained
from experiments import tasks


class Reading(NamedTuple):
    """One agent's choices in a text of T words, in the order in which it reads.

    Distances count steps of that order.
    """

    name: str  # the direction; empty where there is one only
    words: list[str]
    probs: np.ndarray  # [T, K] pi_t, the most probable distances having been taken before t
    distances: np.ndarray  # [T] the most probable ones
    samples: np.ndarray  # [S, T] S draws of all distances


class Network(NamedTuple):
    """A trained network with agents, and its task's `inspection` module."""

    inspection: ModuleType
    trained: Trained
    caption: str

    @property
    def config(self) -> Any:
        """The flags of the run."""
        return self.trained.config

    def tokenise(self, text: str) -> list[str]:
        """The words of a text."""
        return self.inspection.tokenise(self.trained, text)

    def ask(
        self, texts: Sequence[Sequence[str]], greedy: bool, seed: int
    ) -> list[tuple[str, bool, Trace]]:
        """Each agent's direction, whether it reads from the end, and its trace of the texts."""
        return self.inspection.traces(self.trained, texts, greedy, tf.constant([seed, 0], tf.int32))


def load(run_dir: str) -> Network:
    """The network of a run of any task.

    Raises `InputError` if there is none, or one without an agent.
    """
    inspection, trained = tasks.load(run_dir)
    config, layers = trained.config, recurrent_layers(inspection, trained)
    for layer in layers:  # few texts of many lengths: compiling would take longer than it saves
        layer.recurrence.jit_compile = False
    if not any(layer.cell.has_agent for layer in layers):
        model = f" --model {config.model}" if hasattr(config, "model") else ""
        raise InputError(
            f"expected a run whose network chooses connections (--cell dynamic_skip, --n_actions"
            f" above 1), found{model} --cell {config.cell}; name another run"
        )
    tf.get_logger().setLevel("ERROR")  # each text has a shape of its own, and that is meant
    data = pathlib.Path(config.data_dir).name if config.data_dir else "generated data"
    size = (
        f"preset {config.preset}, H = {config.rnn_size}, K = {config.n_actions}, lamda"
        f" {config.lamda:g}"
    )
    return Network(inspection, trained, f"{inspection.TITLE}, {data}, {size}, seed {config.seed}")


def read(
    network: Network, texts: Sequence[Sequence[str]], n_samples: int = 0, seed: int = 0
) -> list[list[Reading]]:
    """Each agent's choices in each text, a list of words: a list of readings per text."""
    for words in texts:
        if not words:
            raise InputError("expected a text with at least one word, found none; leave it out")
    greedy = network.ask(texts, True, seed)
    sampled = (
        network.ask([words for words in texts for _ in range(n_samples)], False, seed)
        if n_samples
        else greedy
    )
    found = []
    for i, words in enumerate(texts):
        readings = []
        for (name, backwards, trace), (_, _, draws) in zip(greedy, sampled, strict=True):
            n, width = len(words), trace.distances.shape[1]
            # padding comes first for who reads from the end
            steps = slice(width - n, width) if backwards else slice(0, n)
            order = list(reversed(words)) if backwards else list(words)
            rows = slice(i * n_samples, (i + 1) * n_samples)
            samples = (
                draws.distances.numpy()[rows, draws.distances.shape[1] - n :]
                if backwards
                else draws.distances.numpy()[rows, :n]
            )
            readings.append(
                Reading(
                    name,
                    order,
                    trace.probs.numpy()[i, steps],
                    trace.distances.numpy()[i, steps],
                    samples,
                )
            )
        found.append(readings)
    return found


def recurrent_layers(inspection: ModuleType, trained: Trained) -> list:
    """The layers over K past states: `KStateLSTM`."""
    return [layer for layer in inspection.recurrent_layers(trained) if hasattr(layer, "recurrence")]
