"""Attacks through people: who stands behind an ask does not decide it, whatever they are called or do in between."""

from datetime import timedelta
from typing import Any

import pytest
from builders import ANALYSIS, CHANGE, DATA, TENANT, a_change, a_house, a_person, an_agent, an_answer, ci, person

from loops.actors import service, system
from loops.approvals import ApprovalRequest
from loops.checking import check
from loops.definition import LoopDefinition
from loops.outcomes import Executed, Recorded, Refused


def a_loop(*more: dict[str, Any], **changed: dict[str, Any]) -> LoopDefinition:
    """Return the test loop with *more* transitions, and fields of those named by id *changed*."""
    transitions = [{**each, **changed.get(each["id"], {})} for each in CHANGE["transitions"]]
    return LoopDefinition.model_validate({**CHANGE, "transitions": [*transitions, *more]})


ASK_AGAIN = {"id": "ask_again", "from": "PENDING_HUMAN_APPROVAL", "to": "PENDING_HUMAN_APPROVAL", "actors": ["human"]}
CI_SUBMITS = {"id": "ci_submit", "from": "ANALYZING", "to": "PENDING_HUMAN_APPROVAL", "actors": ["automation"]}


@pytest.mark.parametrize("behind", ["dana", "Dana", "DANA", " dana ", "dana\u00a0", "ｄａｎａ"])
async def test_no_spelling_of_a_name_lets_somebody_approve_their_own_ask(behind: str) -> None:
    """Systems spell people as they like; case, width and white space do not make somebody else of them."""
    house = a_house()
    request = await house.propose(behind=behind)
    outcome = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == "self_approval"


async def test_who_may_not_approve_for_their_spelling_may_withdraw_with_it() -> None:
    """The one comparison of names decides both: the person behind an ask takes it back, nobody else does."""
    house = a_house()
    request = await house.propose(behind="Dana ")
    others = await house.engine.withdraw(tenant=TENANT, request_id=request.request_id, actor=person("sam"))
    own = await house.engine.withdraw(tenant=TENANT, request_id=request.request_id, actor=person("dana"))

    assert isinstance(others, Refused)
    assert isinstance(own, Executed)
    assert own.instance.status == "cancelled"


async def test_an_answer_in_between_does_not_launder_a_submission() -> None:
    """Sam asks again: dana, whose service submitted the proposal, still may not approve it."""
    house = a_house(a_loop(ASK_AGAIN, CI_SUBMITS))
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="X", data=DATA, actor=ci("kim"))
    asked = await house.engine.signal(
        tenant=TENANT, aggregate_id="X", signal="ci_submit", actor=service("ci", on_behalf_of="dana"), evidence={}
    )
    assert asked.request is not None
    again = await house.engine.answer(an_answer(asked.request, "ask_again", "sam"), tenant=TENANT)
    assert isinstance(again, Executed)
    assert again.request is not None
    by_dana = await house.engine.answer(an_answer(again.request, "approve", "dana"), tenant=TENANT)
    by_sam = await house.engine.answer(an_answer(again.request, "approve", "sam"), tenant=TENANT)

    assert isinstance(by_dana, Refused)
    assert by_dana.code == "self_approval"
    assert isinstance(by_sam, Executed)


async def test_a_vote_for_an_earlier_asking_is_worth_nothing_in_the_next() -> None:
    """Asked anew, a quorum is counted anew, and a button of the old card answers nothing."""
    house = a_house(LoopDefinition.model_validate({**_with_approval(quorum=2), "transitions": [*_moves(), ASK_AGAIN]}))
    first = await house.propose()
    await house.engine.answer(an_answer(first, "approve", "dana"), tenant=TENANT)
    alone = await house.engine.answer(an_answer(first, "ask_again", "sam"), tenant=TENANT)
    again = await house.engine.answer(an_answer(first, "ask_again", "robin"), tenant=TENANT)
    assert again.request is not None
    second = again.request
    one = await house.engine.answer(an_answer(second, "approve", "robin"), tenant=TENANT)
    old = await house.engine.answer(an_answer(first, "approve", "sam"), tenant=TENANT)

    assert isinstance(alone, Recorded), "one of two cannot leave by another exit either"
    assert second.request_id != first.request_id
    assert isinstance(one, Recorded)
    assert isinstance(old, Refused)
    assert one.instance.state == old.instance.state == "PENDING_HUMAN_APPROVAL"


@pytest.mark.parametrize("name", ["approve", "reject"])
@pytest.mark.parametrize("actor", [ci(), service("deployer"), system("providers"), system("sweep")])
async def test_no_service_leaves_a_state_that_asks_humans_by_a_human_transition(name: str, actor: Any) -> None:
    """A signal named like an answer is not an answer, whoever sends it."""
    house = a_house()
    request = await house.propose()
    outcome = await house.engine.signal(tenant=TENANT, aggregate_id="CHG-7", signal=name, actor=actor, evidence={})

    assert isinstance(outcome, Refused)
    assert outcome.code == "unauthorized_actor"
    assert outcome.instance is not None
    assert outcome.instance.state == request.proposal.state


