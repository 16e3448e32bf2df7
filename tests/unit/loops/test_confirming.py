"""An answer whose giver is not known well enough is kept, and judged as things stand when they are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders import CHANGE, TENANT, House, a_change, a_house, a_person, an_answer, person

from loops.approvals import ApprovalRequest
from loops.definition import LoopDefinition
from loops.effects import Effect
from loops.errors import Unavailable
from loops.outcomes import Executed, Outcome, Recorded, Refused

LEASE = timedelta(seconds=5)


async def keep(house: House, request: ApprovalRequest, by: str | None = "dana", **changes: Any) -> Outcome:
    """Answer as somebody about whom nothing is known just now."""
    answer = an_answer(request, changes.pop("transition", "approve"), by, is_confirmed=False, **changes)
    return await house.engine.answer(answer, tenant=TENANT)


async def kept(house: House, request: ApprovalRequest) -> Sequence[Effect]:
    """Return the effects that find out who answered."""
    return await house.effects(request.instance_id, "answer.confirm")


async def confirm(house: House, effect: Effect, by: str | None, **standing: str) -> Outcome:
    """End *effect*: it was *by*."""
    claim = await house.store.claim(effect.effect_id, lease=LEASE)  # type: ignore[attr-defined]
    return await house.engine.confirm(effect, claim.fence, person(by) if by else None, standing)


async def notices(house: House, request: ApprovalRequest) -> list[str]:
    """Return the codes of what was to be said privately, in order."""
    return [str(each.payload["code"]) for each in await house.effects(request.instance_id, "notice")]


async def test_a_kept_answer_decides_nothing() -> None:
    """Before it is known who it was, the request is open, nobody has voted, and the ledger says that one waits."""
    house = a_house()
    request = await house.propose()
    outcome = await keep(house, request)
    events = await house.store.events(TENANT, request.instance_id)

    assert isinstance(outcome, Recorded)
    assert outcome.code == "unconfirmed"
    assert outcome.request is not None
    assert (outcome.request.is_open, outcome.request.decisions) == (True, ())
    assert events[-1].type == "approval.decision.unconfirmed"
    assert events[-1].data["claimedBy"]["userId"] == "dana"
    assert await notices(house, request) == ["checking"]


async def test_once_confirmed_it_counts_like_any_other() -> None:
    """The loop moves by a recorded decision whose cause is the effect that found out, and the person is told."""
    house = a_house()
    request = await house.propose()
    await keep(house, request)
    [effect] = await kept(house, request)
    outcome = await confirm(house, effect, "dana")
    recorded = next(
        each
        for each in await house.store.events(TENANT, request.instance_id)
        if each.type == "approval.decision.recorded"
    )

    assert isinstance(outcome, Executed)
    assert recorded.causation_id == effect.effect_id
    assert await notices(house, request) == ["checking", "confirmed"]
    first, second = await house.effects(request.instance_id, "notice")
    assert second.payload["after"] == first.effect_id


async def test_who_may_not_decide_is_refused_in_the_end() -> None:
    """Somebody Slack calls a guest is refused on the record, and told so."""
    house = a_house()
    request = await house.propose()
    await keep(house, request)
    [effect] = await kept(house, request)
    outcome = await confirm(house, effect, None, slackStanding="guest")

    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.message) == ("unmapped_identity", "UDANA may not decide: guest")
    assert await notices(house, request) == ["checking", "unmapped_identity"]


@pytest.mark.parametrize(
    ("guards", "by", "code"),
    [
        ((), "kim", "not_an_approver"),
        (({"id": "evidence-required", "parameters": {"requiredFields": ["reason"]}},), "dana", "guard_failed"),
    ],
)
async def test_a_refusal_in_the_end_is_said_after_that_it_is_being_found_out(
    guards: Sequence[dict[str, Any]], by: str, code: str
) -> None:
    """Whether the policy or a guard refuses: the word that nothing came of it never comes before the first word."""
    moves = [{**each, "guards": guards} if each["id"] == "approve" else each for each in CHANGE["transitions"]]
    house = a_house(LoopDefinition.model_validate({**CHANGE, "transitions": moves}))
    request = await house.propose()
    await keep(house, request)
    [effect] = await kept(house, request)
    await confirm(house, effect, by)
    first, second = await house.effects(request.instance_id, "notice")

    assert (second.payload["code"], second.payload["after"]) == (code, first.effect_id)


async def test_the_claim_of_who_it_is_counts_for_nothing() -> None:
    """Found to be kim, who may not decide, the answer that claimed to be dana's is kim's."""
    house = a_house()
    request = await house.propose()
    await keep(house, request, "dana")
    [effect] = await kept(house, request)
    outcome = await confirm(house, effect, "kim")

    assert isinstance(outcome, Refused)
    assert outcome.code == "not_an_approver"


async def test_a_repeated_delivery_is_kept_once() -> None:
    """The same click delivered again is the same answer, also when Slack has said who it was in between."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    answer = an_answer(request, "approve", "dana", is_confirmed=False)
    await house.engine.answer(answer, tenant=TENANT)
    again = await house.engine.answer(answer, tenant=TENANT)
    later = await house.engine.answer(answer.changed(is_confirmed=True), tenant=TENANT)

    assert len(await kept(house, request)) == 1
    assert [again.repeated, later.repeated] == [True, True]
    assert isinstance(later, Recorded)
    assert later.code == "unconfirmed"


