"""What stands in the thread under a card: which events are told of, in which words, in which order."""

from datetime import timedelta
from typing import Any

import pytest
from builders import TENANT, House, a_change, a_house, an_answer, ci, person
from unit.jobs.rig import JobsHouse, a_jobs_house
from unit.loops.test_waiting import Roster
from unit.slack.subjects import loaded

from channels.memory import MemoryChannel
from channels.slack.threads import TEXT_MAX, reply_text, told
from loops.approvals import HumanAsk
from loops.errors import Rejected, Unavailable
from loops.events import Event
from loops.naming import names_in
from loops.telling import worth_telling


async def lines(house: House, request: Any) -> list[str]:
    """Return what the thread of *request* says, in order."""
    subject = await loaded(house, request)
    effects = await house.effects(subject.instance.instance_id, "card.thread")
    events = {each.sequence: each for each in await house.store.events(TENANT, subject.instance.instance_id)}
    told_of = [events[effect.payload["sequence"]] for effect in effects]
    names = await names_in(house.people, TENANT, told_of)
    return [reply_text(event, subject, names) for event in told_of]


async def test_each_vote_is_told_with_how_far_it_is() -> None:
    """Vote k of n is a reply; the one that completes it says what runs now."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    await house.engine.answer(an_answer(request, "approve", "sam", reason="looks good"), tenant=TENANT)

    assert await lines(house, request) == [
        "✅ *Dana* approved (1 of 2)",
        "✅ *Sam* approved: “looks good”\n⚙️ Now executing deployer: rollout",
    ]


async def test_a_refused_answer_is_nobody_elses_business() -> None:
    """Refusals are told to whoever was refused, not in the thread."""
    house = a_house()
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)

    assert await lines(house, request) == []


async def test_questions_and_answers_are_told() -> None:
    """A question and its answer stand in the thread, quoted and neutral."""
    house = a_house()
    request = await house.propose(behind="robin")
    ask = HumanAsk(request_id=request.request_id, by=person("dana"), question="<!channel> *why*?", channel={}, key="q")
    await house.engine.consult(ask, tenant=TENANT)
    question = (await loaded(house, request)).request.questions[0]  # type: ignore[union-attr]
    await house.engine.inform(
        tenant=TENANT,
        request_id=request.request_id,
        question_id=question.question_id,
        text="traffic",
        actor=person("robin"),
    )

    assert await lines(house, request) == [
        "❓ *Dana* asks: “&lt;!channel&gt; ∗why∗?”",
        "💡 *Robin* answers: “traffic”",
    ]


async def test_people_stand_by_their_names() -> None:
    """Who took a part over, and who is on call, is told by name; somebody unknown stands by id."""
    house = a_house(a_change(escalate=[{"after": "1h", "onCall": "primary"}]), on_call=Roster(primary="kim"))
    request = await house.propose()
    ask = HumanAsk(request_id=request.request_id, by=person("dana"), to_person="sam", channel={}, key="h")
    await house.engine.consult(ask, tenant=TENANT)
    house.clock.move(timedelta(hours=1))
    await house.engine.fall_due((await house.store.due(house.clock.now()))[0])  # type: ignore[attr-defined]

    assert await lines(house, request) == [
        "🤝 *Dana* handed their part to *Sam*",
        "📣 Nobody decided, so it was escalated; *Kim* may decide it too from now on",
    ]
    assert told(an_event("approval.reassigned", fromPerson="zoe", toPerson="*x*")) == (
        "🤝 *zoe* handed their part to *∗x∗*"
    )


async def test_an_expiry_is_told_once() -> None:
    """Nobody decided in time: one reply, whatever else the commit holds."""
    house = a_house(a_change(onExpiry=None))
    request = await house.propose()
    house.clock.move(timedelta(hours=5))
    deadline = (await house.store.due(house.clock.now()))[0]  # type: ignore[attr-defined]
    await house.engine.fall_due(deadline)

    assert await lines(house, request) == [
        "⌛ The request was closed as expired; nobody decided in time, so nothing was approved"
    ]


async def test_a_cancellation_is_told_with_its_reason() -> None:
    """Who cancelled and why is one reply."""
    house = a_house()
    request = await house.propose()
    await house.engine.cancel(tenant=TENANT, aggregate_id="CHG-7", actor=ci(), reason="wrong service")

    assert await lines(house, request) == ["🚫 *CI* (service) cancelled the loop: “wrong service”"]


def an_event(event_type: str, **data: Any) -> Event:
    """Return an event as a damaged or newer ledger may hold it."""
    return Event.model_construct(type=event_type, data=data, sequence=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["loop.started", "approval.decision.recorded", "approval.edited", "loop.failed"])
def test_an_event_that_holds_something_else_is_named(kind: str) -> None:
    """What cannot be told in words is told by its type; nothing breaks a history."""
    assert told(an_event(kind)) == kind
    assert told(an_event(kind, actor=7, decision=[], changes=3, error=None)) == kind


def test_hostile_words_stay_quoted_and_short() -> None:
    """A reason of three thousand mentions is one short, neutral line."""
    line = told(an_event("loop.cancelled", actor={"type": "human", "id": "x"}, reason="<!here>\n*b*" * 300))

    assert "<!here" not in line
    assert "\n" not in line
    assert len(line) < TEXT_MAX + 120


def test_what_was_run_is_told_and_what_a_model_answered_is_not() -> None:
    """Executed and failed are replies, a failure in the words of the system; an answer of a provider is none."""
    failed = an_event(
        "effect.failed", kind="integration.run", integration="deployer", action="rollout", detail={"error": "no quota"}
    )
    asked = an_event("effect.succeeded", kind="provider.ask")

    assert worth_telling([failed, asked]) == [failed]
    assert told(failed) == "❌ deployer: rollout failed: “no quota”"


async def thread_of(jobs: JobsHouse) -> list[str]:
    """Return the ids of the thread's effects, in order."""
    return [effect.effect_id for effect in await jobs.house.effects(jobs.instance_id, "card.thread")]


