"""Settings of the recall task."""

import dataclasses

from common.config import RunConfig, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecallConfig(RunConfig):
    """Train a network to recall the first component of its first input.

    Mongia, RNNs with skip connections. The answer is given after the last input.
    """

    task, program = "Recall", "NumberPrediction/train_recall.py"
    without_effect = {
        "dropout": "this network drops no units",
        "data_dir": "the sequences are always generated",
        "eval_samples": "its predictions are numbers, not probabilities",
        "mc_dropout": "this network drops no units",
    }

    cell: str = "skip_rnn"
    length: int = setting(100, "inputs in a sequence (source: 100 and 500)", minimum=1)
    features: int = setting(6, "components of an input, each uniform between 0 and 1", minimum=1)
    n_train: int = setting(10_000, "number of training sequences", minimum=1)
    n_dev: int = setting(1_000, "number of development sequences", minimum=1)
    n_test: int = setting(1_000, "number of test sequences", minimum=1)
    rnn_size: int = setting(100, minimum=1)
    recurrent_init: float = setting(
        0.01, "standard deviation of the initial recurrent weights of --cell skip_rnn", minimum=0
    )
    batch_size: int = setting(20, minimum=1)
    max_epochs: int = setting(10, minimum=1)
    max_grad_norm: float = setting(0.0, minimum=0)
    reward: str = setting(
        "squared_error", "reward of the agent: minus the squared error", choices=("squared_error",)
    )

    @classmethod
    def readers(cls) -> dict[str, dict[str, list[str]]]:
        """As of `RunConfig`."""
        return super().readers() | {"recurrent_init": {"cell": ["skip_rnn"]}}


# The source's versions of the cell; its sizes, its optimiser and the distribution of its inputs are
# not stated.
PRESETS = {
    "paper": {},
    "A": {"n_matrices": 1},
    "B": {"n_matrices": 2},
    "C": {"n_matrices": 1, "skip": 2},
    "D": {"n_matrices": 2, "skip": 2},
    # Over 125 skips gradients can explode: without clipping one of two seeds tried ended in numbers
    # that are not finite.
    "special": {"n_matrices": 4, "skip": 4, "length": 500, "max_grad_norm": 1.0, "max_epochs": 5},
}
