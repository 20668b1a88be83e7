"""The config that a command line asks for: explicit flags over the preset over the defaults of the class; `--help`; the name of a run."""

import dataclasses
import hashlib
import os
import shutil
import sys
import textwrap
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from ..errors import InputError
from .flags import Setting, from_dict, hint, settings, show
from .run_config import READ_BY, RunConfig, belongs, flags_of_some

_LONGEST = 120  # characters for the flags in the default name of a run; file systems take 255 in all
Presets = Mapping[str, Mapping[str, Any]]


class _Text(flags.ArgumentParser):
    """Takes the text as it is: `Setting.convert` does the rest, for flags and presets alike."""

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
      bare: the flags that words without a flag stand for, in order. One that ends in "..." takes all that are left: a list
        has each of them, a text has a line of each.

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
            raise InputError(f"--preset expects one of {', '.join(presets)}; got {preset!r}{hint(preset, presets)}")
        values |= _preset_values(config_class, presets[preset], given)
    config = from_dict(config_class, values | given)
    if not isinstance(config, RunConfig):
        return config
    start = from_dict(config_class, values)
    for chooser, readers in READ_BY.items():
        for name, values in readers.items():
            if (chosen := getattr(config, chooser)) not in values and getattr(config, name) != getattr(start, name):
                raise belongs(name, chooser, values, chosen)
    if not config.run_dir:
        config = dataclasses.replace(config, run_dir=os.path.join("runs", config.task, _run_name(config, start)))
    return config


def _preset_values(config_class: type, preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a preset says, without the flags of its cell (or the like) where another one is given: they were meant for its own."""
    values = dict(preset)
    for chooser, flags_of in getattr(config_class, "belonging", {}).items():
        own = preset.get(chooser, settings(config_class)[chooser].default)
        if given.get(chooser, own) != own:
            values = {name: value for name, value in values.items() if name not in flags_of_some(flags_of)}
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
    text = f"{value:.15g}" if isinstance(value, float) else show(value)
    text = text.rstrip("/").rpartition("/")[2]
    text = "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "-._+," else "_" for letter in text)
    return name + (text if text[:1].isdigit() else f"_{text}")


def _given(known: dict[str, Setting], argv: list[str], bare: Sequence[str]) -> dict[str, str | list[str]]:
    """The text of every flag on the command line, and of the words that stand for those flags of `bare` that it has not."""
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
        raise InputError(f"unknown flag --{error.flagname}{hint(error.flagname, known)}; --help lists them") from None
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from None
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
        raise InputError(f"expected {'flags' if bare else 'flags only'} (--name=value; --name or --noname for a switch), found {rest[0]!r}")
    return given


def help_text(config_class: type, presets: Presets | None = None, program: str = "") -> str:
    """What `--help` prints: every flag with its type, default and limits, then the presets."""
    width = max(40, min(110, shutil.get_terminal_size((110, 24)).columns))
    summary = (config_class.__doc__ or "").split("\n")[0]
    lines = [f"usage: python {program or 'PROGRAM'} [--flag=value ...]", "", summary, ""]
    for one in settings(config_class).values():
        if one.name in getattr(config_class, "without_effect", {}):
            continue
        limits = [f"default {show(one.default)}"]
        if one.name == "preset" and presets:
            limits.append("one of " + ", ".join(presets))
        if one.choices is not None:
            limits.append("one of " + ", ".join(map(str, one.choices)))
        bounds = (("min", one.minimum), ("max", one.maximum))
        limits += [f"{word} {bound}" for word, bound in bounds if bound is not None]
        lines.append(f"  --{'[no]' if one.type is bool else ''}{one.name}  ({one.type_name})")
        lines.append(textwrap.fill(f"{one.help} [{'; '.join(limits)}]", width, initial_indent=" " * 6,
                                   subsequent_indent=" " * 6))  # fmt: skip
    if presets:
        lines += ["", "presets (an explicit flag wins over them):"]
        for name, values in presets.items():
            shown = " ".join(f"{field}={show(value)}" for field, value in values.items()) or "the defaults above"
            lines.append(textwrap.fill(f"{name}: {shown}", width, initial_indent="  ", subsequent_indent=" " * 6))
    return "\n".join(lines)
