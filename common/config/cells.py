"""The catalogue of cells: what each is built from, and its options, which are its flags.

To add a cell, add a class with its options and a line in `CELLS`; see common/cells/README.md. On
the command line and in flags.json the options of all cells stand side by side. Nothing here imports
TensorFlow.
"""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from ..choices import (
    ACTIVATIONS,
    BASELINES,
    BASES,
    CREDITS,
    ENTROPIES,
    ESTIMATORS,
    HISTORIES,
    LEAKS,
    OBSERVATIONS,
    POLICY_GRADIENT,
    VARIANTS,
)
from .flags import setting

options = dataclasses.dataclass(frozen=True, kw_only=True)


@options
class NoOptions:
    """The options of a cell, an estimator or a model that has none."""


# ---- options that several cells share; tasks give them defaults of their own


@options
class PastState:
    lamda: float = setting(
        1.0, "weight of the chosen past state; the previous one has 1 - lamda", minimum=0, maximum=1
    )


@options
class PastStates(PastState):
    n_actions: int = setting(5, "K, the number of past states to choose from", minimum=1)


@options
class Agent:
    agent_units: int = setting(50, "hidden units of the agent", minimum=1)
    observation: str = setting(
        "previous",
        "the agent conditions on h_{t-1} (paper) or the last K's mean",
        choices=OBSERVATIONS,
    )


@options
class History:
    history: str = setting(
        "carried", "past states at the start of a window: carried over, or zero", choices=HISTORIES
    )


@options
class Zoneout:
    """Of the cells with a gradient written for them."""

    zoneout: list[float] = setting(
        [0.0, 0.0], "probabilities that c and that h stay as they are", minimum=0, maximum=1
    )


@options
class Estimator:
    estimator: str = setting(
        "policy_gradient",
        "the agent's gradient",
        choices=tuple(ESTIMATORS),
    )


@options
class Objective:
    """Options of the training step, not of the layer: the arguments of `losses.policy_gradient`.

    Tasks use these defaults unless they declare their own.
    """

    reward: str = setting(
        "log_likelihood",
        "reward: log p(truth), the only one",
        choices=("log_likelihood",),
    )
    credit: str = setting(
        POLICY_GRADIENT.credit,
        "return of an action: rewards from its step on, or all",
        choices=CREDITS,
    )
    discount: float = setting(
        POLICY_GRADIENT.discount, "factor on a reward for each step to it", minimum=0, maximum=1
    )
    baseline: str = setting(
        POLICY_GRADIENT.baseline,
        "subtracted from the return: 0, or the other rows' mean",
        choices=BASELINES,
    )
    entropy: str = setting(
        POLICY_GRADIENT.entropy, "entropy of the policy: exact, or from samples", choices=ENTROPIES
    )
    rl_weight: float = setting(
        POLICY_GRADIENT.rl_weight, "weight of the rewards in the agent's return", minimum=0
    )
    train_samples: int = setting(
        1, "samples of each training example, which leave_one_out compares", minimum=1
    )
    entropy_weight: float = setting(
        POLICY_GRADIENT.entropy_weight, "weight of the policy's entropy", minimum=0
    )
    entropy_decay: float = setting(
        1.0, "factor on the entropy weight after each epoch", minimum=0, maximum=1
    )


# What each estimator reads of `Objective`, beyond what all do.
_READ = {
    "reward": ("reward", "credit", "discount", "baseline", "rl_weight", "train_samples"),
    "loss": (),
}
ESTIMATOR_OPTIONS = {name: _READ[learns_from] for name, learns_from in ESTIMATORS.items()}


# ---- options of each cell


@options
class DynamicSkip(Zoneout, Objective, Estimator, History, Agent, PastStates):
    initializers: str | None = setting(
        None, "initial weights as in the release (none: like the network's)", choices=("released",)
    )
    previous_bias: float | None = setting(
        None, "initial bias of distance 1, to start near a plain LSTM (none: as the others)"
    )


@options
class FixedSkip(Zoneout, History, PastState):
    skip: int = setting(3, "distance of the skip connection", minimum=1)


@options
class RandomSkip(Zoneout, History, PastStates):
    pass


@options
class Attention(Zoneout, Agent, PastStates):
    pass


@options
class SkippedUpdates:
    update_cost: float = setting(
        1e-4, "loss per update of the state, summed over a sequence", minimum=0
    )


@options
class TimeDelay:
    delay: int = setting(5, "delay of the second recurrent edge", minimum=2)
    base: str = setting("rnn", "kind of unit: plain or LSTM", choices=BASES)


@options
class Leaky:
    leak: str = setting(
        "fixed", "time constants: drawn at random, or learned from such values", choices=LEAKS
    )


@options
class Clockwork:
    periods: list[int] = setting([1, 2, 4, 8], "period of each group of units", minimum=1)


