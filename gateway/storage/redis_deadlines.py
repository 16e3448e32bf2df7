"""The index of what falls due, in Redis. Commits write it; the sweep reads it here."""

from collections.abc import Sequence
from datetime import datetime

from redis.asyncio import Redis

from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import microseconds
from loops.deadlines import Deadline


class RedisDeadlines:
    """`gateway.jobs.ports.Deadlines`."""

    def __init__(self, client: "Redis") -> None:
        self._due: Script = script(client, "due")

    async def due(self, now: datetime, *, limit: int = 100) -> Sequence[Deadline]:
        """Return deadlines due at *now*, earliest first. They stay until a commit clears them."""
        if limit <= 0:
            return []
        with store_errors():
            bodies = await self._due(microseconds(now), limit)
        return [Deadline.model_validate_json(body) for body in bodies if body]
