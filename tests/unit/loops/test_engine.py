"""The engine on the in-memory store: every way a loop is started, moved, closed, and refused to be."""

import asyncio
from datetime import timedelta

import pytest
from builders import ANALYSIS, DATA, TENANT, a_change, a_house, an_agent, an_answer, ci

from loops.actors import human, system
from loops.ledger import Verified, verify
from loops.outcomes import Executed, Recorded, Refused


async def test_a_proposal_goes_all_the_way_and_its_ledger_verifies() -> None:
    """Start, submission, card, approval, integration result and completion are one verifiable ledger."""
    house = a_house()
    request = await house.propose()
    [post] = await house.effects(request.instance_id, "card.post")
    claim = await house.store.claim(post.effect_id, lease=timedelta(seconds=5))
    await house.engine.card_posted(post, claim.fence, {"channel": "C1", "ts": "1.2"})
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(request.instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=5))
    done = await house.engine.settle(run, claim.fence, succeeded=True, detail={"deploymentId": "d-1"})

    assert isinstance(done, Executed)
    assert (done.instance.status, done.instance.state) == ("completed", "COMPLETE")
    assert await house.event_types(request.instance_id) == [
        "loop.started",
        "loop.transition.requested",
        "loop.transition.executed",
        "approval.requested",
        "approval.card.posted",
        "approval.decision.recorded",
        "loop.transition.requested",
        "loop.transition.executed",
        "approval.closed",
        "effect.succeeded",
        "loop.transition.requested",
        "loop.transition.executed",
        "loop.completed",
        "loop.learning.recorded",
    ]
    events = await house.store.events(TENANT, request.instance_id)
    assert isinstance(verify(events, done.instance.head), Verified)


async def test_what_was_shown_is_what_runs() -> None:
    """The integration gets the parameters of the request the approver saw, under its digest."""
    house = a_house()
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(request.instance_id, "integration.run")

    assert run.payload["parameters"] == {"service": "checkout", "replicas": 12}
    assert run.payload["parameters"] == request.proposal.runs[0].parameters
    assert run.grant is not None
    assert (run.grant.request_id, run.grant.digest) == (request.request_id, request.digest)
    assert request.proposal.digest == request.digest


