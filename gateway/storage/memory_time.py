"""Time as the in-memory store keeps it: in whole milliseconds, as Redis does."""

from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.storage.spans import milliseconds


class Timed:
    """A part of the in-memory store that looks at the clock *now*."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._clock = now

    def _now(self) -> datetime:
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def whole(span: timedelta, *, least: int = 0) -> timedelta:
    """Return *span* in whole milliseconds, at least *least*."""
    return timedelta(milliseconds=milliseconds(span, least=least))
