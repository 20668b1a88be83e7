"""Reads a text with a trained language model by characters, and keeps what went on inside."""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common.cells.k_state import KStateCell
from common.data.text import Vocabulary
from common.errors import InputError
from common.layers.attention_skip_lstm import AttentionSkipLSTM
from common.layers.k_state_layer import KStateLSTM
from common.layers.make_layer import run_layer
from common.training.restore import Trained
from common.training.run_flags import load_config
from LanguageModeling import experiment, reader
from LanguageModeling.parts.word_tree import as_text
from LanguageModeling.presets import LanguageConfig

GATES = ("input", "forget", "output")


class Layer(NamedTuple):
    """An LSTM layer at each of N steps."""

    gates: np.ndarray  # [3, N, H], those of `GATES`
    cells: np.ndarray  # [N, H] tanh(c)
    weights: np.ndarray  # [N, K] of the past states 1 .. K; one-hot where one was chosen
    probs: np.ndarray  # [N, K] the agent's, or attention's; as `weights` without either


@dataclasses.dataclass(frozen=True)
class Reading:
    """A run's network over a text of N characters."""

    name: str
    text: str
    layers: list[Layer]
    p: np.ndarray  # [N - 1] what characters 1, 2, ... were given
    tokens: np.ndarray  # [N] ids of the text
    train: np.ndarray  # ids of the training text
    vocabulary: Vocabulary
    weighs: bool  # whether the last layer's probabilities are an agent's, or attention's

    @property
    def training_text(self) -> str:
        """What the network was trained on."""
        return as_text(self.train, self.vocabulary)


def read(run_dir: str, split: str = "test") -> Reading:
    """Read a split of a run's data, in as many streams side by side as training has.

    With the most probable distances. Raises `InputError` for a run that is not of characters, or of
    layers that this does not know.
    """
    config = load_config(run_dir, LanguageConfig)
    if config.tokens != "characters":
        raise InputError(
            f"{run_dir}: expected a language model by characters, found --tokens {config.tokens}:"
            " train one with --preset char_text"
        )
    if config.condition != "none" or config.output != "plain" or config.model == "mixed":
        raise InputError(
            f"{run_dir}: expected a network of characters alone and one softmax, found --condition"
            f" {config.condition} --output {config.output} --model {config.model}: give another run"
        )
    trained = experiment.load(run_dir)
    if config.topics or not all(map(is_known, trained.model.recurrent)):
        raise InputError(
            f"{run_dir}: expected LSTMs, plain or over past states that are carried over, without"
            f" zoneout and topics; found --cell {config.cell}: give another run"
        )
    # in the ids that the network knows, whatever has become of its training text
    tokens, training_text = (
        reader.load_split(config.data_dir, name, trained.encoder, config.tokens)
        for name in (split, "train")
    )
    found, p = _run(trained, tokens)
    layers = [
        of_layer(layer.cell, *arrays)
        for layer, arrays in zip(trained.model.recurrent, found, strict=True)
    ]
    name = {"lstm": "LSTM", "dynamic_skip": "dynamic skips"}.get(config.cell, config.cell)
    text = as_text(tokens, trained.encoder)
    weighs = has_weights(trained.model.recurrent[-1])
    return Reading(name, text, layers, p, tokens, training_text, trained.encoder, weighs)


def has_weights(layer: KStateLSTM) -> bool:
    """Whether there are an agent's probabilities of past states, or attention's weights."""
    attends = isinstance(layer, AttentionSkipLSTM) and layer.cell.n_actions > 1
    return layer.cell.has_agent or attends


def is_known(layer: object) -> bool:
    """Whether `of_layer` computes what the layer does."""
    if not isinstance(layer, KStateLSTM) or layer.cell.layer_norm:
        return False
    return layer.cell.history == "carried" and not any(layer.cell.zoneout)


