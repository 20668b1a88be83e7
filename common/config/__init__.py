"""From a command line to a config: flags, presets, cells, entrypoints.

Nothing here imports TensorFlow.
"""

import sys
from types import TracebackType


def _excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """End with one line if Ctrl-C comes while a script is still importing.

    `main` does the same for the time afterwards.
    """
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _excepthook

from .cells import CELLS  # noqa: E402
from .command_line import Presets, help_text, parse  # noqa: E402
from .entrypoint import Terminated, main  # noqa: E402
from .flags import from_dict, setting, settings  # noqa: E402
from .run_config import RunConfig, of_today  # noqa: E402
from .trained_run import Evaluation, Mixture, TrainedRun  # noqa: E402

__all__ = [
    "CELLS",
    "Evaluation",
    "Mixture",
    "Presets",
    "RunConfig",
    "Terminated",
    "TrainedRun",
    "from_dict",
    "help_text",
    "main",
    "of_today",
    "parse",
    "setting",
    "settings",
]
