"""The exception for unusable input, and the warning for input that is odd but usable."""

import re
import sys

_LONGEST = 800  # characters
# colours and names of a graph's nodes, with which TensorFlow's messages begin
_DECORATION = re.compile(r"\x1b\[[\d;]*m|\{\{(?:function_)?node .*?\}\}")


class InputError(ValueError):
    """Input that cannot be used.

    The message is one line: what was expected, what was found, what to do. Entrypoints print it and
    exit with status 2; a library user sees an ordinary `ValueError`. Text that a broken file put
    into the message is joined to one line, and cut in the middle if it is long.
    """

    def __init__(self, message: object = ""):
        super().__init__(one_line(message))


def warn(message: object) -> None:
    """Print one line on standard error: what is odd about the input, and how it was read."""
    print(f"warning: {one_line(message)}", file=sys.stderr, flush=True)


def one_line(message: object) -> str:
    """The text in one line of at most about 800 characters, all of them printable."""
    line = " ".join(_DECORATION.sub("", str(message)).split())
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
