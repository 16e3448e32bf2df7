"""
Answers: one person's decision, judged by the policy of the request and by the guards of the transition it takes.

The policy's rules are verdicts like any guard's: every one is asked, all are on the ledger, any failure blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from loops.actors import Human, people_behind
from loops.approvals import AnswerOffered, ApprovalRequest, Decision, HumanAnswer
from loops.decide import executed, hard_failures, recorded, requested
from loops.definition import Transition
from loops.draft import Decided, Draft
from loops.guards import GuardVerdict
from loops.moving import Move
from loops.outcomes import RefusalCode, Refused
from loops.policy import AnswerKind
from loops.ports import IdSource, Loaded

#: What a closed request is called when somebody answers it late.
_CLOSED = {
    "approved": "was approved",
    "rejected": "was rejected",
    "decided": "was decided",
    "expired": "expired",
    "superseded": "was superseded",
    "cancelled": "was cancelled",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """A rule of the policy that forbids an answer."""

    rule: str
    code: RefusalCode
    message: str


def decide_answer(
    loaded: Loaded,
    answer: HumanAnswer,
    groups: frozenset[str],
    verdicts: Sequence[GuardVerdict],
    now: datetime,
    ids: IdSource,
) -> Decided:
    """
    Judge one person's answer to an approval request.

    Args:
        loaded: The instance with the request that was answered (not necessarily its latest).
        answer: What was answered, by whom, and what they were shown.
        groups: What the person belongs to at this moment.
        verdicts: One per guard of the transition the answer takes, judged for this person; empty where there is none.
        now: Aware UTC.
        ids: Where new ids come from.

    Returns:
        `Executed` when the answer moves the loop, `Recorded` when more approvals are needed, or `Refused`. A refusal
        is an event too, and tells the person privately why.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    request = loaded.request
    if request is None:
        raise ValueError(f"request {answer.request_id} was not loaded with its instance")
    objection = next(objections(loaded, request, answer, groups, now), None)
    if objection:
        return _refuse(draft, request, answer, objection)
    offered = request.answer(answer.transition_id)
    transition = None if offered is None else loaded.definition.exit_named(loaded.instance.state, offered.transition_id)
    if offered is None or transition is None or answer.by is None:
        raise ValueError("an answer without objections names an offered transition and a person")
    if failures := hard_failures(verdicts):
        objection = Objection("guards", "guard_failed", "; ".join(v.message or v.guard_id for v in failures))
        return _refuse(draft, request, answer, objection, failures)
    return _accept(draft, loaded, request, answer, answer.by, offered, transition, verdicts)


def objections(
    loaded: Loaded, request: ApprovalRequest, answer: HumanAnswer, groups: frozenset[str], now: datetime
) -> Iterator[Objection]:
    """Yield every rule of the policy that forbids *answer*, the most telling first."""
    if answer.by is None:
        user = answer.channel.get("slackUserId") or "this user"
        yield Objection("identity", "unmapped_identity", f"{user} is not mapped to a person in the configuration")
        return
    if not request.is_open:
        yield _closed(request)
        return
    if loaded.instance.is_closed or loaded.instance.request_id != request.request_id:
        yield Objection("open", "request_closed", "the loop has moved on since this was asked")
        return
    if request.expires_at and now >= request.expires_at:
        yield Objection("in-time", "request_expired", f"the time to answer ended at {request.expires_at:%H:%M} UTC")
    if (answer.request_version, answer.digest) != (request.version, request.digest):
        yield Objection("shown", "stale_request", "the proposal is not the one that was shown; look at the new card")
    offered = request.answer(answer.transition_id)
    if offered is None:
        yield Objection("offered", "answer_not_offered", f"'{answer.transition_id}' is not an answer to this request")
    yield from _about_person(request, answer.by, groups)
    rule = request.proposal.policy.reason.for_kind(offered.kind if offered else "other")
    if rule == "required" and not (answer.reason or "").strip():
        yield Objection("reason", "reason_required", "this answer needs a reason")


