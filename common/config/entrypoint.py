"""Wraps every entrypoint, so that an expected failure ends in one line and an exit status.

An entrypoint is a config dataclass, its presets and one call of `main`; other functions get the
config, never flags. Nothing here imports TensorFlow, so a mistyped flag is reported at once.
"""

import contextlib
import errno
import importlib
import io
import logging
import os
import signal
import sys
import threading
import typing
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..backend import check_backend
from ..errors import InputError, one_line, warn
from .command_line import Presets, parse
from .quiet import quiet_tensorflow
from .run_config import RunConfig


class Terminated(KeyboardInterrupt):
    """SIGTERM was received.

    A subclass of KeyboardInterrupt: a trainer that catches that, saves, and raises it again handles
    both signals.
    """


# errno values caused by the environment, reported without traceback: no space, over quota, no
# permission, read-only ...
_ENVIRONMENT = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS
)  # fmt: skip
# ... or by a given path: it exists, is not a folder, is a folder, does not exist, is too long, is
# a link to itself.
_PATH = (
    errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP
)  # fmt: skip
_TENSORFLOW_MEMORY = "ResourceExhaustedError"  # by its name: nothing is imported for it


def main(
    config_class: type,
    presets: Presets | None,
    train: Callable[[Any], Any] | str,
    argv: Sequence[str] | None = None,
    bare: Sequence[str] = (),
) -> None:
    """Read the flags, then call `train(config)`: the whole body of an entrypoint.

    `train` is a function, or "module:function", which is imported only after the flags are accepted
    (TensorFlow takes seconds). The other arguments are those of `parse`.

    Bad input, a full disk or a missing permission end with one line on stderr and status 2; Ctrl-C
    and SIGTERM with status 130 and 143, after the trainer had the chance to save (see
    `Terminated`). Errors of the program itself keep their traceback.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A notebook sets its own backend for the commands it starts, too; where that is not installed,
    # Keras, which imports matplotlib, fails. No command opens a window.
    os.environ["MPLBACKEND"] = "agg"
    # Keras imports it, and it prints three lines at every start if the home folder is read-only.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    _speak_utf8()
    config = None
    try:
        with sigterm_raises(), warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: warn(message)  # one line
            config = parse(config_class, presets, argv, bare)
            if isinstance(train, str):
                check_backend()
            with quiet_tensorflow():
                if isinstance(train, str):
                    module, name = train.split(":")
                    train = getattr(importlib.import_module(module), name)
                train(config)
    except InputError as error:
        _leave(f"error: {error}", 2)
    except KeyboardInterrupt as error:
        how = ": run the same command to go on" if isinstance(config, RunConfig) else ""
        _leave(f"interrupted{how}", 143 if isinstance(error, Terminated) else 130)
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        if error.errno in _PATH and where:
            _leave(f"error: {error.strerror}{where}; name another file or folder", 2)
        if error.errno == errno.ENOENT and "temporary directory" in str(error):  # by `tempfile`
            _leave(f"error: {error.strerror}; name one that can be written in TMPDIR", 2)
        if error.errno not in _ENVIRONMENT:
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        do = "make room" if full else "give access there" if where else "give access"
        _leave(f"error: {error.strerror}{where}; {do}, then run the same command again", 2)
    except Exception as error:
        if not isinstance(error, MemoryError) and type(error).__name__ != _TENSORFLOW_MEMORY:
            raise
        why = f" ({one_line(error)[:200]})" if str(error) else ""
        _leave(f"error: too little memory{why}: ask for less at a time, or for fewer examples", 2)


def _speak_utf8() -> None:
    """Use UTF-8 for standard input and output, whatever the locale says.

    On Windows, under cron and in some containers it says otherwise. Input is read as a file would
    be: without a byte order mark, with lines that end only at a newline; `typed_lines` checks it,
    line by line. File names that are not UTF-8 are written unchanged. A closed stream is replaced
    by an empty one: otherwise the next file that is opened would get its number, and what is
    printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    settings = {
        sys.stdin: {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": "\n"},
        sys.stdout: {"encoding": "utf-8", "errors": "surrogateescape"},
        sys.stderr: {"encoding": "utf-8", "errors": "backslashreplace"},
    }
    for stream, how in settings.items():
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):  # it has been read from already
                stream.reconfigure(**how)


def _leave(line: str, status: int) -> typing.NoReturn:
    print(line, file=sys.stderr, flush=True)
    raise SystemExit(status) from None


class sigterm_raises:
    """A context in which SIGTERM raises `Terminated` in the main thread."""

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