async def test_somebody_else_of_the_answering_persons_name_is_not_them() -> None:
    """Roles, groups and names that a channel claims do not count: the directory is asked for the id."""
    house = a_house()
    request = await house.propose()
    click = an_answer(request, "approve", "kim")
    claimed = click.changed(by=click.by.changed(display_name="Dana", roles=("sre",)) if click.by else None)
    outcome = await house.engine.answer(claimed, tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == "not_an_approver"


async def test_rights_lost_before_the_click_count_for_nothing() -> None:
    """Who left the group, or the configuration, since the card was posted is refused."""
    house = a_house()
    request = await house.propose()
    house.people.known["dana"] = a_person("dana", "finance")
    del house.people.known["sam"]
    left = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    gone = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)

    assert isinstance(left, Refused)
    assert left.code == "not_an_approver"
    assert isinstance(gone, Refused)
    assert gone.code == "unmapped_identity"


async def test_silence_never_approves() -> None:
    """A definition whose expiry takes the approving transition is refused, and one that got in only expires."""
    loop = {**_with_approval(onExpiry="approve"), "transitions": _moves(approve={"actors": ["human", "system"]})}
    house = a_house(LoopDefinition.model_validate(loop))
    request = await house.propose()
    house.clock.move(timedelta(hours=5))
    [deadline] = await house.store.due(house.clock.now())  # type: ignore[attr-defined]
    outcome = await house.engine.fall_due(deadline)

    assert ("INVALID_ON_EXPIRY", "error") in [(problem.code, problem.severity) for problem in check(loop).problems]
    assert outcome.instance is not None
    assert outcome.instance.status == "cancelled"
    assert not await house.effects(request.instance_id, "integration.run")


async def test_an_answer_after_the_time_is_over_is_refused_before_the_sweep_comes() -> None:
    """Expiry is judged by the clock, not by whether the sweep got there first."""
    house = a_house()
    request = await house.propose()
    house.clock.move(timedelta(hours=4))
    outcome = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == "request_expired"


async def test_buttons_of_one_request_answer_no_other() -> None:
    """A button value whose request, version, digest or answer was exchanged for another's is refused."""
    house = a_house(a_change(expireAfter=None, onExpiry=None))
    mine, other = await house.propose("A-1"), await house.propose("A-2")
    forged = [
        an_answer(mine, "approve", "dana", request_id=other.request_id),
        an_answer(mine, "approve", "dana", digest=other.digest),
        an_answer(mine, "submit_analysis", "dana"),
        an_answer(mine, "rollout_done", "dana"),
        an_answer(mine, "", "dana"),
    ]
    outcomes = [await house.engine.answer(answer, tenant=TENANT) for answer in forged]

    assert [outcome.code for outcome in outcomes if isinstance(outcome, Refused)] == [
        "stale_request",
        "stale_request",
        "answer_not_offered",
        "answer_not_offered",
        "answer_not_offered",
    ]
    for request in (mine, other):
        assert await _state(house, request) == "PENDING_HUMAN_APPROVAL"


async def test_a_request_of_one_tenant_does_not_exist_for_another() -> None:
    """The same click under another tenant's name finds nothing."""
    house = a_house()
    request = await house.propose()
    outcome = await house.engine.answer(an_answer(request, "approve", "dana"), tenant="other")

    assert isinstance(outcome, Refused)
    assert outcome.code == "unknown_request"


async def _state(house: Any, request: ApprovalRequest) -> str:
    loaded = await house.store.load(TENANT, request.instance_id)
    return str(loaded.instance.state)


def _with_approval(**approval: Any) -> dict[str, Any]:
    loop = a_change(**approval).as_json()
    return {**loop, "transitions": CHANGE["transitions"]}


def _moves(**changed: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**each, **changed.get(each["id"], {})} for each in CHANGE["transitions"]]


@pytest.mark.parametrize(
    ("separation", "kept_out"),
    [
        ([], set()),
        (["requester"], {"dana"}),
        (["submitter"], {"sam"}),
        (["requester", "submitter"], {"dana", "sam"}),
    ],
)
async def test_each_role_is_kept_apart_by_itself(separation: list[str], kept_out: set[str]) -> None:
    """Dana is behind who asked, Sam behind who submitted: each is kept out by the rule about their own role."""
    refused = set()
    for who in ("dana", "sam", "robin"):
        house = a_house(a_change(separation=separation))
        await house.engine.start(
            tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci("dana")
        )
        asked = await house.engine.transition(
            tenant=TENANT,
            aggregate_id="CHG-7",
            transition="submit_analysis",
            actor=an_agent(behind="sam"),
            evidence=ANALYSIS,
        )
        assert asked.request is not None
        outcome = await house.engine.answer(an_answer(asked.request, "approve", who), tenant=TENANT)
        if isinstance(outcome, Refused) and outcome.code == "self_approval":
            refused.add(who)

    assert refused == kept_out
