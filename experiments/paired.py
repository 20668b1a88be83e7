"""Differences of two rows of a table, paired by seed, with their 95 % intervals."""

import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

# Student's t, two-sided 95 %, of 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of
# Statistical Methods, 1.3.6.7.2). More count as 30: a little too wide.
T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


class Difference(NamedTuple):
    """The mean of paired differences, half of its 95 % interval, and the number of pairs."""

    mean: float
    half: float
    pairs: int

    @property
    def excludes_zero(self) -> bool:
        """Whether all of the interval lies on one side of zero."""
        return abs(self.mean) > self.half

    def text(self, decimals: int) -> str:
        """The mean and, in square brackets, the interval; empty for a single pair."""
        if self.half == math.inf:
            return ""
        ends = (self.mean - self.half, self.mean + self.half)
        mean, low, high = (f"{value:+z.{decimals}f}" for value in (self.mean, *ends))
        return f"{mean} [{low}, {high}]"


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference | None:
    """Ours less theirs, by seed; None without a common seed.

    The interval is that of Student's t for the mean of the pairs; of one pair it is infinite.
    """
    found = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not found:
        return None
    n, mean = len(found), statistics.fmean(found)
    if n == 1:
        return Difference(mean, math.inf, 1)
    quantile = T95[min(n - 1, len(T95)) - 1]
    return Difference(mean, quantile * statistics.stdev(found) / math.sqrt(n), n)
