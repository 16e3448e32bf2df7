"""What was seen before, in Redis: replayed signatures and repeated deliveries are known in every process."""

from datetime import timedelta

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.seam import store_errors
from gateway.storage.spans import milliseconds


class RedisSeenOnce:
    """`gateway.jobs.ports.SeenOnce`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    async def first_time(self, key: str, ttl: timedelta) -> bool:
        """Return True the first time *key* is seen within *ttl*, False ever after."""
        with store_errors():
            taken = await self._client.set(
                keys.SEEN + keys.bounded_part(key), 1, nx=True, px=milliseconds(ttl, least=1)
            )
        return taken is not None
