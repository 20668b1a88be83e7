"""Shows the progress of a run: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from typing import TextIO

_DUMB = ("dumb", "unknown")  # terminals


class Progress:
    """A context manager that shows steps, metrics, steps per second and the remaining time.

    On a terminal a single bar, whose end, the metrics, is cut off if the terminal is narrow;
    elsewhere, and on a dumb terminal, a line every `print_every` steps and one at the end.
    `first_step` is the number of steps done before (in a resumed epoch), so that the speed is that
    of this process.
    """

    def __init__(
        self,
        total_steps: int,
        description: str,
        *,
        print_every: int = 100,
        first_step: int = 0,
        stream: TextIO | None = None,
    ):
        self.total_steps = total_steps
        self.description = description
        self.print_every = print_every
        self._stream = sys.stdout if stream is None else stream
        self._first = self._done = self._printed = first_step
        self._metrics = ""
        self._start = time.monotonic()
        self._bar = None

    def __enter__(self) -> "Progress":
        self._start = time.monotonic()
        if self._stream.isatty() and os.environ.get("TERM", "").lower() not in _DUMB:
            # Imported here: rich takes a tenth of a second, and logs do without it.
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn
            from rich.table import Column

            console = Console(file=self._stream)
            rest = Column(ratio=1, no_wrap=True)
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=min(20, console.width // 8)),
                TextColumn("{task.fields[text]}", markup=False, table_column=rest),
            )
            self._bar = Progress(*columns, console=console, expand=True)
            self._task = self._bar.add_task(
                self.description, total=self.total_steps, completed=self._done, text=""
            )
            self._bar.start()
        return self

    def update(self, steps_done: int, **metrics: float) -> None:
        """Show that `steps_done` of `total_steps` are done, with metrics beside it."""
        self._done = steps_done
        self._metrics = "".join(f"  {name} {float(value):.4g}" for name, value in metrics.items())
        if self._bar is not None:
            steps, speed = self._texts()
            self._bar.update(self._task, completed=steps_done, text=steps + speed + self._metrics)
        elif steps_done // self.print_every > self._printed // self.print_every:
            self._print_line()

    def __exit__(self, error_type: type | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif error_type is None and self._done != self._printed:
            self._print_line()

    def _print_line(self) -> None:
        self._printed = self._done
        steps, speed = self._texts()
        line = f"{self.description}  {steps}{self._metrics}{speed}"
        print(line, file=self._stream, flush=True)

    def _texts(self) -> tuple[str, str]:
        """How many steps are done; how fast, and the time left."""
        done = f"{self._done}/{self.total_steps}"
        seconds, steps = time.monotonic() - self._start, self._done - self._first
        if steps <= 0 or seconds <= 0:
            return done, ""
        left = clock(seconds / steps * max(0, self.total_steps - self._done))
        return done, f"  {steps / seconds:.3g} steps/s  {left} left"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
