"""Replay: a history judged again comes out the same, and one that this engine would not have made does not."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, get_args

import pytest
from builders import DATA, TENANT, House, a_change, a_house, a_person, a_quiet_change, an_agent, an_answer, ci, person

from loops.actors import service, system
from loops.approvals import HumanAsk
from loops.definition import LoopDefinition
from loops.events import Event, EventType
from loops.ledger import LedgerHead, Verified, seal, verify
from loops.outcomes import Executed
from loops.ports import Loaded
from loops.replay import Replayed, replay, standing
from loops.steps import FOLLOWING, STEPS
from loops.submission import Submission

#: A played story returns the id of the instance it was about.
Story = Callable[[House], Awaitable[str]]

SECONDS = timedelta(seconds=5)
WAITING = {
    "remindAfter": "30m",
    "escalate": [{"after": "1h", "channel": "leads", "groups": ["finance"]}, {"after": "2h", "groups": ["board"]}],
}
EDITABLE = {"editable": {"replicas": {"type": "integer", "minimum": 1, "maximum": 20}}, "reassign": "anyone"}


def a_guarded_loop() -> LoopDefinition:
    """A loop with soft guards, a parked transition, and an expiry that its guard forbids."""
    cooldown = {"id": "cooldown", "severity": "hard", "parameters": {"cooldownMs": 10**12}}
    unsure = {"id": "confidence-threshold", "severity": "soft", "parameters": {"threshold": 0.95}}
    return LoopDefinition.model_validate(
        {
            "id": "test.guarded",
            "version": "2.1.0",
            "initialState": "READY",
            "states": [
                {"id": "READY"},
                {
                    "id": "PENDING_HUMAN_CHECK",
                    "approval": {"approvers": {"groups": ["sre"]}, "expireAfter": "1h", "onExpiry": "give_up"},
                },
                {"id": "DONE", "isTerminal": True},
            ],
            "transitions": [
                {
                    "id": "roll_out",
                    "from": "READY",
                    "to": "PENDING_HUMAN_CHECK",
                    "actors": ["ai-agent", "human"],
                    "guards": [unsure, {"id": "evidence-required", "parameters": {"requiredFields": ["plan"]}}],
                    "approval": {"approvers": {"groups": ["sre"]}, "expireAfter": "1h"},
                },
                {"id": "approve", "from": "PENDING_HUMAN_CHECK", "to": "DONE", "actors": ["human"]},
                {
                    "id": "give_up",
                    "from": "PENDING_HUMAN_CHECK",
                    "to": "DONE",
                    "actors": ["system"],
                    "guards": [cooldown],
                },
            ],
        }
    )


async def ask_to_roll_out(house: House, **evidence: Any) -> Any:
    """Start the guarded loop, and let an agent ask for its parked transition."""
    await house.engine.start(tenant=TENANT, loop_id="test.guarded", aggregate_id="G", data=DATA, actor=ci())
    return await house.engine.transition(
        tenant=TENANT,
        aggregate_id="G",
        transition="roll_out",
        actor=an_agent(behind="robin"),
        evidence={"confidence": 0.9, "plan": "scale to 12", **evidence},
        correlation_id="trace-7",
    )


async def settle(house: House, instance_id: str, *, succeeded: bool = True) -> None:
    """Let the integration that was asked come to an end."""
    [run] = await house.effects(instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=SECONDS)
    await house.engine.settle(run, claim.fence, succeeded=succeeded, detail={"deploymentId": "d-1", "ratio": 1.0})


async def let_expire(house: House) -> None:
    """Let time pass until what is due takes effect."""
    house.clock.move(timedelta(hours=5))
    for deadline in await house.store.due(house.clock.now()):
        await house.engine.fall_due(deadline)


async def approved(house: House) -> str:
    """A card is posted, a change approved, carried out and completed."""
    request = await house.propose()
    [post] = await house.effects(request.instance_id, "card.post")
    claim = await house.store.claim(post.effect_id, lease=SECONDS)
    await house.engine.card_posted(post, claim.fence, {"channel": "C1", "ts": "1.2"})
    await house.engine.answer(an_answer(request, "approve", "dana", reason=" fine "), tenant=TENANT)
    await settle(house, request.instance_id)
    return request.instance_id


async def failed_outside(house: House) -> str:
    """A change is approved and its roll-out fails."""
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    await settle(house, request.instance_id, succeeded=False)
    return request.instance_id


async def tried_again(house: House) -> str:
    """A roll-out that nobody is told of fails: nobody may have it tried again at first, then somebody does."""
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    await settle(house, request.instance_id, succeeded=False)
    [run] = await house.effects(request.instance_id, "integration.run")
    for number, who in enumerate([None, "kim", "sam"]):
        by = person(who) if who else None
        await house.engine.retry(run, "dead", by=by, channel={"slackUserId": "U1"}, key=str(number))
    await settle(house, request.instance_id)
    await house.engine.retry(run, "dead", by=person("sam"), channel={}, key="late")
    return request.instance_id


async def abandoned(house: House) -> str:
    """An operator abandons a roll-out before anybody comes to it."""
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(request.instance_id, "integration.run")
    await house.engine.abandon(run, "pending", by=service("operator", "Ops", on_behalf_of="kim"), reason="by hand")
    return request.instance_id


async def stopped_in_time(house: House) -> str:
    """The loop is cancelled after a worker took its roll-out and before it acts."""
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(request.instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=6))
    await house.engine.cancel(tenant=TENANT, aggregate_id=request.aggregate_id, actor=person("sam"))
    await house.engine.call_off(run, claim.fence)
    return request.instance_id


async def expired(house: House) -> str:
    """Nobody answers, and the policy's transition is taken; somebody answers too late."""
    request = await house.propose()
    await let_expire(house)
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    return request.instance_id


