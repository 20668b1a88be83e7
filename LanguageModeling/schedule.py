"""The learning rate from epoch to epoch.

Does not import TensorFlow: `benchmarks/without_tensorflow` uses it too.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def learning_rate(config: Any, records: Sequence[Mapping[str, float]]) -> float:
    """The learning rate of the epoch after `records`.

    `config` has the flags of `LanguageConfig` that the schedule reads.
    """
    rate, best = config.learning_rate, math.inf
    for i, record in enumerate(records):
        found = record["valid_perplexity"]
        due = (
            i + 1 >= config.decay_after if config.decay_after else found > best - config.decay_when
        )
        best = min(best, found)
        if due:
            rate = max(rate * config.learning_rate_decay, min(rate, config.lr_threshold))
    return rate
