"""Both stores, side by side: no history of calls tells them apart."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from contract.storage.builders import (
    NOW,
    a_commit,
    a_deadline,
    a_record,
    a_request,
    a_result,
    an_effect,
    an_instance,
    next_of,
)
from contract.storage.implementations import Storage, in_memory, on_redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.jobs.ports import Claim, EffectRecord
from gateway.storage.connect import connect, connect_sync
from loops.cards import Card
from loops.commit import Commit

TENANTS = st.sampled_from(["acme", "a:b"])
INSTANCES = st.sampled_from(["li_1", "li_2", "b:c"])
AGGREGATES = st.sampled_from(["CHG-1", "CHG-2"])
EFFECTS = st.sampled_from(["ef_1", "ef_2", "ef 3"])
REQUESTS = st.sampled_from(["ar_1", "ar_2"])
STATES = st.sampled_from(["ANALYZING", "PENDING_HUMAN_APPROVAL"])
FENCES = st.integers(0, 4)
#: Over at once or not within a test: what lies between depends on the clock.
SPANS = st.sampled_from([timedelta(0), timedelta(hours=1)])


def timeless(record: EffectRecord | None) -> Any:
    """Return *record* with whether it is due again in place of when: the two stores' clocks differ."""
    return record and replace(record, next_at=record.next_at is not None)  # type: ignore[arg-type]


