"""
Durability: where a commit must be before it counts as written.

Redis answers a write when the primary has it; what a primary that fails has not passed on is lost with it. So a commit
may be followed by ``WAIT`` (replicas have it) or ``WAITAOF`` (disks have it), on the same connection and in the same
round trip. Where that does not come true in time the write stands, but may yet be lost: its result is unknown, and
whoever wanted it repeats it under the same key.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from gateway.settings import DurabilityMode
from gateway.storage import keys
from gateway.storage.scripts import source
from gateway.storage.spans import milliseconds
from loops.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Durability:
    """
    Where a commit must be.

    Args:
        mode: ``local``: the primary has it. ``replicated``: *replicas* have it, too. ``synced``: it is in the
            append-only file on the disk of the primary and of *replicas*. Source: WAIT and WAITAOF in Redis's command
            reference; servers before Redis 7.2 have no WAITAOF and refuse the last.
        within: How long is waited for that; shorter than the connection's answer time-out.
    """

    mode: DurabilityMode = "local"
    replicas: int = 1
    within: timedelta = timedelta(seconds=1)

    @property
    def needs(self) -> int:
        """How many replicas must be there."""
        return 0 if self.mode == "local" else self.replicas

    @property
    def command(self) -> tuple[str | int, ...]:
        """The command that waits; empty where there is nothing to wait for."""
        match self.mode:
            case "local":
                return ()
            case "replicated":
                return ("WAIT", self.replicas, milliseconds(self.within))
            case "synced":
                return ("WAITAOF", 1, self.replicas, milliseconds(self.within))


LOCAL = Durability()


class DurableScript:
    """The script *name* on *client*, whose writes are answered once they are where *durability* wants them."""

    def __init__(self, client: "Redis", name: str, durability: Durability) -> None:
        self._client = client
        self._durability = durability
        self._source = source(name)
        self._script = client.register_script(self._source)

    async def __call__(self, *args: str | bytes) -> Any:
        """
        Return the script's reply.

        Raises:
            StoreUnavailable: If what it wrote is not where it must be in time: it may be kept, or be lost.
        """
        wait = self._durability.command
        if not wait:
            return await self._script(args=args)
        evaluate = ("EVALSHA", self._script.sha, 0, *args)
        reply, kept = await self._both(evaluate, wait)
        if isinstance(reply, redis_errors.NoScriptError):
            await self._client.script_load(self._source)
            reply, kept = await self._both(evaluate, wait)
        if isinstance(reply, Exception):
            raise reply
        await self._check(kept)
        return reply

    async def confirm(self) -> None:
        """
        Wait until what was written *before*, over whichever connection, is where it must be.

        WAIT is about its own connection's writes, and replicas take writes in order: so one is made here.

        Raises:
            StoreUnavailable: As for a call.
        """
        if wait := self._durability.command:
            reply, kept = await self._both(("SET", keys.CONFIRMED, ""), wait)
            if isinstance(reply, Exception):
                raise reply
            await self._check(kept)

    async def _both(self, write: tuple[Any, ...], wait: tuple[Any, ...]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*write)
            pipeline.execute_command(*wait)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def _check(self, kept: Any) -> None:
        if isinstance(kept, redis_errors.ResponseError):
            raise StoreUnavailable(f"the store cannot say whether the commit is kept ({kept})") from kept
        if isinstance(kept, Exception):
            raise kept
        has, wants = (kept, self._durability.needs) if isinstance(kept, int) else (kept[1], self._durability.needs)
        on_disk = isinstance(kept, int) or kept[0] >= 1
        if has >= wants and on_disk:
            return
        # Perhaps this primary is one no longer, and knows nobody who could tell it: look for it anew.
        await self._client.connection_pool.disconnect(inuse_connections=False)
        raise StoreUnavailable(
            f"the commit reached {has} of {wants} replicas{'' if on_disk else ', and no disk,'} in time, so whether it "
            "is kept is unknown; repeat it under the same key"
        )
