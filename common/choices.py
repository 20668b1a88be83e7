"""The allowed values of options that layers, losses and flags share.

Does not import TensorFlow, so that a mistyped flag is reported at once.
"""

import dataclasses
from collections.abc import Sequence

# `losses.policy_gradient`
CREDITS = ("to_go", "total")
BASELINES = ("none", "leave_one_out")
ENTROPIES = ("analytic", "sampled")


@dataclasses.dataclass(frozen=True)
class PolicyGradient:
    """The defaults of `losses.policy_gradient`, of the tasks' flags and of `PolicyGradientModel`.

    `PolicyGradientModel` has another default for `credit`.
    """

    credit: str = "to_go"
    discount: float = 1.0
    baseline: str = "leave_one_out"
    entropy: str = "analytic"
    rl_weight: float = 1.0
    entropy_weight: float = 0.0


POLICY_GRADIENT = PolicyGradient()

# `DynamicSkipLSTM`
OBSERVATIONS = ("previous", "mean")
# Estimators of the agent's gradient, and what each learns from.
ESTIMATORS = {
    "policy_gradient": "reward",
    "straight_through": "loss",
    "reinmax": "loss",
}
HISTORIES = ("carried", "window")

# other cells
ACTIVATIONS = ("tanh", "sigmoid", "relu")
BASES = ("rnn", "lstm")
LEAKS = ("fixed", "learned")
VARIANTS = ("vanilla", "NIG", "NFG", "NOG", "NIAF", "NOAF", "NP", "CIFG", "FGR")
STATE_MASKS = ("one", "per_gate")


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """`value`, or a ValueError if it is not one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; received {value!r}")
    return value
