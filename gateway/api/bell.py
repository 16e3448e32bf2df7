"""
The bell: tells those who wait that something was committed in their tenant.

One task of a gateway process listens for all who wait in it, so that a thousand long polls cost the store one.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator

import structlog

from gateway.api.ports import Feed
from loops.errors import Unavailable

log = structlog.stdlib.get_logger()

#: How long to leave the store alone after it did not answer, in seconds.
_PAUSE_S = 1.0


class Bell:
    """Rings for a tenant whenever its feed goes on. `listen` must run for it to ring."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._heard: dict[str, str] = {}
        self._wanted = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self, tenant: str) -> AsyncIterator[asyncio.Event]:
        """
        Yield an event that is set by whatever is committed from now on; whoever waits clears it.

        What was committed before is not told: look once after entering, then wait.
        """
        if tenant not in self._heard:
            position, _, _ = (await self._feed.last(tenant)).partition(".")
            self._heard.setdefault(tenant, position)
        rung = asyncio.Event()
        self._waiting[tenant].add(rung)
        self._wanted.set()
        try:
            yield rung
        finally:
            self._waiting[tenant].discard(rung)
            if not self._waiting[tenant]:
                del self._waiting[tenant]
                self._heard.pop(tenant, None)

    async def listen(self) -> None:
        """Ring until cancelled. While the store is away nobody is woken, and everybody once it is back."""
        while True:
            await self._wanted.wait()
            tenants = list(self._waiting)
            if not tenants:
                self._wanted.clear()
                continue
            try:
                news = await self._feed.news(tenants, {each: self._heard[each] for each in tenants})
            except Unavailable as error:
                log.warning("feed.away", error=type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
                continue
            for tenant, position in news.items():
                if tenant in self._waiting:
                    self._heard[tenant] = position
                for rung in self._waiting.get(tenant, ()):
                    rung.set()
