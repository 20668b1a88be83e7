"""What the value of a setting must be: each check takes its name and value, and returns the value.

A value that cannot be used is a ValueError.
"""

from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from ..choices import ESTIMATORS, HISTORIES, OBSERVATIONS, STATE_MASKS, one_of
from .keras_arguments import OF_THE_CELL


def _is_number(value: Any):
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_number(name: str, value: int, minimum: int = 1) -> int:
    """`value`, or ValueError where it is no whole number of at least `minimum`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}; received {value!r}")
    return int(value)


def share(name: str, value: float) -> float:
    """`value`, or ValueError where it is no number in [0, 1]."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1]; received {value!r}")
    return value


def two_shares(name: str, value: Sequence[float]) -> tuple[float, float]:
    """`value` as a tuple, or ValueError where it is not two numbers in [0, 1]."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{name} must be two numbers, of c and of h; received {value!r}")
    return tuple(share(name, one) for one in value)


def rate(name: str, value: float) -> float:
    """`value`, or ValueError where it is no number in [0, 1)."""
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} must lie in [0, 1); received {value!r}")
    return value


def price(name: str, value: float) -> float:
    """`value`, or ValueError where it is no number of at least 0."""
    if not _is_number(value) or not value >= 0:
        raise ValueError(f"{name} must be at least 0; received {value!r}")
    return value


def number(name: str, value: float) -> float:
    """`value`, or ValueError where it is no finite number."""
    if not _is_number(value) or not np.isfinite(value):
        raise ValueError(f"{name} must be a number; received {value!r}")
    return value


def number_or_none(name: str, value: float | None) -> float | None:
    """`value`, or ValueError where it is neither a finite number nor None."""
    return None if value is None else number(name, value)


def whole_number_or_none(name: str, value: int | None) -> int | None:
    """`value`, or ValueError where it is neither a whole number of at least 1 nor None."""
    return None if value is None else whole_number(name, value)


def flag_or_none(name: str, value: bool | None) -> bool | None:
    """`value`, or ValueError where it is neither True or False nor None."""
    return None if value is None else flag(name, value, ", False or None")


def flag(name: str, value: bool, others: str = " or False") -> bool:
    """`value`, or ValueError where it is not True or False."""
    if not isinstance(value, int | np.bool_) or value not in (0, 1):
        raise ValueError(f"{name} must be True{others}; received {value!r}")
    return bool(value)


OF_A_SKIP_CELL = {
    **dict.fromkeys(("units", "n_actions", "skip", "agent_units"), whole_number),
    **dict.fromkeys(("dropout", "recurrent_dropout", "state_dropout", "weight_dropout"), rate),
    "zoneout": two_shares,
    **dict.fromkeys(("layer_norm", "greedy", "use_bias", "unit_forget_bias"), flag),
    **OF_THE_CELL,
    "lamda": share,
    "forget_bias": number,
    "previous_bias": number_or_none,
    "observation": partial(one_of, choices=OBSERVATIONS),
    "state_masks": partial(one_of, choices=STATE_MASKS),
    "history": partial(one_of, choices=HISTORIES),
    "estimator": partial(one_of, choices=ESTIMATORS),
}
