"""A worker as a real process: its store goes away and comes back, it is told to stop, and nothing is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.integration.receiver import Receiver, receiving
from contract.jobs.worker_process import Caller, a_worker, eventually, log_of, told_to_stop

from gateway.storage.embedded import EmbeddedServer


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A store of one's own, to take away."""
    with EmbeddedServer(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def pager() -> Iterator[Receiver]:
    """The system of record."""
    with receiving(Receiver()) as receiver:
        yield receiver


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
    with a_worker(tmp_path, server.url, pager.url) as worker:
        await caller.tell("LAST")
        await eventually(lambda: _is(len(pager.received) == 1))
        stopping = asyncio.create_task(asyncio.to_thread(told_to_stop, worker))
        await asyncio.sleep(0.2)  # so that the signal is there before the answer
        pager.release.set()
        code = await stopping
    await caller.until_told("LAST")

    assert code == 0
    assert len(pager.received) == 1


async def _is(claim: bool) -> bool:
    return claim
