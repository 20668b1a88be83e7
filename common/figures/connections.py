"""Pictures of the connections that a layer makes in the sequences of a batch."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import arcs

_CAPTION = f"Each step and the one whose state it took; {arcs.LEFT_OUT}."
_WRITTEN = (".png", ".svg", ".csv")


def draw_connections(
    trace: Any,
    path: str | os.PathLike,
    labels: Sequence[Any] | None = None,
    caption: str = _CAPTION,
) -> list[pathlib.Path]:
    """Draw an arc from each step to the earlier one whose state it took, a picture a sequence.

    Longer arcs are darker; connections to the previous step are left out, long sequences broken
    into several lines. Masked steps are not there.

    Args:
        trace: a layer's `trace`, the dict that `return_trace=True` returns, or from either the
            distances [T] or [B, T], whole numbers, or the probabilities [T, K] or [B, T, K], of
            which the most probable distances are drawn. In the order of processing.
        path: where to write, without ending. Of a batch, `-1`, `-2` ... are appended.
        labels: of the steps, such as words: [T] or [B, T], or of each sequence as many as it has
            steps that are not masked; their numbers from 1 unless given.
        caption: written below.

    Returns:
        The paths of what was written: for each sequence with a step a .png, an .svg and, with the
        numbers, a .csv.

    Raises:
        ValueError: a trace of another rank or with distances below 0; another number of labels.

    Example:
        ```python
        layer = DynamicSkipLSTM(8, n_actions=3)
        layer(keras.random.normal([1, 6, 4]))
        words = "the dog that barks never bites".split()
        paths = draw_connections(layer.trace, "connections", [words])
        ```
    """
    import matplotlib

    distances, is_batch = _distances(trace)
    if labels is not None:
        labels = list(labels) if is_batch else [labels]
        if len(labels) != len(distances):
            raise ValueError(
                f"expected labels of {len(distances)} sequences, received {len(labels)}"
            )
    path = pathlib.Path(path)
    stem = path.with_suffix("") if path.suffix.lower() in _WRITTEN else path
    paths = []
    for number, steps in enumerate(distances):
        real = steps > 0
        names = range(1, len(steps) + 1) if labels is None else list(labels[number])
        if len(names) not in (len(steps), n := int(real.sum())):
            raise ValueError(
                f"expected {len(steps)} labels of sequence {number}, or {n} of its steps that are"
                f" not masked; received {len(names)}"
            )
        if len(names) == len(steps):
            names = [name for name, is_real in zip(names, real, strict=True) if is_real]
        if n:
            file = stem.with_name(f"{stem.name}-{number + 1}") if is_batch else stem
            with matplotlib.rc_context():  # what a user has set stays
                paths += arcs.draw([*map(_text, names)], steps[real].tolist(), file, caption)
    return paths


def _text(label: Any):
    """A label as it is drawn; the strings of a tensor are bytes."""
    label = label.numpy() if hasattr(label, "numpy") else label
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def _distances(trace: Any) -> tuple[np.ndarray, bool]:
    """Distances [B, T], 0 at masked steps; whether there is a batch at all."""
    found = trace["distances"] if isinstance(trace, Mapping) else trace
    found = np.asarray(getattr(found, "distances", found))
    is_float = np.issubdtype(found.dtype, np.floating)
    fits = found.size and found.ndim in ((2, 3) if is_float else (1, 2)) and found.min() >= 0
    if fits and is_float:  # of each step they add up to 1, or to 0 where it is masked
        fits = np.allclose(total := found.sum(-1, dtype=np.float64), total > 0, atol=0.02)
    if not fits:
        raise ValueError(
            "expected distances [T] or [B, T], whole numbers of at least 0, or probabilities"
            f" [T, K] or [B, T, K]; received {found.dtype} of shape {list(found.shape)}"
        )
    if is_float:
        found = np.where(found.sum(-1) > 0, found.argmax(-1) + 1, 0)
    return np.atleast_2d(found), found.ndim == 2
