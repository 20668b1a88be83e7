"""Whether the past of a cell ends with each sequence: the paper's and the release's view."""

from typing import Unpack

from .arguments import KStateArguments
from .k_state import KStateCell


class HistoryCell(KStateCell):
    """A `KStateCell` whose past may end at the beginning of each sequence.

    With `history="window"` the K states begin empty with each sequence. The state from before it,
    [B, H], enters step 0 only, as in a plain LSTM, and is never among the K: two more states hold
    it until then.

    Args:
        history: "carried", the K past states go on from one call to the next (paper), or "window"
            (release).
        The rest as for `KStateCell`.

    Raises:
        ValueError: see `KStateCell`; an unknown history.

    Example:
        ```python
        cell = HistoryCell(8, 3, 0.5, history="window")
        cell.build([None, 4])
        h, states = cell(keras.random.normal([2, 4]), cell.get_initial_state(2))  # [2, 8]
        assert len(states) == 4
        ```
    """

    def __init__(
        self,
        units: int,
        n_actions: int = 1,
        lamda: float = 1.0,
        /,
        *,
        history: str = "carried",
        **kwargs: Unpack[KStateArguments],
    ):
        super().__init__(units, n_actions, lamda, **kwargs)
        self.take(history=history)
        if history == "window":
            self.state_size = [*self.state_size, self.units, self.units]
        self.settle()
