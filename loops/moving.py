"""Moving: what follows from a transition that may be taken, from the event to the approval request it opens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loops.actors import Actor, AiAgent
from loops.approvals import (
    AnswerOffered,
    ApprovalRequest,
    Decision,
    Fact,
    PlannedEffect,
    Proposal,
    Recommendation,
    RequestStatus,
)
from loops.definition import State, Transition
from loops.draft import Draft
from loops.effects import Grant
from loops.evidence import ADAPTER_KEYS
from loops.guards import GuardVerdict
from loops.learning import learning_signal
from loops.policy import ApprovalPolicy
from loops.templates import fill, render


@dataclass(frozen=True, slots=True)
class Move:
    """
    A transition that passed its guards, by whom and on what grounds.

    `decision` is the human answer behind it; `is_expiry` says that nobody answered in time.
    """

    transition: Transition
    actor: Actor
    evidence: Mapping[str, Any]
    verdicts: Sequence[GuardVerdict]
    decision: Decision | None = None
    is_expiry: bool = False


def move(draft: Draft, taken: Move, open_request: ApprovalRequest | None) -> None:
    """Take the transition in *draft*: event, new state, closing and opening of requests, effects, completion."""
    transition, before = taken.transition, draft.instance
    draft.event(
        "loop.transition.executed",
        {
            "transitionId": transition.id,
            "fromState": transition.from_,
            "toState": transition.to,
            "signal": transition.signal,
            "actor": taken.actor,
            "evidence": taken.evidence or None,
            "guards": list(taken.verdicts),
            "softGuardWarnings": soft_warnings(taken.verdicts) or None,
        },
    )
    draft.change(
        state=transition.to,
        last_transition_at=draft.now,
        submitter=taken.actor,
        evidence={**before.evidence, **taken.evidence},
        moves={**before.moves, taken.actor.type: before.moves.get(taken.actor.type, 0) + 1},
    )
    grant = _close(draft, taken, open_request) if open_request else None
    for planned, call in zip(_planned(draft, taken, open_request), transition.effects, strict=True):
        draft.effect(
            "integration.run",
            planned.as_json()
            | _present(
                onSuccess=call.on_success,
                onFailure=call.on_failure,
                decisionSignalId=transition.signal if taken.decision else None,
            ),
            grant,
        )
    enter(draft, taken)
    if before.request_id and draft.instance.request_id == before.request_id and open_request is None:
        draft.effect("card.update", {"requestId": before.request_id})


def enter(draft: Draft, taken: Move | None) -> None:
    """Do what entering the present state asks for. *taken* is None for the initial state of a start."""
    state = draft.definition.state(draft.instance.state)
    if state.is_terminal:
        _complete(draft, state)
    elif state.asks_humans:
        _open(draft, state, taken)
    elif state.provider:
        draft.effect("provider.ask", {"state": state.id, **state.provider.as_json()})


def soft_warnings(verdicts: Sequence[GuardVerdict]) -> list[GuardVerdict]:
    """Return the soft guards that objected."""
    return [verdict for verdict in verdicts if not verdict.passed and verdict.severity == "soft"]


def close_request(draft: Draft, request: ApprovalRequest, status: RequestStatus, decision: Decision | None) -> None:
    """Close *request* in *draft* and let its card say so."""
    decisions = (*request.decisions, decision) if decision else request.decisions
    draft.keep(request.changed(status=status, closed_at=draft.now, closed_by=decision, decisions=decisions))
    draft.clear_deadline("expire", request.request_id)
    draft.event(
        "approval.closed",
        {
            "requestId": request.request_id,
            "requestVersion": request.version,
            "status": status,
            "digest": request.digest,
        },
    )
    draft.effect("card.update", {"requestId": request.request_id})


def _close(draft: Draft, taken: Move, request: ApprovalRequest) -> Grant | None:
    status: RequestStatus
    match taken:
        case Move(decision=Decision(kind="approve")):
            status = "approved"
        case Move(decision=Decision(kind="reject")):
            status = "rejected"
        case Move(decision=Decision()):
            status = "decided"
        case Move(is_expiry=True):
            status = "expired"
        case _:
            status = "superseded"
    close_request(draft, request, status, taken.decision)
    if taken.decision is None:
        return None
    return Grant(request_id=request.request_id, request_version=request.version, digest=request.digest)


def _planned(draft: Draft, taken: Move, request: ApprovalRequest | None) -> Sequence[PlannedEffect]:
    # What was shown is what runs: an approval runs the effects of its request, not templates filled anew.
    if request and taken.decision and taken.decision.kind == "approve":
        return request.proposal.runs
    return _plan(draft, taken.transition)


def _plan(draft: Draft, transition: Transition) -> list[PlannedEffect]:
    scope = _scope(draft)
    return [
        PlannedEffect(
            integration=call.integration,
            action=call.action,
            parameters=fill(call.parameters, scope) if call.parameters else dict(draft.instance.data),
        )
        for call in transition.effects
    ]


def _open(draft: Draft, state: State, taken: Move | None) -> None:
    policy = state.approval or ApprovalPolicy()
    exits = draft.definition.human_exits(state.id)
    approving = next((transition for kind, transition in exits if kind == "approve"), None)
    proposal = _proposal(draft, policy, taken, _plan(draft, approving) if approving else [])
    scope = _scope(draft)
    request = ApprovalRequest(
        request_id=draft.ids.new("ar_"),
        tenant=draft.instance.tenant,
        instance_id=draft.instance.instance_id,
        aggregate_id=draft.instance.aggregate_id,
        loop_name=draft.definition.name,
        title=render(policy.title, scope)
        if policy.title
        else f"{draft.definition.name}: {draft.instance.aggregate_id}",
        facts=tuple(Fact(label=label, value=render(value, scope)) for label, value in policy.facts.items()),
        proposal=proposal,
        digest=proposal.digest,
        recommendation=_recommendation(taken),
        verdicts=tuple(taken.verdicts) if taken else (),
        answers=tuple(
            AnswerOffered(kind=kind, transition_id=transition.id, label=_label(transition))
            for kind, transition in exits
        ),
        created_at=draft.now,
        expires_at=draft.now + policy.expire_after if policy.expire_after else None,
    )
    draft.keep(request)
    draft.change(request_id=request.request_id)
    draft.event(
        "approval.requested",
        {
            "requestId": request.request_id,
            "requestVersion": request.version,
            "state": draft.instance.state,
            "digest": request.digest,
            "policy": request.proposal.policy,
            "answers": list(request.answers),
            "expiresAt": request.expires_at.isoformat() if request.expires_at else None,
        },
    )
    draft.effect("card.post", {"requestId": request.request_id})
    if request.expires_at:
        draft.deadline("expire", request.request_id, request.expires_at)


def _proposal(draft: Draft, policy: ApprovalPolicy, taken: Move | None, runs: list[PlannedEffect]) -> Proposal:
    instance = draft.instance
    return Proposal(
        loop_id=instance.loop_id,
        definition_version=instance.definition_version,
        definition_digest=instance.definition_digest,
        aggregate_id=instance.aggregate_id,
        state=instance.state,
        requester=instance.requester,
        submitter=taken.actor if taken else None,
        parameters=dict(instance.data),
        evidence={key: value for key, value in instance.evidence.items() if key not in ADAPTER_KEYS},
        runs=tuple(runs),
        policy=policy,
    )


def _recommendation(taken: Move | None) -> Recommendation | None:
    if taken is None or not isinstance(taken.actor, AiAgent):
        return None
    points = taken.evidence.get("dataPoints")
    return Recommendation(
        signal=taken.transition.signal,
        reasoning=str(taken.evidence.get("reasoning", "")),
        confidence=taken.actor.confidence,
        model_id=taken.actor.model_id,
        provider=taken.actor.provider,
        data_points=dict(points) if isinstance(points, Mapping) else {},
    )


def _complete(draft: Draft, state: State) -> None:
    draft.change(status="completed", closed_at=draft.now)
    outcome = draft.definition.outcome
    draft.event(
        "loop.completed",
        {
            "finalState": state.id,
            "actor": draft.instance.submitter or draft.instance.requester,
            "durationMs": round((draft.now - draft.instance.started_at).total_seconds() * 1000),
            "outcome": {"valueUnit": outcome.value_unit} if outcome else None,
        },
    )
    draft.event("loop.learning.recorded", learning_signal(draft.definition, draft.instance, draft.now))


def _scope(draft: Draft) -> dict[str, Any]:
    instance = draft.instance
    return {
        "data": instance.data,
        "evidence": instance.evidence,
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


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