class SideBySide(RuleBasedStateMachine):
    """Does everything to both stores and compares every answer."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        with connect_sync(self.url) as plain:
            plain.flushdb()
        self.client = connect(self.url)
        self.both: tuple[Storage, Storage] = (in_memory(), on_redis(self.client, self.url))
        self.last: dict[tuple[str, str], Commit] = {}

    def teardown(self) -> None:
        """Close the connection and the loop."""
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()

    def same(self, ask: Any) -> Any:
        """Ask both stores and return the answer they agree on."""
        memory, redis = (self.loop.run_until_complete(ask(storage)) for storage in self.both)
        assert memory == redis
        return memory

    @rule(
        tenant=TENANTS,
        name=INSTANCES,
        aggregate=AGGREGATES,
        request=st.none() | REQUESTS,
        effects=st.lists(EFFECTS, unique=True, max_size=2),
        key=st.none() | st.sampled_from(["k_1", "k_2"]),
        body=st.sampled_from(["sha256:1", "sha256:2"]),
        deadlines=st.lists(REQUESTS, unique=True),
        minute=st.integers(0, 2),
    )
    def start(
        self,
        tenant: str,
        name: str,
        aggregate: str,
        request: str | None,
        effects: list[str],
        key: str | None,
        body: str,
        deadlines: list[str],
        minute: int,
    ) -> None:
        """Start an instance, which may be taken, on a business object, which may be busy."""
        instance = an_instance(
            tenant=tenant,
            instance_id=name,
            aggregate_id=aggregate,
            request_id=request,
            started_at=NOW + timedelta(minutes=minute),
        )
        self.commit(
            a_commit(
                instance,
                requests=(a_request(instance, request),) if request else (),
                effects=tuple(an_effect(instance, effect) for effect in effects),
                deadlines=tuple(a_deadline(instance, deadline) for deadline in deadlines),
                idempotency=a_record(instance, key, body) if key else None,
            )
        )

    @rule(
        tenant=TENANTS,
        name=INSTANCES,
        state=STATES,
        status=st.sampled_from(["active", "active", "completed"]),
        ahead=st.sampled_from([0, 0, 0, 1, -1]),
        effects=st.lists(EFFECTS, unique=True, max_size=2),
        settled=st.none() | st.tuples(EFFECTS, FENCES, st.booleans()),
        key=st.none() | st.sampled_from(["k_1", "k_2"]),
        cleared=st.lists(REQUESTS, unique=True),
    )
    def move(
        self,
        tenant: str,
        name: str,
        state: str,
        status: str,
        ahead: int,
        effects: list[str],
        settled: tuple[str, int, bool] | None,
        key: str | None,
        cleared: list[str],
    ) -> None:
        """Move or close an instance, from its present version or from another."""
        if (tenant, name) not in self.last:
            return
        instance = next_of(self.last[tenant, name], state=state, status=status)
        instance = instance.changed(version=instance.version + ahead)
        result = a_result(settled[1], succeeded=settled[2], effect_id=settled[0]) if settled else None
        self.commit(
            a_commit(
                instance,
                effects=tuple(an_effect(instance, effect) for effect in effects),
                settled=result,
                cleared_deadlines=tuple(cleared),
                idempotency=a_record(instance, key) if key else None,
            )
        )

    def commit(self, commit: Commit) -> None:
        """Commit to both; remember what was stored."""
        if type(self.same(lambda storage: storage.store.commit(commit))).__name__ == "Stored":
            self.last[commit.instance.tenant, commit.instance.instance_id] = commit

    @rule(effect=EFFECTS, lease=SPANS)
    def claim(self, effect: str, lease: timedelta) -> None:
        """Claim an effect."""

        async def ask(storage: Storage) -> Claim | None:
            claimed = await storage.effects.claim(effect, lease=lease)
            return claimed and replace(claimed, age=timedelta(0))  # the two stores' clocks differ

        self.same(ask)

    @rule(
        effect=EFFECTS, fence=FENCES, span=SPANS, how=st.sampled_from(["renew", "finish", "retry", "put off", "bury"])
    )
    def act(self, effect: str, fence: int, span: timedelta, how: str) -> None:
        """Do something under a fence, right or wrong."""

        def ask(storage: Storage) -> Coroutine[Any, Any, bool]:
            match how:
                case "renew":
                    return storage.effects.renew(effect, fence, lease=span)
                case "finish":
                    return storage.effects.finish(effect, fence, {"how": None})
                case "retry":
                    return storage.effects.retry(effect, fence, after=span, error="again")
                case "put off":
                    return storage.effects.put_off(effect, fence, after=span, why="not now")
                case _:
                    return storage.effects.bury(effect, fence, error="never")

        self.same(ask)

    @rule()
    def relay(self) -> None:
        """Hand everything over."""
        memory, redis = (storage.take_outbox() for storage in self.both)
        assert memory == redis

    @rule(tenant=TENANTS, request=REQUESTS, version=st.integers(1, 3), ts=st.sampled_from(["1", "2"]))
    def show(self, tenant: str, request: str, version: int, ts: str) -> None:
        """Keep a card."""
        card = Card(
            tenant=tenant, request_id=request, channel_kind="slack", address={"ts": ts}, rendered_version=version
        )
        self.same(lambda storage: storage.cards.save_card(card))
        self.same(lambda storage: storage.cards.card(tenant, request))

    @rule(tenant=TENANTS, state=st.none() | STATES, limit=st.integers(1, 3))
    def page(self, tenant: str, state: str | None, limit: int) -> None:
        """Page through a listing to its end."""
        cursor = None
        for _ in range(5):
            _, cursor = self.same(
                lambda storage, after=cursor: storage.store.instances(tenant, state=state, cursor=after, limit=limit)
            )
            if cursor is None:
                return
        raise AssertionError("a listing of at most three instances does not end")

    @invariant()
    def reads_agree(self) -> None:
        """Every read of everything there could be gives the same on both."""
        for tenant in ("acme", "a:b"):
            for name in ("li_1", "li_2", "b:c"):
                self.same(lambda storage, t=tenant, n=name: storage.store.load(t, n))
                self.same(lambda storage, t=tenant, n=name: storage.store.events(t, n))
                first, second = (
                    [timeless(r) for r in self.loop.run_until_complete(storage.effects.effects_of(tenant, name))]
                    for storage in self.both
                )
                assert first == second
            for aggregate in ("CHG-1", "CHG-2"):
                self.same(lambda storage, t=tenant, n=aggregate: storage.store.load_aggregate(t, n))
            for request in ("ar_1", "ar_2"):
                self.same(lambda storage, t=tenant, n=request: storage.store.load_request(t, n))
        self.same(lambda storage: storage.deadlines.due(NOW))
        listings = [self.loop.run_until_complete(storage.effects.listed()) for storage in self.both]
        of_memory, of_redis = ({r.effect.effect_id: timeless(r) for r in page} for page, _ in listings)
        assert of_memory == of_redis
        first, second = (self.loop.run_until_complete(storage.effects.backlog()) for storage in self.both)
        assert [replace(heap, oldest=timedelta(0)) for heap in first.heaps] == [
            replace(heap, oldest=timedelta(0)) for heap in second.heaps
        ]
        assert first.outbox == second.outbox
        assert self.both[0].outbox() == self.both[1].outbox()


@pytest.fixture
def machine(redis_url: str) -> type[SideBySide]:
    """The comparison on a database of its own."""
    return type("Machine", (SideBySide,), {"url": redis_url})


@pytest.mark.timeout(120)
def test_no_history_tells_the_stores_apart(machine: type[SideBySide]) -> None:
    """Whatever sequence of calls is made, memory and Redis answer alike and hold the same."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
