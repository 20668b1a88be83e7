"""The settings that every training run has, and which of them the chosen cell reads.

Nothing here imports TensorFlow.
"""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from ..choices import ESTIMATORS, POLICY_GRADIENT
from ..errors import InputError
from . import cells
from .cells import CELLS, Cell
from .flags import Setting, setting, settings

# Retired flags and their neutral values, which stored runs may still have.
RETIRED: dict[str, Any] = {"softmaxes": 1, "enumerate": 1.0}
# A table of many cells gives its sizes once: accepted with a cell that does not read it.
_WITH_ANY_CELL = {"agent_units"}
_SHARED = (cells.Objective, cells.Estimator, cells.History, cells.Agent, cells.PastStates)
_OwnOptions = cells.flags_of((cell.options for cell in CELLS.values()), without=_SHARED)


@cells.options
class _Start:  # a base of its own, so that these fields come first
    preset: str = setting("paper", "named set of defaults")
    cell: str = setting("dynamic_skip", "recurrent cell", choices=tuple(CELLS))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(
    cells.Objective,
    cells.Estimator,
    cells.History,
    cells.Agent,
    _OwnOptions,
    cells.PastStates,
    _Start,
):
    """The settings of a training run; a task subclasses it, overrides defaults and adds its own.

    It has the options of all cells. Those of the chosen cell have its defaults unless given; those
    that belong only to other cells are None.
    """

    task: typing.ClassVar[str] = "task"
    # Flags whose value brings options of its own, and the options of each value.
    options: typing.ClassVar[Mapping[str, Mapping[str, type]]] = {
        "cell": {name: cell.options for name, cell in CELLS.items()}
    }
    # Flags without effect in this task, and why.
    without_effect: typing.ClassVar[Mapping[str, str]] = {}

    rnn_size: int = setting(200, "units of a recurrent layer", minimum=1)
    max_epochs: int = setting(10, "maximum passes over the training data", minimum=1)
    batch_size: int = setting(20, "sequences in a batch", minimum=1)
    learning_rate: float = setting(1e-3, "initial learning rate", minimum=0)
    max_grad_norm: float = setting(
        5.0, "largest global norm of the gradients (0: no clipping)", minimum=0
    )
    dropout: float = setting(0.0, "probability of dropping a unit", minimum=0, maximum=0.999)
    seed: int = setting(0, "seed of every random number", minimum=0, maximum=2**31 - 1)
    data_dir: str = setting("", "folder with the data (empty: the default place)", path=True)
    run_dir: str = setting(
        "",
        "folder of this run (empty: runs/TASK/PRESET-CELL-OTHER_FLAGS-seedN)",
        affects_result=False,
        path=True,
    )
    recover: int = setting(
        0,
        "retries after NaN or Inf: last good checkpoint, half the learning rate",
        minimum=0,
        affects_result=False,
    )
    eval_samples: int = setting(
        1,
        "sampled chains in the mixture of the final evaluation (1: no mixture)",
        minimum=1,
        affects_result=False,
    )
    mc_dropout: bool = setting(
        False, "with masks of dropout in that mixture, as in training", affects_result=False
    )
    max_train_steps: int = setting(0, "maximum training steps (0: no limit)", minimum=0)
    print_every: int = setting(
        100, "steps between lines of progress", minimum=1, affects_result=False
    )
    checkpoint_seconds: float = setting(
        60.0, "seconds between checkpoints", minimum=0, affects_result=False
    )
    tensorboard: bool = setting(True, "write summaries for TensorBoard", affects_result=False)
    jit_compile: bool | None = setting(
        None, "yes: XLA compiles the step; no: not even recurrences (default: the faster)"
    )
    mixed_precision: bool = setting(False, "compute in 16 bits, keep the weights in 32")
    deterministic: bool = setting(
        False, "equal numbers from equal commands, also on a GPU (slower there)"
    )
    strategy: str = setting(
        "none",
        "GPUs here, or machines of TF_CONFIG or Slurm",
        choices=("none", "mirrored", "multi_worker"),
    )

    def __post_init__(self):
        """Gives the chosen options their defaults.

        Raises `InputError` for an option of another cell, for a flag without effect, for flags that
        exclude each other, and for more groups of units than units.
        """
        known = settings(type(self))
        given = {name for name, one in known.items() if getattr(self, name) is not None}
        given = {name for name in given if known[name].default is None}
        self.check_read(given - self.chosen_options.keys())  # a copy has their defaults
        for name, value in with_defaults(type(self), vars(self)).items():
            object.__setattr__(self, name, value)
        for name, why in self.without_effect.items():
            if getattr(self, name) != known[name].default:
                raise InputError(f"--{name} has no effect here ({why}): leave it out")
        if self.mc_dropout and (self.eval_samples == 1 or self.dropout == 0):
            raise InputError(
                "--mc_dropout mixes predictions of networks without some of their units: give"
                " --eval_samples (evaluate.py: --samples), 2 or more, and a --dropout above 0, or"
                " --nomc_dropout"
            )
        if self.discount != 1 and self.credit == "total":
            raise InputError(
                f"--discount {self.discount} expects --credit to_go, got total: leave one of"
                " them out"
            )
        if self.zoneout is not None and len(self.zoneout) != 2:
            raise InputError(
                "--zoneout expects two probabilities, of c and of h, such as 0.5,0.05; got"
                f" {len(self.zoneout)}"
            )
        if self.periods is not None and not 1 <= len(self.periods) <= self.rnn_size:
            raise InputError(
                f"--periods expects from 1 to {self.rnn_size} numbers (--rnn_size), "
                f"got {len(self.periods)}"
            )

    @classmethod
    def choosers(cls) -> list[str]:
        """The flags whose value decides which other flags are read."""
        return ["preset", *cls.options, "estimator"]

    @classmethod
    def readers(cls) -> dict[str, dict[str, list[str]]]:
        """For each flag that is not always read, the choices with which it is read."""
        reads = {
            chooser: {value: cells.names(of) for value, of in options.items()}
            for chooser, options in cls.options.items()
        }
        found: dict[str, dict[str, list[str]]] = {}
        for chooser, names_of in {**reads, "estimator": cells.ESTIMATOR_OPTIONS}.items():
            for value, names in names_of.items():
                for name in names:
                    found.setdefault(name, {}).setdefault(chooser, []).append(value)
        return found

    @property
    def unread(self) -> set[str]:
        """The flags that nothing reads, with the cell, estimator and so on that were chosen."""
        found = {
            name
            for name, by in self.readers().items()
            if any(getattr(self, chooser) not in values for chooser, values in by.items())
        }
        return found | ({"mc_dropout"} if self.eval_samples == 1 else set())

    def check_read(self, given: Iterable[str]) -> None:
        """Raises `InputError` if one of the given flags is not read."""
        for name in sorted(self.unread.intersection(given) - _WITH_ANY_CELL):
            for chooser, values in self.readers().get(name, {}).items():
                if (chosen := getattr(self, chooser)) not in values:
                    to = " or ".join(
                        f"--{chooser} {value}" if value != "" else f"runs without --{chooser}"
                        for value in values
                    )
                    raise InputError(
                        f"--{name} belongs to {to}, the {chooser} here is {chosen}: "
                        f"leave it out, or change the {chooser}"
                    )

    @property
    def chosen_options(self) -> dict[str, Setting]:
        """The options of the chosen cell, model and so on."""
        chosen = [options[getattr(self, chooser)] for chooser, options in self.options.items()]
        return {name: one for of in chosen for name, one in settings(of).items()}

    def layer(self, cell: str | None = None) -> tuple[Cell, dict[str, Any]]:
        """The catalogue's entry of `--cell` and its options; or of `cell`.

        Options that `cell` does not share with the chosen one have their defaults.
        """
        entry = CELLS[cell or self.cell]
        of = {name: entry.options() for name in cells.names(entry.options)}
        of |= {name: self for name in cells.names(CELLS[self.cell].options) if name in of}
        names = [name for name in of if name not in cells.names(cells.Objective)]
        return entry, {name: getattr(of[name], name) for name in names}

    @property
    def has_agent(self) -> bool:
        """Whether an agent draws distances, from at least two."""
        return issubclass(CELLS[self.cell].options, cells.Estimator) and self.n_actions > 1

    @property
    def draws_masks(self) -> bool:
        """Whether the chains of a mixture have masks of dropout (Gal & Ghahramani's MC dropout)."""
        return self.mc_dropout

    @property
    def is_random(self) -> bool:
        """Whether predictions can be random, so that several of them make a mixture."""
        return self.draws_masks or (CELLS[self.cell].random and self.n_actions > 1)

    @property
    def n_chains(self) -> int:
        """Chains in the mixture of the final evaluation; 1 if nothing is random."""
        return self.eval_samples if self.is_random else 1

    @property
    def agent_options(self) -> dict[str, Any]:
        """Arguments of `losses.policy_gradient`.

        An estimator without a reward has of it the entropy alone, by the defaults.
        """
        options = {name: getattr(self, name) for name in cells.names(cells.Objective)}
        options["n_samples"] = options.pop("train_samples")
        del options["entropy_decay"], options["reward"]
        if self._has_reward:
            return options
        default = {
            name: getattr(POLICY_GRADIENT, name) for name in ("credit", "discount", "baseline")
        }
        return options | default | {"rl_weight": 0.0, "n_samples": 1}

    @property
    def _has_reward(self) -> bool:
        """Whether agents have one; one that reads no --estimator, which a preset gave, has."""
        return "estimator" in self.unread or ESTIMATORS[self.estimator] == "reward"

    def schedule(self, epoch: int, learning_rate: float | None = None) -> dict[str, float]:
        """What changes from epoch to epoch: the learning rate, if given; the entropy's weight."""
        found = {"learning_rate": self.learning_rate if learning_rate is None else learning_rate}
        if self.entropy_decay == 1:
            return found
        return found | {"entropy_weight": self.entropy_weight * self.entropy_decay**epoch}

    @property
    def n_train_samples(self) -> int:
        """Samples of each example in training; 1 without an agent that has a reward."""
        return self.train_samples if self.has_agent and self._has_reward else 1


def with_defaults(config_class: type, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags; options that are None get the default of the chosen cell or the like."""
    flags = dict(flags)
    for chooser, options in getattr(config_class, "options", {}).items():
        chosen = options.get(str(flags.get(chooser)), cells.NoOptions)
        for name, one in settings(chosen).items():
            if flags.get(name) is None:
                flags[name] = one.default
    return flags


def of_today(config_class: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of a stored run, as a run of today has them.

    A flag that the run lacks is newer than the run; its default is the behaviour of that time. None
    stands for the default of the chosen cell. A retired flag is left out if it had its neutral
    value.
    """
    retired = {
        name for name, neutral in RETIRED.items() if name in stored and stored[name] == neutral
    }
    defaults = {name: one.default for name, one in settings(config_class).items()}
    return with_defaults(
        config_class, defaults | {name: stored[name] for name in stored if name not in retired}
    )