def _run(trained: Trained, tokens: np.ndarray) -> tuple[list[tuple], np.ndarray]:
    """Of each layer inputs, outputs and probabilities of all steps but the last, p of the targets.

    [B, T, ...] each, the steps of a stream in a row, and for all B streams the same T.
    """
    model, config = trained.model, trained.config
    inputs, targets, scored = reader.padded_streams(
        tokens, config.batch_size, config.num_unroll_steps
    )

    @tf.function(autograph=False)
    def window(words: tf.Tensor, targets: tf.Tensor, state: list) -> tuple:
        x, kept, new_state = model.embedding(words), [], []
        for layer, layer_state in zip(model.recurrent, state, strict=True):
            h, layer_state, _ = run_layer(
                layer, x, layer_state, greedy=True, seed=tf.zeros(2, tf.int32)
            )
            trace = layer.trace
            probs = trace.probs
            chosen = tf.one_hot(trace.distances - 1, layer.cell.n_actions, dtype=probs.dtype)
            kept.append((x, h, probs if isinstance(layer, AttentionSkipLSTM) else chosen, probs))
            new_state.append(layer_state)
            x = h
        return kept, new_state, tf.exp(model.log_likelihood(x, targets))

    state, found = model.initial_state(config.batch_size), []
    for words, wanted in zip(inputs, targets, strict=True):
        kept, state, p = window(tf.constant(words), tf.constant(wanted), state)
        found.append(tf.nest.map_structure(lambda a: a.numpy(), (kept, p)))
    kept, p = tf.nest.map_structure(lambda *windows: np.concatenate(windows, 1), *found)
    scored = np.concatenate(scored, 1) > 0
    return [(*arrays, scored) for arrays in kept], p[scored]


def of_layer(
    cell: KStateCell,
    x: np.ndarray,
    h: np.ndarray,
    weights: np.ndarray,
    probs: np.ndarray,
    scored: np.ndarray,
) -> Layer:
    """Gates and cells, anew from what a layer read and gave: [B, T, D], [B, T, H], [B, T, K] twice.

    `scored` [B, T]: which steps to keep. Before the first step all states are zero.
    """
    kernel, recurrent_kernel, bias = (
        np.asarray(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)
    )
    n_steps, n_actions = h.shape[1], cell.n_actions
    mix = cell.lamda * weights
    mix[..., 0] += 1 - cell.lamda
    past = np.pad(h, [(0, 0), (n_actions, 0), (0, 0)])
    connected = sum(
        mix[..., k - 1 : k] * past[:, n_actions - k : n_actions - k + n_steps]
        for k in range(1, n_actions + 1)
    )
    i, f, g, o = np.split(x @ kernel + connected @ recurrent_kernel + bias, 4, -1)
    i, f, o, new = *(_sigmoid(z) for z in (i, f, o)), np.tanh(g)
    c = np.zeros_like(past)
    for t in range(n_steps):
        window = c[:, t : t + n_actions][:, ::-1]
        connected = np.einsum("bk,bkh->bh", mix[:, t], window)
        c[:, t + n_actions] = f[:, t] * connected + i[:, t] * new[:, t]
    cells = np.tanh(c[:, n_actions:])
    gates = np.stack([i[scored], f[scored], o[scored]])
    return Layer(gates, cells[scored], weights[scored], probs[scored])


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(z / 2)


def saturation(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """The share of the steps at which each gate is below .1, and above .9: [3, H] each."""
    return (layer.gates < 0.1).mean(1), (layer.gates > 0.9).mean(1)


class Follower(NamedTuple):
    """The unit whose tanh(c) follows a target best, or -tanh(c) where the sign is -1."""

    layer: int
    unit: int
    sign: int
    correlation: float


def follower(layers: list[Layer], target: np.ndarray) -> Follower:
    """The unit of the largest |r| with a target [N] over the first half of the steps.

    The correlation is that of the second half, which had no part in the choice of unit and sign;
    NaN where the target is the same throughout a half.
    """
    half = len(target) // 2
    found = np.stack([_correlations(layer.cells[:half], target[:half]) for layer in layers])
    layer, unit = np.unravel_index(np.argmax(np.nan_to_num(np.abs(found))), found.shape)
    sign = -1 if found[layer, unit] < 0 else 1
    later = _correlations(sign * layers[layer].cells[half:, unit : unit + 1], target[half:])
    return Follower(int(layer), int(unit), sign, float(later[0]))


def _correlations(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    values, target = values - values.mean(0), target - target.mean()
    scale = np.sqrt((values**2).sum(0) * (target**2).sum())
    return np.divide(target @ values, scale, out=np.full(len(scale), np.nan), where=scale > 0)
