"""Approvals in full: stages, lapsed rights, edits, parked transitions, questions, hand-overs, suspension."""

from datetime import timedelta

import pytest
from builders import DATA, TENANT, a_change, a_house, a_person, an_agent, an_answer, ci, person

from loops.actors import system
from loops.approvals import ApprovalRequest, HumanAsk
from loops.definition import LoopDefinition
from loops.ledger import Verified, verify
from loops.outcomes import Executed, Recorded, Refused
from loops.replay import replay

TWO_STAGES = {
    "approvers": {},
    "stages": [
        {"name": "service", "needs": [{"groups": ["sre"], "quorum": 1}]},
        {"name": "money", "needs": [{"groups": ["finance"], "quorum": 1}]},
    ],
}


def an_ask(request: ApprovalRequest, by: str | None, **fields) -> HumanAsk:
    """Return a question or a hand-over by the person *by*."""
    return HumanAsk.model_validate(
        {"request_id": request.request_id, "by": person(by) if by else None, "channel": {}, "key": "k"} | fields
    )


def a_parking_loop() -> LoopDefinition:
    """Return a loop in which an agent may roll out, if a human approves that very roll-out."""
    return LoopDefinition.model_validate(
        {
            "id": "test.parking",
            "version": "1.0.0",
            "initialState": "READY",
            "states": [{"id": "READY"}, {"id": "DONE", "isTerminal": True}],
            "transitions": [
                {
                    "id": "roll_out",
                    "from": "READY",
                    "to": "DONE",
                    "actors": ["ai-agent", "human"],
                    "guards": [{"id": "confidence-threshold", "parameters": {"threshold": 0.7}}],
                    "approval": {
                        "channel": "sre-approvals",
                        "approvers": {"groups": ["sre"]},
                        "title": "{{ evidence.plan }}",
                        "expireAfter": "1h",
                    },
                    "effects": [
                        {"integration": "deployer", "action": "go", "parameters": {"plan": "{{ evidence.plan }}"}}
                    ],
                }
            ],
        }
    )


async def park(house, **evidence):
    """Start the parking loop and let the agent ask for its transition."""
    await house.engine.start(tenant=TENANT, loop_id="test.parking", aggregate_id="P", data=DATA, actor=ci())
    return await house.engine.transition(
        tenant=TENANT,
        aggregate_id="P",
        transition="roll_out",
        actor=an_agent(behind="robin"),
        evidence={"confidence": 0.9, "plan": "scale to 12"} | evidence,
    )


async def test_stages_are_asked_one_after_the_other() -> None:
    """Who belongs to the second stage may not decide before the first is met, and completes it then."""
    house = a_house(a_change(**TWO_STAGES))
    request = await house.propose()
    early = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)
    first = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    again = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    last = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)

    assert early.code == "not_an_approver"
    assert isinstance(first, Recorded)
    assert again.code == "not_an_approver"
    assert isinstance(last, Executed)
    events = await house.store.events(TENANT, request.instance_id)
    executed = [event for event in events if event.type == "loop.transition.executed"][-1]
    assert [actor["userId"] for actor in executed.data["approvedBy"]] == ["dana", "kim"]


async def test_whose_need_is_met_is_told_what_it_waits_for() -> None:
    """Of two needs at once, one being met, a further vote for it decides nothing, and no vote of others is blamed."""
    needs = [{"groups": ["sre"], "quorum": 1}, {"groups": ["finance"], "quorum": 1}]
    house = a_house(a_change(approvers={}, stages=[{"needs": needs}]))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    further = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    last = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)

    assert isinstance(further, Refused)
    assert further.code == "not_needed"
    assert further.message.endswith("part is approved already; this waits for 1 of finance")
    assert isinstance(last, Executed)


