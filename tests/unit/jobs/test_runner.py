"""One attempt at one effect: claimed once, kept while it goes on, tried again, given up, and never lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders import TENANT, a_change, ci
from patience import PATIENCE_S
from unit.jobs.rig import LEASE, POLICY, a_jobs_house, an_analyst

from channels.memory import MemoryChannel
from gateway.integrations.ports import Run
from gateway.integrations.recording import MemoryIntegration
from gateway.jobs.runner import LOST_MAX, EffectRunner, RetryPolicy
from loops.actors import service
from loops.definition import LoopDefinition
from loops.errors import Rejected, Unavailable
from loops.outcomes import Refused
from loops.replay import replay


class SlowIntegration:
    """Does not answer before it is let; says when it was called and whether it was cut off."""

    kind = "slow"

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.answer = asyncio.Event()
        self.was_cut_off = False

    async def run(self, run: Run) -> dict[str, Any]:
        """Wait."""
        self.called.set()
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.was_cut_off = True
            raise
        return {"slept": run.effect_id}


class BrokenIntegration:
    """Fails in a way nobody foresaw, quoting what it was given."""

    kind = "broken"

    async def run(self, run: Run) -> dict[str, Any]:
        """Break."""
        raise KeyError(f"token=xoxb-secret in {run.parameters}")


class RaisingIntegration:
    """Raises what it was given."""

    kind = "raising"

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def run(self, run: Run) -> dict[str, Any]:
        """Raise."""
        raise self._error


async def test_an_effect_is_carried_out_and_its_result_moves_the_loop() -> None:
    """One attempt that succeeds: the integration acted, the loop took its success signal, the effect is closed."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    record = await jobs.run("integration.run")

    assert record.state == "succeeded"
    assert await jobs.state() == "COMPLETE"
    assert list(integration.performed) == [record.effect.effect_id]


async def test_a_finished_effect_is_not_carried_out_again() -> None:
    """A job that comes twice finds nothing to do."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    await jobs.run("integration.run")
    record = await jobs.run("integration.run")

    assert (record.state, record.attempts) == ("succeeded", 1)
    assert len(integration.runs) == 1


async def test_an_effect_that_somebody_holds_is_left_alone() -> None:
    """Of two workers with the same job, one carries it out."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    await jobs.claim("integration.run")
    await jobs.run("integration.run")

    assert integration.runs == []


async def test_a_system_that_is_away_is_tried_again_after_a_wait_and_not_before() -> None:
    """`Unavailable` gives the effect back; only when its wait is over can it be claimed again."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    integration.fail_next([Unavailable("the deployer is restarting")])
    failed = await jobs.run("integration.run")
    await jobs.run("integration.run")
    too_early = len(integration.runs)
    jobs.later(timedelta(seconds=1))
    record = await jobs.run("integration.run")

    assert (failed.state, failed.error) == ("failed", "the deployer is restarting")
    assert too_early == 1
    assert (record.state, record.attempts) == ("succeeded", 2)


async def test_a_system_that_says_when_is_not_called_before() -> None:
    """Retry-After is waited for, though the back-off would be shorter."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    integration.fail_next([Unavailable("busy", retry_after=40)])
    failed = await jobs.run("integration.run")

    assert failed.next_at == jobs.clock.now() + timedelta(seconds=40)


async def test_after_the_last_attempt_the_loop_takes_its_failure_signal() -> None:
    """Given up is a result: it stands on the ledger and the loop moves by `onFailure`."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    integration.fail_next([Unavailable("away")] * POLICY.attempts)
    for _ in range(POLICY.attempts):
        record = await jobs.run("integration.run")
        jobs.later(timedelta(minutes=10))

    assert record.state == "dead"
    assert record.detail == {"error": "given up after 3 attempts in 20m: away"}
    assert await jobs.state() == "FAILED"
    assert "effect.failed" in await jobs.events()


async def test_a_refusal_is_not_tried_again() -> None:
    """`Rejected` ends the effect at the first attempt, with the reason on the ledger."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    integration.fail_next([Rejected("no such service")])
    record = await jobs.run("integration.run")

    assert (record.state, record.attempts, record.detail) == ("dead", 1, {"error": "no such service"})
    assert await jobs.state() == "FAILED"


