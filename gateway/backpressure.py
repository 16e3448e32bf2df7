"""
Back-pressure: while too much waits to be carried out, what would only add to it is told to come again later.

That is what opens work from outside: starts and requests for approval over the API, starts and signals that webhooks
bring. What people do in Slack, what moves on or ends a loop that was let in, and what only looks is always taken.
"""

import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from loops.errors import Unavailable

log = structlog.stdlib.get_logger()

#: When a sender should come back, in seconds: the least, and how much more, so that not all come back together.
COME_BACK_S, SPREAD_S = 5.0, 10.0

#: For how long a count is believed, in seconds. What comes in meanwhile may go over the bound by that much.
BELIEVED_S = 0.25


class TooMuchWaits(Unavailable):
    """More effects wait than may; nothing was recorded. Each caller is answered `code`, `told`, and when to come."""

    code: Final = "backlog_full"
    told: Final = "too much waits to be carried out, so nothing was recorded; send the same again after Retry-After"


async def always() -> None:
    """Let everything in."""


class BackPressure:
    """
    Lets more in while fewer than *maximum* effects wait; 0 lets everything in.

    Args:
        waiting: Counts the effects that wait. What it raises, the caller gets.
    """

    def __init__(
        self, waiting: Callable[[], Awaitable[int]], maximum: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._waiting = waiting
        self._maximum = maximum
        self._clock = clock
        self._count = 0
        self._counted_at = -BELIEVED_S

    async def let_in(self) -> None:
        """Return where there is room for more to do. Raises `TooMuchWaits`."""
        if not self._maximum:
            return
        now = self._clock()
        if now - self._counted_at >= BELIEVED_S:
            # Set first: of those who come meanwhile, one counts for all.
            self._counted_at = now
            before, self._count = self._count, await self._waiting()
            self._tell(was_full=before >= self._maximum)
        if self._count >= self._maximum:
            spread = random.random() * SPREAD_S  # noqa: S311 - spread, not secrecy
            raise TooMuchWaits(f"{self._count} effects wait, as many as may", retry_after=COME_BACK_S + spread)

    def _tell(self, *, was_full: bool) -> None:
        is_full = self._count >= self._maximum
        if is_full and not was_full:
            log.warning("backlog.full", waiting=self._count, maximum=self._maximum)
        elif was_full and not is_full:
            log.info("backlog.has_room", waiting=self._count, maximum=self._maximum)