async def test_rights_lost_between_two_votes_take_the_first_away() -> None:
    """The quorum is judged again when it would complete: a vote by somebody who left the group counts no more."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    house.people.known["dana"] = a_person("dana")
    second = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    events = await house.store.events(TENANT, request.instance_id)
    third = await house.engine.answer(an_answer(request, "approve", "robin"), tenant=TENANT)

    assert isinstance(second, Recorded)
    assert events[-1].data["lapsed"] == ["dana"]
    assert isinstance(third, Executed)


async def test_of_somebodys_groups_the_record_has_those_the_policy_names() -> None:
    """The ledger says on what an answer was judged; what else its person belongs to is nobody's business there."""
    house = a_house()
    house.people.known["dana"] = a_person("dana", "sre", "works-council")
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    events = await house.store.events(TENANT, request.instance_id)
    decided = next(event for event in events if event.type == "approval.decision.recorded")

    assert decided.data["groups"] == {"dana": ["sre"]}
    assert "works-council" not in str([event.data for event in events])


@pytest.mark.parametrize(
    ("who", "answer", "state"),
    [
        ("robin", "approve", "ROLLING_OUT"),
        ("dana", "approve", "ROLLING_OUT"),
        ("robin", "reject", "REJECTED"),
    ],
)
async def test_approvals_that_count_again_are_for_anybody_to_have_take_effect(
    who: str, answer: str, state: str
) -> None:
    """Back among the approvers, dana makes two of two: whoever may decide then does, she once more or not at all."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    house.people.known["dana"] = a_person("dana")
    await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    house.people.known["dana"] = a_person("dana", "sre")
    foreign = await house.engine.answer(an_answer(request, answer, "kim", reason="No."), tenant=TENANT)
    outcome = await house.engine.answer(an_answer(request, answer, who, reason="So."), tenant=TENANT)
    assert isinstance(outcome, Executed)
    assert outcome.instance is not None
    events = await house.store.events(TENANT, request.instance_id)
    executed = [event for event in events if event.type == "loop.transition.executed"][-1]
    approved = executed.data.get("approvedBy") or []

    assert (foreign.code, outcome.instance.state) == ("not_an_approver", state)
    assert sorted(actor["userId"] for actor in approved) == sorted({"dana", "sam", who} if answer == "approve" else [])
    assert replay(events, house.definitions.get("test.change")).deviation is None


async def test_an_edit_is_a_new_version_and_voids_earlier_votes() -> None:
    """Edit and approve: new digest, old approvals gone, the editor's vote counts, and what runs is the edited value."""
    policy = {"quorum": 2, "editable": {"replicas": {"type": "integer", "minimum": 1, "maximum": 20}}}
    house = a_house(a_change(**policy))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    edited = await house.engine.answer(an_answer(request, "approve", "sam", edits={"replicas": 8}), tenant=TENANT)
    stale = await house.engine.answer(an_answer(request, "approve", "robin"), tenant=TENANT)
    revised = edited.request
    done = await house.engine.answer(an_answer(revised, "approve", "dana"), tenant=TENANT)

    assert isinstance(edited, Recorded)
    assert (revised.version, len(revised.approvals), len(revised.voided)) == (2, 1, 1)
    assert revised.digest != request.digest
    assert revised.digest == revised.proposal.digest
    assert stale.code == "stale_request"
    assert isinstance(done, Executed)
    [run] = await house.effects(request.instance_id, "integration.run")
    assert run.payload["parameters"]["replicas"] == 8
    assert (run.grant.request_version, run.grant.digest) == (2, revised.digest)


async def test_who_approved_may_change_their_mind_by_an_edit() -> None:
    """An edit voids the editor's own earlier vote as well; the one that came with it counts, once."""
    house = a_house(a_change(quorum=2, editable={"replicas": {"type": "integer"}}))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    edited = await house.engine.answer(an_answer(request, "approve", "dana", edits={"replicas": 8}), tenant=TENANT)
    revised = edited.request
    again = await house.engine.answer(an_answer(revised, "approve", "dana"), tenant=TENANT)
    unchanged = await house.engine.answer(an_answer(revised, "approve", "dana", edits={"replicas": 8}), tenant=TENANT)
    done = await house.engine.answer(an_answer(revised, "approve", "sam"), tenant=TENANT)

    assert isinstance(edited, Recorded)
    assert [each.by.user_id for each in revised.approvals] == ["dana"]
    assert (again.code, unchanged.code) == ("already_answered", "already_answered")
    assert isinstance(done, Executed)


