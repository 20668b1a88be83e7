"""Ctrl-C and SIGTERM, held back until the step that is being computed has its number."""

import signal
import threading


class Interrupt:
    """While it lasts, Ctrl-C and SIGTERM wait until the step that is being computed has its number;
    a second one does not wait.

    What is ignored stays so (a shell's job in the background ignores Ctrl-C).
    Python would raise them as soon as the compiled call returns: the weights would be those after
    the call, the step the one before it.
    """

    def __enter__(self):
        self.has_come, self._before = None, {}
        if threading.current_thread() is threading.main_thread():
            heard = [
                number
                for number in (signal.SIGINT, signal.SIGTERM)
                if signal.getsignal(number) != signal.SIG_IGN
            ]
            self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, error_type: type | None, *_: object):
        self._restore()
        if error_type is None:  # it came behind the last step
            self.raise_if_it_has_come()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object):
        if self.has_come is None:
            self.has_come = number
        else:
            self._handle(number)

    def _handle(self, number: int):
        self._restore()
        signal.raise_signal(number)

    def raise_if_it_has_come(self) -> None:
        """What was held back happens now."""
        if self.has_come is not None:
            self._handle(self.has_come)