def _about_person(request: ApprovalRequest, by: Human, groups: frozenset[str]) -> Iterator[Objection]:
    policy = request.proposal.policy
    if by.authenticated_by is None:
        yield Objection("identity", "unmapped_identity", "no channel has verified who this is")
    if by.user_id not in policy.approvers.users and not groups.intersection(policy.approvers.groups):
        yield Objection("approver", "not_an_approver", f"{by.name} may not decide this; {policy.approvers.named()} may")
    for role in policy.separation:
        if by.user_id in _people(request, role):
            yield Objection(
                "separation", "self_approval", f"{by.name} is the {role} (or behind it) and may not decide this"
            )
    if any(decision.by.user_id == by.user_id for decision in request.decisions):
        yield Objection("once", "already_answered", f"{by.name} has answered already; each person counts once")


def _people(request: ApprovalRequest, role: Literal["requester", "submitter"]) -> frozenset[str]:
    actor = request.proposal.requester if role == "requester" else request.proposal.submitter
    return people_behind(actor) if actor else frozenset()


def _closed(request: ApprovalRequest) -> Objection:
    by = f" by {request.closed_by.by.name}" if request.closed_by else ""
    at = f" at {request.closed_at:%Y-%m-%d %H:%M:%S} UTC" if request.closed_at else ""
    code: RefusalCode = "already_decided" if request.closed_by else "request_closed"
    if request.status == "expired":
        code = "request_expired"
    return Objection("open", code, f"this request {_CLOSED[request.status]}{by}{at}")


def _accept(
    draft: Draft,
    loaded: Loaded,
    request: ApprovalRequest,
    answer: HumanAnswer,
    by: Human,
    offered: AnswerOffered,
    transition: Transition,
    verdicts: Sequence[GuardVerdict],
) -> Decided:
    decision = Decision(
        decision_id=draft.ids.new("de_"),
        kind=offered.kind,
        transition_id=transition.id,
        by=by,
        at=draft.now,
        reason=(answer.reason or "").strip() or None,
        channel=answer.channel,
    )
    count, quorum = len(request.approvals) + 1, request.proposal.policy.quorum
    draft.event(
        "approval.decision.recorded",
        {
            "requestId": request.request_id,
            "requestVersion": request.version,
            "digest": request.digest,
            "decision": decision,
            **({"approvals": count, "quorum": quorum} if offered.kind == "approve" else {}),
        },
    )
    if offered.kind == "approve" and count < quorum:
        draft.keep(request.changed(decisions=(*request.decisions, decision)))
        draft.effect("card.update", {"requestId": request.request_id})
        return recorded(draft, loaded)
    draft.event("loop.transition.requested", requested(transition, by))
    taken = Move(transition, by, _evidence(request, decision), verdicts, decision)
    return executed(draft, loaded, taken, request)


def _evidence(request: ApprovalRequest, decision: Decision) -> dict[str, object]:
    kinds: dict[AnswerKind, bool] = {"approve": True, "reject": False}
    evidence: dict[str, object] = {
        "requestId": request.request_id,
        "digest": request.digest,
        "decisionId": decision.decision_id,
        "channel": {**decision.channel, "decisionSignalId": decision.transition_id},
    }
    if decision.kind in kinds:
        evidence["approved"] = kinds[decision.kind]
    if decision.reason:
        evidence["reason"] = decision.reason
    return evidence


def _refuse(
    draft: Draft,
    request: ApprovalRequest,
    answer: HumanAnswer,
    objection: Objection,
    failures: tuple[GuardVerdict, ...] = (),
) -> Decided:
    draft.event(
        "approval.decision.refused",
        {
            "requestId": request.request_id,
            "rule": objection.rule,
            "code": objection.code,
            "message": objection.message,
            "transitionId": answer.transition_id,
            "by": answer.by,
            "channel": answer.channel or None,
            "guards": list(failures) or None,
        },
    )
    draft.effect(
        "notice",
        {
            "requestId": request.request_id,
            "code": objection.code,
            "message": objection.message,
            "address": dict(answer.channel),
        },
    )
    commit = draft.commit()
    outcome = Refused(
        code=objection.code, message=objection.message, failures=failures, instance=commit.instance, request=request
    )
    return Decided(outcome, commit)
