"""The sweep: what a crash left is queued again, what fell due takes effect."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from builders import DATA, TENANT, a_change, ci
from contract.storage.builders import a_commit, a_deadline, an_instance
from unit.jobs.rig import LEASE, JobsHouse, a_jobs_house

from gateway.jobs.ports import Deadlines
from gateway.jobs.sweep import BATCH, HELD_FOR, STUCK_PAUSE, Sweep
from loops.deadlines import Deadline

GRACE = timedelta(seconds=5)


def a_sweep(jobs: JobsHouse, deadlines: Deadlines | None = None) -> Sweep:
    """Return a sweep over the house's store."""
    return Sweep(jobs.store, deadlines or jobs.store, jobs.house.engine, jobs.clock, grace=GRACE)


class Given:
    """Deadlines with *broken* ones in front, that notes which it gave and which were left to rest."""

    def __init__(self, deadlines: Deadlines, broken: Sequence[Deadline] = ()) -> None:
        self._deadlines = deadlines
        self._broken = broken
        self.given: list[str] = []
        self.rests: list[tuple[str, datetime]] = []

    async def due(self, now: datetime, *, limit: int = 100, held_until: datetime | None = None) -> Sequence[Deadline]:
        """Return the broken first."""
        found = [*self._broken, *await self._deadlines.due(now, limit=limit, held_until=held_until)][:limit]
        self.given += [deadline.deadline_id for deadline in found]
        return found

    async def let_rest(self, deadline: Deadline, *, held_until: datetime, until: datetime) -> None:
        """Note it."""
        self.rests.append((deadline.deadline_id, until))
        await self._deadlines.let_rest(deadline, held_until=held_until, until=until)


async def with_ghosts(jobs: JobsHouse, many: int) -> None:
    """Put so many deadlines of requests that never were in front of all others."""
    instance = an_instance(tenant=TENANT, instance_id="li_ghost", aggregate_id="GHOST")
    ghosts = (
        a_deadline(instance, f"ar_ghost{number}:next", request_id=f"ar_ghost{number}", due_at=jobs.clock.now())
        for number in range(many)
    )
    await jobs.store.commit(a_commit(instance, deadlines=tuple(ghosts)))


async def test_an_effect_nobody_took_is_queued_again() -> None:
    """An effect whose job was lost is in the outbox again after the grace, and not before."""
    jobs = a_jobs_house()
    await jobs.start()
    jobs.store.take_outbox()
    await a_sweep(jobs).put_back()
    early = jobs.store.outbox
    jobs.later(GRACE)
    await a_sweep(jobs).put_back()

    assert early == ()
    assert [entry.kind for entry in jobs.store.outbox] == ["provider.ask"]


async def test_an_effect_whose_worker_died_is_queued_again_when_its_lease_is_over() -> None:
    """A claim that nobody renews comes back."""
    jobs = a_jobs_house()
    await jobs.start()
    jobs.store.take_outbox()
    await jobs.claim("provider.ask")
    jobs.later(LEASE)
    await a_sweep(jobs).put_back()

    assert len(jobs.store.outbox) == 1


async def test_a_finished_effect_is_not_queued_again() -> None:
    """What is done stays done."""
    jobs = a_jobs_house()
    await jobs.propose()
    await jobs.run("card.post")
    jobs.store.take_outbox()
    jobs.later(timedelta(hours=1))
    await a_sweep(jobs).put_back()

    assert jobs.store.outbox == ()


async def test_a_deadline_that_falls_due_expires_the_request() -> None:
    """Nobody answered in time: the policy's transition is taken by the system."""
    jobs = a_jobs_house()
    await jobs.propose()
    await a_sweep(jobs).fall_due()
    before = await jobs.state()
    jobs.later(timedelta(hours=4))
    await a_sweep(jobs).fall_due()

    assert before == "PENDING_HUMAN_APPROVAL"
    assert await jobs.state() == "REJECTED"
    assert (await jobs.request()).status == "expired"


