"""
How late deadlines of one instant take effect, by how many there are and how many processes sweep.

Requests that all expire at the same moment are made on a real server of our own; processes with nothing but a sweep, as
the workers have it, wait for that moment. How late each was is when it was closed, against when it was due. See the
README beside this file for how to read the figures.
"""

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path

import structlog
import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from bench_deadlines import a_loop, quiet
from builders import DATA, TENANT, House, a_house, ci

from gateway.clock import SystemClock
from gateway.identifiers import TimeOrderedIds
from gateway.jobs.chores import Chore, doing
from gateway.jobs.sweep import Sweep
from gateway.storage.connect import connect
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_deadlines import RedisDeadlines
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.redis_store import RedisStore
from loops.engine import LoopEngine

#: Deadlines of one instant, and processes that sweep.
DUE, PROCESSES = (500, 1_000, 2_000), (1, 2)
#: Starts at a time, and how long they may take: the deadline is that far ahead.
AT_A_TIME, AHEAD = 32, timedelta(seconds=25)
#: The pause between sweeps, as the settings have it.
EVERY = timedelta(seconds=0.5)


def sweep_until(url: str, is_over: Event, worked: "SimpleQueue[float]") -> None:
    """Sweep as a worker does, in a process of its own; at last say how much CPU time that took."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    began = time.process_time()
    uvloop.run(_sweeping(url, is_over))
    worked.put(time.process_time() - began)


async def _sweeping(url: str, is_over: Event) -> None:
    house = a_house(a_loop("soon", "1h"))
    async with connect(url) as client:
        engine = LoopEngine(RedisStore(client), house.definitions, house.people, SystemClock(), TimeOrderedIds())
        sweep = Sweep(RedisEffects(client), RedisDeadlines(client), engine, SystemClock(), grace=timedelta(days=1))
        async with doing([Chore("deadlines", sweep.fall_due, EVERY, lease=None)], RedisLeases(client), "bench"):
            while not is_over.is_set():  # noqa: ASYNC110 - the other side is a process
                await asyncio.sleep(0.2)


@contextmanager
def sweeping(url: str, processes: int) -> Iterator[list[float]]:
    """Have so many processes sweep; afterwards the list holds the CPU seconds of each."""
    spawn = multiprocessing.get_context("spawn")
    is_over, worked = spawn.Event(), spawn.SimpleQueue()
    children = [spawn.Process(target=sweep_until, args=(url, is_over, worked)) for _ in range(processes)]
    for child in children:
        child.start()
    seconds = list[float]()
    try:
        yield seconds
    finally:
        is_over.set()
        seconds += [worked.get() for _ in children]
        for child in children:
            child.join()


async def lateness(client: "Redis", house: House, name: str, due: int) -> list[float]:
    """Have *due* requests expire at one moment; return how late each did, in seconds, sorted."""
    house.clock.at = datetime.now(UTC)
    at = house.clock.at + AHEAD
    began = time.perf_counter()
    started: list[str] = []
    for begin in range(0, due, AT_A_TIME):
        outcomes = await asyncio.gather(
            *(
                house.engine.start(
                    tenant=TENANT, loop_id="soon", aggregate_id=f"{name}-{number}", data=DATA, actor=ci()
                )
                for number in range(begin, min(due, begin + AT_A_TIME))
            )
        )
        started += [outcome.instance.instance_id for outcome in outcomes if outcome.instance]
    # What nobody carries out here would be due again for ever.
    await client.delete("lg:effects-open", "lg:outbox")
    await quiet(client)
    if time.perf_counter() - began > AHEAD.total_seconds() - 1:
        raise SystemExit(f"{due} starts took longer than {AHEAD}: this machine is too busy")
    while await client.zcard("lg:deadlines"):  # noqa: ASYNC110 - the other side are processes
        await asyncio.sleep(0.1)
    late: list[float] = []
    for instance_id in started:
        loaded = await house.store.load(TENANT, instance_id)
        assert loaded is not None
        assert loaded.instance.closed_at is not None
        late.append((loaded.instance.closed_at - at).total_seconds())
    return sorted(late)


async def measure(url: str) -> list[dict[str, float]]:
    """Return the figures for each number of processes and of deadlines."""
    found = []
    async with connect(url) as client:
        house = a_house(a_loop("soon", f"{AHEAD.seconds}s"), store=RedisStore(client), ids=TimeOrderedIds())
        for processes in PROCESSES:
            rows = []
            with sweeping(url, processes) as worked:
                for due in DUE:
                    late = await lateness(client, house, f"{processes}-{due}", due)
                    half, most = late[len(late) // 2], late[-1]
                    rate = due / (most - late[0] + 1e-9)
                    rows.append({"processes": processes, "due": due, "p50_s": half, "most_s": most, "per_s": rate})
            found += [{**row, "cpu_ms_each": sum(worked) / sum(DUE) * 1e3} for row in rows]
    return found


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as home, EmbeddedServer(Path(home)) as server:
        figures = uvloop.run(measure(server.url))
    table = Table("processes", "due at once", "late, p50, s", "the latest, s", "a second", "CPU ms each", box=None)
    for row in figures:
        told = (f"{row['p50_s']:.2f}", f"{row['most_s']:.2f}", f"{row['per_s']:,.0f}", f"{row['cpu_ms_each']:.2f}")
        table.add_row(f"{row['processes']}", f"{row['due']:,}", *told)
    Console(width=90).print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
