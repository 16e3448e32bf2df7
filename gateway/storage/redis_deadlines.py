"""The index of what falls due, in Redis. Commits write it; the sweep reads it here."""

from collections.abc import Sequence
from datetime import datetime

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import microseconds
from loops.deadlines import Deadline


class RedisDeadlines:
    """`gateway.jobs.ports.Deadlines`."""

    def __init__(self, client: "Redis") -> None:
        self._due: Script = script(client, "due")
        self._let_rest: Script = script(client, "let_rest")

    async def due(self, now: datetime, *, limit: int = 100, held_until: datetime | None = None) -> Sequence[Deadline]:
        """Return deadlines due at *now*, earliest first; with *held_until* they are the caller's alone until then."""
        if limit <= 0:
            return []
        with store_errors():
            bodies = await self._due(microseconds(now), limit, microseconds(held_until) if held_until else "")
        return [Deadline.model_validate_json(body) for body in bodies if body]

    async def let_rest(self, deadline: Deadline, *, held_until: datetime, until: datetime) -> None:
        """Leave a deadline be until *until* that is the caller's until *held_until*; one that was set anew stays."""
        member = keys.pair(deadline.tenant, deadline.deadline_id)
        with store_errors():
            await self._let_rest(member, microseconds(held_until), microseconds(until))