async def waited_for(house: House) -> str:
    """People are reminded and others asked, in time and all at once; one of those decides."""
    request = await house.propose()
    for span in (timedelta(minutes=31), timedelta(minutes=100)):
        house.clock.move(span)
        for deadline in await house.store.due(house.clock.now()):
            await house.engine.fall_due(deadline)
    await house.engine.suspend(tenant=TENANT, aggregate_id=request.aggregate_id, actor=ci())
    house.clock.move(timedelta(hours=9))
    await house.engine.resume(tenant=TENANT, aggregate_id=request.aggregate_id, actor=ci())
    for number, span in enumerate(("40m", "10d", "90m")):
        put_off = HumanAsk(
            request_id=request.request_id, by=person("kim"), snooze=span, channel={"slackUserId": "U1"}, key=str(number)
        )
        await house.engine.consult(put_off, tenant=TENANT)
    for key in ("open", "once more"):
        await house.engine.disclose(
            tenant=TENANT, request_id=request.request_id, by=person("kim"), channel={"slackUserId": "U1"}, key=key
        )
    house.clock.move(timedelta(minutes=95))
    for deadline in await house.store.due(house.clock.now()):
        await house.engine.fall_due(deadline)
    await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)
    await house.engine.disclose(
        tenant=TENANT, request_id=request.request_id, by=person("kim"), channel={}, key="closed"
    )
    return request.instance_id


async def refused_in_every_way(house: House) -> str:
    """Answers that are refused: a stranger, a wrong digest, no reason, no approver, an edit too far, a late one."""
    request = await house.propose(behind="dana")
    for answer in (
        an_answer(request, "approve", None),
        an_answer(request, "approve", "dana"),
        an_answer(request, "approve", "kim"),
        an_answer(request, "reject", "sam"),
        an_answer(request, "approve", "sam", digest="sha256:other"),
        an_answer(request, "nonsense", "sam"),
        an_answer(request, "approve", "sam", edits={"replicas": 99}),
        an_answer(request, "reject", "sam", reason="no", edits={"replicas": 3}),
        an_answer(request, "reject", "sam", reason="no"),
        an_answer(request, "approve", "robin"),
    ):
        await house.engine.answer(answer, tenant=TENANT)
    return request.instance_id


async def edited(house: House) -> str:
    """One approves, another edits, which voids the first; then the first approves what is there now."""
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    changed = await house.engine.answer(an_answer(request, "approve", "sam", edits={"replicas": 8}), tenant=TENANT)
    await house.engine.answer(an_answer(request, "approve", "robin"), tenant=TENANT)
    await house.engine.answer(an_answer(changed.request, "approve", "dana"), tenant=TENANT)
    return request.instance_id


async def lapsed(house: House) -> str:
    """An approver leaves the group between two votes, so that a third one is needed."""
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    house.people.known["dana"] = a_person("dana")
    await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    await house.engine.answer(an_answer(request, "approve", "robin"), tenant=TENANT)
    return request.instance_id