@options
class SkipRNN:
    skip: int | None = setting(None, "distance of the skip connection (none: no skip)", minimum=1)
    n_matrices: int = setting(1, "number of recurrent matrices, used in turn", minimum=1)
    base: str = setting("rnn", "kind of unit: plain or LSTM", choices=BASES)


@options
class Peephole:
    variant: str = setting("vanilla", "variant of the LSTM (Greff et al. 2015)", choices=VARIANTS)


@options
class Plain:
    activation: str = setting(
        "tanh", "function of the units (the sources: sigmoid)", choices=ACTIVATIONS
    )


@options
class DeepRNN(Plain):
    depth: int = setting(2, "number of layers in a step from state to state", minimum=1)
    shortcut: bool = setting(True, "input and state enter each of these layers, not only the first")
    deep_output: bool = setting(False, "a further layer between state and output")


@options
class Depth:
    depth: int = setting(2, "number of LSTMs stacked within the cell", minimum=1)


@options
class Grid(Depth):
    tied: bool = setting(False, "share one set of weights among the stacked LSTMs")
    priority: str | None = setting(
        None, "depth: computed last, from the new state (none: both at once)", choices=("depth",)
    )


# ---- the catalogue


@dataclasses.dataclass(frozen=True)
class Cell:
    """An entry of the catalogue, selected by `--cell`.

    Attributes:
        made_of: "module:Class" of a layer over sequences, or of a cell that takes one step; a
            module with a leading dot is in this package.
        options: a dataclass of its flags, which are arguments of the layer or cell, except those of
            `Objective` and `initializers`.
        runs_in: the layer that runs a cell over a sequence; it receives the options that it has.
        fixed: further arguments.
        random: whether distances are drawn at random, so that repeated runs of one input differ.
    """

    made_of: str
    options: type = NoOptions
    runs_in: str = ".layers.fast_rnn:FastRNN"
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    random: bool = False


_UPDATES = ".layers.update_skipping_rnn:UpdateSkippingRNN"
CELLS: Mapping[str, Cell] = {
    "dynamic_skip": Cell(".layers.dynamic_skip_lstm:DynamicSkipLSTM", DynamicSkip, random=True),
    "lstm": Cell(".layers.fast_lstm:FastLSTM", Zoneout),
    # As Cho et al. 2014: the reset gate before the product.
    "gru": Cell(".layers.fast_gru:FastGRU", fixed={"reset_after": False}),
    "fixed_skip": Cell(".layers.fixed_skip_lstm:FixedSkipLSTM", FixedSkip),
    "random_skip": Cell(".layers.random_skip_lstm:RandomSkipLSTM", RandomSkip, random=True),
    "attention": Cell(".layers.attention_skip_lstm:AttentionSkipLSTM", Attention),
    "skip_lstm": Cell(".cells.skip_lstm:SkipLSTMCell", SkippedUpdates, runs_in=_UPDATES),
    "skip_gru": Cell(".cells.skip_gru:SkipGRUCell", SkippedUpdates, runs_in=_UPDATES),
    "time_delay": Cell(".cells.time_delay:TimeDelayCell", TimeDelay),
    "leaky": Cell(".cells.leaky:LeakyCell", Leaky),
    "clockwork": Cell(".cells.clockwork:ClockworkCell", Clockwork),
    "skip_rnn": Cell(".cells.skip_rnn:SkipRNNCell", SkipRNN),
    "peephole_lstm": Cell(".cells.peephole_lstm:PeepholeLSTMCell", Peephole),
    "rnn": Cell(".cells.deep_rnn:DeepRNNCell", Plain, fixed={"depth": 1}),
    "deep_rnn": Cell(".cells.deep_rnn:DeepRNNCell", DeepRNN),
    "highway_lstm": Cell(".cells.highway_lstm:HighwayLSTMCell", Depth),
    "grid_lstm": Cell(".cells.grid_lstm:GridLSTMCell", Grid),
}


def names(of: type) -> list[str]:
    """The names of a class's options, in order."""
    return [field.name for field in dataclasses.fields(of)]


def flags_of(some: Iterable[type], without: Iterable[type] = ()) -> type:
    """A dataclass with the options of several classes side by side, each None by default.

    None stands for the default of the chosen class. An option of several classes takes the place
    that the last of them gives it: names of run folders have this order. `without`: classes whose
    options are left out.
    """
    left_out = {name for of in without for name in names(of)}
    found: dict[str, tuple] = {}
    for of in some:
        hints = typing.get_type_hints(of)
        for field in dataclasses.fields(of):
            if field.name not in left_out:
                found.pop(field.name, None)
                flag = dataclasses.field(default=None, metadata=field.metadata)
                found[field.name] = (field.name, hints[field.name] | None, flag)
    return dataclasses.make_dataclass("Flags", found.values(), frozen=True, kw_only=True)
