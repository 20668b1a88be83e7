"""Holds back Ctrl-C and SIGTERM until the step that is being computed is counted."""

import signal
import threading


class Interrupt:
    """A context that holds back Ctrl-C and SIGTERM until the current step is counted.

    Python would raise them as soon as the compiled call returns: weights from after the call would
    be saved with the step number from before it. A second signal is raised at once. A signal that
    is ignored stays ignored (a shell's background job ignores Ctrl-C).
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
        """Raise the signal that was held back, if one came."""
        if self.has_come is not None:
            self._handle(self.has_come)
