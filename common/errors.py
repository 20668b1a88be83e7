"""The one exception for bad input."""

_LONGEST = 800  # characters


class InputError(ValueError):
    """Input that cannot be used. The message is one line: what was expected, what was found, what to do.

    Entrypoints print it and exit with status 2; a library user sees an ordinary `ValueError`. What a broken file put into the message
    is brought onto that line, and cut in the middle where it is long.
    """

    def __init__(self, message: object = ""):
        line = " ".join(str(message).split())
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
        super().__init__("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line))