async def test_guards_judge_what_was_edited_not_what_was_asked() -> None:
    """The guards of an answer's transition see the proposal as the edits leave it, and an unfit one decides nothing."""
    small = {"id": "expression", "severity": "hard", "parameters": {"expression": "data.replicas <= 10"}}
    loop = a_change(editable={"replicas": {"type": "integer", "maximum": 20}}).as_json()
    for transition in loop["transitions"]:
        if transition["id"] == "approve":
            transition["guards"] = [small]
    house = a_house(LoopDefinition.model_validate(loop))
    request = await house.propose()
    large = await house.engine.answer(an_answer(request, "approve", "dana", edits={"replicas": 15}), tenant=TENANT)
    fits = await house.engine.answer(an_answer(request, "approve", "dana", edits={"replicas": 10}), tenant=TENANT)

    assert isinstance(large, Refused)
    assert (large.code, large.instance.data) == ("guard_failed", DATA)
    assert isinstance(fits, Executed)
    assert fits.instance.data["replicas"] == 10


async def test_a_rejection_carries_no_edits() -> None:
    """Who rejects changes nothing: edits that come with it are refused on the record, and so is the rejection."""
    house = a_house(a_change(editable={"replicas": {"type": "integer"}}))
    request = await house.propose()
    answer = an_answer(request, "reject", "dana", reason="no", edits={"replicas": 3})
    outcome = await house.engine.answer(answer, tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.message) == ("bad_edit", "only an approval may carry edits")
    assert outcome.instance.data == DATA
    assert (await house.store.load_request(TENANT, request.request_id)).request.is_open


