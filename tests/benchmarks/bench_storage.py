"""
What a commit costs by where it must be, and what an instance costs by how far it got.

Real servers of the embedded binary on loopback: a primary and two replicas for the first table, one server for the
second. See the README beside this file.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from builders import TENANT, a_house, an_answer
from contract.storage.builders import a_commit, an_instance
from replicas import replicated

from gateway.auditing.archive import archive_closed
from gateway.auditing.checkpoints import seal_tenant
from gateway.identifiers import TimeOrderedIds
from gateway.storage.connect import connect
from gateway.storage.durability import Durability
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_archive import RedisArchive
from gateway.storage.redis_checkpoints import RedisCheckpoints
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_store import RedisStore

COMMITS, INSTANCES = 150, 200
MODES = {
    "local": Durability(),
    "replicated, 1": Durability("replicated", 1),
    "replicated, 2": Durability("replicated", 2),
    "synced, 0": Durability("synced", 0, timedelta(seconds=1.4)),
    "synced, 1": Durability("synced", 1, timedelta(seconds=1.4)),
}
#: Of those that wait for something that happens once a second only some.
SLOW = 8

console = Console(width=110)


async def spans(do: Callable[[int], Awaitable[object]], count: int) -> list[float]:
    """Return how many ms each of *count* calls took, one after the other."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        await do(number)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


async def durability(home: Path) -> None:
    """Print what one commit takes, in each mode, under either sync."""
    table = Table("appendfsync", "durability, replicas", "p50, ms", "p99, ms", "commits", box=None)
    with replicated(home, replicas=2) as servers:
        async with connect(servers.url) as client:
            for sync in ("everysec", "always"):
                for each in servers.servers:
                    admin = each.client()
                    admin.config_set("appendfsync", sync)
                    admin.close()
                taken = await spans(lambda _: client.ping(), COMMITS)
                table.add_row(sync, "floor: PING", *_figures(taken))
                for name, mode in MODES.items():
                    store = RedisStore(client, durability=mode)

                    async def commit(number: int, store: RedisStore = store, run: str = f"{sync}-{name}") -> None:
                        name = f"{run}-{number}"
                        await store.commit(a_commit(an_instance(instance_id=name, aggregate_id=name)))

                    slow = mode.mode == "synced" and (sync == "everysec" or mode.replicas)
                    taken = await spans(lambda number, c=commit: c(number), SLOW if slow else COMMITS)
                    table.add_row(sync, name, *_figures(taken))
    console.print(table)


def _figures(taken: list[float]) -> tuple[str, str, str]:
    return f"{median(taken):.2f}", f"{quantiles(taken, n=100)[98]:.2f}", str(len(taken))


async def memory(home: Path) -> None:
    """Print what the server's memory grows by for each instance, as far as it got."""
    table = Table("an instance that is", "bytes", "events", box=None)
    with EmbeddedServer(home / "memory") as server:
        async with connect(server.url) as client:
            store, effects = RedisStore(client), RedisEffects(client)
            checkpoints, archives = RedisCheckpoints(client), RedisArchive(client)
            house = a_house(store=store, ids=TimeOrderedIds())
            await house.propose("CHG-WARM")
            empty = await _used(client)
            requests = [await house.propose(f"CHG-{number}") for number in range(INSTANCES)]
            events = await client.llen(await _a_ledger(client))
            table.add_row("open, humans are asked", str((await _used(client) - empty) // INSTANCES), str(events))
            for request in requests:
                await house.engine.answer(an_answer(request, "reject", "dana", reason="not today"), tenant=TENANT)
                for record in await effects.effects_of(TENANT, request.instance_id):
                    if claim := await effects.claim(record.effect.effect_id, lease=timedelta(seconds=9)):
                        await effects.finish(record.effect.effect_id, claim.fence, {})
            await client.delete("lg:outbox")
            await seal_tenant(store, checkpoints, TENANT, house.clock.now())
            closed = await _used(client)
            events = await client.llen(await _a_ledger(client))
            table.add_row("closed, ledger included", str((closed - empty) // INSTANCES), str(events))
            house.clock.at += timedelta(days=91)
            began = time.perf_counter()
            done = await archive_closed(
                store,
                checkpoints,
                archives,
                TENANT,
                directory=home / "archive",
                closed_before=house.clock.now() - timedelta(days=90),
                now=house.clock.now(),
                by="bench",
            )
            took = (time.perf_counter() - began) * 1000 / max(1, done.archived)
            table.add_row("archived", str((await _used(client) - empty) // INSTANCES), "-")
            size = sum(path.stat().st_size for path in (home / "archive").rglob("*.jsonl")) // max(1, done.archived)
    console.print(table)
    console.print(f"{done.archived} archived in {took:.1f} ms each; a bundle has {size} bytes")


async def _used(client: "Redis") -> int:
    return int((await client.info("memory"))["used_memory"])


async def _a_ledger(client: "Redis") -> bytes:
    async for key in client.scan_iter("lg:ledger:*"):
        if await client.llen(key) > 2:
            return bytes(key)
    raise LookupError("no ledger")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(durability(Path(place)))
        asyncio.run(memory(Path(place)))
