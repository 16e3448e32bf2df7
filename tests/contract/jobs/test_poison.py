"""Poison: what is stored of an effect cannot be read. It ends dead, said on its ledger, and spoils nothing else."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from builders import CHANGE, DATA, TENANT, People, ci
from redis.asyncio import Redis
from unit.jobs.rig import an_analyst

from channels.memory import MemoryChannel, MemoryConfirmer
from gateway.clock import SystemClock
from gateway.identifiers import TimeOrderedIds
from gateway.jobs.handlers import Handlers
from gateway.jobs.lanes import Gates
from gateway.jobs.runner import EffectRunner, RetryPolicy
from gateway.loopfiles import LoadedLoops
from gateway.storage import keys
from gateway.storage.connect import connect
from gateway.storage.redis_cards import RedisCards
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_lanes import RedisLanes
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.redis_store import RedisStore
from loops.definition import LoopDefinition
from loops.engine import LoopEngine

POLICY = RetryPolicy(timedelta(seconds=6), timedelta(seconds=5), attempts=2, base=timedelta(milliseconds=1))


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator["Redis"]:
    """A server of one's own, to damage."""
    async with connect(redis_url) as opened:
        yield opened


@pytest.mark.parametrize("body", [b"", b"{", b'{"effectId": "ef", "writtenBy": "a newer Loopgate"}', b"\xff\x00"])
async def test_an_effect_that_cannot_be_read_ends_dead_and_its_loop_says_so(client: "Redis", body: bytes) -> None:
    """Tried as often as any other, in case a newer worker can read it; then dead, listed, and on the ledger."""
    store, effects = RedisStore(client), RedisEffects(client)
    loops = LoadedLoops({"test.change": LoopDefinition.model_validate(CHANGE)})
    engine = LoopEngine(store, loops, People(), SystemClock(), TimeOrderedIds())
    handlers = Handlers(
        engine,
        store,
        effects,
        RedisCards(client),
        RedisLeases(client),
        MemoryChannel(),
        MemoryConfirmer(),
        People(),
        providers={"analyst": an_analyst()},
        integrations={},
        gates=Gates(RedisLanes(client), {}, lease=timedelta(seconds=6), timeout=timedelta(seconds=5)),
    )
    started = await engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci())
    assert started.instance is not None
    instance_id = started.instance.instance_id
    [sound] = await effects.effects_of(TENANT, instance_id)
    await client.hset(keys.EFFECT + keys.part(sound.effect.effect_id), "b", body)  # type: ignore[misc]
    runner = EffectRunner(effects, handlers, POLICY)
    for _ in range(200):
        await runner.run(sound.effect.effect_id)
        record = await effects.effect(sound.effect.effect_id)
        assert record is not None
        if record.state == "dead":
            break
    events = await store.events(TENANT, instance_id)
    listed, _ = await effects.listed(["dead"])

    assert (record.state, record.attempts) == ("dead", 2)
    assert record.why is not None
    assert re.fullmatch(r"given up after 2 attempts in \d+s: what is stored of this effect cannot be read", record.why)
    assert (events[-1].type, events[-1].data["kind"]) == ("effect.failed", "provider.ask")
    assert [each.effect.instance_id for each in listed] == [instance_id]
    assert sound.effect.effect_id not in await effects.requeue_overdue(grace=timedelta(0))
