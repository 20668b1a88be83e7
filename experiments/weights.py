"""Exports the weights of a trained network for a page that runs it.

Those of the embedding, LSTM layers and agents, not of what follows them.
"""

import base64
from typing import Any

import numpy as np

from experiments.connections import Network, recurrent_layers


def export(network: Network, max_megabytes: float) -> tuple[dict[str, Any] | None, str]:
    """The network as `page.html` needs it; or None, with the reason."""
    made = network.inspection.page_inputs(network.trained)
    if "unsupported" in made:
        return None, made["unsupported"]
    above = {"softmax", "classifier", "scores", "crf"}
    exported = [
        variable
        for variable in network.trained.model.variables
        if not above & set(variable.path.split("/"))
    ]
    # base64 takes four bytes for three
    size = sum(4 * np.prod(variable.shape) for variable in exported) * 4 / 3 / 1e6
    if size > max_megabytes:
        return None, f"its weights would make this page {size:.0f} MB large"
    layers = recurrent_layers(network.inspection, network.trained)
    if any(any(layer.cell.zoneout) for layer in layers):
        return None, "its layers hold part of their states, which this page does not run"
    agents = [layer for layer in layers if layer.cell.has_agent]
    below = [_lstm(layer) for layer in layers if not layer.cell.has_agent]
    readers = [
        {"name": "", "backwards": layer.go_backwards, "below": below, "agent": _agent(layer)}
        for layer in agents
    ]
    if len(readers) > 1:  # one for each direction
        for reader in readers:
            reader["name"] = "right to left" if reader["backwards"] else "left to right"
    return _plain({**made, "readers": readers}), ""


def _lstm(layer: Any) -> dict[str, Any]:
    return {name: getattr(layer.cell, name) for name in ("kernel", "recurrent_kernel", "bias")}


def _agent(layer: Any) -> dict[str, Any]:
    cell = layer.cell
    policy = cell.agent_weights._asdict()
    return {
        **_lstm(layer),
        "policy": policy,
        "n_actions": cell.n_actions,
        "lamda": cell.lamda,
        "observation": cell.observation,
    }


def _plain(value: Any) -> Any:
    """A value as JSON: an array as its shape and base64 of its numbers, little-endian float32."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    array = np.asarray(value, "<f4")
    return {"shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}
