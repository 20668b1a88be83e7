"""From a command line to a config: flags, presets, cells, entrypoints. Nothing here imports TensorFlow."""

from .command_line import Presets, help_text, parse
from .entrypoint import Terminated, main
from .flags import from_dict, setting, settings
from .run_config import CELL_FLAGS, CELLS, READ_BY, RunConfig

__all__ = [
    "CELLS",
    "CELL_FLAGS",
    "READ_BY",
    "Presets",
    "RunConfig",
    "Terminated",
    "from_dict",
    "help_text",
    "main",
    "parse",
    "setting",
    "settings",
]
