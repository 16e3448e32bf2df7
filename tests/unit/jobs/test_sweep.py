"""The sweep: what a crash left is queued again, what fell due takes effect."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from builders import TENANT, a_change
from unit.jobs.rig import LEASE, JobsHouse, a_jobs_house

from gateway.jobs.ports import Deadlines
from gateway.jobs.sweep import Sweep
from loops.deadlines import Deadline

GRACE = timedelta(seconds=5)


def a_sweep(jobs: JobsHouse, deadlines: Deadlines | None = None) -> Sweep:
    """Return a sweep over the house's store."""
    return Sweep(jobs.store, deadlines or jobs.store, jobs.house.engine, jobs.clock, grace=GRACE)


class WithGhosts:
    """Deadlines with some in front that belong to nothing, or break."""

    def __init__(self, deadlines: Deadlines, ghosts: Sequence[Deadline]) -> None:
        self._deadlines = deadlines
        self._ghosts = ghosts

    async def due(self, now: datetime, *, limit: int = 100) -> Sequence[Deadline]:
        """Return the ghosts first."""
        return [*self._ghosts, *await self._deadlines.due(now, limit=limit)][:limit]


async def test_an_effect_nobody_took_is_queued_again() -> None:
    """An effect whose job was lost is in the outbox again after the grace, and not before."""
    jobs = a_jobs_house()
    await jobs.start()
    jobs.store.take_outbox()
    await a_sweep(jobs).once()
    early = jobs.store.outbox
    jobs.later(GRACE)
    await a_sweep(jobs).once()

    assert early == ()
    assert [entry.kind for entry in jobs.store.outbox] == ["provider.ask"]


async def test_an_effect_whose_worker_died_is_queued_again_when_its_lease_is_over() -> None:
    """A claim that nobody renews comes back."""
    jobs = a_jobs_house()
    await jobs.start()
    jobs.store.take_outbox()
    await jobs.claim("provider.ask")
    jobs.later(LEASE)
    await a_sweep(jobs).once()

    assert len(jobs.store.outbox) == 1


async def test_a_finished_effect_is_not_queued_again() -> None:
    """What is done stays done."""
    jobs = a_jobs_house()
    await jobs.propose()
    await jobs.run("card.post")
    jobs.store.take_outbox()
    jobs.later(timedelta(hours=1))
    await a_sweep(jobs).once()

    assert jobs.store.outbox == ()


async def test_a_deadline_that_falls_due_expires_the_request() -> None:
    """Nobody answered in time: the policy's transition is taken by the system."""
    jobs = a_jobs_house()
    await jobs.propose()
    await a_sweep(jobs).once()
    before = await jobs.state()
    jobs.later(timedelta(hours=4))
    await a_sweep(jobs).once()

    assert before == "PENDING_HUMAN_APPROVAL"
    assert await jobs.state() == "REJECTED"
    assert (await jobs.request()).status == "expired"


async def test_without_a_way_out_silence_cancels() -> None:
    """A policy that names no transition for silence never approves: the loop is cancelled."""
    jobs = a_jobs_house(a_change(onExpiry=None))
    await jobs.propose()
    jobs.later(timedelta(hours=4))
    await a_sweep(jobs).once()
    loaded = await jobs.store.load(TENANT, jobs.instance_id)

    assert loaded is not None
    assert loaded.instance.status == "cancelled"


async def test_deadlines_that_belong_to_nothing_do_not_hold_up_the_others() -> None:
    """A hundred broken deadlines in front: the real one takes effect, and the broken are left alone for a while."""
    jobs = a_jobs_house()
    await jobs.propose()
    ghosts = [
        Deadline(
            deadline_id=f"ar_ghost{number}:expire",
            kind="expire",
            tenant=TENANT,
            instance_id="li_ghost",
            request_id=f"ar_ghost{number}",
            due_at=jobs.clock.now(),
        )
        for number in range(100)
    ]
    jobs.later(timedelta(hours=4))
    sweep = a_sweep(jobs, deadlines=WithGhosts(jobs.store, ghosts))
    await sweep.once()
    await sweep.once()

    assert await jobs.state() == "REJECTED"


async def test_a_deadline_that_breaks_does_not_hold_up_the_others() -> None:
    """An error nobody foresaw in one deadline is one deadline's."""
    jobs = a_jobs_house()
    await jobs.propose()
    broken: Any = Deadline.model_construct(
        deadline_id="x", kind="expire", tenant=TENANT, instance_id="li", request_id=["no", "text"], due_at=None
    )
    jobs.later(timedelta(hours=4))
    await a_sweep(jobs, deadlines=WithGhosts(jobs.store, [broken])).once()

    assert await jobs.state() == "REJECTED"