async def consulted(house: House) -> str:
    """Questions asked, answered and not; a part handed over, and refused; the request taken back."""
    request = await house.propose()

    def an_ask(by: str | None, key: str, **fields: Any) -> HumanAsk:
        asker = person(by) if by else None
        return HumanAsk(request_id=request.request_id, by=asker, channel={"slackUserId": "U1"}, key=key, **fields)

    asked = await house.engine.consult(an_ask("dana", "1", question="Why now?"), tenant=TENANT)
    [question] = asked.request.questions
    told = {"tenant": TENANT, "request_id": request.request_id, "text": "Black Friday."}
    await house.engine.inform(**told, question_id=question.question_id, actor=an_agent())
    await house.engine.inform(**told, question_id=question.question_id, actor=ci())
    await house.engine.inform(**told, question_id=question.question_id, actor=ci())
    await house.engine.inform(**told, question_id="no question qu_9 waits for an answer", actor=ci())
    await house.engine.consult(an_ask("kim", "2", question="May I?"), tenant=TENANT)
    await house.engine.consult(an_ask(None, "3", question="Who am I?"), tenant=TENANT)
    for number, taker in enumerate(["zoe", "dana", "kim"]):
        await house.engine.consult(an_ask("dana", f"4{number}", to_person=taker, reason="away"), tenant=TENANT)
    await house.engine.withdraw(tenant=TENANT, request_id=request.request_id, actor=person("kim"))
    await house.engine.withdraw(tenant=TENANT, request_id=request.request_id, actor=ci(), reason="not needed")
    await house.engine.withdraw(tenant=TENANT, request_id=request.request_id, actor=ci())
    return request.instance_id


async def suspended(house: House) -> str:
    """A loop rests while its result comes in, and moves on when woken; what is asked meanwhile is refused."""
    request = await house.propose()
    await house.engine.suspend(tenant=TENANT, aggregate_id="CHG-7", actor=person("dana"), reason="freeze")
    await house.engine.suspend(tenant=TENANT, aggregate_id="CHG-7", actor=person("dana"))
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    house.clock.move(timedelta(hours=9))
    await house.engine.resume(tenant=TENANT, aggregate_id="CHG-7", actor=person("dana"))
    await house.engine.resume(tenant=TENANT, aggregate_id="CHG-7", actor=person("dana"))
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    await house.engine.suspend(tenant=TENANT, aggregate_id="CHG-7", actor=system("freezer"))
    await settle(house, request.instance_id)
    await house.engine.resume(tenant=TENANT, aggregate_id="CHG-7", actor=system("freezer"))
    return request.instance_id


async def called_off(house: House) -> str:
    """A loop is cancelled with its request open; starting, moving and cancelling again are refused."""
    request = await house.propose()
    same = {"tenant": TENANT, "aggregate_id": "CHG-7", "actor": ci()}
    await house.engine.start(loop_id="test.change", data=DATA, correlation_id="other", **same)
    await house.engine.cancel(**same, reason="gone")
    await house.engine.cancel(**same)
    await house.engine.transition(transition="approve", evidence={}, **same)
    await house.engine.signal(signal="approve", evidence={}, **same)
    return request.instance_id


async def given_up(house: House) -> str:
    """A loop is failed with its request open."""
    request = await house.propose()
    await house.engine.fail(tenant=TENANT, aggregate_id="CHG-7", actor=ci(), code="E1", message="no more")
    return request.instance_id


async def blocked(house: House) -> str:
    """An agent is not sure enough, then has no evidence, then sends a signal that leads nowhere, then is sure."""
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci())
    same = {"tenant": TENANT, "aggregate_id": "CHG-7", "actor": an_agent(), "correlation_id": "trace-1"}
    await house.engine.transition(transition="submit_analysis", evidence={"confidence": 0.5}, **same)
    await house.engine.signal(signal="submit_analysis", evidence={"confidence": True, "dataPoints": {}}, **same)
    await house.engine.signal(signal="rollout_done", evidence={}, **same)
    done = await house.engine.signal(
        signal="submit_analysis", evidence={"confidence": 0.9, "blast_radius_score": 1.0}, **same
    )
    assert isinstance(done, Executed)
    return done.instance.instance_id