@pytest.mark.parametrize("edits", [{"replicas": 50}, {"service": "payments"}, {"replicas": "8"}])
async def test_an_edit_outside_the_policy_is_refused_whole(edits) -> None:
    """An edit the policy does not allow decides nothing, although an approval came with it."""
    house = a_house(a_change(editable={"replicas": {"type": "integer", "maximum": 20}}))
    request = await house.propose()
    outcome = await house.engine.answer(an_answer(request, "approve", "dana", edits=edits), tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == "bad_edit"
    assert outcome.instance.data == DATA


async def test_an_edit_by_the_only_approver_decides_at_once() -> None:
    """With a quorum of one, edit and approve is one step, on the record as both."""
    house = a_house(a_change(editable={"replicas": {"type": "integer"}}))
    request = await house.propose()
    outcome = await house.engine.answer(an_answer(request, "approve", "dana", edits={"replicas": 3}), tenant=TENANT)

    assert isinstance(outcome, Executed)
    types = await house.event_types(request.instance_id)
    assert types[-5:] == [
        "approval.edited",
        "approval.decision.recorded",
        "loop.transition.requested",
        "loop.transition.executed",
        "approval.closed",
    ]


async def test_an_agents_request_waits_for_a_human_who_executes_that_very_transition() -> None:
    """Parked with its evidence; the approval takes it with both identities; what runs is what was shown."""
    house = a_house(a_parking_loop())
    parked = await park(house)
    request = parked.request
    approved = await house.engine.answer(an_answer(request, "roll_out", "dana"), tenant=TENANT)

    assert isinstance(parked, Recorded)
    assert (parked.code, parked.instance.state) == ("pending_approval", "READY")
    assert request.title == "scale to 12"
    assert isinstance(approved, Executed)
    events = await house.store.events(TENANT, request.instance_id)
    executed = next(event for event in events if event.type == "loop.transition.executed")
    assert executed.data["actor"]["type"] == "ai-agent"
    assert [actor["userId"] for actor in executed.data["approvedBy"]] == ["dana"]
    assert executed.data["evidence"]["plan"] == "scale to 12"
    [run] = await house.effects(request.instance_id, "integration.run")
    assert run.payload["parameters"] == {"plan": "scale to 12"}
    assert isinstance(verify(events, approved.instance.head), Verified)


async def test_a_declined_transition_is_not_taken_and_may_be_asked_for_again() -> None:
    """A rejection closes the request; the loop stays where it was, and the agent may ask anew."""
    house = a_house(a_parking_loop())
    request = (await park(house)).request
    declined = await house.engine.answer(an_answer(request, "decline", "dana", reason="not today"), tenant=TENANT)
    again = await house.engine.transition(
        tenant=TENANT, aggregate_id="P", transition="roll_out", actor=an_agent(), evidence={"confidence": 0.9}
    )

    assert isinstance(declined, Recorded)
    assert (declined.request.status, declined.instance.state) == ("rejected", "READY")
    assert again.code == "pending_approval"
    assert not await house.effects(request.instance_id, "integration.run")


async def test_nobody_behind_the_agent_approves_what_it_asked() -> None:
    """The human behind the agent may not approve its parked transition, though they are in the group."""
    house = a_house(a_parking_loop())
    request = (await park(house)).request
    outcome = await house.engine.answer(an_answer(request, "roll_out", "robin"), tenant=TENANT)

    assert outcome.code == "self_approval"


async def test_a_second_request_waits_until_the_first_is_answered() -> None:
    """While one parked transition waits, another is refused and named; the first is untouched."""
    house = a_house(a_parking_loop())
    request = (await park(house)).request
    second = await house.engine.transition(
        tenant=TENANT, aggregate_id="P", transition="roll_out", actor=an_agent(), evidence={"confidence": 0.9}
    )

    assert second.code == "approval_pending"
    assert request.request_id in second.message


async def test_what_guards_refuse_nobody_is_asked_about() -> None:
    """A request its guards block is refused before a human is bothered."""
    house = a_house(a_parking_loop())
    outcome = await park(house, confidence=0.2)

    assert outcome.code == "guard_failed"
    assert not await house.effects(outcome.instance.instance_id, "card.post")


async def test_a_human_needs_no_approval_of_a_parked_transition() -> None:
    """The policy parks agents and services; a human who may take the transition takes it."""
    house = a_house(a_parking_loop())
    request = (await park(house)).request
    outcome = await house.engine.transition(
        tenant=TENANT, aggregate_id="P", transition="roll_out", actor=person("dana"), evidence={"confidence": 1}
    )

    assert isinstance(outcome, Executed)
    assert (outcome.request.request_id, outcome.request.status) == (request.request_id, "superseded")


async def test_a_parked_request_nobody_answers_expires_and_the_loop_stays() -> None:
    """Silence refuses the transition, not the loop."""
    house = a_house(a_parking_loop())
    request = (await park(house)).request
    house.clock.move(timedelta(hours=2))
    [deadline] = await house.store.due(house.clock.now())
    outcome = await house.engine.fall_due(deadline)

    assert (outcome.request.status, outcome.instance.status) == ("expired", "active")
    assert request.request_id == outcome.request.request_id


async def test_a_question_goes_on_the_record_and_its_answer_onto_the_request() -> None:
    """An approver asks, the requester answers, once; deciding stays possible all along."""
    house = a_house()
    request = await house.propose()
    asked = await house.engine.consult(an_ask(request, "dana", question="Is the sale over?"), tenant=TENANT)
    [question] = asked.request.questions
    fields = {"tenant": TENANT, "request_id": request.request_id, "question_id": question.question_id}
    told = await house.engine.inform(**fields, text="Yes, since noon", actor=ci())
    twice = await house.engine.inform(**fields, text="No", actor=ci())
    done = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert asked.request.open_question == question
    assert told.request.questions[0].answer == "Yes, since noon"
    assert told.request.open_question is None
    assert twice.code == "unknown_question"
    assert isinstance(done, Executed)


@pytest.mark.parametrize(("by", "code"), [("kim", "not_an_approver"), (None, "unmapped_identity")])
async def test_who_may_not_decide_may_not_ask_either(by, code) -> None:
    """Questions and hand-overs are for approvers; others are refused privately, on the record."""
    house = a_house()
    request = await house.propose()
    outcome = await house.engine.consult(an_ask(request, by, question="Why?"), tenant=TENANT)

    assert outcome.code == code
    assert len(await house.effects(request.instance_id, "notice")) == 1


async def test_a_part_is_handed_over_within_what_the_policy_allows() -> None:
    """Among approvers by default; to anybody where the policy says so; never to whoever asked, or nobody."""
    house = a_house()
    request = await house.propose(behind="robin")
    outsider = await house.engine.consult(an_ask(request, "dana", to_person="kim"), tenant=TENANT)
    requester = await house.engine.consult(an_ask(request, "dana", to_person="robin", key="k2"), tenant=TENANT)
    nobody = await house.engine.consult(an_ask(request, "dana", to_person="zoe", key="k3"), tenant=TENANT)
    fine = await house.engine.consult(an_ask(request, "dana", to_person="sam", key="k4"), tenant=TENANT)
    given_away = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    taken = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)

    assert [outsider.code, requester.code, nobody.code] == ["cannot_reassign"] * 3
    assert fine.code == "reassigned"
    assert given_away.code == "not_an_approver"
    assert isinstance(taken, Executed)