async def test_two_kept_answers_of_one_person_count_once() -> None:
    """The second is refused when it is confirmed: each person counts once."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    await keep(house, request)
    await keep(house, request)
    first, second = await kept(house, request)
    outcomes = [await confirm(house, effect, "dana") for effect in (first, second)]

    assert [getattr(each, "code", "") for each in outcomes] == ["decision_recorded", "already_answered"]


async def test_what_happened_in_between_counts() -> None:
    """Decided, edited or expired before it was known who answered: refused for that, and told."""
    editable = {"editable": {"replicas": {"type": "integer", "maximum": 20}}}
    decided, changed, expired = a_house(), a_house(a_change(quorum=2, **editable)), a_house()
    refusals = []
    for house in (decided, changed, expired):
        request = await house.propose()
        await keep(house, request)
        if house is decided:
            await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
        elif house is changed:
            edit = an_answer(request, "approve", "sam", edits={"replicas": 3})
            await house.engine.answer(edit, tenant=TENANT)
        else:
            house.clock.move(timedelta(hours=5))
        [effect] = await kept(house, request)
        refusals.append(await confirm(house, effect, "dana"))

    assert [getattr(each, "code", "") for each in refusals] == ["already_decided", "stale_request", "request_expired"]
    assert "was approved by Sam" in getattr(refusals[0], "message", "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"digest": "sha256:other"}, "stale_request"),
        ({"request_version": 7}, "stale_request"),
        ({"transition": "nonsense"}, "answer_not_offered"),
        ({"transition": "reject"}, "reason_required"),
        ({"edits": {"replicas": 1}}, "bad_edit"),
    ],
)
async def test_what_would_count_from_nobody_is_refused_at_once(changes: dict[str, Any], code: str) -> None:
    """Nobody is asked about who gave an answer that no one could give."""
    house = a_house()
    request = await house.propose()
    outcome = await keep(house, request, **changes)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert not await kept(house, request)


async def test_late_answers_of_anybody_are_refused_at_once() -> None:
    """A closed request keeps nothing, and says who decided it."""
    house = a_house()
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    outcome = await keep(house, request)

    assert isinstance(outcome, Refused)
    assert outcome.code == "already_decided"


async def test_a_group_nobody_knows_just_now_makes_an_answer_wait() -> None:
    """Where a voter's groups are doubtful the answer is kept, stays kept while they are, and then counts."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    dana = house.people.known["dana"]
    house.people.known["dana"] = replace(dana, groups=frozenset(), doubtful=frozenset({"sre"}))
    outcome = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    [effect] = await kept(house, request)
    claim = await house.store.claim(effect.effect_id, lease=LEASE)  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="too little is known about sre"):
        await house.engine.confirm(effect, claim.fence, person("sam"), {})
    house.people.known["dana"] = dana
    counted = await house.engine.confirm(effect, claim.fence, person("sam"), {})

    assert getattr(outcome, "code", "") == "unconfirmed"
    assert isinstance(counted, Executed)


async def test_a_doubt_about_a_group_the_policy_does_not_name_is_none() -> None:
    """What nobody asks does not keep anybody waiting."""
    house = a_house()
    request = await house.propose()
    house.people.known["dana"] = replace(a_person("dana", "sre"), doubtful=frozenset({"finance"}))
    outcome = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert isinstance(outcome, Executed)


async def test_an_approver_barred_since_counts_no_more() -> None:
    """Rights are looked at again when the quorum completes: a deactivated voter's approval lapses."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    house.people.known["dana"] = replace(a_person("dana", "sre"), barred="deleted")
    second = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    third = await house.engine.answer(an_answer(request, "approve", "robin"), tenant=TENANT)

    assert isinstance(second, Recorded)
    assert isinstance(third, Executed)


async def test_a_barred_person_is_refused_with_the_reason() -> None:
    """Whatever a channel made of the click, the directory's word of now is on the record."""
    house = a_house()
    request = await house.propose()
    house.people.known["dana"] = replace(a_person("dana", "sre"), barred="guest")
    outcome = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [refused] = [
        each
        for each in await house.store.events(TENANT, request.instance_id)
        if each.type == "approval.decision.refused"
    ]

    assert isinstance(outcome, Refused)
    assert refused.data["channel"]["slackStanding"] == "guest"
    assert "by" not in refused.data