async def a_submission(house: House, confidence: float) -> str:
    """A provider submits, sure enough or not; where not, the system hands over to people in the same commit."""
    started = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci()
    )
    [ask] = await house.effects(started.instance.instance_id, "provider.ask")
    claim = await house.store.claim(ask.effect_id, lease=SECONDS)
    submission = Submission(
        signal="submit_analysis",
        reasoning="Small.",
        confidence=confidence,
        data_points={"blast_radius_score": 0.1},
        model_id="claude",
        provider="anthropic",
        prompt_hash="a" * 64,
    )
    await house.engine.submit(ask, claim.fence, submission)
    return started.instance.instance_id


async def sure(house: House) -> str:
    """A provider is sure."""
    return await a_submission(house, 0.9)


async def unsure(house: House) -> str:
    """A provider is not sure, and the system hands over."""
    return await a_submission(house, 0.2)


async def parked_and_approved(house: House) -> str:
    """An agent's transition waits for a human, another is refused meanwhile; nobody checks, and a guard objects."""
    parked = await ask_to_roll_out(house)
    again = {"tenant": TENANT, "aggregate_id": "G", "transition": "roll_out", "actor": an_agent()}
    await house.engine.transition(evidence={"plan": "other"}, **again)
    await house.engine.answer(an_answer(parked.request, "roll_out", "dana"), tenant=TENANT)
    await let_expire(house)
    return parked.instance.instance_id


async def parked_and_declined(house: House) -> str:
    """A parked transition is blocked first, then declined, then taken back, then left to its deadline."""
    await ask_to_roll_out(house, plan="")
    again = {"tenant": TENANT, "aggregate_id": "G", "transition": "roll_out", "actor": an_agent()}
    first = await house.engine.transition(evidence={"plan": "a", "confidence": 1}, **again)
    await house.engine.answer(an_answer(first.request, "decline", "dana", reason="no"), tenant=TENANT)
    second = await house.engine.transition(evidence={"plan": "b"}, **again)
    await house.engine.withdraw(tenant=TENANT, request_id=second.request.request_id, actor=an_agent(), reason="oh")
    await house.engine.transition(evidence={"plan": "c"}, **again)
    await let_expire(house)
    return first.instance.instance_id


async def confirmed_and_not(house: House) -> str:
    """Answers kept until it is known who gave them: never known, barred, not an approver, counted, and too late."""
    request = await house.propose()
    kept = [
        an_answer(request, "approve", by, is_confirmed=False) for by in ("sam", None, "robin", "dana", "sam", "robin")
    ]
    await house.engine.answer(
        an_answer(request, "approve", "dana", digest="sha256:o", is_confirmed=False), tenant=TENANT
    )
    for answer in kept:
        await house.engine.answer(answer, tenant=TENANT)
    effects = await house.effects(request.instance_id, "answer.confirm")
    by = ["sam", None, "kim", "dana", None, None]
    for number, (effect, person_id) in enumerate(zip(effects, by, strict=True)):
        claim = await house.store.claim(effect.effect_id, lease=SECONDS)
        if number in {0, 5}:
            await house.engine.never_known(effect, claim.fence)
        else:
            standing = {} if person_id else {"slackStanding": "guest"}
            await house.engine.confirm(effect, claim.fence, person(person_id) if person_id else None, standing)
    await settle(house, request.instance_id)
    await house.engine.answer(an_answer(request, "approve", "robin", is_confirmed=False), tenant=TENANT)
    return request.instance_id


STORIES: list[tuple[Story, list[LoopDefinition]]] = [
    (approved, [a_change()]),
    (failed_outside, [a_change()]),
    (tried_again, [a_quiet_change()]),
    (abandoned, [a_change()]),
    (stopped_in_time, [a_change()]),
    (expired, [a_change()]),
    (waited_for, [a_change(**WAITING)]),
    (refused_in_every_way, [a_change(**EDITABLE)]),
    (edited, [a_change(quorum=2, **EDITABLE)]),
    (lapsed, [a_change(quorum=2)]),
    (confirmed_and_not, [a_change()]),
    (consulted, [a_change(**EDITABLE)]),
    (suspended, [a_change()]),
    (called_off, [a_change()]),
    (given_up, [a_change()]),
    (blocked, [a_change()]),
    (sure, [a_change()]),
    (unsure, [a_change()]),
    (parked_and_approved, [a_guarded_loop()]),
    (parked_and_declined, [a_guarded_loop()]),
]