async def test_an_attempt_that_takes_too_long_is_cut_off_and_tried_again() -> None:
    """The time-out ends the attempt, not the effect."""
    integration = SlowIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    cut = await jobs.run("integration.run")
    integration.answer.set()
    jobs.later(timedelta(seconds=1))
    record = await jobs.run("integration.run")

    assert integration.was_cut_off
    assert (cut.state, cut.error) == ("failed", "TimeoutError")
    assert (record.state, record.attempts) == ("succeeded", 2)


async def test_the_lease_is_renewed_while_a_long_attempt_goes_on() -> None:
    """An attempt longer than the lease keeps its claim: nobody else gets the effect meanwhile."""
    integration = SlowIntegration()
    policy = RetryPolicy(
        timedelta(milliseconds=60), timedelta(seconds=PATIENCE_S), attempts=3, base=timedelta(seconds=1)
    )
    jobs = a_jobs_house(integration=integration, policy=policy)
    await jobs.approved()
    effect = await jobs.effect("integration.run")
    running = asyncio.create_task(jobs.runner.run(effect.effect_id))
    await integration.called.wait()
    for _ in range(4):
        before = await jobs.record("integration.run")
        jobs.later(timedelta(milliseconds=40))
        await _until_renewed(jobs, before.next_at)
    stolen = await jobs.store.claim(effect.effect_id, lease=LEASE)
    integration.answer.set()
    await running

    assert stolen is None
    assert (await jobs.record("integration.run")).state == "succeeded"


async def test_the_result_of_a_lost_lease_is_refused() -> None:
    """A worker that was overtaken reports in vain: the other one's result counts, once."""
    integration = SlowIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    effect = await jobs.effect("integration.run")
    overtaken = asyncio.create_task(jobs.runner.run(effect.effect_id))
    await integration.called.wait()
    jobs.later(LEASE)
    other = await jobs.claim("integration.run")
    integration.answer.set()
    await overtaken
    between = await jobs.state()
    await jobs.handlers.carry_out(other)

    assert between == "ROLLING_OUT"
    assert await jobs.state() == "COMPLETE"
    assert (await jobs.events()).count("effect.succeeded") == 2  # the provider's and the integration's


async def test_an_effect_nothing_can_carry_out_ends_dead_and_its_loop_is_told() -> None:
    """An error nobody foresaw is tried a few times and given up: it neither goes on for ever nor blocks the loop."""
    jobs = a_jobs_house(integration=BrokenIntegration())
    await jobs.approved()
    for _ in range(POLICY.attempts):
        record = await jobs.run("integration.run")
        jobs.later(timedelta(minutes=10))

    assert (record.state, record.attempts) == ("dead", POLICY.attempts)
    assert await jobs.state() == "FAILED"


async def test_what_an_unforeseen_error_quotes_is_kept_nowhere() -> None:
    """The text of an error that is not ours may hold a secret: only its kind is kept."""
    jobs = a_jobs_house(integration=BrokenIntegration())
    await jobs.approved()
    record = await jobs.run("integration.run")

    assert record.error == "KeyError"


async def test_a_long_error_is_kept_in_part() -> None:
    """An error as long as a page does not grow the ledger by a page."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    integration.fail_next([Rejected("\ud800" + "x" * 10_000)])
    record = await jobs.run("integration.run")

    assert record.detail is not None
    assert len(record.detail["error"]) == 500
    assert await jobs.state() == "FAILED"


@pytest.mark.parametrize("kind", ["card.post", "card.update"])
async def test_a_card_is_never_given_up_because_its_channel_is_away(kind: Any) -> None:
    """However long Slack is away, people are asked in the end: waits between attempts stay under half a minute."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    if kind == "card.update":
        await jobs.run("card.post")
        await jobs.answer(request, "approve")
    for _ in range(20):
        channel.fail_next(Unavailable("Slack is away"))
        record = await jobs.run(kind)
        assert record.next_at is not None
        assert record.next_at - jobs.clock.now() <= timedelta(seconds=30)
        jobs.later(timedelta(seconds=30))
    record = await jobs.run(kind)

    assert (record.state, record.attempts) == ("succeeded", 21)


