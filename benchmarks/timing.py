"""Interleaved timing of functions, which keeps ratios right on a noisy machine."""

import time
from collections.abc import Callable, Mapping

import numpy as np


def interleaved(
    functions: Mapping[str, Callable[[], object]], runs: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """Seconds of each run of each function, in the order A B C A B C ...

    `warm_up` rounds before are not counted. Each function must wait for its result.
    """
    for _ in range(warm_up):
        for function in functions.values():
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, to: str) -> float:
    """The median over the rounds of the ratio of two functions' times."""
    return float(np.median(np.divide(seconds[name], seconds[to])))


def milliseconds(seconds: list[float]) -> float:
    """The median in milliseconds."""
    return float(np.median(seconds) * 1e3)
