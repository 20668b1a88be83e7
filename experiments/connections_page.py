"""Writes a page of connections: `page.html` with a network's readings of some texts.

If the network is small enough, it is part of the page, which then reads typed text.
"""

import json
import pathlib
from collections.abc import Sequence

from common.files import atomic_write
from experiments import weights
from experiments.connections import Network, Reading

TEMPLATE = pathlib.Path(__file__).resolve().parent / "page.html"


def write(
    network: Network,
    texts: Sequence[str],
    readings: Sequence[Sequence[Reading]],
    stem: pathlib.Path,
    max_megabytes: float,
) -> pathlib.Path:
    """Write `<stem>.html`, a page in one file; returns its path.

    Args:
        texts, readings: to choose from on the page; readings as from `connections.read`.
        max_megabytes: largest network that is put into the page.
    """
    model, reason = weights.export(network, max_megabytes)
    data = {
        "caption": network.caption,
        "actions": network.config.n_actions,
        "model": model,
        "reason": reason,
        "texts": [
            {"text": text, "readings": [_plain(reading) for reading in of]}
            for text, of in zip(texts, readings, strict=True)
        ],
    }
    # "</script>" inside the data would end it.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    path = pathlib.Path(f"{stem}.html")
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, TEMPLATE.read_text(encoding="utf-8").replace("__DATA__", text))
    return path


def _plain(reading: Reading) -> dict:
    return {
        "name": reading.name,
        "words": reading.words,
        "probs": [[round(float(p), 5) for p in row] for row in reading.probs],
        "distances": reading.distances.tolist(),
        "samples": reading.samples.tolist(),
    }
