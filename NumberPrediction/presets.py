"""Settings of number prediction."""

import dataclasses

from common.config import RunConfig, cells, setting
from common.errors import InputError
from NumberPrediction.reader import LABEL_RULES


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumberConfig(RunConfig):
    """Train a network to recall the digit that its last input points to.

    Gui et al. 2019, section 4.4.
    """

    task = "NumberPrediction"
    without_effect = dict.fromkeys(["dropout", "mc_dropout"], "this network drops no units")

    length: int = setting(10, "digits before the index (paper: 10 and 20)", minimum=10)
    label_rule: str = setting(
        "paper",
        "which digit is the label (see produce_data.py)",
        choices=LABEL_RULES,
    )
    data_dir: str = setting(
        "", "folder that produce_data.py wrote (empty: the same examples, generated in memory)"
    )
    n_train: int = setting(
        100_000,
        "number of training examples, if they are generated",
        minimum=1,
    )
    n_dev: int = setting(10_000, "number of development examples, if they are generated", minimum=1)
    n_test: int = setting(10_000, "number of test examples, if they are generated", minimum=1)
    reward: str = setting(
        "log_likelihood",
        "reward of the agent: log p(label), +1 or -1 for a right or wrong answer, or the release's"
        " loss",
        choices=("log_likelihood", "sign", "released"),
    )
    n_actions: int = setting(10, minimum=1)
    batch_size: int = setting(100, minimum=1)
    max_grad_norm: float = setting(0.0, minimum=0)

    def __post_init__(self):
        """Raises `InputError` for the released loss without an agent that has a reward."""
        super().__post_init__()
        if self.reward == "released" and self.estimator != "policy_gradient":
            raise InputError(
                f"--reward released expects --estimator policy_gradient, got {self.estimator}: "
                "give --reward log_likelihood, or leave --estimator out"
            )

    @classmethod
    def choosers(cls) -> list[str]:
        """As of `RunConfig`."""
        return [*super().choosers(), "reward"]

    @classmethod
    def readers(cls) -> dict[str, dict[str, list[str]]]:
        """As of `RunConfig`; the released loss has the weights and the return of the release."""
        found, others = super().readers(), ["log_likelihood", "sign"]
        names = {*cells.names(cells.Objective)} - {"reward", "train_samples"}
        generated = dict.fromkeys(["n_train", "n_dev", "n_test"], {"data_dir": [""]})
        return found | {name: found[name] | {"reward": others} for name in names} | generated


# T = 21, where the label lies two hops back. A higher rate and an entropy that fades: without
# them the agent settles on one distance (entropy 0), or stays uniform (0.05), before the
# network has learned to pass a digit on.
_PAPER21 = {
    "length": 20,
    "lamda": 0.5,
    "learning_rate": 3e-3,
    "entropy_weight": 0.01,
    "entropy_decay": 0.93,
    "max_epochs": 40,
}

PRESETS = {
    "paper": {},
    "paper21": _PAPER21,
    # The dynamic row that is best on dev in the table `numbers21`, as a test sees to.
    "best": {**_PAPER21, "lamda": 1.0, "previous_bias": 3.0, "entropy_weight": 0.003},
    # The released trainer: its first weights, its agent, its observation, its reward and its loss
    # (experiments/RELEASE.md).
    "released": {
        "initializers": "released",
        "observation": "mean",
        "history": "window",
        "agent_units": 10,
        "reward": "released",
        "baseline": "none",
        "label_rule": "released",
    },
}
