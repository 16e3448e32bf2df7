"""Who opened their Home tab lately, in Redis."""

import time
from collections.abc import Sequence
from datetime import timedelta

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.seam import store_errors
from gateway.storage.spans import milliseconds


class RedisOpeners:
    """`channels.slack.ports.Openers`: a sorted set for each team, by when each is forgotten (ms)."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    async def opened(self, team: str, user: str, lifetime: timedelta) -> None:
        """Remember that *user* looks at their tab."""
        with store_errors():
            await self._client.zadd(_key(team), {user: _now_ms() + milliseconds(lifetime)})

    async def left(self, team: str, user: str) -> None:
        """Forget *user*."""
        with store_errors():
            await self._client.zrem(_key(team), user)

    async def recent(self, team: str, *, limit: int) -> Sequence[str]:
        """Return who looked last, the latest first."""
        with store_errors():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.zremrangebyscore(_key(team), "-inf", _now_ms())
                pipeline.zrevrange(_key(team), 0, limit - 1)
                _, found = await pipeline.execute()
        return [user.decode() if isinstance(user, bytes) else user for user in found]


def _key(team: str) -> str:
    return keys.OPENERS + keys.bounded_part(team)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