async def test_a_card_that_is_refused_is_buried() -> None:
    """Slack's refusal for good is not repeated; the effect is dead, its error kept for operators."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.propose()
    channel.fail_next(Rejected("not in channel"))
    record = await jobs.run("card.post")

    assert (record.state, record.why) == ("dead", "not in channel")


async def test_an_attempt_cut_off_by_the_end_of_its_worker_is_free_at_once() -> None:
    """A worker told to stop gives its effect back, so that nobody waits for the lease to run out."""
    integration = SlowIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    effect = await jobs.effect("integration.run")
    running = asyncio.create_task(jobs.runner.run(effect.effect_id))
    await integration.called.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    integration.answer.set()
    record = await jobs.run("integration.run")

    assert (record.state, record.attempts) == ("succeeded", 2)


async def test_a_provider_that_is_given_up_leaves_the_loop_to_people() -> None:
    """When no model answers, the system takes the state's `onFailure`."""
    jobs = a_jobs_house(provider=an_analyst(signal="something_else"))
    await jobs.start()
    record = await jobs.run("provider.ask")

    assert record.state == "dead"
    assert await jobs.state() == "PENDING_HUMAN_APPROVAL"


async def test_an_effect_nobody_knows_is_no_error() -> None:
    """A job whose effect is not there (a store restored from an older copy) does nothing."""
    jobs = a_jobs_house()

    await jobs.runner.run("ef_nobody")


async def _until_renewed(jobs: Any, before: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await jobs.record("integration.run")).next_at == before:  # noqa: ASYNC110 - renewals send no event
            await asyncio.sleep(0.002)


async def test_an_effect_that_kills_its_workers_ends_dead() -> None:
    """Where worker after worker dies over an effect it is given up, and its loop told, without another try."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    for _ in range(LOST_MAX):
        await jobs.claim("integration.run")
        jobs.later(LEASE)
    record = await jobs.run("integration.run")

    assert (record.state, integration.runs) == ("dead", [])
    assert record.why is not None
    assert record.why.startswith("given up: 5 workers in a row died")
    assert await jobs.state() == "FAILED"


@pytest.mark.parametrize(
    "broken", [SystemExit(3), asyncio.CancelledError(), RecursionError(), ExceptionGroup("x", [KeyError()])]
)
async def test_whatever_a_handler_raises_ends_its_effect_and_no_more(broken: BaseException) -> None:
    """A bug may raise anything, a cancellation nobody asked for too: counted tries, then dead; the worker lives on."""
    jobs = a_jobs_house(integration=RaisingIntegration(broken))
    await jobs.approved()
    states = []
    for _ in range(POLICY.attempts):
        states.append((await jobs.run("integration.run")).state)
        jobs.later(timedelta(minutes=10))

    assert states == ["failed"] * (POLICY.attempts - 1) + ["dead"]


async def test_what_waits_for_its_turn_has_not_failed() -> None:
    """An update whose card is not there yet waits as pending, longer and longer, and no attempt is counted."""
    jobs = a_jobs_house()
    request = await jobs.propose()
    await jobs.answer(request, "approve")
    waits = []
    for _ in range(4):
        record = await jobs.run("card.update")
        assert record.next_at is not None
        waits.append((record.next_at - jobs.clock.now()).total_seconds())
        jobs.later(timedelta(minutes=1))

    assert (record.state, record.attempts, record.why) == ("pending", 0, "the card is not posted yet")
    assert waits[0] < 1
    assert 15 < waits[-1] < 40


@pytest.mark.parametrize("kind", ["card.post", "notice", "card.thread"])
async def test_every_kind_that_is_given_up_is_on_the_ledger(kind: Any) -> None:
    """A card, a reply or a notice that cannot be shown leaves an `effect.failed` that names its kind, and no reply."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    if kind != "card.post":
        await jobs.run("card.post")
        await jobs.answer(request, "approve", by="kim")
        await jobs.answer(request, "approve")
    replies = len(await jobs.house.effects(jobs.instance_id, "card.thread"))
    channel.fail_next(Rejected("channel_not_found"))
    record = await jobs.run(kind)
    events = await jobs.store.events(TENANT, jobs.instance_id)

    assert record.state == "dead"
    assert (events[-1].type, events[-1].data["kind"]) == ("effect.failed", kind)
    assert len(await jobs.house.effects(jobs.instance_id, "card.thread")) == replies


