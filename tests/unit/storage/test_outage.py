"""When the server is away: a clear error in time, nothing half-written, and work goes on once it is back."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from contract.storage.builders import NOW, a_commit, a_deadline, a_record, an_effect, an_instance, next_of
from patience import PATIENCE_S
from redis import exceptions as redis_errors

from gateway.storage import keys
from gateway.storage.connect import (
    ANSWER_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    MAX_CONNECTIONS,
    connect,
    connect_sync,
)
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.outbox import Outbox
from gateway.storage.redis_cards import RedisCards
from gateway.storage.redis_deadlines import RedisDeadlines
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.redis_seen import RedisSeenOnce
from gateway.storage.redis_store import RedisStore
from gateway.storage.seam import store_errors
from loops.cards import Card
from loops.errors import Rejected, StoreUnavailable
from loops.ports import Conflict, Repeated, Stored

Answer = TypeVar("Answer")

SPAN = timedelta(seconds=1)

#: What a click may take altogether, in seconds. Source: facts/slack.md, the 3 s rule.
CLICK_S = 3.0


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A server of the test's own, to be stopped, frozen and restarted."""
    directory = Path(tempfile.mkdtemp(prefix="lg-"))
    with EmbeddedServer(directory) as started:
        yield started
        started.start()
    shutil.rmtree(directory)


def patient(url: str) -> str:
    """Return *url* for a client that waits for answers as long as tests do."""
    return f"{url}?socket_timeout={PATIENCE_S}&socket_connect_timeout={PATIENCE_S}"


async def answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Call until there is an answer: a server that stood still, or a machine that does, is given up by one call."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(StoreUnavailable):
                return await call()


