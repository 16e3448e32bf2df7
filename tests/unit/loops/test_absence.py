"""Absence: whoever is away has somebody decide in their stead, and no rule about people is weaker for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from builders import DATA, MORNING, TENANT, House, a_change, a_house, a_person, an_answer, ci, person
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.configuration import PersonConfig
from gateway.directory import ConfiguredDirectory
from loops.absence import Absence, way_from, ways_to
from loops.absent import Absent
from loops.approvals import ApprovalRequest, HumanAsk
from loops.definition import LoopDefinition
from loops.leaving import Leaving
from loops.outcomes import Executed, Outcome, Recorded, Refused
from loops.replay import replay

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)

_keys = count(1)


def leaving(house: House) -> Leaving:
    """Return what people of the house say that they are away by."""
    return Leaving(house.engine, house.store, house.people, house.clock)


async def away(house: House, who: str, to: str, span: timedelta = WEEK) -> Outcome:
    """Let *who* be away for *span*, with *to* in their stead."""
    until, key = house.clock.now() + span, f"slack:{next(_keys)}"
    return await leaving(house).leave(tenant=TENANT, by=person(who), until=until, to=to, channel={}, key=key)


async def back(house: House, who: str) -> Absence | None:
    """Let *who* be back."""
    return await leaving(house).come_back(tenant=TENANT, by=person(who), channel={})


async def answer(house: House, request: ApprovalRequest, who: str, what: str = "approve") -> Outcome:
    """Let *who* answer the request as it stands."""
    return await house.engine.answer(an_answer(request, what, who, reason="because"), tenant=TENANT)


def code(outcome: Outcome) -> str:
    """Return what became of it in a word."""
    return outcome.code if isinstance(outcome, (Refused, Recorded)) else outcome.outcome


async def test_whoever_stands_in_decides_and_the_record_says_for_whom() -> None:
    """Kim is in no group the policy names; while Dana is away, Kim's approval is Dana's part."""
    house = a_house(a_change(reassign="anyone"))
    request = await house.propose()
    before = await answer(house, request, "kim")
    await away(house, "dana", "kim")
    outcome = await answer(house, request, "kim")
    events = await house.store.events(TENANT, request.instance_id)
    [recorded] = [event for event in events if event.type == "approval.decision.recorded"]
    [moved] = [event for event in events if event.data.get("transitionId") == "approve" and "evidence" in event.data]

    assert code(before) == "not_an_approver"
    assert isinstance(outcome, Executed)
    assert outcome.request is not None
    assert outcome.request.closed_by is not None
    assert outcome.request.closed_by.name == "Kim for Dana"
    assert recorded.data["decision"]["onBehalfOf"] == {"person": "dana", "name": "Dana"}
    assert [(each["person"], each["to"]) for each in recorded.data["absences"]] == [("dana", "kim")]
    assert moved.data["evidence"]["onBehalfOf"] == "dana"


async def test_an_absence_ends_by_itself_at_its_time() -> None:
    """Up to its last moment it counts, from that moment on it does not; nothing runs in between."""
    house = a_house(a_change(reassign="anyone", quorum=3, expireAfter=None, onExpiry=None))
    request = await house.propose()
    await away(house, "dana", "kim", HOUR)
    house.clock.move(HOUR - timedelta(microseconds=1))
    just_before = await house.engine.explain(request.request_id, person("kim"), tenant=TENANT)
    house.clock.move(timedelta(microseconds=1))
    outcome = await answer(house, request, "kim")

    assert just_before is not None
    assert just_before.may_approve
    assert code(outcome) == "not_an_approver"
    assert await leaving(house).absence(TENANT, "dana") is None


async def test_whoever_is_back_is_stood_in_for_no_more() -> None:
    """`back` ends it at once, on the absence's own ledger."""
    house = a_house(a_change(reassign="anyone"))
    request = await house.propose()
    gone = await away(house, "dana", "kim")
    ended = await back(house, "dana")
    assert gone.instance is not None

    assert ended is not None
    assert ended.to == "kim"
    assert code(await answer(house, request, "kim")) == "not_an_approver"
    assert await house.event_types(gone.instance.instance_id) == [
        "loop.started",
        "loop.transition.requested",
        "loop.transition.executed",
        "loop.completed",
        "loop.learning.recorded",
    ]
    assert await back(house, "dana") is None