async def two_votes(channel: MemoryChannel) -> JobsHouse:
    """Return a house with two approvals that no reply tells of yet, and no card."""
    jobs = a_jobs_house(a_change(quorum=2), channel=channel)
    request = await jobs.propose()
    await jobs.answer(request, "approve", "dana")
    await jobs.answer(request, "approve", "sam")
    return jobs


async def test_replies_are_posted_in_the_order_of_events() -> None:
    """Whichever worker is faster, a later event waits for the earlier one, and both for the card."""
    channel = MemoryChannel()
    jobs = await two_votes(channel)
    first, second = await thread_of(jobs)
    await jobs.runner.run(first)
    assert channel.replies == {}
    await jobs.run("card.post")
    await jobs.runner.run(second)
    assert channel.replies == {}
    jobs.later(timedelta(seconds=10))
    await jobs.runner.run(first)
    await jobs.runner.run(second)

    sequences = [event.sequence for _, event in channel.replies.values()]
    assert list(channel.replies) == [first, second]
    assert sequences == sorted(sequences)


async def test_a_reply_whose_answer_was_lost_is_posted_once() -> None:
    """The channel got it and its answer was lost: the next attempt finds it."""
    channel = MemoryChannel()
    jobs = await two_votes(channel)
    await jobs.run("card.post")
    first, _ = await thread_of(jobs)
    channel.fail_next(Unavailable("gone"), after=True)
    await jobs.runner.run(first)
    jobs.later(timedelta(seconds=10))
    await jobs.runner.run(first)

    assert list(channel.replies) == [first]
    record = await jobs.store.effect(first)
    assert record is not None
    assert (record.state, record.attempts) == ("succeeded", 2)


async def test_without_a_card_there_is_no_thread() -> None:
    """Where the channel refused the card for good, its replies are given up and say why."""
    channel = MemoryChannel()
    jobs = await two_votes(channel)
    channel.fail_next(Rejected("not_in_channel"))
    await jobs.run("card.post")
    first, _ = await thread_of(jobs)
    await jobs.runner.run(first)

    record = await jobs.store.effect(first)
    assert record is not None
    assert (record.state, record.why) == ("dead", "the card was never posted")
