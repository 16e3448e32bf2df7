"""Asking humans: opening an approval request, revising what it proposes, and closing it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loops.actors import Actor, AiAgent, Human
from loops.approvals import (
    DECLINE,
    AnswerOffered,
    ApprovalRequest,
    Decision,
    Ending,
    Fact,
    ParkedTransition,
    PlannedEffect,
    Proposal,
    Recommendation,
    RequestStatus,
)
from loops.definition import Transition
from loops.draft import Draft
from loops.editing import Edited
from loops.evidence import ADAPTER_KEYS
from loops.guards import GuardVerdict
from loops.policy import AnswerKind, ApprovalPolicy, Approvers
from loops.templates import fill, render
from loops.timeline import counted, next_moment


class Entered(NamedTuple):
    """How the present state was entered: by which signal, by whom, on what grounds."""

    signal: str
    actor: Actor
    evidence: Mapping[str, Any]
    verdicts: Sequence[GuardVerdict]


def ask_about_state(draft: Draft, policy: ApprovalPolicy, entered: Entered | None) -> None:
    """Open a request about how to leave the present state. *entered* is None where a start led here."""
    every = draft.definition.human_exits(draft.instance.state)
    approving, rejecting = (
        next((transition for kind, transition in every if kind == wanted), None) for wanted in ("approve", "reject")
    )
    # What runs is shown before it is decided, for one approval and one rejection: no other with effects is offered.
    exits = [(kind, each) for kind, each in every if not each.effects or each in (approving, rejecting)]
    _open(
        draft,
        _proposal(draft, policy, draft.instance.submitter, approving, rejecting=rejecting),
        answers=[
            AnswerOffered(kind=kind, transition_id=transition.id, label=_label(transition))
            for kind, transition in exits
        ],
        entered=entered,
    )


def ask_about_transition(
    draft: Draft, policy: ApprovalPolicy, transition: Transition, entered: Entered, correlation_id: str | None
) -> None:
    """Park *transition*, which an agent or a service asked for: open a request about taking it. The state stays."""
    parked = ParkedTransition(
        transition_id=transition.id,
        actor=entered.actor,
        evidence=dict(entered.evidence),
        correlation_id=correlation_id,
    )
    _open(
        draft,
        _proposal(draft, policy, entered.actor, transition, parked),
        answers=[
            AnswerOffered(kind="approve", transition_id=transition.id, label=f"Approve: {_label(transition)}"),
            AnswerOffered(kind="reject", transition_id=DECLINE, label="Reject"),
        ],
        entered=entered,
    )


def revise(draft: Draft, request: ApprovalRequest, edited: Edited, by: Human) -> ApprovalRequest:
    """
    Change what *request* proposes: a new version with a new digest, and no decision that still counts.

    The instance's data becomes the edited data; titles, facts and planned effects are made from it anew.
    """
    draft.change(data=edited.data)
    old = request.proposal
    scope = _scope(draft, old.parked)
    planned = {kind: _plan(_deciding(draft, request, kind), scope, edited.data) for kind in ("approve", "reject")}
    proposal = old.changed(parameters=edited.data, runs=planned["approve"], if_rejected=planned["reject"])
    revised = request.changed(
        version=request.version + 1,
        title=_title(draft, proposal.policy, scope),
        facts=_facts(proposal.policy, scope),
        proposal=proposal,
        digest=proposal.digest,
        decisions=(),
        voided=(*request.voided, *request.decisions),
        progress=None,
        changes=(*request.changes, *edited.changes),
    )
    draft.event(
        "approval.edited",
        {
            "requestId": request.request_id,
            "fromVersion": request.version,
            "requestVersion": revised.version,
            "by": by,
            "changes": list(edited.changes),
            "digest": revised.digest,
            "voided": [decision.decision_id for decision in request.decisions] or None,
        },
    )
    draft.keep(revised)
    return revised


def close_request(
    draft: Draft,
    request: ApprovalRequest,
    status: RequestStatus,
    decision: Decision | None = None,
    *,
    by: Actor | None = None,
    reason: str | None = None,
    objected: Sequence[GuardVerdict] = (),
    ending: Ending | None = None,
) -> None:
    """
    Close *request* in *draft* and let its card say so.

    Where no decision or move closed it, *by* took it back, or guards *objected* to what was to follow its expiry.
    *ending* is what else ended it, for its card.
    """
    decisions = (*request.decisions, decision) if decision else request.decisions
    ending = ending or (Ending(by=by, reason=reason) if by else None)
    closed = request.changed(status=status, closed_at=draft.now, closed_by=decision, decisions=decisions, ending=ending)
    draft.keep(closed)
    if decision:
        approved_at = draft.now if status == "approved" else draft.instance.approved_at
        draft.change(decided_at=draft.now, approved_at=approved_at)
    draft.clear_deadline(request.request_id)
    draft.event(
        "approval.closed",
        {
            "requestId": request.request_id,
            "requestVersion": request.version,
            "status": status,
            "digest": request.digest,
            "actor": by,
            "reason": reason,
            "guards": list(objected) or None,
        },
    )
    draft.effect("card.update", {"requestId": request.request_id})


def await_next(draft: Draft, request: ApprovalRequest) -> None:
    """Let what is next on *request*'s time line fall due in its time."""
    if moment := next_moment(request):
        draft.deadline(moment.kind, request.request_id, moment.at)
    else:
        draft.clear_deadline(request.request_id)


