"""The relay on a real server with real RQ queues: nothing lost, nothing left, whoever dies."""

import asyncio
import json
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from contract.storage.builders import a_commit, an_effect, an_instance
from patience import PATIENCE_S
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from gateway.jobs.queues import QUEUE_OF, QUEUES, rq_name
from gateway.jobs.relay import RELAY_LEASE, Relay
from gateway.jobs.tasks import RUN_EFFECT, run_effect
from gateway.storage import keys
from gateway.storage.connect import connect, connect_sync
from gateway.storage.outbox import Outbox
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.redis_store import RedisStore
from loops.effects import EffectKind


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """The relay's connection."""
    with connect_sync(redis_url) as connected:
        yield connected


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisStore]:
    """The store commits go to."""
    async with connect(redis_url) as connected:
        yield RedisStore(connected)


async def _committed(store: RedisStore, *kinds: EffectKind, name: str = "1") -> list[str]:
    """Commit an instance with one effect of each kind; return their ids."""
    instance = an_instance(instance_id=f"li_{name}", aggregate_id=f"CHG-{name}")
    effects = tuple(an_effect(instance, f"ef_{name}_{n}", kind=kind) for n, kind in enumerate(kinds))
    await store.commit(a_commit(instance, effects=effects))
    return [effect.effect_id for effect in effects]


def _queued(client: Redis) -> dict[str, list[str]]:
    return {name: Queue(rq_name(name), connection=client, serializer=JSONSerializer).job_ids for name in QUEUES}


async def test_effects_of_every_kind_land_in_their_queue(client: Redis, store: RedisStore) -> None:
    """Each kind waits where `QUEUE_OF` says, under the effect's own id, in the order of the commit."""
    kinds: tuple[EffectKind, ...] = tuple(QUEUE_OF)
    ids = await _committed(store, *kinds)
    handed = Relay(Outbox(client), client).once()
    expected: dict[str, list[str]] = {name: [] for name in QUEUES}
    for effect_id, kind in zip(ids, kinds, strict=True):
        expected[QUEUE_OF[kind]].append(effect_id)

    assert handed == len(kinds)
    assert _queued(client) == expected
    assert Outbox(client).size() == 0


async def test_a_job_is_json_and_named_after_its_effect(client: Redis, store: RedisStore) -> None:
    """What stands in Redis is never pickled: reading it can run nothing."""
    [effect_id] = await _committed(store, "card.post")
    Relay(Outbox(client), client).once()
    job = Job.fetch(effect_id, connection=client, serializer=JSONSerializer)
    raw: Any = client.hget(job.key, "data")

    assert json.loads(zlib.decompress(raw)) == [RUN_EFFECT, None, [effect_id], {}]


async def test_a_relay_that_dies_before_the_handover_loses_nothing(client: Redis, store: RedisStore) -> None:
    """Read, and killed before the MULTI: the entries are still there for the next relay."""
    ids = await _committed(store, "card.post", "integration.run")
    Outbox(client).peek(10)
    with connect_sync("redis://127.0.0.1:1/0") as gone, pytest.raises(RedisConnectionError):
        Relay(Outbox(client), gone).once()
    before = _queued(client)
    Relay(Outbox(client), client).once()

    assert before == {name: [] for name in QUEUES}
    assert _queued(client) == {**before, "cards": [ids[0]], "integrations": [ids[1]]}


async def test_two_relays_with_the_same_entries_do_no_harm(client: Redis, store: RedisStore, redis_url: str) -> None:
    """A relay that slept through its lease hands over again: a job more, an entry of nobody else's less."""
    [effect_id] = await _committed(store, "card.post")

    class Slept(Outbox):
        def peek(self, limit: int, wait_s: float = 0.0) -> Any:
            found = super().peek(limit, wait_s)
            Relay(Outbox(client), client).once()
            return found

    Relay(Slept(client), client).once()
    [other] = await _committed(store, "card.post", name="2")
    Relay(Outbox(client), client).once()
    async with connect(redis_url) as connected:
        effects = RedisEffects(connected)
        claims = [await effects.claim(effect_id, lease=RELAY_LEASE) for _ in range(2)]

    assert set(_queued(client)["cards"]) == {effect_id, other}
    assert [claim is not None for claim in claims] == [True, False]


