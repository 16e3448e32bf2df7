"""Moving: what follows from a transition that may be taken, from the event to what entering the new state asks for."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loops.actors import Actor, Human, System, people_behind
from loops.approvals import ApprovalRequest, Decision, Ending, PlannedEffect, RequestStatus
from loops.asking import Entered, ask_about_state, close_request, plan
from loops.definition import State, Transition
from loops.draft import Draft
from loops.effects import Grant
from loops.guards import GuardVerdict
from loops.learning import learning_signal
from loops.policy import ApprovalPolicy


class Move(NamedTuple):
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


def move(
    draft: Draft, taken: Move, gathered: Mapping[str, Any], open_request: ApprovalRequest | None
) -> list[GuardVerdict]:
    """
    Take the transition in *draft*: event, new state, closing and opening of requests, effects, completion.

    *gathered* is the instance's evidence with what the transition brought. Returns the soft guards that objected.
    """
    transition, before, warnings = taken.transition, draft.instance, _soft_warnings(taken.verdicts)
    approvers = [decision.by for decision in open_request.approvals] if open_request else []
    draft.event(
        "loop.transition.executed",
        {
            "transitionId": transition.id,
            "fromState": transition.from_,
            "toState": transition.to,
            "signal": transition.signal,
            "actor": taken.actor,
            "approvedBy": _approved_by(taken, approvers),
            "evidence": taken.evidence or None,
            "guards": tuple(taken.verdicts),
            "softGuardWarnings": warnings or None,
        },
    )
    # Until a change is looked at, it is not made: what follows asks `draft.instance` only where it must.
    draft.change(
        state=transition.to,
        last_transition_at=draft.now,
        submitter=_submitter(before.submitter, taken),
        contributors=_contributors(before.contributors, taken),
        entry=before.entry + (transition.to != transition.from_),
        evidence=gathered,
        moves={**before.moves, taken.actor.type: before.moves.get(taken.actor.type, 0) + 1},
    )
    grant = _close(draft, taken, open_request) if open_request else None
    if transition.effects:
        _run(draft, taken, open_request, grant)
    enter(draft, draft.definition.state(transition.to), taken)
    if before.request_id and draft.instance.request_id == before.request_id and open_request is None:
        draft.effect("card.update", {"requestId": before.request_id})
    return warnings


def enter(draft: Draft, state: State, taken: Move | None) -> None:
    """Do what entering *state*, the present one, asks for. *taken* is None for the initial state of a start."""
    if state.is_terminal:
        _complete(draft, state, taken.actor if taken else draft.instance.requester)
    elif state.asks_humans:
        entered = taken and Entered(taken.transition.signal, taken.actor, taken.evidence, taken.verdicts)
        ask_about_state(draft, state.approval or ApprovalPolicy(), entered)
    elif state.provider:
        draft.effect("provider.ask", {"state": state.id, **state.provider.as_json()})


def _submitter(before: Actor | None, taken: Move) -> Actor | None:
    # Answering, or giving up on a provider, proposes nothing: whoever did stays the one who may not decide it.
    if taken.decision and taken.actor == taken.decision.by:
        return before
    return before or taken.actor if isinstance(taken.actor, System) else taken.actor


def _contributors(before: tuple[str, ...], taken: Move) -> tuple[str, ...]:
    if isinstance(taken.actor, Human) or not (behind := people_behind(taken.actor)):
        return before
    return tuple(sorted(behind.union(before)))


def _soft_warnings(verdicts: Sequence[GuardVerdict]) -> list[GuardVerdict]:
    return [verdict for verdict in verdicts if not verdict.passed and verdict.severity == "soft"]


def _approved_by(taken: Move, earlier: Sequence[Actor]) -> list[Actor] | None:
    if taken.decision is None or taken.decision.kind != "approve":
        return None
    return [*earlier, taken.decision.by]


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
    ending = None
    if status == "superseded":
        state = draft.definition.state(taken.transition.to)
        ending = Ending(by=taken.actor, instead=taken.transition.label or taken.transition.id, state=state.label)
    close_request(draft, request, status, taken.decision, ending=ending)
    if taken.decision is None:
        return None
    return Grant(request_id=request.request_id, request_version=request.version, digest=request.digest)


def _run(draft: Draft, taken: Move, request: ApprovalRequest | None, grant: Grant | None) -> None:
    signal = taken.transition.signal if taken.decision else None
    for planned, call in zip(_planned(draft, taken, request), taken.transition.effects, strict=True):
        results = _present(onSuccess=call.on_success, onFailure=call.on_failure, decisionSignalId=signal)
        draft.effect("integration.run", planned.as_json() | results, grant)


def _planned(draft: Draft, taken: Move, request: ApprovalRequest | None) -> Sequence[PlannedEffect]:
    # What was shown is what runs: an answer runs the effects of its request, not templates filled anew.
    if request and taken.decision:
        return request.proposal.runs_on(taken.decision.kind)
    return plan(draft, taken.transition)


def _complete(draft: Draft, state: State, actor: Actor) -> None:
    draft.change(status="completed", closed_at=draft.now)
    outcome = draft.definition.outcome
    draft.event(
        "loop.completed",
        {
            "finalState": state.id,
            "actor": actor,
            "durationMs": round((draft.now - draft.instance.started_at).total_seconds() * 1000),
            "outcome": {"valueUnit": outcome.value_unit} if outcome else None,
        },
    )
    draft.event("loop.learning.recorded", learning_signal(draft.definition, draft.instance, draft.now))


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
