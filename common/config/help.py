"""The text of `--help` and `--helpfull`."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from .cells import names
from .flags import Setting, settings, show
from .run_config import RunConfig

Presets = Mapping[str, Mapping[str, Any]]


def help_text(
    config_class: type,
    presets: Presets | None = None,
    program: str = "PROGRAM",
    config: Any = None,
    bare: Sequence[str] = (),
) -> str:
    """A row for every flag, with its default as it is typed, and the presets.

    Args:
        config_class, presets, bare: as for `parse`. program: the script's name.
        config: only flags that apply to it are shown, with its values as their defaults, and the
            names of the presets. None: all flags are shown, each with the cells or the like that it
            belongs to, and what the presets are.
    """
    known, readers = settings(config_class), {}
    width = max(40, min(110, shutil.get_terminal_size((110, 24)).columns))
    paragraph = " ".join((config_class.__doc__ or "").split("\n\n")[0].split())
    summary = textwrap.wrap(paragraph, width)
    words = [f"[{name.upper().replace('...', ' ...')}]" for name in bare]
    usage = " ".join(["usage: python", program, *words, "[--flag=value ...]"])
    lines = [usage, "", *summary, ""]
    hidden = {*getattr(config_class, "without_effect", {})}
    if isinstance(config, RunConfig):
        hidden |= config.unread
        known |= {
            name: one for name, one in config.chosen_options.items() if known[name].default is None
        }
        header = "the flags that apply, and their defaults (all flags: --helpfull):"
        lines += textwrap.wrap(header, width)
    elif issubclass(config_class, RunConfig):
        readers = config_class.readers()
        lines.append("flags and their defaults:")
    first = ["preset", *getattr(config_class, "options", {})]
    for name in [name for name in dict.fromkeys([*first, *known]) if name in known.keys() - hidden]:
        defaults = _defaults(config_class, name) if config is None else [getattr(config, name)]
        notes = [known[name].limits, known[name].is_switch and _default_of_switch(defaults[0])]
        notes += [
            f"with --{by} {', '.join(values)}" for by, values in readers.get(name, {}).items()
        ]
        text = " ".join([known[name].help, *(f"[{note}]" for note in notes if note)])
        lines += _row(_typed(known[name], defaults), text, width)
    if presets and config is not None:
        how = "presets (--preset NAME --help shows its defaults): "
        lines += [*textwrap.wrap(how + ", ".join(presets), width, subsequent_indent="  ")]
    elif presets:
        lines += ["", "presets (an explicit flag wins):"]
    for name, values in (presets or {}).items() if config is None else ():
        flags = [f"{field}={_short(value)}" for field, value in values.items()]
        text = f"  {name}: {' '.join(flags) or 'as the task has them'}"
        lines += textwrap.wrap(text, width, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _default_of_switch(value: bool | None) -> str:
    return {True: "default yes", False: "default no"}.get(value, "")


def _defaults(config_class: type, name: str) -> list[Any]:
    """The default of a flag, or those of the cells and the like that have it."""
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
        return f"--[no]{one.name}"
    return f"--{one.name}=" + " or ".join(
        "none" if value is None else _short(value) for value in values
    )


def _short(value: Any) -> str:
    if value == "":
        return ""
    return f"{value:.6g}" if isinstance(value, float) and len(str(value)) > 8 else show(value)


def _row(flag: str, text: str, width: int) -> list[str]:
    """A flag and its help side by side; what does not fit continues below."""
    column = min(32, width // 3)
    start = f"  {flag}".ljust(column - 2) + "  "
    if len(start) > column + 12:
        return [start.rstrip(), *_row("", text, width)]
    return textwrap.wrap(text.strip(), width, initial_indent=start, subsequent_indent=" " * column)
