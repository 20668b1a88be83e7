"""Filters TensorFlow's C++ log: drops the lines at start that are not about this run.

TensorFlow 2.21 never calls absl::InitializeLog, so its messages reach stderr whatever
TF_CPP_MIN_LOG_LEVEL says, from its import on and before a command's own first line. No environment
variable and no function controls them (several of its libraries have a log of their own). They are
therefore filtered by a separate process, run from this file, which outlives an abort, so that no
last message is lost.
"""

import contextlib
import os
import re
import sys
from typing import Any

# "I0000 00:00:1795639238.241456    9855 port.cc:153] " and, of older versions,
# "2026-01-31 12:00:00.123: I xla/port.cc:153] ".
_INFO_OR_WARNING = rb"^(?:[IW]\d{4} [\d:.]+ +\d+|\d{4}-\d\d-\d\d [\d:.]+: [IW]) \S+:\d+\] "
_ERRORS_THAT_ARE_NONE = (
    rb"^WARNING: All log messages before absl::InitializeLog\(\) is called",
    rb"^To enable the following instructions: .* rebuild TensorFlow",  # a message's second line
    rb"\] failed call to cuInit: .*(?:\(303\)|NO_DEVICE)",  # no driver, no GPU
    rb"\] oneDNN supports DT_\w+ only on platforms with ",
    rb"\] Unable to register cu\w+ factory: .* when one has already",
)
_NOISE = re.compile(b"|".join((_INFO_OR_WARNING, *_ERRORS_THAT_ARE_NONE)))


class quiet_tensorflow:
    """A context in which stderr (file descriptor 2) is filtered once TensorFlow is imported.

    No filter is used if TensorFlow is imported already, or if TF_CPP_MIN_LOG_LEVEL asks for all
    messages (0 or 1).
    """

    def __enter__(self):
        self._stderr = self._filter = None
        if "tensorflow" not in sys.modules and os.environ.get("TF_CPP_MIN_LOG_LEVEL") not in (
            "0",
            "1",
        ):
            sys.meta_path.insert(0, self)

    def find_spec(self, name: str, *_: Any) -> None:
        """Starts the filter when TensorFlow is about to be imported; finds no module itself."""
        if name == "tensorflow":
            sys.meta_path.remove(self)
            with contextlib.suppress(
                OSError
            ):  # stderr is closed, or no process can be started: no filter
                self._start()

    def _start(self) -> None:
        import subprocess

        stderr = os.dup(2)
        read, write = os.pipe()
        try:
            command = [sys.executable, "-I", "-S", os.path.abspath(__file__)]
            # In its own session: Ctrl-C must reach the command, not the filter.
            self._filter = subprocess.Popen(
                command, stdin=read, stdout=stderr, start_new_session=True
            )
            os.dup2(write, 2)
            self._stderr = stderr
        finally:
            os.close(read)
            os.close(write)
            if self._stderr is None:
                os.close(stderr)

    def __exit__(self, *_: object):
        import subprocess

        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if self._stderr is None:
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        with contextlib.suppress(subprocess.TimeoutExpired):  # a child process still writes to it
            self._filter.wait(timeout=1)


if __name__ == "__main__":
    try:
        for line in sys.stdin.buffer:
            if not _NOISE.search(line):
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
    except OSError:  # nobody reads it
        os._exit(1)
