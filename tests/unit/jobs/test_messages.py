"""Direct messages: who asked learns what became of it; only whom the policy names is asked outside the channel."""

from datetime import timedelta
from typing import Any

import pytest
from builders import TENANT, a_change, a_person, an_answer, person
from unit.jobs.rig import JobsHouse, a_jobs_house
from unit.loops.test_absence import away

from channels.memory import MemoryChannel
from loops.approvals import ApprovalRequest, HumanAsk
from loops.definition import LoopDefinition
from loops.effects import EffectKind
from loops.errors import NotYet
from loops.ports import Person

STAGES: dict[str, Any] = {
    "approvers": {},
    "stages": [{"needs": [{"groups": ["sre"], "quorum": 2}]}, {"needs": [{"groups": ["finance"]}]}],
}


async def run_all(jobs: JobsHouse, *kinds: EffectKind) -> None:
    """Carry out every effect of *kinds*, oldest first."""
    for kind in kinds:
        for effect in await jobs.house.effects(jobs.instance_id, kind):
            await jobs.runner.run(effect.effect_id)


async def proposed(definition: LoopDefinition, *, behind: str | None = None) -> tuple[JobsHouse, ApprovalRequest]:
    """Return a house with an open request whose card is posted."""
    jobs = a_jobs_house(definition)
    request = await jobs.house.propose(behind=behind)
    jobs.instance_id = request.instance_id
    await jobs.run("card.post")
    return jobs, request


def told(jobs: JobsHouse) -> list[tuple[str, str]]:
    """Return who was told what kind of event, or asked."""
    assert isinstance(jobs.channel, MemoryChannel)
    return [(who, event.type if event else "asked") for (_, who), event in jobs.channel.messages.items()]


async def test_the_human_behind_the_agent_is_told_the_outcome() -> None:
    """The decision that closes the request, and how its execution ended; not each vote on the way."""
    jobs, request = await proposed(a_change(quorum=2), behind="robin")
    await jobs.answer(request, "approve", "dana")
    await jobs.answer(request, "approve", "sam")
    await jobs.run("integration.run")
    await run_all(jobs, "card.direct")

    assert told(jobs) == [("robin", "approval.decision.recorded"), ("robin", "effect.succeeded")]
    await run_all(jobs, "card.direct")
    assert len(told(jobs)) == 2


@pytest.mark.parametrize("how", ["reject", "expire", "cancel"])
async def test_every_way_it_may_end_is_an_outcome(how: str) -> None:
    """Rejected, expired, cancelled by somebody else: who asked learns of it, once."""
    jobs, request = await proposed(a_change(), behind="robin")
    match how:
        case "reject":
            answer = an_answer(request, "reject", "dana", reason="no")
            await jobs.house.engine.answer(answer, tenant=TENANT)
        case "expire":
            jobs.house.clock.move(request.expires_at - request.created_at)  # type: ignore[operator]
            for deadline in await jobs.store.due(jobs.house.clock.now()):
                await jobs.house.engine.fall_due(deadline)
        case _:
            await jobs.house.engine.cancel(tenant=TENANT, aggregate_id="CHG-7", actor=person("dana"))
    await run_all(jobs, "card.direct")

    assert [who for who, _ in told(jobs)] == ["robin"]


async def test_a_question_reaches_who_asked_for_the_change() -> None:
    """What an approver wants to know is put to the person who can answer."""
    jobs, request = await proposed(a_change(), behind="robin")
    ask = HumanAsk(request_id=request.request_id, by=person("dana"), question="Why now?", channel={}, key="k")
    await jobs.house.engine.consult(ask, tenant=TENANT)
    await run_all(jobs, "card.direct")

    assert told(jobs) == [("robin", "approval.question.asked")]


async def test_nobody_is_told_what_they_did_themselves() -> None:
    """Who withdraws their own request knows; where nobody is behind the request, nobody is told."""
    jobs, request = await proposed(a_change(), behind="robin")
    await jobs.house.engine.withdraw(tenant=TENANT, request_id=request.request_id, actor=person("robin"))
    other, alone = await proposed(a_change())
    await other.answer(alone, "approve")

    assert [each.kind for each in await jobs.house.effects(jobs.instance_id, "card.direct")] == []
    assert await other.house.effects(other.instance_id, "card.direct") == []


async def test_somebody_we_cannot_reach_is_left_out() -> None:
    """An unknown person behind the agent, or one without Slack, costs nothing but the message."""
    jobs, request = await proposed(a_change(), behind="zoe")
    await jobs.answer(request, "approve")
    record = await jobs.run("card.direct")

    assert (record.state, record.detail) == ("succeeded", {"skipped": "nobody to be reached"})