async def test_one_decision_of_many_concurrent_ones() -> None:
    """Of sixteen answers at once one moves the loop; fifteen are told who decided, and all are on the ledger."""
    house = a_house(a_change(approvers={"groups": ["sre"]}))
    request = await house.propose()
    clicks = [
        an_answer(request, ("approve", "reject")[turn % 2], ("dana", "sam")[turn % 2], reason="because")
        for turn in range(16)
    ]
    outcomes = await asyncio.gather(*(house.engine.answer(click, tenant=TENANT) for click in clicks))

    won = [outcome for outcome in outcomes if isinstance(outcome, Executed)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert (len(won), len(lost)) == (1, 15)
    assert {outcome.code for outcome in lost} == {"already_decided"}
    assert all(outcome.request.closed_by == won[0].request.closed_by for outcome in lost)
    assert len(await house.effects(request.instance_id, "integration.run")) == (won[0].transition_id == "approve")
    assert (await house.event_types(request.instance_id)).count("approval.decision.refused") == 15


async def test_a_repeated_delivery_of_one_click_counts_once() -> None:
    """The same click delivered again gets the first answer, and leaves nothing on the ledger."""
    house = a_house()
    request = await house.propose()
    click = an_answer(request, "approve", "dana")
    first = await house.engine.answer(click, tenant=TENANT)
    before = await house.event_types(request.instance_id)
    again = await house.engine.answer(click, tenant=TENANT)

    assert isinstance(first, Executed)
    assert isinstance(again, Executed)
    assert again.repeated
    assert await house.event_types(request.instance_id) == before


@pytest.mark.parametrize(
    ("by", "changes", "code"),
    [
        (None, {}, "unmapped_identity"),
        ("nobody", {}, "unmapped_identity"),
        ("kim", {}, "not_an_approver"),
        ("robin", {}, "self_approval"),
        ("dana", {"digest": "sha256:" + "0" * 64}, "stale_request"),
        ("dana", {"request_version": 2}, "stale_request"),
        ("dana", {"transition_id": "rollout_done"}, "answer_not_offered"),
        ("dana", {"transition_id": "reject"}, "reason_required"),
        ("dana", {"transition_id": "reject", "reason": "  "}, "reason_required"),
    ],
)
async def test_the_wrong_human_or_the_wrong_answer_is_refused(by, changes, code) -> None:
    """A refused answer moves nothing, is an event, and is told privately to the one who clicked."""
    house = a_house()
    request = await house.propose(behind="robin")
    outcome = await house.engine.answer(an_answer(request, "approve", by, **changes), tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert outcome.instance.state == "PENDING_HUMAN_APPROVAL"
    assert (await house.event_types(request.instance_id))[-1] == "approval.decision.refused"
    [notice] = await house.effects(request.instance_id, "notice")
    assert notice.payload["code"] == code
    assert not await house.effects(request.instance_id, "integration.run")


async def test_a_human_no_channel_verified_cannot_decide() -> None:
    """A human actor that no channel authenticated counts as nobody, whatever it is called."""
    house = a_house()
    request = await house.propose()
    forged = an_answer(request, "approve", "dana").changed(by=human("dana"))
    outcome = await house.engine.answer(forged, tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == "unmapped_identity"


async def test_humans_cannot_leave_a_pending_state_around_the_request() -> None:
    """A human transition out of a pending state outside an approval request is refused."""
    house = a_house()
    request = await house.propose()
    outcome = await house.engine.transition(
        tenant=TENANT,
        aggregate_id=request.aggregate_id,
        transition="approve",
        actor=human("dana", via="slack"),
        evidence={},
    )

    assert isinstance(outcome, Refused)
    assert outcome.code == "approval_required"


async def test_a_quorum_counts_distinct_humans() -> None:
    """With a quorum of two the first approval is recorded, the same person again is refused, a second one decides."""
    house = a_house(a_change(quorum=2))
    request = await house.propose()
    first = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    twice = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    second = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)

    assert isinstance(first, Recorded)
    assert isinstance(twice, Refused)
    assert twice.code == "already_answered"
    assert isinstance(second, Executed)
    assert [decision.by.user_id for decision in second.request.approvals] == ["dana", "sam"]


async def test_an_agent_below_the_threshold_is_blocked_with_every_reason() -> None:
    """Hard guards block; each failure is an event of its own and all verdicts are on the ledger."""
    house = a_house()
    started = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci()
    )
    outcome = await house.engine.transition(
        tenant=TENANT,
        aggregate_id="CHG-7",
        transition="submit_analysis",
        actor=an_agent(),
        evidence={"confidence": True},
    )

    assert isinstance(outcome, Refused)
    assert [failure.code for failure in outcome.failures] == ["confidence_below_threshold", "missing_evidence_fields"]
    events = await house.store.events(TENANT, started.instance.instance_id)
    assert [event.type for event in events][1:] == [
        "loop.transition.requested",
        "loop.guard.failed",
        "loop.guard.failed",
        "loop.transition.blocked",
    ]
    assert outcome.instance.state == "ANALYZING"


async def test_an_agent_can_never_approve() -> None:
    """An ai-agent asking for the human transition is unauthorised, on the ledger."""
    house = a_house()
    request = await house.propose()
    outcome = await house.engine.transition(
        tenant=TENANT,
        aggregate_id=request.aggregate_id,
        transition="approve",
        actor=an_agent(),
        evidence={"approved": True},
    )

    assert isinstance(outcome, Refused)
    assert outcome.code == "unauthorized_actor"
    assert (await house.event_types(request.instance_id))[-1] == "loop.transition.refused"


async def test_nobody_answers_and_the_policy_says_what_happens() -> None:
    """At the deadline the system takes onExpiry; an answer after it is refused even before the sweep came by."""
    house = a_house()
    request = await house.propose()
    house.clock.move(timedelta(hours=4))
    late = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [deadline] = await house.store.due(house.clock.now())
    expired = await house.engine.fall_due(deadline)
    too_late = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert isinstance(late, Refused)
    assert isinstance(too_late, Refused)
    assert (late.code, too_late.code) == ("request_expired", "request_expired")
    assert isinstance(expired, Executed)
    assert (expired.instance.state, expired.request.status) == ("REJECTED", "expired")
    assert not await house.store.due(house.clock.now())


async def test_silence_without_a_rule_refuses_and_closes() -> None:
    """Without onExpiry the request expires and the loop is cancelled: nothing runs, nothing waits for ever."""
    house = a_house(a_change(onExpiry=None))
    request = await house.propose()
    house.clock.move(timedelta(hours=5))
    [deadline] = await house.store.due(house.clock.now())
    outcome = await house.engine.fall_due(deadline)

    assert isinstance(outcome, Executed)
    assert (outcome.instance.status, outcome.request.status) == ("cancelled", "expired")
    assert not await house.effects(request.instance_id, "integration.run")


async def test_a_closed_loop_does_not_move() -> None:
    """After cancellation every transition, signal, answer and second cancellation is refused."""
    house = a_house()
    request = await house.propose()
    cancelled = await house.engine.cancel(
        tenant=TENANT, aggregate_id=request.aggregate_id, actor=human("dana", via="slack"), reason="wrong service"
    )
    moved = await house.engine.signal(
        tenant=TENANT, aggregate_id=request.aggregate_id, signal="expire", actor=system("sweep"), evidence={}
    )
    answered = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    again = await house.engine.cancel(tenant=TENANT, aggregate_id=request.aggregate_id, actor=ci())

    assert isinstance(cancelled, Executed)
    assert cancelled.request.status == "cancelled"
    assert [moved.code, answered.code, again.code] == ["loop_closed", "request_closed", "loop_closed"]
    assert not await house.effects(request.instance_id, "integration.run")


async def test_a_loop_starts_once_per_business_object() -> None:
    """A second start is refused while the first is active, allowed after it closed, and repeatable under its key."""
    house = a_house()
    first = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="A", data=DATA, actor=ci(), idempotency_key="k1"
    )
    second = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="A", data=DATA, actor=ci(), idempotency_key="k2"
    )
    repeated = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="A", data=DATA, actor=ci(), idempotency_key="k1"
    )
    other_body = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="A", data={}, actor=ci(), idempotency_key="k1"
    )
    await house.engine.cancel(tenant=TENANT, aggregate_id="A", actor=ci())
    third = await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="A", data=DATA, actor=ci())

    assert isinstance(first, Executed)
    assert second.code == "already_active"
    assert repeated.repeated
    assert repeated.instance.instance_id == first.instance.instance_id
    assert other_body.code == "idempotency_key_reused"
    assert isinstance(third, Executed)
    assert third.instance.instance_id != first.instance.instance_id


