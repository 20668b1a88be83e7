"""Dataclass fields that are flags: type, default, help, bounds, choices, and conversion."""

import dataclasses
import difflib
import functools
import math
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import InputError

_ENDINGS = (".png", ".svg", ".csv", ".json", ".html")  # of a figure's files


def setting(
    default: Any,
    help: str | None = None,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] | None = None,
    affects_result: bool | None = None,
    path: bool | str | None = None,
) -> Any:
    """A dataclass field that is a flag: its default, help text, bounds (inclusive) and choices.

    `affects_result=False` marks flags that may change when a run resumes. `path=True` marks file
    and folder names: `~` is expanded, and data/x, ./data/x and data/x/ are equal. `path="stem"`
    marks the common name of files with different extensions, which is given without one: an
    extension is removed. `path="output"` marks a file. Either is refused, before any work, where it
    cannot be written. A subclass that declares the field again, with `setting` or a bare
    default, inherits what it does not give. A list that is not empty by default must not be.
    """
    given = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "affects_result": affects_result,
        "path": path,
    }
    metadata = {name: value for name, value in given.items() if value is not None}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a config class, with what it inherits from the classes above."""

    name: str
    type: Any
    default: Any
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[Any] | None = None
    affects_result: bool = True
    path: bool | str = False

    @property
    def is_switch(self) -> bool:
        return bool in (self.type, *typing.get_args(self.type))

    @property
    def limits(self) -> str:
        """The allowed values in words; empty if all values of the type are allowed."""
        if self.choices is not None:
            return ", ".join(str(choice) for choice in self.choices if choice != "")
        low, high = self.minimum, self.maximum
        if low is None or high is None:
            return f">= {low}" if low is not None else f"<= {high}" if high is not None else ""
        return f"from {low} to {high}" if low < high else f"= {low}"

    @property
    def is_list(self) -> bool:
        return typing.get_origin(self.type) in (list, tuple)

    def convert(self, value: Any) -> Any:
        """The value, converted and checked; from the text of a flag, or from Python or JSON."""
        try:
            value = _convert(self.type, value)
        except (KeyError, ValueError, TypeError, OverflowError):
            raise InputError(
                f"--{self.name} expects {_describe(self.type)}, got {value!r}"
            ) from None
        if value == [] and self.default:
            raise InputError(f"--{self.name} expects one value or more, got none")
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and not text.isprintable() and not _is_utf8(text):
                raise InputError(
                    f"--{self.name} expects text in UTF-8, got {text!r}: rename it, or set"
                    " PYTHONUTF8=1 if it is UTF-8"
                )
        if self.path and value is not None:
            value = (
                os.path.expanduser(value)
                if isinstance(value, str)
                else type(value)(map(os.path.expanduser, value))
            )
        if self.path == "stem" and os.path.splitext(value)[1].lower() in _ENDINGS:
            value = os.path.splitext(value)[0]
        if self.path in ("stem", "output") and value:
            from ..files import check_writable  # NumPy is slow to import

            check_writable(value)
        for one in value if isinstance(value, list | tuple) else [value]:
            self._check(one)
        return value

    def comparable(self, value: Any) -> Any:
        """A form of the value that is equal for values with the same meaning.

        The value may be from an older version, or missing.
        """
        if self.path and isinstance(value, list):
            return [self.comparable(one) for one in value]
        return (
            os.path.abspath(os.path.expanduser(value))
            if self.path and isinstance(value, str) and value
            else value
        )

    def _check(self, value: Any) -> None:
        if value is None:
            return
        if self.choices is not None and value not in self.choices:
            close = hint(str(value), self.choices)
            raise InputError(f"--{self.name} expects one of {self.limits}; got {value!r}{close}")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{self.name} expects a finite number, got {value}")
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise InputError(f"--{self.name} expects a value {self.limits}, got {value}")


def _is_utf8(text: str) -> bool:
    """Whether a text is valid UTF-8.

    It is not if an argument had bytes that the locale's encoding lacks: Python keeps them as
    surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _convert(kind: Any, value: Any) -> Any:
    options = typing.get_args(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:  # X | None
        if value is None or (isinstance(value, str) and value.lower() in ("", "none")):
            return None
        return _convert(next(option for option in options if option is not type(None)), value)
    if typing.get_origin(kind) in (list, tuple):
        parts = (
            [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )
        if value and not parts:  # commas alone
            raise ValueError
        return typing.get_origin(kind)(_convert(options[0], part) for part in parts)
    if kind is bool:
        if isinstance(value, str):
            return {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}[
                value.lower()
            ]
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
        return (
            f"{ {int: 'whole numbers', float: 'numbers'}.get(parts[0], 'values') } separated by"
            " commas"
        )
    return f"{_describe(parts[0])} or none"


def hint(word: str, known: Iterable[Any]) -> str:
    """ " (did you mean ...?)" if one of the known words is close, else ""."""
    close = difflib.get_close_matches(word, list(map(str, known)), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def settings(config_class: type) -> dict[str, Setting]:
    """The settings of a config class by name, with defaults, help texts, bounds and choices."""
    return dict(_settings(config_class))


@functools.cache
def _settings(config_class: type) -> dict[str, Setting]:
    hints = typing.get_type_hints(config_class)
    found = {}
    for field in dataclasses.fields(config_class):
        metadata: dict[str, Any] = {}
        for base in reversed(config_class.__mro__):
            declared = vars(base).get("__dataclass_fields__", {}).get(field.name)
            metadata |= declared.metadata if declared else {}
        default = (
            field.default_factory()
            if field.default_factory is not dataclasses.MISSING
            else field.default
        )
        if default is dataclasses.MISSING:
            raise TypeError(f"{config_class.__name__}.{field.name} needs a default")
        found[field.name] = Setting(
            name=field.name, type=hints[field.name], default=default, **metadata
        )
    return found


def from_dict(config_class: type, values: Mapping[str, Any]) -> Any:
    """The config with these values, each converted and checked; the others keep their defaults.

    Raises `InputError` for a name that the class does not have or a value out of its bounds.
    """
    known = settings(config_class)
    for name in values:
        if name not in known:
            raise InputError(f"{config_class.__name__} has no setting {name!r}{hint(name, known)}")
    return config_class(
        **{name: one.convert(values.get(name, one.default)) for name, one in known.items()}
    )


def show(value: Any) -> str:
    """A value as it is typed on a command line."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return '""' if value == "" else str(value)
