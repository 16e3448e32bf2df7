"""Leases on chores, in Redis: one process at a time, until it lets go or its time is over."""

from datetime import timedelta

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import milliseconds


class RedisLeases:
    """`gateway.jobs.ports.Leases`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._hold: Script = script(client, "hold")
        self._let_go: Script = script(client, "let_go")

    async def hold(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Take or extend the lease *name*; False where another holder has it."""
        with store_errors():
            return bool(await self._hold(keys.part(name), holder, milliseconds(ttl, least=1)))

    async def is_held(self, name: str) -> bool:
        """Return whether anybody has the lease *name* now."""
        with store_errors():
            return bool(await self._client.exists(keys.LEASE + keys.part(name)))

    async def let_go(self, name: str, holder: str) -> None:
        """Give the lease back, if *holder* has it."""
        with store_errors():
            await self._let_go(keys.part(name), holder)