@pytest.mark.parametrize(
    ("notify", "asked"),
    [
        ("none", []),
        ("approvers", ["dana", "sam"]),
        ({"groups": ["oncall"]}, ["sam"]),
        ({"users": ["dana", "kim"]}, ["dana"]),
    ],
)
async def test_who_may_decide_is_asked_directly_only_as_the_policy_says(notify: Any, asked: list[str]) -> None:
    """All who may decide, some of them, or none; never who may not, such as the human behind the agent."""
    jobs = a_jobs_house(a_change(notify=notify))
    jobs.house.people.known["sam"] = a_person("sam", "sre", "oncall")
    request = await jobs.house.propose(behind="robin")
    jobs.instance_id = request.instance_id
    await jobs.run("card.post")
    await run_all(jobs, "card.invite")

    assert told(jobs) == [(who, "asked") for who in asked]


async def test_whoever_stands_in_is_asked_instead_of_who_is_away() -> None:
    """Dana is away with Kim: Kim is asked; where Kim may not stand in, Dana is."""
    found, stead = [], []
    for reassign in ("anyone", "approvers", "no"):
        jobs = a_jobs_house(a_change(notify={"users": ["dana"]}, reassign=reassign))
        jobs.instance_id = (await jobs.house.propose()).instance_id
        await away(jobs.house, "dana", "kim")
        await jobs.run("card.post")
        await run_all(jobs, "card.invite")
        found.append(told(jobs))
        assert isinstance(jobs.channel, MemoryChannel)
        stead += jobs.channel.in_stead_of.values()

    assert stead == [("Dana",), (), ()]
    assert found == [[("kim", "asked")], [("dana", "asked")], [("dana", "asked")]]


async def test_whoever_is_handed_a_part_is_told_whatever_the_policy_says() -> None:
    """A colleague named them: they are asked directly, and nobody else is asked again."""
    jobs, request = await proposed(a_change(reassign="anyone"))
    ask = HumanAsk(request_id=request.request_id, by=person("dana"), to_person="kim", channel={}, key="h")
    await jobs.house.engine.consult(ask, tenant=TENANT)
    await run_all(jobs, "card.invite")

    assert told(jobs) == [("kim", "asked")]


@pytest.mark.parametrize(("notify", "asked"), [("approvers", ["kim"]), ("none", []), ({"groups": ["sre"]}, [])])
async def test_whom_an_escalation_adds_is_asked_as_the_policy_says(notify: Any, asked: list[str]) -> None:
    """Those who may decide from then on are messaged; who was asked before is not asked again."""
    jobs, _ = await proposed(a_change(notify=notify, escalate=[{"after": "1h", "groups": ["finance"]}]))
    await run_all(jobs, "card.invite")
    before = len(told(jobs))
    jobs.later(timedelta(hours=1))
    await jobs.house.engine.fall_due((await jobs.store.due(jobs.house.clock.now()))[0])
    await run_all(jobs, "card.invite")

    assert [who for who, _ in told(jobs)[before:]] == asked


async def test_the_next_stage_is_asked_when_its_turn_comes() -> None:
    """Those of a later stage are not messaged before the one before it is complete."""
    jobs, request = await proposed(a_change(**STAGES, notify="approvers"))
    await run_all(jobs, "card.invite")
    first = told(jobs)
    await jobs.answer(request, "approve", "dana")
    await jobs.answer(request, "approve", "sam")
    await run_all(jobs, "card.invite")

    assert [who for who, _ in first] == ["dana", "sam", "robin"]
    assert told(jobs)[3:] == [("kim", "asked")]


async def test_what_is_decided_meanwhile_asks_nobody() -> None:
    """A message that comes late does not ask for what is closed."""
    jobs, request = await proposed(a_change(notify="approvers"))
    await jobs.answer(request, "approve", "dana")
    await run_all(jobs, "card.invite")

    assert told(jobs) == []


async def test_an_invitation_waits_for_its_card() -> None:
    """A message without the way to the card would be of no use."""
    jobs = a_jobs_house(a_change(notify="approvers"))
    request = await jobs.house.propose()
    jobs.instance_id = request.instance_id
    record = await jobs.run("card.invite")

    assert record.state == "pending"
    assert told(jobs) == []


class PacedChannel(MemoryChannel):
    """Says once, at the second message, that its turn comes later."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[str] = []

    async def message(self, person: Person, *subject: Any, again: bool, **said: Any) -> bool:
        """Keep the message, unless it is the second one."""
        self.tried.append(person.person_id)
        if len(self.tried) == 2:
            raise NotYet("its turn comes later", retry_after=1)
        return await super().message(person, *subject, again=again, **said)


async def test_nobody_is_asked_twice_where_the_pace_runs_out_between_two_people() -> None:
    """An invitation that was stopped after the first person looks for what it sent before it goes on."""
    channel = PacedChannel()
    jobs = a_jobs_house(a_change(notify="approvers"), channel=channel)
    request = await jobs.house.propose()
    jobs.instance_id = request.instance_id
    await jobs.run("card.post")
    await jobs.run("card.invite")
    jobs.later(timedelta(minutes=1))
    record = await jobs.run("card.invite")

    assert record.state == "succeeded"
    assert channel.tried == ["dana", "sam", "dana", "sam", "robin"]
    assert told(jobs) == [("dana", "asked"), ("sam", "asked"), ("robin", "asked")]
