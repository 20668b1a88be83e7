"""Flags from a dataclass, and the wrapper around every entrypoint.

An entrypoint is a config dataclass, its presets and one call of `main`. What travels further is the config, never a
flag. Nothing here imports TensorFlow, so a mistyped flag is answered at once.
"""

import dataclasses
import difflib
import errno
import hashlib
import importlib
import math
import os
import signal
import sys
import textwrap
import threading
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from .choices import BASELINES, CREDITS, ENTROPIES, ESTIMATORS, HISTORIES, OBSERVATIONS
from .errors import InputError

_LONGEST = 120  # characters for the flags in the default name of a run; file systems take 255 in all

Presets = Mapping[str, Mapping[str, Any]]

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


def setting(
    default: Any,
    help: str | None = None,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] | None = None,
    affects_result: bool | None = None,
) -> Any:
    """A dataclass field that is a flag: its default, help text, bounds (inclusive) and choices.

    `affects_result=False` marks what may change when a run is resumed. A subclass that declares the field anew, with
    `setting` or a bare default, inherits whatever it does not give.
    """
    given = {
        "help": help, "minimum": minimum, "maximum": maximum, "choices": choices, "affects_result": affects_result
    }  # fmt: skip
    metadata = {name: value for name, value in given.items() if value is not None}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


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
    data_dir: str = setting("", "folder with the data (empty: the default place)")
    run_dir: str = setting(
        "", "folder of this run (empty: runs/<task>/<preset>-<cell>-<other flags>-seed<seed>)", affects_result=False
    )
    recover: int = setting(
        0, "where a number is not finite: go back to the last good checkpoint, halve the learning rate, at most so many times", minimum=0,
        affects_result=False,
    )  # fmt: skip
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
            for name in sorted(_flags_of_some(flags_of) - set(flags_of.get(chosen, ()))):
                if getattr(self, name) is not None:
                    raise _belongs(name, chooser, [value for value, names in flags_of.items() if name in names], chosen)
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
    def unread(self) -> set[str]:
        """The flags that nothing reads, with the cell and the estimator that were chosen."""
        return {name for chooser, readers in READ_BY.items() for name, values in readers.items() if getattr(self, chooser) not in values}

    @property
    def agent_options(self) -> dict[str, Any]:
        """What `losses.policy_gradient` takes from the flags. Straight through, the agent has no reward, only its entropy."""
        options = {name: getattr(self, name) for name in ("credit", "baseline", "entropy", "rl_weight", "entropy_weight")}
        return options if self.estimator == "policy_gradient" else options | {"rl_weight": 0.0}


def _belongs(name: str, chooser: str, owners: Sequence[str], chosen: str) -> InputError:
    to = " or ".join(f"--{chooser} {value}" for value in owners)
    return InputError(f"--{name} belongs to {to}, the {chooser} here is {chosen}: leave it out, or change the {chooser}")


def _flags_of_some(flags_of: Mapping[str, Sequence[str]]) -> set[str]:
    return {name for names in flags_of.values() for name in names}


class Terminated(KeyboardInterrupt):
    """SIGTERM has come. A trainer catches `KeyboardInterrupt`, saves, and raises it again: that covers both."""


# ---------------------------------------------------------------------------------------------------- fields and values


@dataclasses.dataclass(frozen=True)
class _Setting:
    """One field of a config class, with what it inherits from the classes above."""

    name: str
    type: Any
    default: Any
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[Any] | None = None
    affects_result: bool = True

    @property
    def type_name(self) -> str:
        return self.type.__name__ if isinstance(self.type, type) else str(self.type)

    def convert(self, value: Any) -> Any:
        """The value, typed and checked; from the text of a flag, or from Python or JSON."""
        try:
            value = _convert(self.type, value)
        except (KeyError, ValueError, TypeError, OverflowError):
            raise InputError(f"--{self.name} expects {_describe(self.type)}, got {value!r}") from None
        for one in value if isinstance(value, list | tuple) else [value]:
            self._check(one)
        return value

    def _check(self, value: Any) -> None:
        if value is None:
            return
        if self.choices is not None and value not in self.choices:
            hint = _hint(str(value), map(str, self.choices))
            raise InputError(f"--{self.name} expects one of {', '.join(map(str, self.choices))}; got {value!r}{hint}")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{self.name} expects a finite number, got {value}")
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f">= {low}" if high is None else f"<= {high}" if low is None else f"from {low} to {high}"
            raise InputError(f"--{self.name} expects a value {bounds}, got {value}")


