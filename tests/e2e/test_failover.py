"""Fail-over on real servers: what was acknowledged is there afterwards, whoever is the primary then."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import httpx2
import pytest
from contract.storage.builders import a_commit, an_instance
from patience import PATIENCE_S
from redis.asyncio import Redis
from replicas import Replicated, replicated
from stack import CHANGE, Stack

from gateway.storage import keys
from gateway.storage.connect import connect, connect_sync
from gateway.storage.durability import Durability, DurabilityMode
from gateway.storage.redis_store import RedisStore
from loops.errors import StoreUnavailable

pytestmark = pytest.mark.e2e

#: Seconds between two deliveries.
BEAT_S = 0.25


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """A primary, two replicas and three sentinels."""
    with replicated(tmp_path_factory.mktemp("servers"), replicas=2, sentinels=3) as running:
        yield running


@dataclass
class Writer:
    """Commits one new instance after the other on the server of *client*, and notes what it was told is written."""

    client: "Redis"
    mode: DurabilityMode
    replicas: int = 1
    acknowledged: list[str] = field(default_factory=list)
    unknown: int = 0
    is_over: bool = False

    async def run(self) -> None:
        """Write until told that it is over."""
        store = RedisStore(self.client, durability=Durability(self.mode, self.replicas, timedelta(milliseconds=200)))
        number = 0
        while not self.is_over:
            number += 1
            name = f"{self.mode}-{self.replicas}-{number}"
            try:
                await store.commit(a_commit(an_instance(instance_id=name, aggregate_id=name)))
            except StoreUnavailable:
                self.unknown += 1
            else:
                self.acknowledged.append(name)
            await asyncio.sleep(0.002)

    def lost_on(self, client: "Redis") -> list[str]:
        """Return what was acknowledged and *client*'s server does not have."""
        return [each for each in self.acknowledged if not client.exists(keys.INSTANCE + keys.pair("acme", each))]


async def test_a_primary_that_was_cut_off_acknowledges_nothing_it_will_lose(servers: Replicated) -> None:
    """Whoever goes on writing to a primary that has been replaced is told so with WAIT on; without it, they lose."""
    old = servers.primary()
    async with connect(old.url) as one, connect(old.url) as other:
        writers = [Writer(one, "local"), Writer(other, "replicated")]
        tasks = [asyncio.create_task(each.run()) for each in writers]
        await _acknowledged(writers, 50)
        with old.cut_off():
            await asyncio.to_thread(servers.await_other_primary, old)
            await asyncio.to_thread(servers.await_left, old)
        await _acknowledged(writers[:1], len(writers[0].acknowledged) + 200)
        for each in writers:
            each.is_over = True
        await asyncio.gather(*tasks)

    with closing(connect_sync(servers.url)) as promoted:
        lost = {each.mode: len(each.lost_on(promoted)) for each in writers}
    for each in writers:
        told = f"{len(each.acknowledged)} acknowledged, {each.unknown} unknown, {lost[each.mode]} lost"
        print(f"cut off, {each.mode}: {told}")
    assert lost["replicated"] == 0
    assert writers[1].unknown > 0


async def test_a_primary_that_was_only_slow_acknowledges_nothing_it_will_lose(servers: Replicated) -> None:
    """Judged down and back before its replicas have left it, it is believed by none: all of them must have a commit."""
    await asyncio.to_thread(servers.await_all)
    old = servers.primary()
    async with connect(old.url) as client:
        writer = Writer(client, "replicated", replicas=2)
        task = asyncio.create_task(writer.run())
        await _acknowledged([writer], 50)
        is_replaced = False
        while not is_replaced:
            with old.cut_off():
                await asyncio.to_thread(servers.await_doubt, old)
            # Who replaces it is voted on; where that fails, and it is back, they let it be.
            is_replaced = await asyncio.to_thread(servers.await_verdict, old)
        await asyncio.to_thread(servers.await_other_primary, old)
        writer.is_over = True
        await task

    with closing(connect_sync(servers.url)) as promoted:
        lost = writer.lost_on(promoted)
    assert lost == []


