"""A worker finds out who gave an answer: it counts, is refused, or is given up on; and it looks before it acts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import TENANT, a_change, a_person, an_answer
from unit.jobs.rig import LEASE, JobsHouse, a_jobs_house

from channels.memory import MemoryChannel
from gateway.integrations.recording import MemoryIntegration
from loops.errors import Unavailable


async def kept(jobs: JobsHouse, by: str = "dana") -> None:
    """Have somebody about whom nothing is known approve."""
    request = await jobs.propose()
    await jobs.run("card.post")
    await jobs.house.engine.answer(an_answer(request, "approve", by, is_confirmed=False), tenant=TENANT)


async def test_an_answer_is_confirmed_and_counts() -> None:
    """Asked, the channel says who it was, and the loop moves by their decision."""
    jobs = a_jobs_house()
    await kept(jobs)
    record = await jobs.run("answer.confirm")

    assert record.state == "succeeded"
    assert await jobs.state() == "ROLLING_OUT"


async def test_whoever_it_depends_on_is_asked_about_before_it_is_judged() -> None:
    """Of two approvers neither is known now: the channel is asked about both, and the one who has answered counts."""
    jobs = a_jobs_house(a_change(quorum=2))
    request = await jobs.propose()
    await jobs.run("card.post")
    await jobs.answer(request, "approve", "sam")
    known = dict(jobs.house.people.known)
    jobs.house.people.known |= {each: replace(known[each], is_confirmed=False) for each in ("dana", "sam")}
    asked: list[str] = []

    def learn(people: Sequence[str]) -> None:
        asked.extend(people)
        jobs.house.people.known |= {each: known[each] for each in people}

    jobs.confirmer.on_learn = learn
    await jobs.answer(request, "approve", "dana")
    record = await jobs.run("answer.confirm")

    assert (record.state, asked) == ("succeeded", ["dana", "sam"])
    assert await jobs.state() == "ROLLING_OUT"


async def test_a_channel_that_is_away_is_asked_again_and_then_given_up() -> None:
    """After as many attempts as any effect has, the answer is refused on the record and the person told."""
    jobs = a_jobs_house()
    await kept(jobs)
    jobs.confirmer.fail_next(*[Unavailable("Slack is away")] * jobs.policy.attempts)
    for _ in range(jobs.policy.attempts):
        record = await jobs.run("answer.confirm")
        jobs.later(timedelta(minutes=6))

    assert record.state == "dead"
    assert (await jobs.events())[-1] == "approval.decision.refused"
    assert (await jobs.effect("notice")).payload["code"] == "unconfirmed"
    assert await jobs.state() == "PENDING_HUMAN_APPROVAL"


async def test_a_worker_killed_in_between_leaves_it_to_the_next() -> None:
    """A claim that ran out is taken over, and what the first one then says is refused: one decision."""
    jobs = a_jobs_house()
    await kept(jobs)
    first = await jobs.claim("answer.confirm")
    jobs.later(LEASE + timedelta(seconds=1))
    record = await jobs.run("answer.confirm")
    late = await jobs.house.engine.confirm(first.effect, first.fence, None, {})

    assert record.state == "succeeded"
    assert getattr(late, "code", "") == "stale_claim"
    assert (await jobs.events()).count("approval.decision.recorded") == 1


async def test_the_result_is_said_after_that_it_is_being_found_out() -> None:
    """The second word waits for the first, in whatever order workers come to them."""
    jobs = a_jobs_house()
    await kept(jobs)
    await jobs.run("answer.confirm")
    checking, confirmed = await jobs.house.effects(jobs.instance_id, "notice")
    await jobs.runner.run(confirmed.effect_id)
    await jobs.runner.run(checking.effect_id)
    jobs.later(timedelta(seconds=2))
    await jobs.runner.run(confirmed.effect_id)
    assert isinstance(jobs.channel, MemoryChannel)

    assert [notice.code for notice, _ in jobs.channel.notices] == ["checking", "confirmed"]


async def test_an_approver_who_left_since_stops_the_effect() -> None:
    """Removed from the group after the decision: nothing runs, the ledger says so, and the loop is told."""
    jobs = a_jobs_house()
    await jobs.approved()
    jobs.house.people.known["dana"] = a_person("dana")
    await jobs.run("integration.run")
    events = await jobs.store.events(TENANT, jobs.instance_id)
    failed = next(each for each in events if each.type == "effect.failed")
    assert isinstance(jobs.integration, MemoryIntegration)

    assert jobs.integration.runs == []
    assert (failed.data["detail"]["code"], failed.data["detail"]["lapsed"]) == ("approval_lapsed", ["dana"])
    assert await jobs.state() == "FAILED"


async def test_enough_other_approvers_let_the_effect_run() -> None:
    """Somebody handed over, or barred, whom the quorum does not need, stops nothing."""
    jobs = a_jobs_house()
    await jobs.approved()
    jobs.house.people.known["kim"] = replace(a_person("kim"), barred="deleted")
    await jobs.run("integration.run")

    assert await jobs.state() == "COMPLETE"


async def test_a_policy_may_have_rights_checked_at_the_decision_only() -> None:
    """With `entitledUntil: decision` what was approved runs, whatever became of the approvers."""
    jobs = a_jobs_house(a_change(entitledUntil="decision"))
    await jobs.approved()
    jobs.house.people.known.pop("dana")
    await jobs.run("integration.run")

    assert await jobs.state() == "COMPLETE"


@pytest.mark.parametrize("doubt", [{"is_confirmed": False}, {"doubtful": frozenset({"sre"})}])
async def test_an_effect_waits_while_too_little_is_known(doubt: dict[str, object]) -> None:
    """The channel is asked first; still in doubt the effect is tried again later, and never runs in doubt."""
    jobs = a_jobs_house()
    await jobs.approved()
    known = jobs.house.people.known["dana"]
    jobs.house.people.known["dana"] = replace(known, **doubt)  # type: ignore[arg-type]
    waiting = await jobs.run("integration.run")
    assert isinstance(jobs.integration, MemoryIntegration)
    assert (waiting.state, jobs.integration.runs, jobs.confirmer.learned) == ("failed", [], ["dana"])

    jobs.confirmer.on_learn = lambda _: jobs.house.people.known.update(dana=known)
    jobs.later(timedelta(seconds=5))
    await jobs.run("integration.run")

    assert await jobs.state() == "COMPLETE"
