"""The feed of a tenant's events in memory: what the in-memory store has committed."""

import asyncio
from collections.abc import Sequence

from gateway.api.ports import FeedPage, Followed
from gateway.storage.feeds import START, cursor_of, order_of, read_cursor
from gateway.storage.memory import MemoryStore


class MemoryFeed:
    """`gateway.api.ports.Feed` over a `MemoryStore`. Nothing is ever left out of it."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def read(self, tenant: str, *, after: str, limit: int) -> FeedPage:
        """Return about *limit* events after the cursor, whole commits at a time."""
        position, sequence = read_cursor(after)
        events: list[Followed] = []
        for index, (instance_id, last, count) in enumerate(self._store.committed(tenant), start=1):
            at = f"{index}-0"
            if order_of(at) < order_of(position):
                continue
            first = max(last - count, sequence if at == position else 0)
            found = await self._store.events(tenant, instance_id, after=first, limit=last - first)
            events += [Followed(cursor_of(at, event.sequence), event) for event in found]
            if len(events) >= limit:
                break
        return FeedPage(tuple(events), is_gap=False)

    async def last(self, tenant: str) -> str:
        """Return the cursor of the latest event, or the one before the first."""
        committed = self._store.committed(tenant)
        return cursor_of(f"{len(committed)}-0", committed[-1][1]) if committed else START

    async def news(self, tenants: Sequence[str], after: dict[str, str]) -> dict[str, str]:
        """Return the latest positions of those *tenants* that have something after *after*; wait up to a second."""
        loop = asyncio.get_running_loop()
        until = loop.time() + 1
        while True:
            latest = {tenant: f"{len(self._store.committed(tenant))}-0" for tenant in tenants}
            found = {each: at for each, at in latest.items() if order_of(at) > order_of(after[each])}
            if found or loop.time() >= until:
                return found
            await asyncio.sleep(0.01)