async def test_whoever_is_away_may_still_decide() -> None:
    """A click of their own counts, and ends nothing in silence."""
    house = a_house()
    request = await house.propose()
    await away(house, "dana", "kim")
    outcome = await answer(house, request, "dana")

    assert isinstance(outcome, Executed)
    assert outcome.request is not None
    assert outcome.request.closed_by is not None
    assert outcome.request.closed_by.name == "Dana"
    assert await leaving(house).absence(TENANT, "dana") is not None


async def test_a_chain_leads_to_whoever_is_here() -> None:
    """Dana to Sam, Sam to Kim: Kim decides for Dana or for Sam; Sam, on their own account, still may."""
    house = a_house(a_change(reassign="anyone", quorum=2, approvers={"users": ["dana", "robin"]}))
    request = await house.propose()
    await away(house, "dana", "sam")
    await away(house, "sam", "kim")
    between = await answer(house, request, "sam")
    outcome = await answer(house, request, "kim")

    assert code(between) == "not_an_approver"
    assert code(outcome) == "decision_recorded"
    assert outcome.request is not None
    assert outcome.request.decisions[0].name == "Kim for Dana"


@pytest.mark.parametrize("gone", ["barred", "unknown"])
async def test_a_chain_is_no_stronger_than_who_stands_in_its_middle(gone: str) -> None:
    """Dana to Sam, Sam to Kim; Sam's account is closed, or they are known no more: Kim decides for nobody."""
    house = a_house(a_change(reassign="anyone", quorum=2, approvers={"users": ["dana", "robin"]}))
    request = await house.propose()
    await away(house, "dana", "sam")
    await away(house, "sam", "kim")
    if gone == "barred":
        house.people.known["sam"] = replace(house.people.known["sam"], barred="deleted")
    else:
        del house.people.known["sam"]

    assert code(await answer(house, request, "kim")) == "not_an_approver"


async def test_a_circle_leads_to_nobody() -> None:
    """The circle cannot be closed by saying so; and one that came about all the same stands for nobody."""
    house = a_house(a_change(approvers={"users": ["dana"]}))
    await away(house, "dana", "sam")
    await away(house, "sam", "kim")
    closing = await away(house, "kim", "dana")
    circle = [_absence("dana", "sam"), _absence("sam", "kim"), _absence("kim", "dana")]

    assert code(closing) == "cannot_be_away"
    assert [ways_to(circle, each) for each in ("dana", "sam", "kim", "robin")] == [[], [], [], []]
    assert way_from(circle, "dana") == ()


@pytest.mark.parametrize(
    ("to", "span", "why"),
    [
        ("dana", WEEK, "yourself"),
        ("ghost", WEEK, "nobody called ghost"),
        ("left", WEEK, "deleted"),
        ("kim", timedelta(0), "over already"),
        ("kim", -HOUR, "over already"),
        ("kim", timedelta(days=367), "longer than 366 days"),
    ],
)
async def test_an_absence_that_cannot_be_is_refused_and_leaves_nothing(to: str, span: timedelta, why: str) -> None:
    """To oneself, to somebody unknown (another tenant's people are), to somebody deactivated, to no time at all."""
    house = a_house()
    house.people.known["left"] = replace(a_person("left", "sre"), barred="deleted")
    outcome = await away(house, "dana", to, span)

    assert code(outcome) == "cannot_be_away"
    assert why in outcome.message  # type: ignore[union-attr]
    assert await Absent(house.store).all(TENANT, house.clock.now()) == ()


async def test_people_of_another_tenant_stand_in_for_nobody_here() -> None:
    """They do not exist here: not to be named, and not through an absence of their own tenant."""
    house = a_house()
    people = [PersonConfig(id="dana", name="Dana"), PersonConfig(id="kim", name="Kim", tenant="acme")]
    both = Leaving(house.engine, house.store, ConfiguredDirectory(people, "T1"), house.clock)
    until = house.clock.now() + HOUR
    outcome = await both.leave(tenant=TENANT, by=person("dana"), until=until, to="kim", channel={}, key="k")

    assert code(outcome) == "cannot_be_away"
    assert await Absent(house.store).all(TENANT, house.clock.now()) == ()


