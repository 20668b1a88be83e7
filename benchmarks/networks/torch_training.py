"""A plain training loop in PyTorch, for comparisons.

PyTorch is optional; callers import it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any


def steps(
    parameters: Iterable[Any],
    optimizer: Any,
    loss: Callable[..., Any],
    batches: Sequence,
    max_grad_norm: float = 0.0,
) -> Callable:
    """One training step per batch, which minimises `loss(*batch)`.

    Gradients are clipped to a global norm if one is given.
    """
    import torch

    parameters = list(parameters)

    def run() -> float:
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            found = loss(*batch)
            found.backward()
            if max_grad_norm:
                torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
            optimizer.step()
        return found.item()

    return run