def _convert(kind: Any, value: Any) -> Any:
    options = typing.get_args(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:  # X | None
        if value is None or (isinstance(value, str) and value.lower() in ("", "none")):
            return None
        return _convert(next(option for option in options if option is not type(None)), value)
    if typing.get_origin(kind) in (list, tuple):
        parts = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        return typing.get_origin(kind)(_convert(options[0], part) for part in parts)
    if kind is bool:
        if isinstance(value, str):
            return {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}[value.lower()]
        if not isinstance(value, bool):
            raise TypeError
        return value
    if kind is str:
        if not isinstance(value, str):
            raise TypeError
        return value
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise TypeError
    return kind(value)


def _describe(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if kind in names:
        return names[kind]
    parts = [part for part in typing.get_args(kind) if part not in (type(None), Ellipsis)]
    if typing.get_origin(kind) in (list, tuple):
        return f"{ {int: 'whole numbers', float: 'numbers'}.get(parts[0], 'values') } separated by commas"
    return f"{_describe(parts[0])} or none"


def _hint(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def settings(config_class: type) -> dict[str, _Setting]:
    """The settings of a config class by name, with their defaults, help texts, bounds and choices."""
    hints = typing.get_type_hints(config_class)
    found = {}
    for field in dataclasses.fields(config_class):
        metadata: dict[str, Any] = {}
        for base in reversed(config_class.__mro__):
            declared = vars(base).get("__dataclass_fields__", {}).get(field.name)
            metadata |= declared.metadata if declared else {}
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if default is dataclasses.MISSING:
            raise TypeError(f"{config_class.__name__}.{field.name} needs a default")
        found[field.name] = _Setting(name=field.name, type=hints[field.name], default=default, **metadata)
    return found


def from_dict(config_class: type, values: Mapping[str, Any]) -> Any:
    """The config with these values, each typed and checked; what is not named keeps its default.

    Raises `InputError` for a name that the class does not have or a value out of its bounds.
    """
    known = settings(config_class)
    for name in values:
        if name not in known:
            raise InputError(f"{config_class.__name__} has no setting {name!r}{_hint(name, known)}")
    return config_class(**{name: one.convert(values.get(name, one.default)) for name, one in known.items()})


# ------------------------------------------------------------------------------------------------------------- parsing


class _Text(flags.ArgumentParser):
    """Takes the text as it is: `_Setting.convert` does the rest, for flags and presets alike."""

    def parse(self, argument: str) -> str:
        return argument


def parse(
    config_class: type,
    presets: Presets | None = None,
    argv: Sequence[str] | None = None,
    bare: Sequence[str] = (),
) -> Any:
    """The config that a command line asks for: explicit flags over the preset over the defaults of the class.

    Args:
      config_class: a frozen dataclass of `setting` fields.
      presets: field values by preset name; needed if the class has a field `preset`.
      argv: program name and arguments; `sys.argv` if None.
      bare: the flags that words without a flag stand for, in order. A field that ends in "..." takes all that are left, a line each.

    Raises `InputError`, one line, for anything that cannot be used. `--help` prints the flags and leaves with status 0.
    """
    argv, presets = list(sys.argv if argv is None else argv), presets or {}
    known = settings(config_class)
    if {"--help", "-help", "-h"} & set(argv[1:]):
        print(help_text(config_class, presets, argv[0]))
        raise SystemExit(0)

    given = _given(known, argv, bare)
    values: dict[str, Any] = {}
    if "preset" in known:
        preset = given.get("preset", known["preset"].default)
        if preset not in presets:
            raise InputError(f"--preset expects one of {', '.join(presets)}; got {preset!r}{_hint(preset, presets)}")
        values |= _preset_values(config_class, presets[preset], given)
    config = from_dict(config_class, values | given)
    if not isinstance(config, RunConfig):
        return config
    start = from_dict(config_class, values)
    for chooser, readers in READ_BY.items():
        for name, values in readers.items():
            if (chosen := getattr(config, chooser)) not in values and getattr(config, name) != getattr(start, name):
                raise _belongs(name, chooser, values, chosen)
    if not config.run_dir:
        config = dataclasses.replace(config, run_dir=os.path.join("runs", config.task, _run_name(config, start)))
    return config


def _preset_values(config_class: type, preset: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """What a preset says, without the flags of its cell (or the like) where another one is given: they were meant for its own."""
    values = dict(preset)
    for chooser, flags_of in getattr(config_class, "belonging", {}).items():
        own = preset.get(chooser, settings(config_class)[chooser].default)
        if given.get(chooser, own) != own:
            values = {name: value for name, value in values.items() if name not in _flags_of_some(flags_of)}
    return values


def _run_name(config: RunConfig, start: RunConfig) -> str:
    """A folder's name that tells runs apart: preset, cell, what else differs from the preset and affects the result, seed.

    The order is that of the fields, so it does not depend on how the command was typed. A name too long for a file system
    ends in a digest of the whole.
    """
    parts = []
    for one in settings(type(config)).values():
        value = getattr(config, one.name)
        if one.affects_result and one.name not in ("preset", "cell", "seed") and value != getattr(start, one.name):
            parts.append(_name_part(one.name, value))
    text = "-".join(parts)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return "-".join([config.preset, config.cell, *([text] if text else []), f"seed{config.seed}"])


def _name_part(name: str, value: Any) -> str:
    """One flag in the name of a folder: lamda0.5, nojit_compile, reward_sign, data_dir_ptb (of a path the last part)."""
    if isinstance(value, bool):
        return name if value else f"no{name}"
    text = f"{value:.15g}" if isinstance(value, float) else _show(value)
    text = text.rstrip("/").rpartition("/")[2]
    text = "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "-._+," else "_" for letter in text)
    return name + (text if text[:1].isdigit() else f"_{text}")


def _given(known: dict[str, _Setting], argv: list[str], bare: Sequence[str]) -> dict[str, str]:
    """The text of every flag on the command line, and of the words that stand for the flags `bare`."""
    values = flags.FlagValues()  # not the process-wide one: several configs can be read in one process
    values.set_gnu_getopt()  # flags may follow words
    for one in known.values():
        if bool in (one.type, *typing.get_args(one.type)):
            flags.DEFINE_boolean(one.name, None, one.help, flag_values=values)
        else:
            flags.DEFINE(_Text(), one.name, None, one.help, flag_values=values)
    try:
        rest = values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        raise InputError(f"unknown flag --{error.flagname}{_hint(error.flagname, known)}; --help lists them") from None
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from None
    given = {name: values[name].value for name in known if values[name].present}
    for name in bare:
        if rest and name.endswith("..."):
            given, rest = {name.removesuffix("..."): "\n".join(rest)} | given, []
        elif rest:
            given, rest = {name: rest[0]} | given, rest[1:]
    if rest:
        raise InputError(f"expected {'flags' if bare else 'flags only'} (--name=value; --name or --noname for a switch), found {rest[0]!r}")
    return given


def help_text(config_class: type, presets: Presets | None = None, program: str = "") -> str:
    """What `--help` prints: every flag with its type, default and limits, then the presets."""
    summary = (config_class.__doc__ or "").split("\n")[0]
    lines = [f"usage: python {program or 'PROGRAM'} [--flag=value ...]", "", summary, ""]
    for one in settings(config_class).values():
        if one.name in getattr(config_class, "without_effect", {}):
            continue
        limits = [f"default {_show(one.default)}"]
        if one.name == "preset" and presets:
            limits.append("one of " + ", ".join(presets))
        if one.choices is not None:
            limits.append("one of " + ", ".join(map(str, one.choices)))
        bounds = (("min", one.minimum), ("max", one.maximum))
        limits += [f"{word} {bound}" for word, bound in bounds if bound is not None]
        lines.append(f"  --{'[no]' if one.type is bool else ''}{one.name}  ({one.type_name})")
        lines.append(textwrap.fill(f"{one.help} [{'; '.join(limits)}]", 110, initial_indent=" " * 6,
                                   subsequent_indent=" " * 6))  # fmt: skip
    if presets:
        lines += ["", "presets (an explicit flag wins over them):"]
        for name, values in presets.items():
            shown = " ".join(f"{field}={_show(value)}" for field, value in values.items()) or "the defaults above"
            lines.append(textwrap.fill(f"{name}: {shown}", 110, initial_indent="  ", subsequent_indent=" " * 6))
    return "\n".join(lines)


def _show(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return '""' if value == "" else str(value)


# ---------------------------------------------------------------------------------------------------------- entrypoint

# What the machine, not the program, is to be blamed for: no space, over quota, no permission, read-only ...
_ENVIRONMENT = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
# ... and what a path that was given is: in the way of a folder, no folder, a folder, nowhere, too long.
_PATH = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG)


def main(
    config_class: type,
    presets: Presets | None,
    train: Callable[[Any], Any] | str,
    argv: Sequence[str] | None = None,
    bare: Sequence[str] = (),
) -> None:
    """Read the flags, then call `train(config)`: the whole body of an entrypoint.

    `train` is the function, or "module:function", imported only once the flags are accepted (TensorFlow takes seconds).
    The other arguments are those of `parse`.
    Bad input, a full disk or a missing permission end with one line on stderr and status 2; Ctrl-C and SIGTERM with
    status 130 and 143, after the trainer had its chance to save (see `Terminated`). Errors of the program itself keep
    their traceback.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    config = None
    try:
        with _sigterm_raises():
            config = parse(config_class, presets, argv, bare)
            if isinstance(train, str):
                module, name = train.split(":")
                train = getattr(importlib.import_module(module), name)
            train(config)
    except InputError as error:
        _leave(f"error: {' '.join(str(error).split())}", 2)
    except KeyboardInterrupt as error:
        how = ": run the same command to go on" if isinstance(config, RunConfig) else ""
        _leave(f"interrupted{how}", 143 if isinstance(error, Terminated) else 130)
    except UnicodeDecodeError as error:  # files are read by `text.py`, which names the line: this is standard input
        byte = error.object[error.start]
        _leave(f"error: standard input: expected UTF-8 text, found byte 0x{byte:02x} ({error.reason}); convert it to UTF-8", 2)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        if error.errno in _PATH and where:
            _leave(f"error: {error.strerror}{where}; name another file or folder", 2)
        if error.errno not in _ENVIRONMENT:
            raise
        _leave(f"error: {error.strerror}{where}; make room or give access there, then run the same command again", 2)


def _leave(line: str, status: int) -> typing.NoReturn:
    print(line, file=sys.stderr, flush=True)
    raise SystemExit(status) from None


class _sigterm_raises:
    """While it lasts, SIGTERM raises `Terminated` in the main thread."""

    def __enter__(self):
        self.main_thread = threading.current_thread() is threading.main_thread()
        if self.main_thread:
            self.before = signal.signal(signal.SIGTERM, self._raise)

    def __exit__(self, *_: object):
        if self.main_thread:
            signal.signal(signal.SIGTERM, self.before)

    @staticmethod
    def _raise(*_: object) -> typing.NoReturn:
        raise Terminated
