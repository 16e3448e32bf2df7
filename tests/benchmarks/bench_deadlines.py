"""
What a sweep costs: nothing that grows with the instances that are open, only with those that are due.

Instances with a deadline each are started on a real server of our own; then the sweep is timed with nothing due, and
with a hundred. See the README beside this file for how to read the figures.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from builders import DATA, TENANT, FrozenClock, House, a_house, ci

from gateway.identifiers import TimeOrderedIds
from gateway.jobs.sweep import Sweep
from gateway.storage.connect import connect
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_deadlines import RedisDeadlines
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_store import RedisStore
from loops.definition import LoopDefinition

SIZES = (1_000, 10_000, 100_000)
#: Deadlines that are due at a time, sweeps with nothing due, instances started at a time.
DUE, IDLE, AT_A_TIME = 100, 200, 32
#: Times that so many fall due, one after the other.
ROUNDS = 5


def a_loop(loop_id: str, expire_after: str) -> LoopDefinition:
    """Return a loop that asks people as soon as it starts, and expires."""
    return LoopDefinition.model_validate(
        {
            "id": loop_id,
            "version": "1.0.0",
            "initialState": "PENDING_HUMAN_APPROVAL",
            "states": [
                {
                    "id": "PENDING_HUMAN_APPROVAL",
                    "approval": {"approvers": {"groups": ["sre"]}, "expireAfter": expire_after, "onExpiry": "expire"},
                },
                {"id": "DONE", "isTerminal": True},
                {"id": "REJECTED", "isTerminal": True},
            ],
            "transitions": [
                {"id": "approve", "from": "PENDING_HUMAN_APPROVAL", "to": "DONE", "actors": ["human"]},
                {"id": "expire", "from": "PENDING_HUMAN_APPROVAL", "to": "REJECTED", "actors": ["system"]},
            ],
        }
    )


async def start(house: House, loop_id: str, name: str, first: int, last: int) -> None:
    """Start instances *first* to *last* (excluded)."""
    for begin in range(first, last, AT_A_TIME):
        await asyncio.gather(
            *(
                house.engine.start(
                    tenant=TENANT, loop_id=loop_id, aggregate_id=f"{name}-{number}", data=DATA, actor=ci()
                )
                for number in range(begin, min(last, begin + AT_A_TIME))
            )
        )


async def script_us(client: "Redis") -> float:
    """Return the microseconds half of the scripts took at most on the server, since its figures were reset."""
    stats: Any = await client.info("latencystats")
    return float(stats["latency_percentiles_usec_evalsha"]["p50"])


async def quiet(client: "Redis") -> None:
    """Wait until the server is done rewriting its append-only file, which a load of starts sets off."""
    while True:
        info: Any = await client.info("persistence")
        if not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]:
            return
        await asyncio.sleep(0.2)


async def expire(client: "Redis", house: House, sweep: Sweep, name: str) -> dict[str, float]:
    """Let `DUE` requests expire, and return what each took: the time, the server's share, this process's own work."""
    await start(house, "soon", name, 0, DUE)
    await client.delete("lg:effects-open")
    await quiet(client)
    house.clock.move(timedelta(hours=1))
    await client.config_resetstat()
    began, worked = time.perf_counter(), time.process_time()
    while await sweep.fall_due():
        pass
    took, work = time.perf_counter() - began, time.process_time() - worked
    return {
        "due_ms_each": took * 1e3 / DUE,
        "due_cpu_ms_each": work * 1e3 / DUE,
        "due_server_us": await script_us(client),
    }


async def measure(client: "Redis") -> list[dict[str, float]]:
    """Return the figures for each size, on one server that grows."""
    clock = FrozenClock()
    house = a_house(a_loop("later", "90d"), a_loop("soon", "1h"), store=RedisStore(client), ids=TimeOrderedIds())
    house.clock.at = clock.at
    sweep = Sweep(
        RedisEffects(client),
        RedisDeadlines(client),
        house.engine,
        house.clock,
        # Nobody works on the effects here: putting them back is another figure.
        grace=timedelta(days=1),
    )
    found, there = [], 0
    for size in SIZES:
        await start(house, "later", "LATER", there, size)
        there = size
        # The effects of those starts are not this benchmark's: what nobody carries out is due again for ever.
        await client.delete("lg:effects-open")
        await quiet(client)
        pings, idle = [], []
        for _ in range(IDLE):
            began = time.perf_counter()
            await client.ping()
            pings.append(time.perf_counter() - began)
        await client.config_resetstat()
        for _ in range(IDLE):
            began = time.perf_counter()
            await sweep.put_back()
            await sweep.fall_due()
            idle.append(time.perf_counter() - began)
        on_the_server = await script_us(client)
        rounds = [await expire(client, house, sweep, f"SOON-{size}-{number}") for number in range(ROUNDS)]
        found.append(
            {
                "open": size,
                "ping_ms": statistics.median(pings) * 1e3,
                "idle_ms": statistics.median(idle) * 1e3,
                "idle_server_us": on_the_server,
                **{key: statistics.median(each[key] for each in rounds) for key in rounds[0]},
                "due_ms_most": max(each["due_ms_each"] for each in rounds),
            }
        )
    return found


async def run(url: str) -> list[dict[str, float]]:
    """Measure on the server at *url*."""
    async with connect(url) as client:
        return await measure(client)


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as home, EmbeddedServer(Path(home)) as server:
        figures = asyncio.run(run(server.url))
    table = Table(
        "open", "PING ms", "sweep, none due, ms", "server, us", "due, ms", "most", "own CPU", "server, us", box=None
    )
    keys = (
        "ping_ms",
        "idle_ms",
        "idle_server_us",
        "due_ms_each",
        "due_ms_most",
        "due_cpu_ms_each",
        "due_server_us",
    )
    for row in figures:
        told = [f"{row[key]:.2f}" for key in keys]
        table.add_row(f"{row['open']:,}", *told)
    Console(width=110).print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