def every_call(client: Any) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return one call of every method of every port."""
    store, effects, cards = RedisStore(client), RedisEffects(client), RedisCards(client)
    deadlines, leases, seen = RedisDeadlines(client), RedisLeases(client), RedisSeenOnce(client)
    card = Card(tenant="acme", request_id="ar_1", channel_kind="slack", address={}, rendered_version=1)
    return {
        "load": lambda: store.load("acme", "li_1"),
        "load_aggregate": lambda: store.load_aggregate("acme", "CHG-1"),
        "load_request": lambda: store.load_request("acme", "ar_1"),
        "commit": lambda: store.commit(a_commit(an_instance())),
        "commit with a key": lambda: store.commit(a_commit(an_instance(), idempotency=a_record(an_instance()))),
        "events": lambda: store.events("acme", "li_1"),
        "instances": lambda: store.instances("acme"),
        "claim": lambda: effects.claim("ef_1", lease=SPAN),
        "renew": lambda: effects.renew("ef_1", 1, lease=SPAN),
        "finish": lambda: effects.finish("ef_1", 1, {}),
        "retry": lambda: effects.retry("ef_1", 1, after=SPAN, error="x"),
        "bury": lambda: effects.bury("ef_1", 1, error="x"),
        "requeue_overdue": lambda: effects.requeue_overdue(grace=SPAN),
        "effect": lambda: effects.effect("ef_1"),
        "effects_of": lambda: effects.effects_of("acme", "li_1"),
        "card": lambda: cards.card("acme", "ar_1"),
        "save_card": lambda: cards.save_card(card),
        "due": lambda: deadlines.due(NOW),
        "let_rest": lambda: deadlines.let_rest(a_deadline(an_instance()), held_until=NOW, until=NOW),
        "hold": lambda: leases.hold("sweep", "a", SPAN),
        "let_go": lambda: leases.let_go("sweep", "a"),
        "first_time": lambda: seen.first_time("k", SPAN),
    }


async def test_every_call_says_that_the_store_is_away(server: EmbeddedServer) -> None:
    """Without a server each method of each port raises `StoreUnavailable`, and each works again when it is back."""
    url = server.url
    async with connect(patient(url)) as client:
        for call in every_call(client).values():
            await call()
        server.stop()

        for call in every_call(client).values():
            with pytest.raises(StoreUnavailable):
                await call()

        assert server.start() == url
        for call in every_call(client).values():
            await call()


def test_the_relay_is_told_as_well(server: EmbeddedServer) -> None:
    """The outbox raises `StoreUnavailable` without a server."""
    with connect_sync(server.url) as client:
        server.stop()

        with pytest.raises(StoreUnavailable):
            Outbox(client).peek(1, 0.1)
        with pytest.raises(StoreUnavailable):
            Outbox(client).size()


async def test_scripts_and_data_are_there_after_a_restart(server: EmbeddedServer) -> None:
    """A restarted server has forgotten the scripts and none of the data; commits go on under the same client."""
    async with connect(patient(server.url)) as client:
        store = RedisStore(client)
        first = a_commit(an_instance(), effects=(an_effect(an_instance()),))
        await store.commit(first)
        # In a thread, so that the loop learns of the end of its connections as it would in a running gateway.
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)

        assert await store.commit(a_commit(next_of(first))) == Stored()
        assert await store.commit(a_commit(next_of(first))) == Conflict()
        assert await RedisEffects(client).claim("ef_1", lease=SPAN) is not None


@pytest.mark.parametrize("name", ["load", "commit", "commit with a key"])
async def test_a_server_that_hangs_is_given_up_in_time(server: EmbeddedServer, name: str) -> None:
    """A server that takes connections and never answers is reported while a click can still be answered."""
    async with connect(server.url) as client:
        call = every_call(client)[name]
        await answered(lambda: RedisStore(client).load("acme", "li_1"))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable):
                await call()
        finally:
            os.kill(server.pid, signal.SIGCONT)

        await answered(call)
    assert CONNECT_TIMEOUT_S + ANSWER_TIMEOUT_S < CLICK_S


async def test_what_fills_the_systems_buffers_is_waited_for_and_given_up_in_time(server: EmbeddedServer) -> None:
    """A command of 16 MB arrives whole; one that a server does not take is given up while a click can be answered."""
    large = os.urandom(1 << 24)
    async with connect(server.url) as client:

        async def kept() -> object:
            with store_errors():
                return await client.get("before")

        async def keep() -> object:
            with store_errors():
                return await client.set("before", large)

        await answered(keep)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable), store_errors():
                await client.set("hangs", large)
        finally:
            os.kill(server.pid, signal.SIGCONT)

        assert await answered(kept) == large


async def test_a_commit_without_an_answer_is_found_under_its_key(server: EmbeddedServer) -> None:
    """When a time-out leaves a commit's result unknown, repeating it under its key tells, and writes nothing twice."""
    async with connect(server.url) as client:
        store = RedisStore(client)
        first = a_commit(an_instance())
        await answered(lambda: store.commit(first))
        commit = a_commit(next_of(first), idempotency=a_record(next_of(first)))
        assert server.pid is not None
        assert commit.idempotency is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable):
                await store.commit(commit)
        finally:
            os.kill(server.pid, signal.SIGCONT)

        assert await answered(lambda: store.commit(commit)) in (Stored(), Repeated(commit.idempotency.answer))
        assert len(await answered(lambda: store.events("acme", "li_1"))) == 2


