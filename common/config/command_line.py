"""Parses a command line into a config, and names the run.

Explicit flags override the preset, the preset overrides the defaults of the class.
"""

import dataclasses
import hashlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from ..errors import InputError
from .cells import names
from .flags import Setting, from_dict, hint, settings, show
from .help import Presets, help_text
from .run_config import RunConfig

_LONGEST = (
    120  # characters for the flags in the default name of a run; file systems take 255 in all
)


class _Text(flags.ArgumentParser):
    """Takes the text as it is: `Setting.convert` checks it, for flags and presets alike."""

    def parse(self, argument: str) -> str:
        return argument


def parse(
    config_class: type,
    presets: Presets | None = None,
    argv: Sequence[str] | None = None,
    bare: Sequence[str] = (),
) -> Any:
    """The config that a command line asks for.

    Explicit flags override the preset, the preset overrides the defaults of the class.

    Args:
        config_class: a frozen dataclass of `setting` fields.
        presets: field values by preset name; needed if the class has a field `preset`.
        argv: program name and arguments; `sys.argv` if None.
        bare: the flags that arguments without a flag stand for, in order. One that ends in "..."
            takes all that remain: as the items of a list, or as the lines of a text.

    Raises `InputError`, of one line, for anything that cannot be used. `--help` prints the flags
    that apply to the chosen cell, estimator and so on, `--helpfull` all; both exit with status 0.
    """
    argv, presets = list(sys.argv if argv is None else argv), presets or {}
    known = settings(config_class)
    if asked := {"--help", "-help", "-h", "--helpfull", "-helpfull"} & set(argv[1:]):
        full = not asked.isdisjoint({"--helpfull", "-helpfull"})
        line = [word for word in argv if word not in asked]
        config, why = (None, "") if full else _chosen(config_class, presets, line)
        print(help_text(config_class, presets, argv[0], config, bare))
        if why:
            print(f"\nthese are the flags of the defaults, because {why}")
        raise SystemExit(0)

    given = _given(known, argv, bare)
    values = _preset_values(config_class, presets, given)
    config = from_dict(config_class, values | given)
    if not isinstance(config, RunConfig):
        return config
    stands = {name: one.convert(values.get(name, one.default)) for name, one in known.items()}
    changed = {name: known[name].convert(text) for name, text in given.items()}
    changed = {name: value for name, value in changed.items() if value != stands[name]}
    # the default again, in place of a preset's value that does not suit what else is given
    config.check_read([name for name, value in changed.items() if value != known[name].default])
    if not config.run_dir:
        name = _run_name(config, changed)
        config = dataclasses.replace(config, run_dir=os.path.join("runs", config.task, name))
    return config


def _preset_values(
    config_class: type, presets: Presets, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of the preset, without the options of its cell (or the like) if another is given.

    {} for a class without presets. Raises `InputError` for one that there is not.
    """
    known = settings(config_class)
    if "preset" not in known:
        return {}
    name = given.get("preset", known["preset"].default)
    if name not in presets:
        raise InputError(
            f"--preset expects one of {', '.join(presets)}; got {name!r}{hint(name, presets)}"
        )
    preset = presets[name]
    values = dict(preset)
    for chooser, options in getattr(config_class, "options", {}).items():
        own = preset.get(chooser, known[chooser].default)
        if given.get(chooser, own) != own:
            meant = {
                name for of in options.values() for name in names(of) if known[name].default is None
            }
            values = {name: value for name, value in values.items() if name not in meant}
    return values


def _run_name(config: RunConfig, changed: Mapping[str, Any]) -> str:
    """A folder name that distinguishes runs: preset, cell, changed flags, seed.

    Only flags that affect the result are part of it.

    Flags are in the order of the fields, whatever order they were typed in. If the name is too long
    for a file system, it is cut and ends in a hash of the whole.
    """
    # entropy_decay last: there it stood in the names of the first runs that had it
    known = sorted(settings(type(config)).values(), key=lambda one: one.name == "entropy_decay")
    parts = [
        _name_part(one.name, changed[one.name])
        for one in known
        if one.affects_result and one.name in changed and one.name not in ("preset", "cell", "seed")
    ]
    text = "-".join(parts)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return "-".join([config.preset, config.cell, *([text] if text else []), f"seed{config.seed}"])


def _name_part(name: str, value: Any) -> str:
    """One flag in the name of a folder: lamda0.5, nojit_compile, reward_sign, data_dir_ptb.

    A path is represented by its last part.
    """
    if isinstance(value, bool):
        return name if value else f"no{name}"
    text = f"{value:.15g}" if isinstance(value, float) else show(value)
    text = text.rstrip("/").rpartition("/")[2]
    text = "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter in "-._+," else "_"
        for letter in text
    )
    return name + (text if text[:1].isdigit() else f"_{text}")


def _given(
    known: dict[str, Setting], argv: list[str], bare: Sequence[str]
) -> dict[str, str | list[str]]:
    """The text of every flag on the command line, and of the arguments without a flag.

    `bare` names the flags that those arguments stand for, unless they are given by name.
    """
    values = (
        flags.FlagValues()
    )  # not the process-wide one: several configs can be read in one process
    values.set_gnu_getopt()  # flags may follow words
    for one in known.values():
        if one.is_switch:
            flags.DEFINE_boolean(one.name, None, one.help, flag_values=values)
        else:
            flags.DEFINE(_Text(), one.name, None, one.help, flag_values=values)
    try:
        rest = values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        raise InputError(
            f"unknown flag --{error.flagname}{hint(error.flagname, known)}; --help lists them"
        ) from None
    except flags.Error as error:
        if switch := re.match(r"flag --(\w+)=(.*): \('Non-boolean ", str(error)):
            known[switch[1]].convert(switch[2])  # says it better
        raise InputError(str(error)) from None
    given = {name: values[name].value for name in known if values[name].present}
    for name in bare:
        if not rest or name.removesuffix("...") in given:
            continue
        if name.endswith("..."):
            name = name.removesuffix("...")
            given[name], rest = rest if known[name].is_list else "\n".join(rest), []
        else:
            given[name], *rest = rest
    if rest:
        raise InputError(
            f"expected {'flags' if bare else 'flags only'} (--name=value; --name or --noname for a"
            f" switch), found {rest[0]!r}"
        )
    return given


def _chosen(config_class: type, presets: Presets, argv: list[str]) -> tuple[Any, str]:
    """The config for the preset, cell and so on of a line; or the default one, and the mistake."""
    if not issubclass(config_class, RunConfig):
        return config_class(), ""
    known = settings(config_class)
    try:
        given = _given(known, argv, ())
        given = {name: text for name, text in given.items() if name in config_class.choosers()}
        return from_dict(config_class, _preset_values(config_class, presets, given) | given), ""
    except InputError as error:
        return config_class(), str(error)
