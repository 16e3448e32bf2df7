"""Attempts go through their integration's lane: what it hears of, what waits, and what that costs."""

import asyncio
from datetime import timedelta
from typing import Any

from unit.jobs.rig import LEASE, POLICY, JobsHouse, a_jobs_house

from gateway.integrations.ports import Run
from gateway.integrations.recording import MemoryIntegration
from gateway.jobs.lanes import Gates
from gateway.jobs.ports import LaneRules, LaneStanding
from gateway.jobs.runner import RetryPolicy
from gateway.storage.memory_lanes import MemoryLanes
from loops.errors import Rejected, Unavailable

RULES = LaneRules(at_once=1, failures=2, pause=timedelta(minutes=1))


class HangingIntegration:
    """Never answers."""

    kind = "hanging"

    async def run(self, run: Run) -> dict[str, Any]:
        """Hang."""
        await asyncio.Event().wait()
        return {}


class LaneHouse:
    """A jobs' house whose deployer has a lane."""

    def __init__(self, integration: Any, policy: RetryPolicy = POLICY) -> None:
        self.jobs: JobsHouse = a_jobs_house(integration=integration, policy=policy)
        self.lanes = MemoryLanes(self.jobs.store, self.jobs.clock.now)
        self.jobs.gates = Gates(self.lanes, {"deployer": RULES}, lease=LEASE, timeout=policy.timeout)
        self.jobs.__post_init__()

    async def standing(self) -> LaneStanding:
        """Return how the lane stands."""
        [standing] = await self.lanes.standing(["deployer"])
        return standing


async def test_while_the_circuit_is_open_no_attempt_is_burnt() -> None:
    """An integration that is down is tried until its circuit opens; then effects wait, are not tried, and come back."""
    integration = MemoryIntegration()
    house = LaneHouse(integration)
    await house.jobs.approved()
    integration.fail_next([Unavailable("down")] * 2)
    for _ in range(2):
        await house.jobs.run("integration.run")
        house.jobs.later(timedelta(seconds=5))
    waits = [await house.jobs.run("integration.run") for _ in range(3)]
    calls = len(integration.runs)
    house.jobs.later(RULES.pause)
    record = await house.jobs.run("integration.run")

    assert (calls, {(wait.state, wait.attempts) for wait in waits}) == (2, {("pending", 2)})
    assert (record.state, record.attempts) == ("succeeded", 3)
    assert (await house.standing()).circuit == "closed"


async def test_a_refusal_is_an_answer() -> None:
    """A system that refuses what we ask is up: refusals open no circuit."""
    integration = MemoryIntegration()
    house = LaneHouse(integration)
    await house.jobs.approved()
    integration.fail_next([Unavailable("down"), Rejected("no such service")])
    await house.jobs.run("integration.run")
    house.jobs.later(timedelta(seconds=5))
    record = await house.jobs.run("integration.run")

    assert record.state == "dead"
    assert (await house.standing()).failures == 0


async def test_what_we_refuse_ourselves_is_no_answer() -> None:
    """An effect whose loop was cancelled never reaches the lane: an open circuit does not close over it."""
    integration = MemoryIntegration()
    house = LaneHouse(integration)
    await house.jobs.approved()
    integration.fail_next([Unavailable("down")])
    await house.jobs.run("integration.run")
    house.jobs.later(timedelta(seconds=5))
    claim = await house.jobs.claim("integration.run")
    instance = await house.jobs.store.load(claim.effect.tenant, claim.effect.instance_id)
    assert instance is not None
    await house.jobs.house.engine.cancel(
        tenant=claim.effect.tenant, aggregate_id="CHG-7", actor=instance.instance.requester
    )
    house.jobs.later(LEASE)
    await house.jobs.run("integration.run")

    assert (await house.standing()).failures == 1
    assert len(integration.runs) == 1


async def test_a_system_that_hangs_counts_as_failing() -> None:
    """An attempt that is cut at its time-out is a failure of the system it hung on, and leaves the lane."""
    policy = RetryPolicy(LEASE, timeout=timedelta(milliseconds=300), attempts=3, base=timedelta(seconds=1))
    house = LaneHouse(HangingIntegration(), policy)
    await house.jobs.approved()
    record = await house.jobs.run("integration.run")
    standing = await house.standing()

    assert (record.state, record.why) == ("failed", "TimeoutError")
    assert (standing.inside, standing.failures) == (0, 1)


async def test_a_worker_that_stops_leaves_the_lane_without_a_word() -> None:
    """Cut off by the end of its worker, an effect was neither answered nor failed, and takes no place any more."""
    house = LaneHouse(HangingIntegration())
    await house.jobs.approved()
    effect = await house.jobs.effect("integration.run")
    running = asyncio.create_task(house.jobs.runner.run(effect.effect_id))
    async with asyncio.timeout(5):
        while not (await house.standing()).inside:  # noqa: ASYNC110 - entering sends no event
            await asyncio.sleep(0.002)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    standing = await house.standing()

    assert (standing.inside, standing.failures) == (0, 0)