async def played(story: Story, definitions: list[LoopDefinition]) -> tuple[Loaded, list[Event]]:
    """Play *story* in a house of its own, and return the instance and its events."""
    house = a_house(*definitions)
    instance_id = await story(house)
    loaded = await house.store.load(TENANT, instance_id)
    assert loaded is not None
    return loaded, list(await house.store.events(TENANT, instance_id))


@pytest.mark.parametrize(("story", "definitions"), STORIES, ids=[story.__name__ for story, _ in STORIES])
async def test_every_decision_is_reproduced(story: Story, definitions: list[LoopDefinition]) -> None:
    """A history of any kind, judged again from its events alone, comes out the same, and so does the instance."""
    loaded, events = await played(story, definitions)

    replayed = replay(events, loaded.definition)

    assert replayed.deviation is None, replayed.deviation
    assert replayed.events == len(events)
    assert standing(replayed, loaded.instance) == ()
    assert isinstance(verify(events, loaded.instance.head), Verified)


async def test_the_stories_have_every_type_of_event() -> None:
    """No type of event can be added without a story in which it is judged again."""
    told = {event.type for story, definitions in STORIES for event in (await played(story, definitions))[1]}

    assert told == set(get_args(EventType))


def test_every_type_of_event_begins_a_step_or_follows_in_one() -> None:
    """A new type of event is judged again or named as a follower; none is passed over."""
    assert STEPS.keys() | FOLLOWING == set(get_args(EventType))
    assert not STEPS.keys() & FOLLOWING


def resealed(events: Sequence[Event]) -> list[Event]:
    """Return *events* as a forger with the whole ledger would leave them: numbered, chained and hashed anew."""
    chain: list[Event] = []
    head = LedgerHead()
    for event in events:
        fields = {name: getattr(event, name) for name in Event.model_fields if name != "hash"}
        chain.append(seal({**fields, "sequence": head.sequence + 1, "previous_hash": head.hash}))
        head = LedgerHead(sequence=chain[-1].sequence, hash=chain[-1].hash)
    assert verify(chain, head) == Verified(head=head)
    return chain


def with_data(event: Event, **changes: Any) -> Event:
    """Return *event* with some of its data otherwise."""
    return event.changed(data={**event.data, **changes})


async def forged(change: Callable[[list[Event]], list[Event]]) -> Replayed:
    """Forge the approved story so that its chain holds, and judge it again."""
    loaded, events = await played(approved, [a_change()])
    return replay(resealed(change(events)), loaded.definition)


def at(events: list[Event], kind: EventType, number: int = 0) -> int:
    """Return where the event *kind* stands."""
    return [place for place, event in enumerate(events) if event.type == kind][number]


async def test_an_approval_by_somebody_who_may_not_is_found() -> None:
    """A forged decision whose person was in no group the policy names is not what the engine would have said."""

    def by_kim(events: list[Event]) -> list[Event]:
        place = at(events, "approval.decision.recorded")
        events[place] = with_data(events[place], groups={"dana": ["finance"]})
        return events

    deviation = (await forged(by_kim)).deviation

    assert deviation is not None
    assert deviation.sequence == 6
    assert deviation.reason == "judged again: refused, not_an_approver"


async def test_a_dropped_decision_is_found() -> None:
    """A move out of a pending state without the decision that led to it is not one the engine makes."""

    def without(events: list[Event]) -> list[Event]:
        del events[at(events, "approval.decision.recorded")]
        return events

    deviation = (await forged(without)).deviation

    assert deviation is not None
    assert deviation.sequence == 6
    assert "approval_required" in deviation.reason


async def test_a_verdict_turned_round_is_found() -> None:
    """A hard guard's recorded objection and an executed transition contradict each other."""

    def failed(events: list[Event]) -> list[Event]:
        place = at(events, "loop.transition.executed")
        guards = [{**events[place].data["guards"][0], "passed": False, "code": "x", "message": "no"}]
        events[place] = with_data(events[place], guards=guards + events[place].data["guards"][1:])
        return events

    deviation = (await forged(failed)).deviation

    assert deviation is not None
    assert deviation.sequence == 3
    assert deviation.reason == "judged again: refused, guard_failed"
    assert [str(each) for each in deviation.differences][-1] == (
        'type: "loop.transition.executed" | "loop.guard.failed"'
    )