async def test_without_a_way_out_silence_cancels() -> None:
    """A policy that names no transition for silence never approves: the loop is cancelled."""
    jobs = a_jobs_house(a_change(onExpiry=None))
    await jobs.propose()
    jobs.later(timedelta(hours=4))
    await a_sweep(jobs).fall_due()
    loaded = await jobs.store.load(TENANT, jobs.instance_id)

    assert loaded is not None
    assert loaded.instance.status == "cancelled"


async def test_deadlines_that_belong_to_nothing_do_not_hold_up_the_others() -> None:
    """A batch of broken deadlines in front: the real one takes effect, and the broken are left alone for a while."""
    jobs = a_jobs_house()
    await jobs.propose()
    await with_ghosts(jobs, BATCH)
    jobs.later(timedelta(hours=4))
    seen = Given(jobs.store)
    await a_sweep(jobs, seen).fall_due()
    await a_sweep(jobs, seen).fall_due()
    jobs.later(HELD_FOR)
    resting = await jobs.store.due(jobs.clock.now())
    jobs.later(STUCK_PAUSE)

    assert await jobs.state() == "REJECTED"
    assert len(seen.given) == BATCH + 1
    assert resting == []
    assert len(await jobs.store.due(jobs.clock.now())) == BATCH


async def test_a_deadline_that_breaks_does_not_hold_up_the_others() -> None:
    """An error nobody foresaw in one deadline is one deadline's, and that is left alone for a while."""
    jobs = a_jobs_house()
    await jobs.propose()
    broken: Any = Deadline.model_construct(
        deadline_id="x", kind="expire", tenant=TENANT, instance_id="li", request_id=["no", "text"], due_at=None
    )
    jobs.later(timedelta(hours=4))
    seen = Given(jobs.store, [broken])
    await a_sweep(jobs, seen).fall_due()

    assert await jobs.state() == "REJECTED"
    assert seen.rests == [("x", jobs.clock.now() + STUCK_PAUSE)]


async def test_workers_share_what_is_due_and_each_deadline_takes_effect_once() -> None:
    """Two sweep at the same time: none is given what another holds, and nobody is reminded twice."""
    jobs = a_jobs_house(a_change(remindAfter="30m", reminders=3))
    started = [await start(jobs, number) for number in range(BATCH + 10)]
    jobs.later(timedelta(minutes=31))
    seen = [Given(jobs.store) for _ in range(2)]
    more = await asyncio.gather(*(a_sweep(jobs, each).fall_due() for each in seen))
    reminded = [(await jobs.house.event_types(instance)).count("approval.reminded") for instance in started]
    given = [deadline_id for each in seen for deadline_id in each.given]

    assert more == [True, False]
    assert len(given) == len(set(given)) == len(started)
    assert reminded == [1] * len(started)


async def test_what_a_dead_worker_held_falls_due_to_another_in_seconds() -> None:
    """Taken and never done, as by a worker that is killed: the others have it back when the hold is over."""
    jobs = a_jobs_house()
    await jobs.propose()
    jobs.later(timedelta(hours=4))
    await jobs.store.due(jobs.clock.now(), held_until=jobs.clock.now() + HELD_FOR)
    await a_sweep(jobs).fall_due()
    held = await jobs.state()
    jobs.later(HELD_FOR)
    await a_sweep(jobs).fall_due()

    assert (held, await jobs.state()) == ("PENDING_HUMAN_APPROVAL", "REJECTED")
    assert timedelta(seconds=5) >= HELD_FOR


async def start(jobs: JobsHouse, number: int) -> str:
    """Have one more request wait; return its instance."""
    outcome = await jobs.house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id=f"CHG-{number}", data=DATA, actor=ci()
    )
    assert outcome.instance is not None
    jobs.instance_id = outcome.instance.instance_id
    await jobs.run("provider.ask")
    return jobs.instance_id
