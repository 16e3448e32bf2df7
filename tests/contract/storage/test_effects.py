"""What claims on effects promise, on every store: one holder at a time, and nothing from yesterday's holder."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from contract.storage.builders import a_commit, a_result, an_effect, an_instance, next_of
from contract.storage.implementations import GRACE, Storage, eventually

from gateway.jobs.ports import Claim, OutboxEntry
from loops.commit import Commit
from loops.errors import Rejected
from loops.ports import StaleClaim, Stored

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=60)

#: What stores count time in.
GRAIN = timedelta(milliseconds=1)


@pytest.fixture
def began() -> datetime:
    """When the test began: nothing in its store is older."""
    return datetime.now(UTC)


@pytest.fixture
async def commit(storage: Storage, began: datetime) -> Commit:
    """The stored first commit of an instance, with one effect."""
    del began  # asked for, so that it is before
    commit = a_commit(an_instance(), effects=(an_effect(an_instance()),))
    assert await storage.store.commit(commit) == Stored()
    return commit


async def claimed(storage: Storage, lease: timedelta = LONG) -> Claim:
    """Claim the effect, as soon as it can be had."""
    return await eventually(lambda: storage.effects.claim("ef_1", lease=lease))


async def test_an_effect_waits_from_its_commit(storage: Storage, commit: Commit, began: datetime) -> None:
    """A committed effect is pending, stands in the outbox once and falls to the sweep after a grace."""
    committed_by = datetime.now(UTC)
    record = await storage.effects.effect("ef_1")

    assert record is not None
    assert record.effect == commit.effects[0]
    assert (record.state, record.fence, record.attempts) == ("pending", 0, 0)
    assert (record.error, record.detail) == (None, None)
    assert record.next_at is not None
    assert began - GRAIN <= record.next_at - GRACE <= committed_by + GRAIN
    assert storage.outbox() == [OutboxEntry("ef_1", "integration.run")]


async def test_an_unclaimed_effect_can_be_had_at_once(storage: Storage, commit: Commit, began: datetime) -> None:
    """A pending effect nobody claimed is claimed at any time, with everything its commit said of it."""
    claim = await storage.effects.claim("ef_1", lease=LONG)

    assert claim is not None
    assert claim == Claim(effect=commit.effects[0], fence=1, attempt=1, tries=1, age=claim.age)
    assert timedelta(0) <= claim.age <= datetime.now(UTC) - began + GRAIN


@pytest.mark.usefixtures("commit")
async def test_of_racing_claims_one_wins(storage: Storage) -> None:
    """However many workers claim an effect at once, one has it."""
    claims = await asyncio.gather(*(storage.effects.claim("ef_1", lease=LONG) for _ in range(16)))

    assert len([claim for claim in claims if claim is not None]) == 1


async def test_an_unknown_effect_cannot_be_touched(storage: Storage) -> None:
    """Every operation on an effect that is not there says so and makes nothing."""
    effects = storage.effects
    before = await storage.dump()

    assert await effects.claim("ef_404", lease=LONG) is None
    assert await effects.effect("ef_404") is None
    assert await effects.effects_of("acme", "li_404") == []
    assert not await effects.renew("ef_404", 0, lease=LONG)
    assert not await effects.finish("ef_404", 0, {})
    assert not await effects.retry("ef_404", 0, after=LONG, error="x")
    assert not await effects.bury("ef_404", 0, error="x")
    assert await storage.dump() == before


@pytest.mark.usefixtures("commit")
async def test_a_lease_that_ended_lets_another_in(storage: Storage) -> None:
    """When a holder dies, its effect can be claimed after the lease, under a higher fence, as the next attempt."""
    first = await claimed(storage, SHORT)

    second = await claimed(storage)

    assert (first.fence, second.fence) == (1, 2)
    assert second.attempt == 2
    assert await storage.effects.claim("ef_1", lease=LONG) is None


@pytest.mark.usefixtures("commit")
async def test_a_renewed_lease_keeps_others_out(storage: Storage) -> None:
    """A holder that renews in time keeps the effect beyond its first lease."""

    async def renewed_in_time() -> bool:
        return await storage.effects.renew("ef_1", (await claimed(storage, SHORT)).fence, lease=LONG)

    await eventually(renewed_in_time)
    await asyncio.sleep(SHORT.total_seconds() * 1.5)

    assert await storage.effects.claim("ef_1", lease=LONG) is None


@pytest.mark.usefixtures("commit")
async def test_a_lease_that_is_over_is_not_renewed(storage: Storage) -> None:
    """Renewing late is told from renewing in time, even where nobody else has come."""
    claim = await claimed(storage, SHORT)

    async def over() -> bool:
        return not await storage.effects.renew("ef_1", claim.fence, lease=timedelta(0))

    await eventually(over)

    assert not await storage.effects.renew("ef_1", claim.fence, lease=LONG)


@pytest.mark.usefixtures("commit")
async def test_a_late_result_counts_while_nobody_else_came(storage: Storage) -> None:
    """The fence decides, not the clock: work finished after the lease is kept unless the effect was claimed again."""
    claim = await claimed(storage, timedelta(0))

    assert await storage.effects.finish("ef_1", claim.fence, {"posted": True})


@pytest.mark.usefixtures("commit")
async def test_an_older_fence_changes_nothing(storage: Storage) -> None:
    """A holder that lost its lease to another can neither renew, finish, give back nor bury the effect."""
    old = await claimed(storage, timedelta(0))
    await claimed(storage)
    effects, before = storage.effects, await storage.dump()

    assert not await effects.renew("ef_1", old.fence, lease=LONG)
    assert not await effects.finish("ef_1", old.fence, {})
    assert not await effects.retry("ef_1", old.fence, after=timedelta(0), error="late")
    assert not await effects.bury("ef_1", old.fence, error="late")
    assert await storage.dump() == before


@pytest.mark.usefixtures("commit")
async def test_a_finished_effect_is_over(storage: Storage) -> None:
    """An effect that succeeded keeps its detail, cannot be claimed again and is not swept."""
    claim = await claimed(storage)
    assert await storage.effects.finish("ef_1", claim.fence, {"ts": "1.2", "thread": None})

    record = await storage.effects.effect("ef_1")

    assert record is not None
    assert (record.state, record.detail, record.next_at) == ("succeeded", {"ts": "1.2", "thread": None}, None)
    assert await storage.effects.claim("ef_1", lease=LONG) is None
    assert not await storage.effects.finish("ef_1", claim.fence, {})
    assert not await storage.effects.retry("ef_1", claim.fence, after=timedelta(0), error="late")
    await asyncio.sleep(GRACE.total_seconds() * 1.5)
    assert await storage.effects.requeue_overdue(grace=LONG) == []


@pytest.mark.usefixtures("commit")
async def test_a_buried_effect_is_over(storage: Storage) -> None:
    """A dead effect says why, cannot be claimed again and is not swept."""
    claim = await claimed(storage, timedelta(0))
    assert await storage.effects.bury("ef_1", claim.fence, error="no such channel \ud800")

    record = await storage.effects.effect("ef_1")

    assert record is not None
    assert (record.state, record.error, record.next_at) == ("dead", "no such channel ?", None)
    assert await storage.effects.claim("ef_1", lease=LONG) is None
    assert await storage.effects.requeue_overdue(grace=LONG) == []


@pytest.mark.usefixtures("commit")
async def test_a_retry_waits_for_its_time(storage: Storage) -> None:
    """An effect given back is not claimed before its time, then comes to the outbox and is the next attempt."""
    storage.take_outbox()
    claim = await claimed(storage)
    assert await storage.effects.retry("ef_1", claim.fence, after=SHORT, error="HTTP 503")

    assert await eventually(lambda: storage.effects.requeue_overdue(grace=LONG)) == ["ef_1"]
    assert [entry.effect_id for entry in storage.take_outbox()] == ["ef_1"]
    again = await storage.effects.claim("ef_1", lease=LONG)
    assert again is not None
    assert (again.fence, again.attempt) == (2, 2)

    assert await storage.effects.retry("ef_1", again.fence, after=LONG, error="HTTP 503")
    record = await storage.effects.effect("ef_1")
    assert record is not None
    assert (record.state, record.error, record.attempts) == ("failed", "HTTP 503", 2)
    assert await storage.effects.claim("ef_1", lease=LONG) is None
    assert await storage.effects.requeue_overdue(grace=LONG) == []
    assert storage.outbox() == []


@pytest.mark.usefixtures("commit")
async def test_the_sweep_puts_back_what_nobody_claimed(storage: Storage) -> None:
    """An effect the job queue lost comes to the outbox again after its grace, once per grace."""
    storage.take_outbox()

    assert await eventually(lambda: storage.effects.requeue_overdue(grace=LONG)) == ["ef_1"]
    assert await storage.effects.requeue_overdue(grace=LONG) == []
    assert storage.outbox() == [OutboxEntry("ef_1", "integration.run")]


@pytest.mark.usefixtures("commit")
async def test_the_sweep_puts_back_what_a_dead_holder_left(storage: Storage) -> None:
    """An effect whose lease ended comes to the outbox again and is claimed under a new fence."""
    await claimed(storage, SHORT)
    storage.take_outbox()

    assert await eventually(lambda: storage.effects.requeue_overdue(grace=SHORT)) == ["ef_1"]
    assert [entry.effect_id for entry in storage.take_outbox()] == ["ef_1"]
    assert (await claimed(storage)).fence == 2
    await asyncio.sleep(SHORT.total_seconds() * 1.5)
    assert await storage.effects.requeue_overdue(grace=LONG) == []
    assert storage.outbox() == []


@pytest.mark.usefixtures("commit")
async def test_the_outbox_does_not_grow_while_no_relay_runs(storage: Storage) -> None:
    """An effect that still waits in the outbox is not put there a second time by the sweep."""
    for _ in range(3):
        assert await eventually(lambda: storage.effects.requeue_overdue(grace=timedelta(0))) == ["ef_1"]

    assert [entry.effect_id for entry in storage.outbox()] == ["ef_1"]


async def test_a_sweep_takes_no_more_than_asked(storage: Storage) -> None:
    """One sweep puts back at most its limit, the longest overdue first; the next one goes on from there."""
    instance = an_instance()
    effects = tuple(an_effect(instance, f"ef_{number}") for number in range(5))
    await storage.store.commit(a_commit(instance, effects=effects))
    first = await eventually(lambda: storage.effects.requeue_overdue(grace=LONG, limit=2))

    second = await storage.effects.requeue_overdue(grace=LONG)

    assert [*first, *second] == [effect.effect_id for effect in effects]
    assert len(first) == 2
    assert await storage.effects.requeue_overdue(grace=LONG, limit=0) == []


@pytest.mark.parametrize(("succeeded", "state"), [(True, "succeeded"), (False, "dead")])
async def test_a_commit_settles_the_effect_it_rests_on(
    storage: Storage, commit: Commit, succeeded: bool, state: str
) -> None:
    """A result committed under the latest claim ends its effect in the same step, and only once."""
    claim = await claimed(storage, timedelta(0))
    result = a_result(claim.fence, succeeded=succeeded)
    second = a_commit(next_of(commit), settled=result)

    assert await storage.store.commit(second) == Stored()

    record = await storage.effects.effect("ef_1")
    assert record is not None
    assert (record.state, record.detail, record.next_at) == (state, result.detail, None)
    assert await storage.effects.claim("ef_1", lease=LONG) is None
    assert await storage.effects.requeue_overdue(grace=LONG) == []
    assert await storage.store.commit(a_commit(next_of(second), settled=result)) == StaleClaim()


async def test_a_result_under_a_claim_given_back_is_stale(storage: Storage, commit: Commit) -> None:
    """Who gave an effect back has no say in it any more, although nobody claimed it since."""
    claim = await claimed(storage)
    await storage.effects.retry("ef_1", claim.fence, after=LONG, error="HTTP 503")

    assert await storage.store.commit(a_commit(next_of(commit), settled=a_result(claim.fence))) == StaleClaim()


async def test_an_effect_id_written_twice_is_one_effect(storage: Storage, commit: Commit) -> None:
    """A finished effect is not started again by a later commit that brings the same id."""
    claim = await claimed(storage)
    await storage.effects.finish("ef_1", claim.fence, {})
    storage.take_outbox()

    assert await storage.store.commit(a_commit(next_of(commit), effects=commit.effects)) == Stored()

    record = await storage.effects.effect("ef_1")
    assert record is not None
    assert record.state == "succeeded"
    assert storage.outbox() == []
    assert len(await storage.effects.effects_of("acme", "li_1")) == 1


async def test_effects_of_an_instance_come_oldest_first(storage: Storage, commit: Commit) -> None:
    """All effects of one instance are listed in the order of their commits, finished ones too, no others."""
    claim = await claimed(storage)
    await storage.effects.finish("ef_1", claim.fence, {})
    more = tuple(an_effect(commit.instance, name, kind="card.post") for name in ("ef_0", "ef_9"))
    await storage.store.commit(a_commit(next_of(commit), effects=more))
    other = an_instance(tenant="other")
    await storage.store.commit(a_commit(other, effects=(an_effect(other, "ef_other"),)))

    records = await storage.effects.effects_of("acme", "li_1")

    assert [record.effect.effect_id for record in records] == ["ef_1", "ef_0", "ef_9"]
    assert [entry.effect_id for entry in storage.outbox()] == ["ef_1", "ef_0", "ef_9", "ef_other"]


async def test_an_effect_id_may_hold_any_text(storage: Storage) -> None:
    """Ids with spaces, colons and percent signs come back from the outbox and the sweep unharmed."""
    name = "ef 1:%3A é"
    await storage.store.commit(a_commit(an_instance(), effects=(an_effect(an_instance(), name),)))

    assert storage.outbox() == [OutboxEntry(name, "integration.run")]
    assert await eventually(lambda: storage.effects.requeue_overdue(grace=LONG)) == [name]
    assert storage.take_outbox() == [OutboxEntry(name, "integration.run")]
    assert storage.outbox() == []


async def test_what_ended_badly_is_put_back_with_a_commit(storage: Storage, commit: Commit) -> None:
    """A commit has a dead or failed effect tried once more; its attempts and fences go on being counted."""
    claim = await claimed(storage)
    storage.take_outbox()
    await storage.effects.bury("ef_1", claim.fence, error="not_in_channel")

    first = a_commit(next_of(commit), revived=("ef_1",))
    assert await storage.store.commit(first) == Stored()
    assert storage.take_outbox() == [OutboxEntry("ef_1", "integration.run")]
    record = await storage.effects.effect("ef_1")
    assert record is not None
    assert (record.state, record.error, record.next_at is not None) == ("pending", "not_in_channel", True)
    again = await claimed(storage)
    assert (again.fence, again.attempt) == (2, 2)
    failed = a_commit(next_of(first), settled=a_result(again.fence, succeeded=False))
    await storage.store.commit(failed)

    assert await storage.store.commit(a_commit(next_of(failed), revived=("ef_1",))) == Stored()
    assert storage.outbox() == [OutboxEntry("ef_1", "integration.run")]


@pytest.mark.parametrize("name", ["ef_1", "ef_9"])
async def test_a_commit_that_revives_what_did_not_fail_writes_nothing(
    storage: Storage, commit: Commit, name: str
) -> None:
    """An effect that waits, runs, is done or is unknown is left as it is: nothing takes place twice."""
    before = await storage.dump()
    revival = a_commit(next_of(commit), revived=(name,))
    assert await storage.store.commit(revival) == StaleClaim()
    assert await storage.dump() == before
    claim = await claimed(storage)
    assert await storage.store.commit(revival) == StaleClaim()
    await storage.effects.finish("ef_1", claim.fence, {})

    assert await storage.store.commit(revival) == StaleClaim()


@pytest.mark.usefixtures("commit")
async def test_what_is_put_off_was_not_tried(storage: Storage) -> None:
    """An effect that had to wait for its turn waits as pending, and the wait counts as no attempt."""
    claim = await claimed(storage)
    assert await storage.effects.put_off("ef_1", claim.fence, after=SHORT, why="the lane is full")
    again = await claimed(storage)
    assert (again.fence, again.attempt) == (2, 1)

    assert await storage.effects.put_off("ef_1", again.fence, after=LONG, why="the circuit is open")
    record = await storage.effects.effect("ef_1")
    assert record is not None
    assert (record.state, record.why, record.attempts) == ("pending", "the circuit is open", 0)
    assert await storage.effects.claim("ef_1", lease=LONG) is None
    assert not await storage.effects.put_off("ef_1", again.fence, after=SHORT, why="late")


@pytest.mark.usefixtures("commit")
async def test_claims_whose_holder_never_came_back_are_counted(storage: Storage) -> None:
    """Each claim of an effect that somebody died on counts; one that ends in order begins the count anew."""
    lost = [(await claimed(storage, timedelta(0))).lost for _ in range(3)]
    claim = await claimed(storage)
    await storage.effects.retry("ef_1", claim.fence, after=timedelta(0), error="HTTP 503")

    assert lost == [0, 1, 2]
    assert claim.lost == 3
    assert (await claimed(storage)).lost == 0


async def test_an_effect_put_back_has_all_its_tries_again(storage: Storage, commit: Commit) -> None:
    """Attempts are counted for good, tries and age since the effect was put back to work."""
    claim = await claimed(storage)
    await storage.effects.bury("ef_1", claim.fence, error="away")
    await asyncio.sleep(10 * GRAIN.total_seconds())
    revived_after = datetime.now(UTC)
    await storage.store.commit(a_commit(next_of(commit), revived=("ef_1",)))
    again = await claimed(storage)

    assert (again.attempt, again.tries) == (2, 1)
    assert again.age <= datetime.now(UTC) - revived_after + GRAIN


async def test_what_is_not_done_with_can_be_paged_through(storage: Storage) -> None:
    """Effects are listed by state, oldest first, each on one page only; what is over is listed no more."""
    instance = an_instance()
    await storage.store.commit(a_commit(instance, effects=tuple(an_effect(instance, f"ef_{n}") for n in range(5))))
    for number, end in enumerate(("bury", "finish")):
        claim = await storage.effects.claim(f"ef_{number}", lease=LONG)
        assert claim is not None
        if end == "bury":
            await storage.effects.bury(f"ef_{number}", claim.fence, error="no")
        else:
            await storage.effects.finish(f"ef_{number}", claim.fence, {})
    seen, cursor = [], None
    for _ in range(3):
        page, cursor = await storage.effects.listed(cursor=cursor, limit=2)
        seen.append([record.effect.effect_id for record in page])
        if cursor is None:
            break
    dead, _ = await storage.effects.listed(["dead"])

    assert seen == [["ef_0", "ef_2"], ["ef_3", "ef_4"]]
    assert [(record.effect.effect_id, record.state) for record in dead] == [("ef_0", "dead")]


async def test_a_cursor_that_is_none_is_refused(storage: Storage) -> None:
    """What somebody made up as a cursor is told from one of ours."""
    with pytest.raises(Rejected, match="cursor"):
        await storage.effects.listed(cursor="[ef_1")


@pytest.mark.usefixtures("commit")
async def test_the_backlog_says_what_waits_and_how_long(storage: Storage, began: datetime) -> None:
    """How many effects of each kind are in each state, and the age of the oldest, follow every change of state."""
    before = await storage.effects.backlog()
    at_most = datetime.now(UTC) - began + GRAIN
    claim = await claimed(storage)
    await storage.effects.bury("ef_1", claim.fence, error="no")
    after = await storage.effects.backlog()

    assert (before.outbox, before.waiting, after.waiting) == (1, 1, 0)
    heap = next(heap for heap in before.heaps if heap.count)
    assert (heap.state, heap.kind) == ("pending", "integration.run")
    assert timedelta(0) <= heap.oldest <= at_most
    assert [(heap.state, heap.count) for heap in after.heaps if heap.count] == [("dead", 1)]


@pytest.mark.parametrize("end", ["pending", "failed", "dead"])
async def test_what_is_abandoned_does_not_take_place(storage: Storage, commit: Commit, end: str) -> None:
    """An effect nobody holds is cancelled with the commit that says so: not listed, not swept, not claimed."""
    if end != "pending":
        claim = await claimed(storage)
        await storage.effects.retry("ef_1", claim.fence, after=timedelta(0), error="x")
    if end == "dead":
        claim = await claimed(storage)
        await storage.effects.bury("ef_1", claim.fence, error="x")

    assert await storage.store.commit(a_commit(next_of(commit), abandoned=("ef_1",))) == Stored()

    record = await storage.effects.effect("ef_1")
    assert record is not None
    assert (record.state, record.next_at) == ("cancelled", None)
    assert await storage.effects.claim("ef_1", lease=LONG) is None
    assert (await storage.effects.listed())[0] == []
    await asyncio.sleep(GRACE.total_seconds() * 1.5)
    assert await storage.effects.requeue_overdue(grace=LONG) == []


async def test_what_somebody_holds_is_not_abandoned(storage: Storage, commit: Commit) -> None:
    """An effect that is being carried out, or is done, or is none, is not cancelled, and nothing is written."""
    claim = await claimed(storage)
    second = next_of(commit)
    before = await storage.dump()

    assert await storage.store.commit(a_commit(second, abandoned=("ef_1",))) == StaleClaim()
    assert await storage.store.commit(a_commit(second, abandoned=("ef_9",))) == StaleClaim()
    assert await storage.dump() == before
    await storage.effects.finish("ef_1", claim.fence, {})
    assert await storage.store.commit(a_commit(second, abandoned=("ef_1",))) == StaleClaim()


async def test_a_commit_cancels_what_nobody_claimed_yet(storage: Storage) -> None:
    """Of the kinds it names, what waits is cancelled in the same step; what is claimed and everything else stays."""
    instance = an_instance()
    names = {"ef_claimed": "integration.run", "ef_waits": "provider.ask", "ef_card": "card.update"}
    first = a_commit(instance, effects=tuple(an_effect(instance, name, kind=kind) for name, kind in names.items()))
    await storage.store.commit(first)
    claim = await storage.effects.claim("ef_claimed", lease=LONG)
    other = an_instance(tenant="other")
    await storage.store.commit(a_commit(other, effects=(an_effect(other, "ef_other"),)))
    new = an_effect(instance, "ef_new")
    kinds = ("integration.run", "provider.ask")
    await storage.store.commit(a_commit(next_of(first), cancelled_kinds=kinds, effects=(new,)))
    states = {name: await storage.effects.effect(name) for name in (*names, "ef_other", "ef_new")}

    assert {name: record and record.state for name, record in states.items()} == {
        "ef_claimed": "claimed",
        "ef_waits": "cancelled",
        "ef_card": "pending",
        "ef_other": "pending",
        "ef_new": "pending",
    }
    assert claim is not None
    assert await storage.effects.finish("ef_claimed", claim.fence, {})