async def test_only_a_person_the_channel_verified_is_away() -> None:
    """Nobody can be sent away by somebody else's word."""
    house = a_house()
    ghost = person("ghost")
    unverified = person("dana").changed(authenticated_by=None)
    until = house.clock.now() + HOUR
    refused = [
        await leaving(house).leave(tenant=TENANT, by=by, until=until, to="kim", channel={}, key=f"k{number}")
        for number, by in enumerate((ghost, unverified))
    ]

    assert [code(each) for each in refused] == ["unmapped_identity", "unmapped_identity"]


async def test_no_caller_can_forge_or_block_an_absence() -> None:
    """What stands for absences is started by the person alone: not through the API, not by a loop file of that name."""
    forged = a_change().as_json() | {"id": "loopgate.absence", "initialState": "OUT_OF_OFFICE"}
    forged["states"] = [{"id": "OUT_OF_OFFICE"}, *forged["states"]]
    house = a_house(LoopDefinition.model_validate(forged), a_change())
    data = {"to": "kim", "until": "2027-01-01T00:00:00Z"}
    taken = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="absence:dana", data=DATA, actor=ci()
    )
    for aggregate in ("absence:dana", "dana", "Absence:dana"):
        await house.engine.start(
            tenant=TENANT, loop_id="loopgate.absence", aggregate_id=aggregate, data=data, actor=ci("dana")
        )

    assert code(taken) == "bad_request"
    assert await Absent(house.store).all(TENANT, house.clock.now()) == ()
    assert isinstance(await away(house, "dana", "kim"), Executed)


async def test_a_new_absence_takes_the_place_of_the_earlier_one() -> None:
    """One person, one absence; the same word delivered twice changes nothing more."""
    house = a_house()
    await away(house, "dana", "sam")
    until = house.clock.now() + HOUR
    first, again = [
        await leaving(house).leave(
            tenant=TENANT, by=person("dana"), until=until, to="kim", channel={}, key="slack:same"
        )
        for _ in range(2)
    ]
    [found] = await Absent(house.store).all(TENANT, house.clock.now())

    assert (found.to, found.until) == ("kim", until)
    assert isinstance(again, Executed)
    assert again.repeated
    assert first.instance == again.instance


async def test_a_policy_that_lets_nothing_be_handed_over_knows_no_absence() -> None:
    """With `reassign: no` nobody decides in anybody's stead."""
    house = a_house(a_change(reassign="no"))
    request = await house.propose()
    await away(house, "dana", "kim")

    assert code(await answer(house, request, "kim")) == "not_an_approver"


async def test_with_reassign_approvers_only_an_approver_stands_in() -> None:
    """Whom Dana could not hand the part to gets it by no absence either; an approver of a later stage may have it."""
    stages = [{"needs": [{"users": ["dana"]}]}, {"needs": [{"users": ["sam"]}]}]
    found = []
    for stand_in in ("kim", "sam"):
        house = a_house(a_change(approvers={}, stages=stages, reassign="approvers"))
        request = await house.propose()
        await away(house, "dana", stand_in)
        told = await explained(house, request, stand_in)
        found.append((told, code(await answer(house, request, stand_in))))

    assert found == [((), "not_an_approver"), (("dana",), "decision_recorded")]


async def explained(house: House, request: ApprovalRequest, who: str) -> tuple[str, ...]:
    """Return in whose stead *who* decides, as people are told."""
    found = await house.engine.explain(request.request_id, person(who), tenant=TENANT)
    return tuple(each.person for each in found.stands_in_for) if found else ()


async def test_the_requester_decides_through_nobody() -> None:
    """Dana asks and is away with Kim: Kim may not decide it for Dana, and is told so."""
    house = a_house(a_change(reassign="anyone", approvers={"users": ["dana", "sam"]}))
    request = await house.propose(behind="dana")
    await away(house, "dana", "kim")

    assert code(await answer(house, request, "kim")) == "self_approval"
    assert code(await answer(house, request, "dana")) == "self_approval"


async def test_the_requester_stands_in_for_nobody() -> None:
    """Sam is away with Dana, who asks: the part is Sam's, the hand would be the requester's."""
    house = a_house(a_change(reassign="anyone", approvers={"users": ["sam"]}))
    request = await house.propose(behind="dana")
    await away(house, "sam", "dana")

    assert code(await answer(house, request, "dana")) == "self_approval"


async def test_the_requester_passes_nobodys_part_on() -> None:
    """Sam is away with Dana, who asks and is away with Kim: the requester must not choose who decides."""
    house = a_house(a_change(reassign="anyone", approvers={"users": ["sam"]}))
    request = await house.propose(behind="dana")
    await away(house, "sam", "dana")
    await away(house, "dana", "kim")

    assert code(await answer(house, request, "kim")) == "self_approval"