async def test_what_does_not_exist_is_refused_by_name() -> None:
    """Unknown loops, aggregates and requests are refusals that name them, and write nothing."""
    house = a_house()
    request = await house.propose()
    loop = await house.engine.start(tenant=TENANT, loop_id="test.chnage", aggregate_id="B", data={}, actor=ci())
    instance = await house.engine.signal(tenant=TENANT, aggregate_id="B", signal="x", actor=ci(), evidence={})
    answer = await house.engine.answer(an_answer(request, "approve", "dana", request_id="ar_none"), tenant=TENANT)
    elsewhere = await house.engine.answer(an_answer(request, "approve", "dana"), tenant="other")

    assert [loop.code, instance.code, answer.code, elsewhere.code] == [
        "unknown_loop",
        "unknown_instance",
        "unknown_request",
        "unknown_request",
    ]
    assert "test.change" in loop.message


@pytest.mark.parametrize(
    ("evidence", "path"),
    [
        ({"score": float("nan")}, "evidence.score"),
        ({"_softGuardWarnings": []}, "evidence._softGuardWarnings"),
        ({"channel": {"slackUserId": "U1"}}, "evidence.channel"),
        ({"note": "x" * 300_000}, "evidence"),
    ],
)
async def test_bad_evidence_is_refused_with_its_path(evidence, path) -> None:
    """Evidence that cannot be hashed, is too large or fakes our own keys is refused, and writes nothing."""
    house = a_house()
    request = await house.propose()
    before = await house.event_types(request.instance_id)
    outcome = await house.engine.signal(
        tenant=TENANT, aggregate_id=request.aggregate_id, signal="expire", actor=ci(), evidence=evidence
    )

    assert outcome.code == "bad_evidence"
    assert outcome.message.startswith(path)
    assert await house.event_types(request.instance_id) == before


async def test_an_effect_settled_by_an_older_claim_changes_nothing() -> None:
    """A worker that was overtaken cannot put its result on the ledger."""
    house = a_house()
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(request.instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=5))
    stale = await house.engine.settle(run, claim.fence - 1, succeeded=False, detail={})
    fresh = await house.engine.settle(run, claim.fence, succeeded=True, detail={})
    twice = await house.engine.settle(run, claim.fence, succeeded=True, detail={})

    assert [stale.code, twice.code] == ["stale_claim", "stale_claim"]
    assert fresh.instance.state == "COMPLETE"


async def test_a_failed_integration_is_on_the_record_and_ends_in_the_error_state() -> None:
    """`onFailure` brings the loop where the definition says, with what went wrong as evidence."""
    house = a_house()
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(request.instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=5))
    outcome = await house.engine.settle(run, claim.fence, succeeded=False, detail={"error": "409 locked"})

    assert outcome.instance.state == "FAILED"
    assert outcome.instance.evidence["integration"]["applyStatus"] == "failed"
    assert outcome.instance.evidence["integration"]["result"] == {"error": "409 locked"}


async def test_evidence_of_an_agent_survives_into_the_event() -> None:
    """Model, provider and confidence of a submission are on the ledger as the actor and its evidence."""
    house = a_house()
    request = await house.propose()
    events = await house.store.events(TENANT, request.instance_id)
    executed = next(event for event in events if event.type == "loop.transition.executed")

    assert executed.data["actor"]["modelId"] == "claude"
    assert executed.data["actor"]["confidence"] == 0.87
    assert executed.data["evidence"] == ANALYSIS
    assert [verdict["passed"] for verdict in executed.data["guards"]] == [True, True]
