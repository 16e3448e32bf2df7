"""Every storage port, in memory and on a real server, behind the same names."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from patience import PATIENCE_S
from redis.asyncio import Redis

from gateway.auditing.ports import Checkpoints
from gateway.jobs.ports import Cards, Deadlines, Effects, Lanes, Leases, OutboxEntry, SeenOnce
from gateway.storage.connect import connect_sync
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_lanes import MemoryLanes
from gateway.storage.outbox import Outbox
from gateway.storage.redis_cards import RedisCards
from gateway.storage.redis_checkpoints import RedisCheckpoints
from gateway.storage.redis_deadlines import RedisDeadlines
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_lanes import RedisLanes
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.redis_seen import RedisSeenOnce
from gateway.storage.redis_store import RedisStore
from loops.ports import Store

Answer = TypeVar("Answer")

#: How long after its commit an effect of these tests is due again.
GRACE = timedelta(milliseconds=60)


@dataclass(frozen=True, slots=True)
class Storage:
    """One implementation of each port, on the same data."""

    store: Store
    effects: Effects
    cards: Cards
    deadlines: Deadlines
    leases: Leases
    seen: SeenOnce
    checkpoints: Checkpoints
    lanes: Lanes
    outbox: Callable[[], list[OutboxEntry]]
    take_outbox: Callable[[], list[OutboxEntry]]
    dump: Callable[[], Awaitable[Any]]


def in_memory() -> Storage:
    """Return the in-memory store behind every port."""
    memory = MemoryStore(effect_grace=GRACE, behind_after=GRACE)

    async def dump() -> str:
        return repr({name: value for name, value in vars(memory).items() if name != "_clock"})

    return Storage(
        *(memory,) * 7,
        lanes=MemoryLanes(memory, lambda: datetime.now(UTC)),
        outbox=lambda: list(memory.outbox),
        take_outbox=lambda: list(memory.take_outbox()),
        dump=dump,
    )


def on_redis(client: "Redis", url: str) -> Storage:
    """Return the Redis adapters on *client*, with the relay's view of the outbox."""

    def outbox() -> list[OutboxEntry]:
        with connect_sync(url) as relay:
            return Outbox(relay).peek(1000)

    def take_outbox() -> list[OutboxEntry]:
        with connect_sync(url) as relay:
            entries = Outbox(relay).peek(1000)
            with relay.pipeline(transaction=True) as pipeline:
                Outbox(relay).remove(pipeline, entries)
                pipeline.execute()
        return entries

    async def dump() -> dict[bytes, bytes | None]:
        return {key: await client.dump(key) async for key in client.scan_iter()}

    return Storage(
        store=RedisStore(client, effect_grace=GRACE, behind_after=GRACE),
        effects=RedisEffects(client),
        cards=RedisCards(client, first_pause=GRACE),
        deadlines=RedisDeadlines(client),
        leases=RedisLeases(client),
        seen=RedisSeenOnce(client),
        checkpoints=RedisCheckpoints(client),
        lanes=RedisLanes(client, effect_grace=GRACE),
        outbox=outbox,
        take_outbox=take_outbox,
        dump=dump,
    )


async def eventually(ask: Callable[[], Awaitable[Answer | None]]) -> Answer:
    """Ask until the answer is something: lease times are the store's clock, which nobody can move on."""
    async with asyncio.timeout(PATIENCE_S):
        while not (answer := await ask()):  # noqa: ASYNC110 - a server's clock sends no event
            await asyncio.sleep(0.005)
    return answer