async def test_one_person_in_two_peoples_stead_is_one_person() -> None:
    """A quorum of two is not met by Kim alone, who stands in for both."""
    house = a_house(a_change(reassign="anyone", quorum=2, approvers={"users": ["dana", "sam"]}))
    request = await house.propose()
    await away(house, "dana", "kim")
    await away(house, "sam", "kim")
    first, second = await answer(house, request, "kim"), await answer(house, request, "kim")

    assert (code(first), code(second)) == ("decision_recorded", "already_answered")


async def test_a_part_is_filled_once_whoever_fills_it() -> None:
    """After Kim in Dana's stead, Dana herself counts no second time, but may reject; and the other way round."""
    house = a_house(a_change(reassign="anyone", quorum=2, approvers={"users": ["dana", "sam"]}))
    request = await house.propose()
    await away(house, "dana", "kim")
    await answer(house, request, "kim")
    twice = await answer(house, request, "dana")
    second = await house.propose("CHG-8")
    await answer(house, second, "dana")
    in_stead = [await answer(house, second, "kim", what) for what in ("approve", "reject")]
    veto = await answer(house, request, "dana", "reject")

    assert code(twice) == "part_taken"
    assert "Kim for Dana has answered already" in twice.message  # type: ignore[union-attr]
    assert [code(each) for each in in_stead] == ["part_taken", "part_taken"]
    assert isinstance(veto, Executed)
    assert veto.instance.state == "REJECTED"


async def test_whoever_may_decide_themselves_does_so_on_their_own_account_first() -> None:
    """Sam is named, and stands in for Dana: Sam's approval is Sam's."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    await away(house, "dana", "sam")
    await answer(house, request, "sam")
    outcome = await answer(house, request, "robin")

    assert isinstance(outcome, Executed)
    assert outcome.request is not None
    assert [each.name for each in outcome.request.decisions] == ["Sam", "Robin"]


async def test_where_their_own_part_is_filled_they_take_the_absent_ones() -> None:
    """One of sre and one of finance: Robin was first in sre, so Sam's click is Kim's part."""
    needs = [{"groups": ["sre"]}, {"groups": ["finance"]}]
    house = a_house(a_change(stages=[{"needs": needs}], approvers={}))
    request = await house.propose()
    await away(house, "kim", "sam")
    await answer(house, request, "robin")
    outcome = await answer(house, request, "sam")

    assert isinstance(outcome, Executed)
    assert outcome.request is not None
    assert [each.name for each in outcome.request.decisions] == ["Robin", "Sam for Kim"]


@pytest.mark.parametrize("lost", ["dana", "kim"])
async def test_an_approval_in_somebodys_stead_needs_the_rights_of_one_and_the_account_of_the_other(lost: str) -> None:
    """When the quorum is counted, and again before the effect: who was stood in for still has rights, both are here."""
    house = a_house(a_change(reassign="anyone", quorum=2))
    request = await house.propose()
    await away(house, "dana", "kim")
    await answer(house, request, "kim")
    house.people.known[lost] = replace(house.people.known[lost], barred="deleted")
    short = await answer(house, request, "sam")
    done = await answer(house, request, "robin")
    house.people.known["robin"] = replace(house.people.known["robin"], barred="deleted")
    before_effect = await house.engine.entitlement(TENANT, request.request_id)

    assert code(short) == "decision_recorded"
    assert isinstance(done, Executed)
    assert before_effect is not None
    assert not before_effect.is_enough
    assert before_effect.lapsed == ("kim", "robin")


async def test_what_was_decided_in_somebodys_stead_stays_decided_when_they_are_back() -> None:
    """Whether they were away is judged once, when the decision is made; coming back voids nothing."""
    house = a_house(a_change(reassign="anyone", quorum=2))
    request = await house.propose()
    await away(house, "dana", "kim")
    await answer(house, request, "kim")
    await back(house, "dana")
    done = await answer(house, request, "sam")
    before_effect = await house.engine.entitlement(TENANT, request.request_id)

    assert isinstance(done, Executed)
    assert before_effect is not None
    assert before_effect.is_enough


async def test_a_part_that_is_not_ones_own_is_not_handed_over() -> None:
    """Kim may ask in Dana's stead, but Dana's part is not Kim's to give away."""
    house = a_house(a_change(reassign="anyone"))
    request = await house.propose()
    await away(house, "dana", "kim")

    def ask(**what: str) -> HumanAsk:
        return HumanAsk(request_id=request.request_id, by=person("kim"), channel={}, key=f"k{next(_keys)}", **what)  # type: ignore[arg-type]

    asked = await house.engine.consult(ask(question="Why now?"), tenant=TENANT)
    given = await house.engine.consult(ask(to_person="sam"), tenant=TENANT)

    assert (code(asked), code(given)) == ("question_asked", "cannot_reassign")


