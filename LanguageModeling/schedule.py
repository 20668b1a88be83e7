"""The learning rate from epoch to epoch.

Does not import TensorFlow: `benchmarks/without_tensorflow` uses it too.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def learning_rate(config: Any, records: Sequence[Mapping[str, float]]) -> float:
    """The learning rate of the epoch after `records`.

    Without `decay_after` the release's rule: what an epoch has to beat is the perplexity of the
    last one after which the rate was kept.

    `config` has the flags of `LanguageConfig` that the schedule reads.
    """
    rate, kept_at = config.learning_rate, math.inf
    for i, record in enumerate(records):
        found = record["valid_perplexity"]
        if config.decay_after:
            due = i + 1 >= config.decay_after
        else:
            due = found > kept_at - config.decay_when
        if not due:
            kept_at = found
        else:
            rate = max(rate * config.learning_rate_decay, min(rate, config.lr_threshold))
    return rate
