"""Checkpoints, in Redis: one chain per tenant, and which instances moved since the last one."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from loops.checkpoint import Checkpoint, checkpoint_line


class RedisCheckpoints:
    """`gateway.auditing.ports.Checkpoints`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._save: Script = script(client, "checkpoint")

    async def moved(self, tenant: str, *, limit: int = 1000) -> Sequence[str]:
        """Return up to *limit* instances with events that no checkpoint has sealed."""
        if limit <= 0:
            return []
        with store_errors():
            members: Any = await self._client.srandmember(keys.MOVED + keys.part(tenant), limit)
        return sorted(keys.unpart(member.decode()) for member in members)

    async def checkpoint_lines(self, tenant: str, *, after: int = 0, limit: int = 100) -> Sequence[bytes]:
        """Return up to *limit* checkpoints with a sequence greater than *after*, in order, as they are stored."""
        first = max(0, after)
        if limit <= 0:
            return []
        with store_errors():
            found: Any = await self._client.lrange(keys.CHECKPOINTS + keys.part(tenant), first, first + limit - 1)
        return list(found)

    async def latest_checkpoint(self, tenant: str) -> bytes | None:
        """Return the last checkpoint as it is stored, or None before the first."""
        with store_errors():
            found: Any = await self._client.lindex(keys.CHECKPOINTS + keys.part(tenant), -1)
        return None if found is None else bytes(found)

    async def save_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Keep *checkpoint*; False where another one has its sequence already, or there is none before it."""
        heads = [each for head in checkpoint.heads for each in (keys.part(head.instance_id), head.sequence)]
        line = checkpoint_line(checkpoint)
        with store_errors():
            return bool(await self._save(keys.part(checkpoint.tenant), checkpoint.sequence, line, *heads))