async def test_a_reminder_waits_for_whoever_is_here() -> None:
    """Dana is away with Kim: the reminder names Kim in her stead."""
    house = a_house(a_change(reassign="anyone", remindAfter="30m"))
    request = await house.propose()
    await away(house, "dana", "kim")
    house.clock.move(timedelta(minutes=31))
    for deadline in await house.store.due(house.clock.now()):  # type: ignore[attr-defined]
        await house.engine.fall_due(deadline)
    events = await house.store.events(TENANT, request.instance_id)
    [reminded] = [event for event in events if event.type == "approval.reminded"]

    assert reminded.data["waitsFor"] == ["sam", "robin", "kim"]


def _absence(who: str, to: str, until: datetime = MORNING + WEEK) -> Absence:
    return Absence(person=who, name=who.capitalize(), to=to, until=until, instance_id=f"li_{who}")


WHO = ("dana", "sam", "kim", "lee")
_away = st.tuples(st.just("away"), st.sampled_from(WHO[:3]), st.sampled_from(WHO[1:]))
_later = st.one_of(
    _away,
    st.tuples(st.just("back"), st.sampled_from(WHO), st.none()),
    st.tuples(st.just("later"), st.none(), st.none()),
)
_approve = st.tuples(st.just("approve"), st.sampled_from(WHO), st.none())
#: Some are away before it begins; then answers, and now and then something that changes who is.
_steps = st.tuples(
    st.lists(_away, min_size=1, max_size=3), st.lists(st.one_of(_approve, _approve, _later), min_size=4, max_size=10)
).map(lambda each: [*each[0], *each[1]])


@settings(max_examples=200, deadline=None)
@given(
    steps=_steps,
    quorum=st.sampled_from([2, 3, 2, 1]),
    approvers=st.lists(st.sampled_from(WHO[:3]), min_size=1, max_size=3, unique=True),
    requester=st.sampled_from(["robin", *WHO, "robin", "robin"]),
    reassign=st.sampled_from(["approvers", "anyone", "approvers", "no"]),
)
async def test_no_quorum_is_met_by_fewer_people_and_nobody_decides_their_own_ask(
    steps: Sequence[tuple[str, str | None, str | None]],
    quorum: int,
    approvers: list[str],
    requester: str,
    reassign: str,
) -> None:
    """Whoever is away when, with whoever: so many people decided, each for one part, none of it the requester's."""
    policy = {"quorum": quorum, "approvers": {"users": approvers}, "reassign": reassign}
    house = a_house(a_change(**policy, expireAfter=None, onExpiry=None))
    house.people.known["lee"] = a_person("lee")
    request = await house.propose(behind=requester)
    for what, who, to in steps:
        match what, who, to:
            case "away", str(who), str(to):
                await away(house, who, to, 2 * HOUR)
            case "back", str(who), _:
                await back(house, who)
            case "approve", str(who), _:
                await answer(house, request, who)
            case _:
                house.clock.move(HOUR)
    loaded = await house.store.load_request(TENANT, request.request_id)
    assert loaded is not None
    assert loaded.request is not None
    decisions = loaded.request.decisions

    assert len({each.by.user_id for each in decisions}) == len(decisions)
    assert len({each.part for each in decisions}) == len(decisions)
    assert all(each.part in approvers for each in decisions)
    assert requester not in {person for each in decisions for person in (each.by.user_id, each.part)}
    assert (loaded.request.status == "approved") == (len(decisions) >= quorum)
    assert reassign != "no" or all(each.on_behalf_of is None for each in decisions)
    assert reassign != "approvers" or all(each.by.user_id in approvers for each in decisions)
    replayed = replay(await house.store.events(TENANT, request.instance_id), loaded.definition)
    assert replayed.deviation is None
