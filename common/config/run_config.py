"""The settings that every training run has, and which of them belong to which cell. Nothing here imports TensorFlow."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from ..choices import BASELINES, CREDITS, ENTROPIES, ESTIMATORS, HISTORIES, OBSERVATIONS
from ..errors import InputError
from .flags import setting, settings

CELLS = (
    "dynamic_skip", "lstm", "gru", "fixed_skip", "random_skip", "attention", "skip_lstm", "skip_gru", "time_delay", "leaky",
    "clockwork", "skip_rnn", "peephole_lstm", "highway_lstm", "grid_lstm",
)  # fmt: skip
# Flags that belong to some cells only; None leaves the choice to the cell.
CELL_FLAGS = {
    "dynamic_skip": ("initializers", "previous_bias"),
    "fixed_skip": ("skip",),
    "skip_lstm": ("update_cost",),
    "skip_gru": ("update_cost",),
    "time_delay": ("delay", "base"),
    "leaky": ("leak",),
    "clockwork": ("periods",),
    "skip_rnn": ("n_matrices", "skip", "base"),
    "peephole_lstm": ("variant",),
    "highway_lstm": ("depth",),
    "grid_lstm": ("depth", "tied"),
}
# Flags with a default for all that only some values of another flag read: refused where they are typed for another value, passed over
# where a preset has them. (Not `agent_units`: a table of many cells gives its sizes once.)
_CHOOSING = ("dynamic_skip", "random_skip", "attention")
_REWARDED = ("reward", "credit", "baseline", "rl_weight")
READ_BY = {
    "cell": {
        "lamda": (*_CHOOSING, "fixed_skip"),
        "n_actions": _CHOOSING,
        "observation": ("dynamic_skip", "attention"),
        "history": ("dynamic_skip", "fixed_skip", "random_skip"),
        **dict.fromkeys(("estimator", *_REWARDED, "entropy", "entropy_weight"), ("dynamic_skip",)),
    },
    "estimator": dict.fromkeys(_REWARDED, ("policy_gradient",)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings that every training run has; a task subclasses it, overrides defaults and adds its own."""

    task: typing.ClassVar[str] = "task"
    # Flags that belong to some values of another flag, by that flag; None leaves them to the network.
    belonging: typing.ClassVar[Mapping[str, Mapping[str, Sequence[str]]]] = {"cell": CELL_FLAGS}
    without_effect: typing.ClassVar[Mapping[str, str]] = {}  # flags that the task has no use for, and why

    preset: str = setting("paper", "which set of defaults to start from")
    cell: str = setting("dynamic_skip", "recurrent cell", choices=CELLS)
    lamda: float = setting(
        1.0, "weight of the chosen past state; 1 - lamda goes to the previous one", minimum=0, maximum=1
    )
    n_actions: int = setting(5, "how many past states the agent chooses from", minimum=1)
    skip: int | None = setting(
        None, "distance of the skip connection, of --cell fixed_skip (3 unless given) and skip_rnn (no skip unless given)", minimum=1
    )
    delay: int | None = setting(None, "delay of the second recurrent edge, of --cell time_delay (5 unless given)", minimum=2)
    periods: list[int] | None = setting(None, "period of each group of units, of --cell clockwork (1,2,4,8 unless given)", minimum=1)
    leak: str | None = setting(
        None, "time constants of --cell leaky: drawn once (unless given), or learned from there", choices=("fixed", "learned")
    )
    n_matrices: int | None = setting(None, "recurrent matrices that take turns, of --cell skip_rnn (1 unless given)", minimum=1)
    base: str | None = setting(
        None, "kind of unit of --cell time_delay and skip_rnn: plain (unless given) or LSTM", choices=("rnn", "lstm")
    )
    variant: str | None = setting(
        None, "which of Greff's LSTMs --cell peephole_lstm is (vanilla unless given)",
        choices=("vanilla", "NIG", "NFG", "NOG", "NIAF", "NOAF", "NP", "CIFG", "FGR"),
    )  # fmt: skip
    depth: int | None = setting(None, "layers of --cell highway_lstm, levels of grid_lstm (2 unless given)", minimum=1)
    tied: bool | None = setting(None, "one set of weights for all levels of --cell grid_lstm (not unless given)")
    update_cost: float | None = setting(
        None, "price of one update in the loss of a sequence, of --cell skip_lstm and skip_gru (1e-4 unless given)", minimum=0
    )
    initializers: str | None = setting(
        None, "first weights of the layer of --cell dynamic_skip: as in the release (recurrent matrix of each gate orthogonal, the agent's "
        "N(0, 0.3), its biases 0.1), or like the rest of the network's (unless given)", choices=("released",),
    )  # fmt: skip
    previous_bias: float | None = setting(
        None, "initial bias of distance 1 in the agent of --cell dynamic_skip, to begin near a plain LSTM (like the others' unless given)"
    )
    agent_units: int = setting(50, "hidden units of the agent", minimum=1)
    observation: str = setting(
        "previous", "what the agent sees beside the input: the previous state or the mean of the past n_actions",
        choices=OBSERVATIONS,
    )  # fmt: skip
    history: str = setting(
        "carried", "states before a window of text: carried over, or zero (window)", choices=HISTORIES
    )
    estimator: str = setting(
        "policy_gradient", "how the agent learns: by reward (paper), or from the task's loss, as if the mean had stood for the sample",
        choices=ESTIMATORS,
    )  # fmt: skip
    reward: str = setting("log_likelihood", "reward of the agent")
    credit: str = setting(
        "to_go", "return of an action: rewards from its step on, or all of them", choices=CREDITS
    )
    baseline: str = setting(
        "none", "subtracted from the return: nothing, or the mean over the other sequences of the batch",
        choices=BASELINES,
    )  # fmt: skip
    entropy: str = setting(
        "analytic", "entropy of the policy: summed over the distances, or through the sampled log-probabilities",
        choices=ENTROPIES,
    )  # fmt: skip
    rl_weight: float = setting(1.0, "weight of the policy-gradient loss", minimum=0)
    entropy_weight: float = setting(0.0, "weight of the policy's entropy", minimum=0)
    rnn_size: int = setting(200, "units of a recurrent layer", minimum=1)
    max_epochs: int = setting(10, "passes over the training data", minimum=1)
    batch_size: int = setting(20, "sequences in a batch", minimum=1)
    learning_rate: float = setting(1e-3, "initial learning rate", minimum=0)
    max_grad_norm: float = setting(5.0, "global norm that gradients are clipped to (0: no clipping)", minimum=0)
    dropout: float = setting(0.0, "probability of dropping a unit", minimum=0, maximum=0.999)
    seed: int = setting(0, "every random number follows from it", minimum=0, maximum=2**31 - 1)
    data_dir: str = setting("", "folder with the data (empty: the default place)", path=True)
    run_dir: str = setting(
        "", "folder of this run (empty: runs/<task>/<preset>-<cell>-<other flags>-seed<seed>)", affects_result=False, path=True
    )
    recover: int = setting(
        0, "where a number is not finite: go back to the last good checkpoint, halve the learning rate, at most so many times", minimum=0,
        affects_result=False,
    )  # fmt: skip
    eval_samples: int = setting(
        1, "chains of sampled distances whose predictions the final evaluation averages besides (1: none)", minimum=1, affects_result=False
    )
    max_train_steps: int = setting(0, "stop after so many steps (0: no limit)", minimum=0)
    print_every: int = setting(100, "steps between two lines of progress", minimum=1, affects_result=False)
    checkpoint_seconds: float = setting(60.0, "seconds between two checkpoints", minimum=0, affects_result=False)
    tensorboard: bool = setting(True, "write summaries for TensorBoard", affects_result=False)
    jit_compile: bool | None = setting(
        None, "compile the whole training step with XLA, or only its recurrences (what is faster for this model and device unless given)"
    )
    mixed_precision: bool = setting(False, "compute in 16 bits, keep the weights in 32")
    deterministic: bool = setting(False, "same numbers on every run, also on a GPU (slower there)")
    strategy: str = setting(
        "none", "one device, all GPUs of this machine (mirrored), or the machines that TF_CONFIG or Slurm name (multi_worker)",
        choices=("none", "mirrored", "multi_worker"),
    )  # fmt: skip

    def __post_init__(self):
        """Raises `InputError` for a flag of another cell, for one without effect, and for more groups of units than units."""
        for chooser, flags_of in self.belonging.items():
            chosen = getattr(self, chooser)
            for name in sorted(flags_of_some(flags_of) - set(flags_of.get(chosen, ()))):
                if getattr(self, name) is not None:
                    raise belongs(name, chooser, [value for value, names in flags_of.items() if name in names], chosen)
        for name, why in self.without_effect.items():
            if getattr(self, name) != settings(type(self))[name].default:
                raise InputError(f"--{name} has no effect here ({why}): leave it out")
        periods = self.periods if self.periods is not None else [1, 2, 4, 8] if self.cell == "clockwork" else [1]
        if not 1 <= len(periods) <= self.rnn_size:
            raise InputError(f"--periods expects from 1 to {self.rnn_size} numbers (--rnn_size), got {len(periods)}")

    @property
    def cell_flags(self) -> dict[str, Any]:
        """The flags of this cell that are not left to it."""
        return {name: getattr(self, name) for name in CELL_FLAGS.get(self.cell, ()) if getattr(self, name) is not None}

    @property
    def has_agent(self) -> bool:
        """Whether an agent draws distances: where none does, the most probable ones and sampled ones are the same."""
        return self.cell == "dynamic_skip"

    @property
    def n_chains(self) -> int:
        """Chains of the final evaluation's mixture; 1, for none, where no distance is random."""
        is_random = self.cell in ("dynamic_skip", "random_skip") and self.n_actions > 1
        return self.eval_samples if is_random else 1

    @property
    def unread(self) -> set[str]:
        """The flags that nothing reads, with the cell and the estimator that were chosen."""
        return {name for chooser, readers in READ_BY.items() for name, values in readers.items() if getattr(self, chooser) not in values}

    @property
    def agent_options(self) -> dict[str, Any]:
        """What `losses.policy_gradient` takes from the flags. Straight through, the agent has no reward, only its entropy."""
        options = {name: getattr(self, name) for name in ("credit", "baseline", "entropy", "rl_weight", "entropy_weight")}
        return options if self.estimator == "policy_gradient" else options | {"rl_weight": 0.0}


def belongs(name: str, chooser: str, owners: Sequence[str], chosen: str) -> InputError:
    to = " or ".join(f"--{chooser} {value}" for value in owners)
    return InputError(f"--{name} belongs to {to}, the {chooser} here is {chosen}: leave it out, or change the {chooser}")


def flags_of_some(flags_of: Mapping[str, Sequence[str]]) -> set[str]:
    return {name for names in flags_of.values() for name in names}