async def test_a_changed_parameter_is_found() -> None:
    """What was proposed cannot be changed under an approval: its digest is made again."""

    def more(events: list[Event]) -> list[Event]:
        events[0] = with_data(events[0], data={**DATA, "replicas": 500})
        return events

    deviation = (await forged(more)).deviation

    assert deviation is not None
    assert (deviation.sequence, [each.path for each in deviation.differences]) == (4, ["data.digest"])


@pytest.mark.parametrize("kind", [None, "loop.completed", "approval.closed"])
async def test_a_history_cut_or_doubled_is_found(kind: EventType | None) -> None:
    """The engine would have gone on; or not have said it twice."""

    def cut(events: list[Event]) -> list[Event]:
        return events[: at(events, kind)] if kind else [events[0], *events]

    assert (await forged(cut)).deviation is not None


async def test_an_event_that_only_follows_does_not_begin_anything() -> None:
    """A completion out of nowhere is reported for what it is."""

    def completed_at_once(events: list[Event]) -> list[Event]:
        return [events[0], events[at(events, "loop.completed")]]

    deviation = (await forged(completed_at_once)).deviation

    assert deviation is not None
    assert (deviation.sequence, deviation.reason) == (2, "nothing begins with loop.completed")


async def test_an_unknown_type_of_event_is_reported() -> None:
    """A type this version does not know stops the replay where it stands; it is not passed over."""
    loaded, events = await played(approved, [a_change()])
    unknown = events[1].model_copy(update={"type": "loop.teleported"})

    replayed = replay([events[0], unknown, *events[1:]], loaded.definition)

    assert replayed.steps == 1
    assert replayed.deviation is not None
    assert replayed.deviation.reason == "loop.teleported is not known"


@pytest.mark.parametrize("place", range(14))
async def test_data_that_makes_no_sense_is_a_deviation_not_an_error(place: int) -> None:
    """Whatever a forger leaves in an event, replaying it ends in a deviation, never in a traceback."""
    loaded, events = await played(approved, [a_change()])
    fields = list(events[place].data)
    for nonsense in ({}, {"actor": 1}, dict.fromkeys(fields), {name: [] for name in fields}):
        spoilt = [*events[:place], events[place].changed(data=nonsense), *events[place + 1 :]]

        assert replay(spoilt, loaded.definition).deviation is not None


async def test_another_definition_is_found() -> None:
    """Judged under other rules than those it was started from, a history comes out otherwise."""
    loaded, events = await played(approved, [a_change()])

    assert replay(events, a_change(quorum=2)).deviation is not None
    assert replay(events, loaded.definition).deviation is None


async def test_an_instance_changed_in_the_store_is_told_from_its_ledger() -> None:
    """The chain does not cover the stored instance; replay shows what it says that its ledger does not."""
    loaded, events = await played(parked_and_approved, [a_guarded_loop()])
    replayed = replay(events, loaded.definition)

    changed = loaded.instance.changed(state="DONE", data={**DATA, "replicas": 13})

    assert [str(each) for each in standing(replayed, changed)] == [
        "data.replicas: 13 | 12",
        'state: "DONE" | "PENDING_HUMAN_CHECK"',
    ]


async def test_who_a_model_was_survives_into_events() -> None:
    """Model, provider, prompt hash and confidence of a submission are on the ledger, with the actor and as evidence."""
    for story, kind in ((sure, "loop.transition.executed"), (unsure, "loop.transition.blocked")):
        _, events = await played(story, [a_change()])
        [data] = [event.data for event in events if event.type == kind and event.data["actor"]["type"] == "ai-agent"]

        actor = data["actor"]
        assert (actor["modelId"], actor["provider"], actor["promptHash"]) == ("claude", "anthropic", "a" * 64)
        assert actor["confidence"] == data["evidence"]["confidence"]
        assert {name: data["evidence"][name] for name in ("modelId", "provider", "promptHash")} == {
            name: actor[name] for name in ("modelId", "provider", "promptHash")
        }


def test_no_history_at_all_is_replayed_to_nothing() -> None:
    """Nothing to judge is no deviation, and no instance."""
    replayed = replay([], a_change())

    assert (replayed.steps, replayed.instance, replayed.deviation) == (0, None, None)
