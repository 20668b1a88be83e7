"""The one exception for bad input."""


class InputError(ValueError):
    """Input that cannot be used. The message is one line: what was expected, what was found, what to do.

    Entrypoints print it and exit with status 2; a library user sees an ordinary `ValueError`.
    """