async def test_an_integration_is_tried_by_its_own_policy() -> None:
    """How often, how far apart and for how long can be said for each integration; others go by the common policy."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    own = replace(POLICY, attempts=9, base=timedelta(seconds=40), longest=timedelta(seconds=50))
    jobs.runner = EffectRunner(jobs.store, jobs.handlers, POLICY, {"deployer": own})
    await jobs.approved()
    integration.fail_next([Unavailable("away")] * 5)
    waits = []
    for _ in range(5):
        record = await jobs.run("integration.run")
        assert record.next_at is not None
        waits.append((record.next_at - jobs.clock.now()).total_seconds())
        jobs.later(timedelta(minutes=1))

    assert record.state == "failed"
    assert 20 <= waits[0] <= 40
    assert all(25 <= wait <= 50 for wait in waits[1:])


async def test_an_effect_is_given_up_when_its_time_is_over() -> None:
    """However many attempts are left: what would be tried after the give-up time is given up now."""
    integration = MemoryIntegration()
    policy = replace(POLICY, attempts=100, give_up_after=timedelta(minutes=30))
    jobs = a_jobs_house(integration=integration, policy=policy)
    await jobs.approved()
    integration.fail_next([Unavailable("away"), Unavailable("closed until noon", retry_after=3_000)])
    first = await jobs.run("integration.run")
    jobs.later(timedelta(minutes=2))
    record = await jobs.run("integration.run")

    assert first.state == "failed"
    assert (record.state, record.why) == ("dead", "given up after 2 attempts in 2m: closed until noon")


async def test_cancelling_a_loop_cancels_what_nobody_claimed() -> None:
    """The integration never runs; the ledger says that the loop was cancelled, and the card is still told."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    await jobs.house.engine.cancel(tenant=TENANT, aggregate_id="CHG-7", actor=ci(), reason="wrong change")
    record = await jobs.run("integration.run")
    card = await jobs.record("card.update")

    assert (record.state, integration.runs) == ("cancelled", [])
    assert card.state == "pending"
    assert "effect.failed" not in await jobs.events()


async def test_what_was_claimed_when_its_loop_was_cancelled_is_recorded() -> None:
    """What is under way finishes: its result is on the ledger, and moves a cancelled loop no more."""
    integration = SlowIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    effect = await jobs.effect("integration.run")
    running = asyncio.create_task(jobs.runner.run(effect.effect_id))
    await integration.called.wait()
    await jobs.house.engine.cancel(tenant=TENANT, aggregate_id="CHG-7", actor=ci())
    integration.answer.set()
    await running

    assert (await jobs.record("integration.run")).state == "succeeded"
    assert (await jobs.events()).count("effect.succeeded") == 2  # the provider's and the integration's
    assert await jobs.state() == "ROLLING_OUT"


OPERATOR = service("operator", "Ops", on_behalf_of="kim")


