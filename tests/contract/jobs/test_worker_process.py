"""A worker as a real process: its store goes away and comes back, it is told to stop, and nothing is lost."""

import asyncio
from pathlib import Path

from contract.integration.receiver import Receiver
from contract.jobs.worker_process import (
    UNHURRIED_S,
    Caller,
    a_worker,
    eventually,
    log_of,
    the_one_calling,
    told_to_stop,
    workers_of,
)

from gateway.storage.embedded import EmbeddedServer


async def test_a_worker_survives_its_store(server: EmbeddedServer, pager: Receiver, tmp_path: Path) -> None:
    """The store is gone for five seconds while the worker is idle: it waits, and then goes on as before."""
    caller = Caller(server.url)
    with a_worker(tmp_path, server.url, pager.url) as worker:
        await caller.tell("BEFORE")
        await caller.until_told("BEFORE")
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(5)  # how long the store is away is what this is about
        await asyncio.to_thread(server.start)
        await caller.tell("AFTER")
        await caller.until_told("AFTER")
        code = await asyncio.to_thread(told_to_stop, worker)

    assert code == 0
    assert len(pager.performed) == 2
    assert "Traceback" not in log_of(tmp_path), log_of(tmp_path)


async def test_an_effect_under_way_survives_the_store(server: EmbeddedServer, pager: Receiver, tmp_path: Path) -> None:
    """The store goes away while the system of record acts and another effect waits: both end right, once."""
    caller = Caller(server.url)
    pager.fault = "slow"
    with a_worker(tmp_path, server.url, pager.url, LOOPGATE_EFFECT_CONCURRENCY="1") as worker:
        await caller.tell("UNDER-WAY")
        await eventually(lambda: _is(len(pager.received) == 1))
        await caller.tell("WAITING")
        await asyncio.to_thread(server.stop)
        pager.fault = None
        pager.release.set()
        await asyncio.sleep(5)  # how long the store is away is what this is about
        await asyncio.to_thread(server.start)
        await caller.until_told("UNDER-WAY")
        await caller.until_told("WAITING")
        code = await asyncio.to_thread(told_to_stop, worker)

    assert code == 0
    assert len(pager.performed) == 2


async def test_a_worker_stops_while_its_store_is_away(server: EmbeddedServer, pager: Receiver, tmp_path: Path) -> None:
    """SIGTERM during an outage ends the worker, quickly and with exit code 0."""
    caller = Caller(server.url)
    with a_worker(tmp_path, server.url, pager.url) as worker:
        await caller.tell("BEFORE")
        await caller.until_told("BEFORE")
        await asyncio.to_thread(server.stop)
        await eventually(lambda: _is("worker.lost_store" in log_of(tmp_path)))
        code = await asyncio.to_thread(told_to_stop, worker)

    assert code == 0, log_of(tmp_path)
    assert "Traceback" not in log_of(tmp_path), log_of(tmp_path)


async def test_a_worker_told_to_stop_finishes_what_is_under_way(
    server: EmbeddedServer, pager: Receiver, tmp_path: Path
) -> None:
    """The effect in hand is finished, its result recorded, and only then is the worker gone."""
    caller = Caller(server.url)
    pager.fault = "slow"
    with a_worker(tmp_path, server.url, pager.url, LOOPGATE_EFFECT_LEASE_S=UNHURRIED_S) as worker:
        await caller.tell("LAST")
        await eventually(lambda: _is(len(pager.received) == 1))
        stopping = asyncio.create_task(asyncio.to_thread(told_to_stop, worker))
        await asyncio.sleep(0.2)  # so that the signal is there before the answer
        pager.release.set()
        code = await stopping
    await caller.until_told("LAST")

    assert code == 0
    assert len(pager.received) == 1


async def test_a_pool_carries_on_what_a_killed_worker_had_in_hand(
    server: EmbeddedServer, pager: Receiver, tmp_path: Path
) -> None:
    """kill -9 of the worker that was calling: another one calls again under the same id, and its place is taken."""
    caller = Caller(server.url)
    pager.fault = "slow"
    with a_worker(tmp_path, server.url, pager.url, options=["--processes", "2"]) as pool:
        await eventually(lambda: _is(len(workers_of(pool)) == 2))
        await caller.tell("KILLED")
        await eventually(lambda: _is(len(pager.received) == 1))
        the_one_calling(pool, pager.received[0]).kill()
        pager.fault = None
        await caller.until_told("KILLED")
        await eventually(lambda: _is(len(workers_of(pool)) == 2))
        code = await asyncio.to_thread(told_to_stop, pool)

    assert code == 0, log_of(tmp_path)
    assert len(pager.received) == 2
    assert len({call["headers"]["webhook-id"] for call in pager.received}) == 1


async def test_a_hanging_integration_delays_no_card(server: EmbeddedServer, pager: Receiver, tmp_path: Path) -> None:
    """With every place for integrations taken by one that hangs, the same worker goes on to a card."""
    caller = Caller(server.url)
    pager.fault = "slow"
    settings = {"LOOPGATE_EFFECT_CONCURRENCY": "2", "LOOPGATE_EFFECT_LEASE_S": UNHURRIED_S}
    with a_worker(tmp_path, server.url, pager.url, **settings) as worker:
        for number in range(3):
            await caller.tell(f"HANGS-{number}")
        await eventually(lambda: _is(len(pager.received) == 2))
        tried = await caller.until_card_tried("ASKED")
        still_hanging = len(pager.received)
        pager.fault = None
        pager.release.set()
        await caller.until_told("HANGS-2")
        await asyncio.to_thread(told_to_stop, worker)

    assert tried.kind == "card.post"
    assert still_hanging == 2


async def _is(claim: bool) -> bool:
    return claim
