"""Whether what closes a bracket or a quote connects to what opened it."""

from typing import NamedTuple

import numpy as np

_SHUFFLES = 1000


class Closings(NamedTuple):
    """Of n closing characters whose opening one is among the K states that they can reach."""

    distances: np.ndarray  # [n] to the opening one, 1 .. K
    weights: np.ndarray  # [n] of the connection to it
    by_distance: np.ndarray  # [3, K] mean weight of distance k: of closings opened there, of all
    # other closings, of all steps; NaN where there are none
    shuffled: np.ndarray  # [1000] mean weight if the distances belonged to other closings


def measure(weights: np.ndarray, opening: np.ndarray, of: np.ndarray | None = None) -> Closings:
    """What connects closing characters to their opening ones, beside what chance would give.

    Chance is the mean of shuffled openings: closings connect in their own manner wherever they were
    opened.

    Args:
        weights: of the distances 1 .. K at each step, [N, K].
        opening: where what is closed at a step was opened, -1 for nothing, [N].
        of: which closing characters count, [N] bool; by default all.
    """
    n_steps, n_actions = weights.shape
    distance = np.where(opening >= 0, np.arange(n_steps) - opening, n_actions + 1)
    is_closing = (opening >= 0) & (True if of is None else of)
    steps = np.flatnonzero(is_closing & (distance <= n_actions))
    found, all_closings = distance[steps] - 1, np.flatnonzero(is_closing)
    rows = np.full((3, n_actions), np.nan)
    for k in range(n_actions):
        here = distance[all_closings] == k + 1
        for row, chosen in enumerate((all_closings[here], all_closings[~here])):
            if len(chosen):
                rows[row, k] = weights[chosen, k].mean()
    rows[2] = weights.mean(0)
    random = np.random.default_rng(0)
    shuffled = np.full(_SHUFFLES, np.nan)
    for i in range(_SHUFFLES if len(steps) else 0):
        shuffled[i] = weights[steps, random.permutation(found)].mean()
    return Closings(found + 1, weights[steps, found], rows, shuffled)