async def test_an_outsider_may_take_over_where_the_policy_says_anyone() -> None:
    """With `reassign: anyone` somebody outside the group decides in the giver's place."""
    house = a_house(a_change(reassign="anyone"))
    request = await house.propose()
    await house.engine.consult(an_ask(request, "dana", to_person="kim"), tenant=TENANT)
    outcome = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)

    assert isinstance(outcome, Executed)


async def test_only_who_asked_takes_a_request_back() -> None:
    """The requester withdraws: the request closes, the loop is cancelled, late clicks are told."""
    house = a_house()
    request = await house.propose(behind="robin")
    fields = {"tenant": TENANT, "request_id": request.request_id}
    stranger = await house.engine.withdraw(**fields, actor=person("dana"))
    withdrawn = await house.engine.withdraw(**fields, actor=person("robin"), reason="wrong service")
    late = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert stranger.code == "not_the_requester"
    assert (withdrawn.request.status, withdrawn.instance.status) == ("withdrawn", "cancelled")
    assert late.code == "request_closed"


async def test_a_suspended_loop_rests_and_wakes_where_it_was() -> None:
    """While suspended nothing decides and no time runs; afterwards the deadline has moved on by the rest."""
    house = a_house()
    request = await house.propose()
    subject = {"tenant": TENANT, "aggregate_id": request.aggregate_id}
    await house.engine.suspend(**subject, actor=person("dana"), reason="incident")
    refused = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    house.clock.move(timedelta(hours=5))
    due = await house.store.due(house.clock.now())
    woken = await house.engine.resume(**subject, actor=person("dana"))
    approved = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert refused.code == "request_closed"
    assert not due
    assert woken.request.expires_at == request.expires_at + timedelta(hours=5)
    assert isinstance(approved, Executed)


async def test_a_result_that_comes_in_while_suspended_takes_effect_on_waking() -> None:
    """An approved effect finishes during the rest: kept on the record, and the loop moves when resumed."""
    house = a_house()
    request = await house.propose()
    subject = {"tenant": TENANT, "aggregate_id": request.aggregate_id}
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(request.instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=5))
    await house.engine.suspend(**subject, actor=person("dana"))
    kept = await house.engine.settle(run, claim.fence, succeeded=True, detail={"id": "d-1"})
    woken = await house.engine.resume(**subject, actor=person("dana"))

    assert (kept.instance.status, kept.instance.state) == ("suspended", "ROLLING_OUT")
    assert (woken.instance.status, woken.instance.state) == ("completed", "COMPLETE")
    assert woken.instance.held_results == ()


async def test_failing_a_loop_is_attributed_and_final() -> None:
    """fail closes an active loop with its error; a second time, or on a closed loop, it is refused."""
    house = a_house()
    request = await house.propose()
    fields = {
        "tenant": TENANT,
        "aggregate_id": request.aggregate_id,
        "actor": system("operator"),
        "code": "lost",
        "message": "x",
    }
    failed = await house.engine.fail(**fields)
    again = await house.engine.fail(**fields)

    assert (failed.instance.status, failed.request.status) == ("failed", "cancelled")
    assert again.code == "loop_closed"
