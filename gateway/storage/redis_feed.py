"""The feed of a tenant's events in Redis: a stream that the commit script writes."""

from collections.abc import Sequence
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from gateway.api.ports import FeedPage, Followed
from gateway.storage import keys
from gateway.storage.feeds import cursor_of, order_of, read_cursor
from gateway.storage.seam import store_errors
from loops.ports import Store

#: The longest one call blocks: shorter than the connection's time-out (`gateway.storage.connect`).
_BLOCK_MS = 1_000


class RedisFeed:
    """`gateway.api.ports.Feed`. *store* gives the ledgers that entries point at."""

    def __init__(self, client: "Redis", store: Store) -> None:
        self._client = client
        self._store = store

    async def read(self, tenant: str, *, after: str, limit: int) -> FeedPage:
        """Return up to about *limit* events after the cursor, whole commits at a time."""
        position, sequence = read_cursor(after)
        stream = keys.FEED + keys.part(tenant)
        with store_errors():
            # One more: the first may be the commit the cursor is in, and have nothing left.
            found: Any = await self._client.xrange(stream, min=position, count=limit + 1)
            oldest: Any = await self._client.xrange(stream, count=1)
        is_gap = bool(oldest) and order_of(position) < order_of(oldest[0][0].decode()) and position != "0-0"
        events: list[Followed] = []
        for raw, fields in found:
            at = raw.decode()
            last, count = int(fields[b"n"]), int(fields[b"c"])
            first = max(last - count, sequence if at == position else 0)
            instance_id = keys.unpart(fields[b"i"].decode())
            ledger = await self._store.events(tenant, instance_id, after=first, limit=last - first)
            events += [Followed(cursor_of(at, event.sequence), event) for event in ledger]
            if len(events) >= limit:
                break
        return FeedPage(tuple(events), is_gap)

    async def last(self, tenant: str) -> str:
        """Return the cursor of the latest event, or the one before the first."""
        with store_errors():
            found: Any = await self._client.xrevrange(keys.FEED + keys.part(tenant), count=1)
        if not found:
            return cursor_of("0-0", 0)
        raw, fields = found[0]
        return cursor_of(raw.decode(), int(fields[b"n"]))

    async def news(self, tenants: Sequence[str], after: dict[str, str]) -> dict[str, str]:
        """Return the latest positions of those *tenants* that have something after *after*; wait up to a second."""
        streams: dict[Any, Any] = {keys.FEED + keys.part(each): after[each] for each in tenants}
        with store_errors():
            try:
                found: Any = await self._client.xread(streams, block=_BLOCK_MS)
            except redis_errors.TimeoutError:
                return {}
        by_stream = {keys.FEED + keys.part(each): each for each in tenants}
        rows = found.items() if isinstance(found, dict) else found or ()
        return {by_stream[stream.decode()]: _latest(entries) for stream, entries in rows}


def _latest(entries: Any) -> str:
    last = entries[-1]
    while isinstance(last, list):
        last = last[-1]
    position: str = last[0].decode()
    return position