async def _acknowledged(writers: list[Writer], count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(len(each.acknowledged) < count for each in writers):  # noqa: ASYNC110 - writers tell nobody
            await asyncio.sleep(0.02)


@dataclass
class Load:
    """Webhooks on a beat, each repeated until it is acknowledged, and approvals of whatever card asks for one."""

    stack: Stack
    acknowledged: list[str] = field(default_factory=list)
    approved: set[str] = field(default_factory=set)
    refused: int = 0
    longest_s: float = 0.0
    is_over: bool = False

    def propose(self) -> None:
        """Deliver until told that it is over."""
        number = 0
        while not self.is_over:
            number += 1
            change = f"FAIL-{number:03}"
            data = {**CHANGE, "changeId": change, "requestedBy": "lee"}
            began = time.monotonic()
            while not self._delivered(change, data):
                self.refused += 1
                time.sleep(BEAT_S)
            self.acknowledged.append(change)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            time.sleep(BEAT_S)

    def _delivered(self, change: str, data: dict[str, object]) -> bool:
        try:
            answer = self.stack.deliver({"type": "change.proposed", "data": data}, delivery_id=f"msg_{change}")
        except httpx2.TransportError:
            return False
        # 200: what was answered 503, since nobody could know, had been kept after all.
        assert answer.status_code in {200, 202, 503}, answer.text
        return answer.status_code != 503

    def approve(self) -> bool:
        """
        Click Approve wherever that is offered, until it is acknowledged, and no more: each further click is told of.

        Return whether every acknowledged change was carried out.
        """
        done = 0
        for card in self.stack.cards():
            shown = json.dumps(card)
            done += "Approved and executed" in shown
            is_open = '"Approve"' in shown and card["ts"] not in self.approved
            if is_open and self.stack.click(card, "Approve", "dana")["status"] == 200:
                self.approved.add(card["ts"])
        return done == len(self.acknowledged)


def test_what_was_acknowledged_is_decided_and_done_once_whoever_is_the_primary(
    servers: Replicated, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A primary is killed and the next one cut off under load: with WAIT on nothing acknowledged is lost or doubled."""
    with Stack(tmp_path_factory.mktemp("failover"), store=servers, LOOPGATE_DURABILITY="replicated") as stack:
        load = Load(stack)
        proposing = threading.Thread(target=load.propose)
        proposing.start()
        try:
            stack.until(lambda: len(load.acknowledged) >= 3 and not load.approve(), "load")
            first = servers.primary()
            first.kill()
            killed_s = servers.await_other_primary(first)
            first.start(follows=servers.primary())
            servers.await_replica(first)
            _goes_on(load)
            second = servers.primary()
            with second.cut_off():
                cut_off_s = servers.await_other_primary(second)
                servers.await_left(second)
                _goes_on(load)
            _goes_on(load)
        finally:
            load.is_over = True
            proposing.join()
        stack.until(load.approve, "every change to be approved and executed")

        print(
            f"{len(load.acknowledged)} acknowledged, {load.refused} told to come again; promoted after {killed_s:.1f} "
            f"(killed) and {cut_off_s:.1f} s (cut off); longest until acknowledged {load.longest_s:.1f} s"
        )
        acted = stack.calls()["acted"]
        assert len(acted) == len(set(acted)) == len(load.acknowledged)
        for change in load.acknowledged:
            done = [each["data"]["effectId"] for each in stack.audited(change) if each["type"] == "effect.succeeded"]
            assert len(done) == len(set(done))
        assert first.port != second.port


def _goes_on(load: Load) -> None:
    """Wait until three more are acknowledged."""
    before = len(load.acknowledged)
    load.stack.until(lambda: len(load.acknowledged) >= before + 3, "the load to go on after a fail-over")
