"""What `--help` and `--helpfull` print."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from .cells import names
from .flags import Setting, settings, show
from .run_config import RunConfig

Presets = Mapping[str, Mapping[str, Any]]


def help_text(
    config_class: type, presets: Presets | None = None, program: str = "PROGRAM", config: Any = None
) -> str:
    """A row for every flag, with its default as it is typed, and the presets.

    Args:
      config_class, presets: as for `parse`. program: the script's name.
      config: shown are the flags that it reads, with its values as their defaults. None: all
        flags, with what they belong to.
    """
    known = settings(config_class)
    width = max(40, min(110, shutil.get_terminal_size((110, 24)).columns))
    summary = textwrap.wrap((config_class.__doc__ or "").split("\n")[0], width)
    lines = [f"usage: python {program} [--flag=value ...]", "", *summary, ""]
    hidden, readers = {*getattr(config_class, "without_effect", {})}, {}
    if isinstance(config, RunConfig):
        hidden |= config.unread
        known |= config.chosen_options
        choosers = {
            chooser: getattr(config, chooser)
            for chooser in config.choosers()
            if chooser not in hidden
        }
        how = " ".join(f"--{name}={value}" for name, value in choosers.items())
        lines += textwrap.wrap(
            f"flags and their defaults with {how} (all flags: --helpfull):", width
        )
    elif issubclass(config_class, RunConfig):
        readers = config_class.readers()
        lines.append("flags and their defaults:")
    first = ["preset", *getattr(config_class, "options", {})]
    for name in dict.fromkeys([*first, *known]):
        if name not in known or name in hidden:
            continue
        one = known[name]
        defaults = _defaults(config_class, name) if config is None else [getattr(config, name)]
        limits = [one.limits] * bool(one.limits)
        limits += [
            f"with --{chooser} {', '.join(values)}"
            for chooser, values in readers.get(name, {}).items()
        ]
        lines += _row(
            _typed(one, defaults), " ".join([one.help, *(f"[{limit}]" for limit in limits)]), width
        )
    if presets:
        lines += ["", "presets (an explicit flag wins):"]
        for name, values in presets.items():
            shown = (
                " ".join(f"{field}={show(value)}" for field, value in values.items())
                or "the task's defaults"
            )
            lines.append(
                textwrap.fill(
                    f"{name}: {shown}", width, initial_indent="  ", subsequent_indent=" " * 6
                )
            )
    return "\n".join(lines)


def _defaults(config_class: type, name: str) -> list[Any]:
    """The default of a flag, or those that the cells and the like which have it give it."""
    one = settings(config_class)[name]
    options = [
        of
        for by in getattr(config_class, "options", {}).values()
        for of in by.values()
        if name in names(of)
    ]
    if one.default is not None or not options:
        return [one.default]
    defaults = [settings(of)[name].default for of in options]
    return [value for n, value in enumerate(defaults) if value not in defaults[:n]]


def _typed(one: Setting, values: Sequence[Any]) -> str:
    """A flag with its default, as it is typed."""
    if one.is_switch:
        return f"--{ {True: '', False: 'no'}.get(values[0], '[no]') }{one.name}"
    return f"--{one.name}=" + " or ".join(
        "none" if value is None else _short(value) for value in values
    )


def _short(value: Any) -> str:
    return (
        f"{value:.6g}"
        if isinstance(value, float) and len(str(value)) > 8
        else ""
        if value == ""
        else show(value)
    )


def _row(flag: str, text: str, width: int) -> list[str]:
    """A flag and what it is, side by side; what does not fit goes on below."""
    column = min(32, width // 3)
    start = f"  {flag}".ljust(column - 2) + "  "
    if len(start) > column + 12:
        return [start.rstrip(), *_row("", text, width)]
    return textwrap.wrap(text.strip(), width, initial_indent=start, subsequent_indent=" " * column)
