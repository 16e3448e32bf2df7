"""Attempts go through their integration's lane: what it hears of, what waits, and what that costs."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from builders import DATA, TENANT, ci
from patience import PATIENCE_S
from unit.jobs.rig import LEASE, POLICY, JobsHouse, a_jobs_house, an_analyst

from gateway.integrations.ports import Run
from gateway.integrations.recording import MemoryIntegration
from gateway.jobs.lanes import Gates, provider_lane
from gateway.jobs.ports import LaneRules, LaneStanding
from gateway.jobs.runner import EffectRunner
from gateway.storage.memory_lanes import MemoryLanes
from loops.errors import Rejected, Unavailable
from loops.ports import Provider
from loops.submission import Ask, Submission

RULES = LaneRules(at_once=1, failures=2, pause=timedelta(minutes=1))


class HangingIntegration:
    """Never answers."""

    kind = "hanging"

    async def run(self, run: Run) -> dict[str, Any]:
        """Hang."""
        await asyncio.Event().wait()
        return {}


class SulkingProvider:
    """Raises the errors it is given, one an ask, and then answers like `an_analyst`."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def submit(self, ask: Ask) -> Submission:
        """Answer, or not."""
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return await an_analyst().submit(ask)


class LaneHouse:
    """A jobs' house whose deployer and analyst have lanes."""

    def __init__(self, integration: Any = None, provider: Provider | None = None) -> None:
        self.jobs: JobsHouse = a_jobs_house(integration=integration, provider=provider)
        self.lanes = MemoryLanes(self.jobs.store, self.jobs.clock.now)
        rules = {"deployer": RULES, provider_lane("analyst"): RULES}
        self.jobs.gates = Gates(self.lanes, rules, lease=LEASE, timeout=POLICY.timeout)
        self.jobs.__post_init__()

    async def standing(self, lane: str = "deployer") -> LaneStanding:
        """Return how the lane stands."""
        [standing] = await self.lanes.standing([lane])
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


async def test_a_provider_that_is_down_is_let_be_and_burns_no_attempt() -> None:
    """A model vendor goes through a lane of its own like any system of record; the deployer's is none the wiser."""
    provider = SulkingProvider(*[Unavailable("overloaded")] * 2)
    house = LaneHouse(provider=provider)
    await house.jobs.start()
    for _ in range(2):
        await house.jobs.run("provider.ask")
        house.jobs.later(timedelta(seconds=5))
    waits = [await house.jobs.run("provider.ask") for _ in range(3)]
    asked, circuits = (
        provider.asked,
        [(await house.standing(lane)).circuit for lane in ("provider analyst", "deployer")],
    )
    house.jobs.later(RULES.pause)
    record = await house.jobs.run("provider.ask")

    assert (asked, {(wait.state, wait.attempts) for wait in waits}) == (2, {("pending", 2)})
    assert circuits == ["open", "closed"]
    assert waits[-1].error == "provider analyst failed too often in a row and is let be for a while"
    assert (record.state, record.attempts) == ("succeeded", 3)
    assert await house.jobs.state() == "PENDING_HUMAN_APPROVAL"


async def test_no_more_are_asked_of_a_provider_at_once_than_may() -> None:
    """One that never answers holds as many workers' places as its lane has, and others wait without holding any."""
    house = LaneHouse(provider=HangingProvider())
    first, second = [await started(house.jobs, name) for name in ("CHG-7", "CHG-8")]
    running = asyncio.create_task(house.jobs.runner.run(first))
    async with asyncio.timeout(PATIENCE_S):
        while not (await house.standing("provider analyst")).inside:  # noqa: ASYNC110 - entering sends no event
            await asyncio.sleep(0.002)
    await house.jobs.runner.run(second)
    waits = await house.jobs.store.effect(second)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert waits is not None

    assert (waits.state, waits.attempts) == ("pending", 0)
    assert waits.error == "provider analyst has 1 effects under way, as many as it may"


async def test_what_a_provider_asks_to_wait_is_waited_by_its_own_policy() -> None:
    """`Retry-After` is the least wait; how often it is tried can be said for each provider."""
    provider = SulkingProvider(Unavailable("limited", retry_after=90), Rejected("bad key"))
    house = LaneHouse(provider=provider)
    own = replace(POLICY, attempts=1)
    await house.jobs.start()
    record = await house.jobs.run("provider.ask")
    assert record.next_at is not None
    wait = record.next_at - house.jobs.clock.now()
    other = LaneHouse(provider=SulkingProvider(Unavailable("limited")))
    other.jobs.runner = EffectRunner(other.jobs.store, other.jobs.handlers, POLICY, {provider_lane("analyst"): own})
    await other.jobs.start()

    assert wait >= timedelta(seconds=90)
    assert (await other.jobs.run("provider.ask")).state == "dead"


async def started(jobs: JobsHouse, aggregate_id: str) -> str:
    """Start the builders' loop on *aggregate_id*; return the effect that asks its provider."""
    outcome = await jobs.house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id=aggregate_id, data=DATA, actor=ci()
    )
    assert outcome.instance is not None
    [ask] = await jobs.house.effects(outcome.instance.instance_id, "provider.ask")
    return ask.effect_id


class HangingProvider:
    """Never answers."""

    async def submit(self, ask: Ask) -> Submission:
        """Hang."""
        await asyncio.Event().wait()
        raise AssertionError


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
    house = LaneHouse(HangingIntegration())
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
    async with asyncio.timeout(PATIENCE_S):
        while not (await house.standing()).inside:  # noqa: ASYNC110 - entering sends no event
            await asyncio.sleep(0.002)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    standing = await house.standing()

    assert (standing.inside, standing.failures) == (0, 0)