async def test_an_effect_that_stands_in_the_outbox_twice_does_not_stop_the_relay(
    client: Redis, store: RedisStore
) -> None:
    """RQ refuses a batch that names a job twice; the relay names it once and removes both."""
    [effect_id] = await _committed(store, "card.post")
    client.rpush(keys.OUTBOX, f"card.post {effect_id}")
    Relay(Outbox(client), client).once()

    assert _queued(client)["cards"] == [effect_id]
    assert Outbox(client).size() == 0


async def test_an_effect_of_an_unknown_kind_does_not_hold_up_the_others(client: Redis, store: RedisStore) -> None:
    """What a newer Loopgate left is passed by; its effect stays open, for the sweep and a newer relay."""
    [effect_id] = await _committed(store, "card.post")
    client.lpush(keys.OUTBOX, "card.sing ef_new")
    Relay(Outbox(client), client).once()

    assert _queued(client)["cards"] == [effect_id]
    assert Outbox(client).size() == 0


async def test_more_than_a_batch_is_handed_over_in_order(client: Redis, store: RedisStore) -> None:
    """However many wait, each is handed over once, the oldest first."""
    ids: list[str] = []
    for number in range(3):
        ids += await _committed(store, *(["card.post"] * 50), name=str(number))
    relay = Relay(Outbox(client), client)
    handed = [relay.once() for _ in range(3)]

    assert handed == [100, 50, 0]
    assert _queued(client)["cards"] == ids


async def test_another_relay_takes_over_when_the_lease_is_over(
    client: Redis, store: RedisStore, redis_url: str
) -> None:
    """A relay that was killed holds the chore for its lease and no longer; then the next one hands over."""
    loop = asyncio.get_running_loop()
    async with connect(redis_url) as connected:
        leases = RedisLeases(connected)
        assert await leases.hold("relay", "killed", timedelta(hours=1))
        [effect_id] = await _committed(store, "card.post")
        stop, refused = threading.Event(), asyncio.Event()

        def hold() -> bool:
            got = asyncio.run_coroutine_threadsafe(leases.hold("relay", "next", RELAY_LEASE), loop).result(PATIENCE_S)
            if not got:
                loop.call_soon_threadsafe(refused.set)
            return got

        thread = threading.Thread(target=Relay(Outbox(client), client).run, args=(hold, stop))
        thread.start()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await refused.wait()
                while_held = _queued(client)["cards"]
                await leases.hold("relay", "killed", RELAY_LEASE / 10)
                while _queued(client)["cards"] != [effect_id]:  # noqa: ASYNC110 - a queue sends no event
                    await asyncio.sleep(0.02)
        finally:
            stop.set()
            await asyncio.to_thread(thread.join, PATIENCE_S)

    assert while_held == []


async def test_a_relay_goes_on_after_an_outage(client: Redis, store: RedisStore) -> None:
    """A store that is away, and an error nobody foresaw, are waited out."""
    errors: list[Exception] = [RedisConnectionError("away"), RuntimeError("a bug")]
    stop = threading.Event()

    class Troubled(Outbox):
        def peek(self, limit: int, wait_s: float = 0.0) -> Any:
            if errors:
                raise errors.pop()
            stop.set()
            return super().peek(limit, 0)

    [effect_id] = await _committed(store, "card.post")
    Relay(Troubled(client), client).run(lambda: True, stop)

    assert _queued(client)["cards"] == [effect_id]


def test_a_bare_rq_worker_is_told_what_to_run_instead() -> None:
    """Somebody who starts `rq worker` on our queues reads what to start."""
    with pytest.raises(RuntimeError, match="loopgate work"):
        run_effect("ef_1")