@pytest.mark.parametrize("after", ["pending", "failed"])
async def test_an_abandoned_effect_does_not_take_place_and_its_loop_is_told(after: str) -> None:
    """Whoever abandoned it, and why, is on the ledger; the loop takes `onFailure`; the history replays."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    effect = await jobs.effect("integration.run")
    if after == "failed":
        integration.fail_next([Unavailable("away")])
        await jobs.run("integration.run")
    outcome = await jobs.house.engine.abandon(effect, after, by=OPERATOR, reason="rolled out by hand")
    record = await jobs.run("integration.run")
    events = await jobs.store.events(TENANT, jobs.instance_id)
    said = next(event for event in events if event.type == "effect.abandoned")
    loaded = await jobs.store.load(TENANT, jobs.instance_id)
    assert loaded is not None

    assert outcome.outcome == "executed"
    assert (record.state, integration.performed) == ("cancelled", {})
    assert await jobs.state() == "FAILED"
    assert (said.data["actor"]["id"], said.data["reason"]) == (OPERATOR.id, "rolled out by hand")
    assert replay(events, loaded.definition).deviation is None


async def test_a_dead_effect_is_abandoned_without_telling_its_loop_again() -> None:
    """The loop was told when the effect was given up: what is recorded is who let it be, and why."""
    jobs = a_jobs_house(channel=MemoryChannel())
    await jobs.propose()
    jobs.channel.fail_next(Rejected("not_in_channel"))  # type: ignore[attr-defined]
    dead = await jobs.run("card.post")
    outcome = await jobs.house.engine.abandon(dead.effect, dead.state, by=OPERATOR, reason="asked by phone")

    assert outcome.outcome == "recorded"
    assert (await jobs.record("card.post")).state == "cancelled"
    assert await jobs.state() == "PENDING_HUMAN_APPROVAL"


@pytest.mark.parametrize("state", ["claimed", "succeeded", "cancelled"])
async def test_what_is_under_way_or_over_is_not_abandoned(state: str) -> None:
    """Refused with the reason, nothing written: never are two attempts alive, nor is history undone."""
    jobs = a_jobs_house()
    await jobs.approved()
    effect = await jobs.effect("integration.run")
    before = await jobs.events()
    outcome = await jobs.house.engine.abandon(effect, state, by=OPERATOR, reason="x")

    assert outcome.outcome == "refused"
    assert await jobs.events() == before


async def test_an_effect_taken_up_meanwhile_is_not_abandoned() -> None:
    """Between looking and saying so a worker may have claimed it: the store decides, and it is refused."""
    jobs = a_jobs_house()
    await jobs.approved()
    effect = await jobs.effect("integration.run")
    await jobs.claim("integration.run")
    outcome = await jobs.house.engine.abandon(effect, "pending", by=OPERATOR, reason="x")

    assert isinstance(outcome, Refused)
    assert (outcome.code, await jobs.state()) == ("not_failed", "ROLLING_OUT")


async def test_an_operator_has_a_dead_effect_tried_again() -> None:
    """On the record as the operator's tool on behalf of a person; with all its tries; the history replays."""
    definition = a_change()
    loop = definition.model_dump(mode="json", by_alias=True, exclude_none=True)
    next(t for t in loop["transitions"] if t["id"] == "approve")["effects"][0].pop("onFailure")
    integration = MemoryIntegration()
    jobs = a_jobs_house(LoopDefinition.model_validate(loop), integration=integration)
    await jobs.approved()
    integration.fail_next([Rejected("no such service")])
    dead = await jobs.run("integration.run")
    outcome = await jobs.house.engine.retry(dead.effect, dead.state, by=OPERATOR, channel={}, key="operator:1")
    again = await jobs.record("integration.run")
    done = await jobs.run("integration.run")
    events = await jobs.store.events(TENANT, jobs.instance_id)
    loaded = await jobs.store.load(TENANT, jobs.instance_id)
    assert loaded is not None

    assert (dead.state, outcome.outcome, again.state, done.state) == ("dead", "recorded", "pending", "succeeded")
    assert await jobs.state() == "COMPLETE"
    assert next(e for e in events if e.type == "effect.retried").data["actor"]["onBehalfOf"] == "kim"
    assert replay(events, loaded.definition).deviation is None