@asynccontextmanager
async def cutting_proxy(server: EmbeddedServer, marker: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Yield the URL of a proxy that lets the first request holding *marker* through and drops its answer, and a log."""
    with connect_sync(server.url) as plain:
        behind = plain.connection_pool.connection_kwargs["path"]
    cut: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(behind)
        try:
            while request := await reader.read(1 << 20):
                to_server.write(request)
                answer = await from_server.read(1 << 20)
                if marker in request and not cut:
                    cut.append(answer)
                    break
                writer.write(answer)
        finally:
            to_server.close()
            writer.close()

    path = server.data_dir / "proxy.sock"
    async with await asyncio.start_unix_server(serve, path):
        yield patient(f"unix://{path}"), cut


async def test_a_broken_connection_does_not_lose_an_answer(server: EmbeddedServer) -> None:
    """A commit with a key whose answer was lost on the way is sent again by itself and known as its own."""
    async with connect(server.url) as client:
        first = a_commit(an_instance())
        await RedisStore(client).commit(first)
    commit = a_commit(next_of(first), data={"marker": "cut here"}, idempotency=a_record(next_of(first)))
    async with cutting_proxy(server, b"cut here") as (url, cut), connect(url) as client:
        store = RedisStore(client)

        assert await store.commit(commit) == Stored()

        assert b"stored" in cut[0]
        assert len(await store.events("acme", "li_1")) == 2


async def test_a_commit_without_a_key_is_never_sent_twice(server: EmbeddedServer) -> None:
    """Without an idempotency record a lost answer is reported as unknown; the commit stands once."""
    async with connect(server.url) as client:
        first = a_commit(an_instance())
        await RedisStore(client).commit(first)
    commit = a_commit(next_of(first), data={"marker": "cut here"})
    async with cutting_proxy(server, b"cut here") as (url, cut), connect(url) as client:
        store = RedisStore(client)

        with pytest.raises(StoreUnavailable):
            await store.commit(commit)

        assert b"stored" in cut[0]
        assert len(await store.events("acme", "li_1")) == 2


REFUSALS = {
    "memory is full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "replicas are missing": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ),
    "it is a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
}


@pytest.mark.parametrize("reason", REFUSALS)
async def test_a_server_that_takes_no_writes_is_unavailable(server: EmbeddedServer, reason: str) -> None:
    """When the server refuses writes nothing of a commit is written, the caller is told, and reads go on."""
    refuse, accept = REFUSALS[reason]
    async with connect(patient(server.url)) as client:
        store = RedisStore(client)
        first = a_commit(an_instance())
        await store.commit(first)
        before = {key: await client.dump(key) async for key in client.scan_iter()}
        await client.execute_command(*refuse)
        second = a_commit(next_of(first), effects=(an_effect(first.instance),))

        with pytest.raises(StoreUnavailable):
            await store.commit(second)
        loaded = await store.load("acme", "li_1")

        assert loaded is not None
        assert loaded.instance == first.instance
        assert {key: await client.dump(key) async for key in client.scan_iter()} == before
        await client.execute_command(*accept)
        assert await store.commit(second) == Stored()


async def test_what_is_not_an_outage_is_not_called_one(redis_url: str) -> None:
    """An error that trying again cannot mend, such as a key of another type, is not dressed up as unavailability."""
    async with connect(redis_url) as client:
        await client.set(keys.RUNS + keys.pair("acme", "CHG-1"), "not a list")

        with pytest.raises(redis_errors.ResponseError, match="WRONGTYPE"):
            await RedisStore(client).load_aggregate("acme", "CHG-1")


async def test_a_definition_that_is_gone_is_named(redis_url: str) -> None:
    """An instance whose pinned definition is missing is not judged by another one; the error names the digest."""
    async with connect(redis_url) as client:
        store = RedisStore(client)
        await store.commit(a_commit(an_instance())._replace(definition=None))

        with pytest.raises(Rejected, match=f"the definition {an_instance().definition_digest} is pinned"):
            await store.load("acme", "li_1")


@pytest.mark.parametrize("url", ["", "http://h", "redis://:secret@h:port/0", "localhost:6379"])
def test_a_bad_url_is_refused_without_repeating_it(url: str) -> None:
    """A URL redis-py does not accept gets a message that shows the right form and no password."""
    for make in (connect, connect_sync):
        with pytest.raises(Rejected, match="write redis://host:6379/0") as refused:
            make(url)
        assert "secret" not in str(refused.value)


async def test_a_call_beyond_the_connections_waits_for_one(redis_url: str) -> None:
    """With all connections busy, calls are answered once one is free; none is refused, and no more are opened."""
    async with connect(redis_url) as client:
        pool = client.connection_pool
        busy = [await pool.get_connection() for _ in range(MAX_CONNECTIONS)]
        calls = [asyncio.create_task(client.ping()) for _ in range(3)]
        await asyncio.sleep(0)
        waited = not any(call.done() for call in calls)
        await pool.release(busy.pop())
        answers = await asyncio.gather(*calls, client.ping())
        opened = sum(count for count, _ in pool.get_connection_count())
        for connection in busy:
            await pool.release(connection)

    assert waited
    assert (answers, opened) == ([True] * 4, MAX_CONNECTIONS)
