"""The allowed values of options that layers, losses and flags share.

Does not import TensorFlow, so that a mistyped flag is reported at once.
"""

from collections.abc import Sequence

# `losses.policy_gradient`
CREDITS = ("to_go", "total")
BASELINES = ("none", "leave_one_out")
ENTROPIES = ("analytic", "sampled")
# `DynamicSkipLSTM`
OBSERVATIONS = ("previous", "mean")
ESTIMATORS = ("policy_gradient", "straight_through")
HISTORIES = ("carried", "window")


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """`value`, or a ValueError if it is not one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; received {value!r}")
    return value
