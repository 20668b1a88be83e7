"""The weights of a trained network for a page that runs it: embedding, LSTM layers and agents, not what comes after them."""

import base64
from typing import Any

import numpy as np

from common.data.text import EOS, UNKNOWN
from experiments.connections import Network, recurrent_layers


def export(network: Network, max_megabytes: float) -> tuple[dict[str, Any] | None, str]:
    """What `page.html` needs to run the network, or None and the reason."""
    if getattr(network.config, "model", "word") == "char":
        return None, "its words are spelled by a network that this page does not run"
    layers = recurrent_layers(network.model)
    if network.task == "LanguageModeling" and len(layers) != network.config.rnn_layers:
        return None, "it has layers that this page does not run"
    above = {"softmax", "classifier", "scores", "crf"}
    exported = [variable for variable in network.model.variables if not above & set(variable.path.split("/"))]
    size = sum(4 * np.prod(variable.shape) for variable in exported) * 4 / 3 / 1e6  # base64 takes four bytes for three
    if size > max_megabytes:
        return None, f"its weights would make this page {size:.0f} MB large"
    made = _exports[network.task](network)
    agents = [_agent(layer) for layer in layers if layer.cell.has_agent]
    below = [_lstm(layer) for layer in layers if not layer.cell.has_agent]
    names = ["left to right", "right to left"] if network.task == "NER" else [""]
    made["readers"] = [
        {"name": name, "backwards": name == "right to left", "below": below, "agent": agent}
        for name, agent in zip(names, agents, strict=True)
    ]
    return made, ""


def _lstm(layer: Any) -> dict[str, Any]:
    cell = layer.cell
    return {name: _array(getattr(cell, name)) for name in ("kernel", "recurrent_kernel", "bias")}


def _agent(layer: Any) -> dict[str, Any]:
    cell = layer.cell
    policy = {name: _array(value) for name, value in cell.agent_weights._asdict().items()}
    return {**_lstm(layer), "policy": policy, "n_actions": cell.n_actions, "lamda": cell.lamda, "observation": cell.observation}


def _language_model(network: Network) -> dict[str, Any]:
    words = network.vocabulary
    return {
        "tokens": "spaces", "first": EOS, "words": list(words.words), "unknown": words.ids.get(UNKNOWN),
        "embedding": _array(network.model.embedding.embeddings),
    }  # fmt: skip


def _numbers(network: Network) -> dict[str, Any]:
    return {"tokens": "digits", "words": list("0123456789"), "unknown": None, "embedding": _array(np.eye(10))}


def _sentiment(network: Network) -> dict[str, Any]:
    words = network.vocabulary
    return {
        "tokens": "reviews", "words": list(words.words), "unknown": words.ids.get(UNKNOWN), "limit": network.config.max_tokens,
        "embedding": _array(network.model.word_vectors.embeddings),
    }  # fmt: skip


def _ner(network: Network) -> dict[str, Any]:
    encoder, model = network.vocabulary, network.model
    spelling = {
        "chars": list(encoder.chars.words), "embedding": _array(model.char_vectors.embeddings), "max_chars": encoder.max_chars,
        "kernel": _array(model.convolution.kernel), "bias": _array(model.convolution.bias),
    }  # fmt: skip
    return {
        "tokens": "news", "words": list(encoder.words.words), "unknown": 1, "embedding": _array(model.word_vectors.embeddings),
        "lower": encoder.lower, "zero_digits": encoder.zero_digits, "spelling": spelling,
    }  # fmt: skip


_exports = {"LanguageModeling": _language_model, "NumberPrediction": _numbers, "NER": _ner, "Sentiment": _sentiment}


def _array(value: Any) -> dict[str, Any]:
    """Shape, and the numbers as little-endian float32 in base64."""
    array = np.asarray(value, "<f4")
    return {"shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}
