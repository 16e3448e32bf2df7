"""
The schema: which version of our keys and bodies the store holds, and how an older one becomes the present one.

A store without a version is new, or from before there were versions, which is the first. Migrations run forward only,
one after the other, under a lease. Each must be harmless when begun again after a crash, or beside a straggler that
lost the lease: the version follows only when it is done. There is none yet.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from redis.asyncio import Redis

from gateway.jobs.leases import holding
from gateway.storage import keys
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.scripts import script
from gateway.storage.seam import store_errors
from loops.errors import Rejected, Unavailable

log = structlog.stdlib.get_logger()

#: How long the lease stays with a process that died over a migration.
LEASE = timedelta(seconds=10)

_FIRST = 1
_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Migration:
    """One step forward: what it changes, for the log, and what does it."""

    changes: str
    run: Callable[["Redis"], Awaitable[None]]


#: Every step, oldest first. Never change or remove one that was released.
MIGRATIONS: tuple[Migration, ...] = ()


class UnknownSchema(Rejected):
    """The store is of a version that this Loopgate cannot know."""


async def version_of(client: "Redis", migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """
    Return the version the store is at; the first where it says none.

    Raises:
        UnknownSchema: If this Loopgate does not know it.
        StoreUnavailable: If the store cannot be asked.
    """
    with store_errors():
        said = await client.get(keys.SCHEMA)
    latest = _FIRST + len(migrations)
    if said is None:
        return _FIRST
    if not said.isdigit():
        raise UnknownSchema(f"{keys.SCHEMA} in the store is no version; is it another program's store?")
    if int(said) > latest:
        raise UnknownSchema(
            f"the store is at schema {int(said)} and this Loopgate knows {latest}; run the newer Loopgate that wrote "
            "it, or restore a copy from before"
        )
    return int(said)


async def bring_up(client: "Redis", holder: str, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """
    Bring the store to the latest version, alone or by waiting for whoever does; return that version.

    Raises:
        UnknownSchema: If the store is at a newer one, or at none.
        StoreUnavailable: If it is away.
    """
    latest = _FIRST + len(migrations)
    with store_errors():
        await client.set(keys.SCHEMA, _FIRST, nx=True)
    leases, advance = RedisLeases(client), script(client, "advance")
    while (now := await version_of(client, migrations)) < latest:
        async with holding(leases, "schema", holder, LEASE) as is_ours:
            if not is_ours:
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            step = migrations[now - _FIRST]
            log.info("schema.migrating", to=now + 1, changes=step.changes)
            try:
                with store_errors():
                    await step.run(client)
                    await advance(now, now + 1)
            finally:
                with contextlib.suppress(Unavailable):
                    await leases.let_go("schema", holder)
            log.info("schema.migrated", to=now + 1)
    return latest
