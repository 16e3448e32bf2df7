"""The face of a card: what has become of an approval request, read from the request and its instance alone."""

from collections.abc import Mapping
from typing import Any, Literal

from loops.approvals import ApprovalRequest
from loops.definition import Transition
from loops.ports import Loaded

#: `needs_information`: waiting, and a question has no answer yet; it may be decided all the same. `suspended`: open,
#: but the loop rests. `handed_over`: approved, and what runs reports to the ledger only, without moving the loop.
Face = Literal[
    "waiting",
    "needs_information",
    "suspended",
    "approved",
    "executing",
    "handed_over",
    "executed",
    "execution_failed",
    "rejected",
    "decided",
    "expired",
    "superseded",
    "cancelled",
    "withdrawn",
]

#: Faces of requests that can be answered.
OPEN: frozenset[Face] = frozenset({"waiting", "needs_information"})


def face_of(subject: Loaded, request: ApprovalRequest) -> Face:
    """Return the face that tells the truth about *request* as it stands in *subject*."""
    match request.status:
        case "open":
            return _while_open(subject, request)
        case "approved":
            return _after_approval(subject, request)
        case closed:
            return closed


def integration_result(subject: Loaded, request: ApprovalRequest) -> Mapping[str, Any] | None:
    """
    Return `evidence.integration` if it is about *request*, else None.

    Evidence stays on the instance, so what an earlier round left there says nothing about a later one: the loop must
    have moved since the decision, no newer request may stand, and the decision it names, if any, must be this one.
    """
    instance, decision = subject.instance, request.closed_by
    result = instance.evidence.get("integration")
    if decision is None or not isinstance(result, Mapping) or instance.request_id != request.request_id:
        return None
    if instance.last_transition_at is None or instance.last_transition_at <= decision.at:
        return None
    transition = _taken(subject, request)
    names = {decision.transition_id, transition.signal if transition else decision.transition_id}
    named = result.get("decisionSignalId")
    return result if named is None or named in names else None


def _while_open(subject: Loaded, request: ApprovalRequest) -> Face:
    if subject.instance.status == "suspended":
        return "suspended"
    if subject.instance.is_closed:
        return "cancelled"
    return "needs_information" if request.open_question else "waiting"


def _after_approval(subject: Loaded, request: ApprovalRequest) -> Face:
    if not request.proposal.runs:
        return "approved"
    if request.ending and not request.results:
        return "cancelled"
    if request.failures:
        return "execution_failed"
    result = integration_result(subject, request)
    status = result.get("applyStatus") if result else None
    if status == "failed":
        return "execution_failed"
    if status == "applied" or len(request.results) == len(request.proposal.runs):
        return "executed"
    if subject.instance.request_id != request.request_id:
        return "approved"
    if subject.instance.is_closed:
        return _closed_without_result(subject)
    transition = _taken(subject, request)
    reports = transition is None or any(call.on_success for call in transition.effects)
    return "executing" if reports else "handed_over"


def _closed_without_result(subject: Loaded) -> Face:
    instance = subject.instance
    if instance.status == "cancelled":
        return "cancelled"
    is_error = any(state.is_error for state in subject.definition.states if state.id == instance.state)
    return "execution_failed" if is_error or instance.status == "failed" else "approved"


def _taken(subject: Loaded, request: ApprovalRequest) -> Transition | None:
    decision = request.closed_by
    if decision is None:
        return None
    return subject.definition.exit_named(request.proposal.state, decision.transition_id)
