"""A lease that is kept for as long as the work under it takes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.jobs.ports import Leases
from loops.errors import Unavailable


@asynccontextmanager
async def holding(leases: Leases, name: str, holder: str, ttl: timedelta) -> AsyncIterator[bool]:
    """
    Hold the lease *name* inside the block; yield False where another holder has it.

    It is *holder*'s for *ttl* after the block still; who is done with it lets it go. Where the store is away meanwhile
    the work goes on, and another holder may begin once *ttl* is over.

    Raises:
        StoreUnavailable: If the store is away at the beginning.
    """
    if not await leases.hold(name, holder, ttl):
        yield False
        return

    async def extend() -> None:
        while True:
            await asyncio.sleep(ttl.total_seconds() / 3)
            with contextlib.suppress(Unavailable):
                await leases.hold(name, holder, ttl)

    extending = asyncio.create_task(extend(), name=f"lease:{name}")
    try:
        yield True
    finally:
        extending.cancel()
