"""A loop for tests of time-outs: its time goes by only while nobody has anything to do, and then at once."""

import asyncio
import selectors


class UnhurriedLoop(asyncio.SelectorEventLoop):
    """
    Timers end in their order and after whatever could be done before, however long a machine stands still in between.

    For tests whose parts are all on this loop: it does not wait for threads, nor for other processes.
    """

    def __init__(self) -> None:
        self._passing = _Passing()
        super().__init__(self._passing)

    def time(self) -> float:
        """Return the seconds that timers were waited for."""
        return self._passing.seconds


class _Passing(selectors.DefaultSelector):
    """Where something would be waited for with a time-out, that time has gone by."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout is not None else None)
        if not found:
            self.seconds += timeout or 0.0
        return found
