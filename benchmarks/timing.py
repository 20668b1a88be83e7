"""Interleaved timing of several functions in one process, so that ratios hold where the machine is
noisy.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np


def interleaved(
    functions: Mapping[str, Callable[[], object]], runs: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """Seconds of each run of each function, A B C A B C ..., after `warm_up` rounds that are not
    counted; each must wait for its result.
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
    """Median of the ratios of the runs of one round."""
    return float(np.median(np.divide(seconds[name], seconds[to])))


def milliseconds(seconds: list[float]) -> float:
    """The median, in milliseconds."""
    return float(np.median(seconds) * 1e3)