def invite(draft: Draft, request: ApprovalRequest, added: Approvers | None = None) -> None:
    """Ask those directly who may decide now, where the policy wants that; with *added*, only these of them."""
    if request.proposal.policy.notify != "none":
        only = {"added": added.as_json()} if added else {}
        draft.effect("card.invite", {"requestId": request.request_id, **only})


def plan(draft: Draft, transition: Transition) -> tuple[PlannedEffect, ...]:
    """Return what *transition* would run now, its templates filled."""
    return _plan(transition, _scope(draft, None), draft.instance.data)


def _open(draft: Draft, proposal: Proposal, answers: Sequence[AnswerOffered], entered: Entered | None) -> None:
    policy, scope = proposal.policy, _scope(draft, proposal.parked)
    request = ApprovalRequest(
        request_id=draft.ids.new("ar_"),
        tenant=draft.instance.tenant,
        instance_id=draft.instance.instance_id,
        aggregate_id=draft.instance.aggregate_id,
        loop_name=draft.definition.name,
        title=_title(draft, policy, scope),
        facts=_facts(policy, scope),
        proposal=proposal,
        digest=proposal.digest,
        recommendation=_recommendation(entered),
        verdicts=tuple(entered.verdicts) if entered else (),
        answers=tuple(answers),
        created_at=draft.now,
        expires_at=counted(policy, draft.now, policy.expire_after) if policy.expire_after else None,
    )
    draft.keep(request)
    draft.change(request_id=request.request_id, asked_at=draft.instance.asked_at or draft.now)
    draft.event(
        "approval.requested",
        {
            "requestId": request.request_id,
            "requestVersion": request.version,
            "state": draft.instance.state,
            "parked": proposal.parked,
            "digest": request.digest,
            "policy": policy,
            "answers": list(request.answers),
            "expiresAt": request.expires_at.isoformat() if request.expires_at else None,
            # Of a parked transition nothing is executed yet that would carry its verdicts.
            "guards": list(entered.verdicts) if entered and proposal.parked else None,
        },
    )
    draft.effect("card.post", {"requestId": request.request_id})
    await_next(draft, request)
    invite(draft, request)


def _proposal(
    draft: Draft,
    policy: ApprovalPolicy,
    submitter: Actor | None,
    transition: Transition | None,
    parked: ParkedTransition | None = None,
    *,
    rejecting: Transition | None = None,
) -> Proposal:
    instance = draft.instance
    scope = _scope(draft, parked)
    return Proposal(
        loop_id=instance.loop_id,
        definition_version=instance.definition_version,
        definition_digest=instance.definition_digest,
        aggregate_id=instance.aggregate_id,
        state=instance.state,
        requester=instance.requester,
        submitter=submitter,
        contributors=instance.contributors,
        parameters=dict(instance.data),
        evidence={key: value for key, value in instance.evidence.items() if key not in ADAPTER_KEYS},
        parked=parked,
        runs=_plan(transition, scope, instance.data),
        if_rejected=_plan(rejecting, scope, instance.data),
        policy=policy,
    )


def _deciding(draft: Draft, request: ApprovalRequest, kind: AnswerKind) -> Transition | None:
    answer = next((offered for offered in request.answers if offered.kind == kind), None)
    return draft.definition.exit_named(request.proposal.state, answer.transition_id) if answer else None


def _plan(
    transition: Transition | None, scope: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[PlannedEffect, ...]:
    return tuple(
        PlannedEffect(
            integration=call.integration,
            action=call.action,
            parameters=fill(call.parameters, scope) if call.parameters else dict(data),
        )
        for call in (transition.effects if transition else ())
    )


def _title(draft: Draft, policy: ApprovalPolicy, scope: Mapping[str, Any]) -> str:
    return render(policy.title, scope) if policy.title else f"{draft.definition.name}: {draft.instance.aggregate_id}"


def _facts(policy: ApprovalPolicy, scope: Mapping[str, Any]) -> tuple[Fact, ...]:
    return tuple(Fact(label=label, value=render(value, scope)) for label, value in policy.facts.items())


def _recommendation(entered: Entered | None) -> Recommendation | None:
    if entered is None or not isinstance(entered.actor, AiAgent):
        return None
    points = entered.evidence.get("dataPoints")
    return Recommendation(
        signal=entered.signal,
        reasoning=str(entered.evidence.get("reasoning", "")),
        confidence=entered.actor.confidence,
        model_id=entered.actor.model_id,
        provider=entered.actor.provider,
        data_points=dict(points) if isinstance(points, Mapping) else {},
    )


def _scope(draft: Draft, parked: ParkedTransition | None) -> dict[str, Any]:
    instance = draft.instance
    # What adapters attach is not in the proposal, so nothing shown may be made of it: the digest would not cover it.
    evidence = {**instance.evidence, **parked.evidence} if parked else instance.evidence
    return {
        "data": instance.data,
        "evidence": {key: value for key, value in evidence.items() if key not in ADAPTER_KEYS},
        "instance": {
            "aggregateId": instance.aggregate_id,
            "instanceId": instance.instance_id,
            "loopId": instance.loop_id,
            "state": instance.state,
        },
        "requester": instance.requester.as_json(),
    }


def _label(transition: Transition) -> str:
    return transition.label or transition.id.replace("_", " ").replace("-", " ").capitalize()
