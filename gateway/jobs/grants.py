"""Grants: whether an effect may act, judged once more at the last moment. What was shown is what runs."""

from loops.approvals import ApprovalRequest, PlannedEffect
from loops.canonical import digest
from loops.decide import PARKED_ACTORS
from loops.definition import LoopDefinition, Transition
from loops.effects import Effect
from loops.errors import Rejected


def check_grant(effect: Effect, definition: LoopDefinition, request: ApprovalRequest | None) -> None:
    """
    Check that *effect*, an `integration.run`, is what its loop asks for and, where people decide, what they approved.

    Args:
        effect: As it stands in the store.
        definition: The one its instance is pinned to.
        request: The approval request its grant names; None where there is no grant, or no such request.

    Raises:
        Rejected: If it is not; nothing may be done then.
    """
    if effect.grant is None:
        calls = _calls(effect, definition)
        if not calls:
            raise Rejected(f"no transition of {definition.id} asks for what this would do")
        if all(_is_approval(transition, definition) for transition in calls):
            raise Rejected("this needs an approval, and the effect names none")
    elif request is None or not _stands_for(effect, request):
        raise Rejected(f"the approval {effect.grant.request_id} does not stand for what this would do")


def _stands_for(effect: Effect, request: ApprovalRequest) -> bool:
    grant, decision = effect.grant, request.closed_by
    return (
        grant is not None
        and decision is not None
        and request.instance_id == effect.instance_id
        and (request.version, request.digest) == (grant.request_version, grant.digest)
        and request.proposal.digest == grant.digest
        and _is_among(effect, request.proposal.runs_on(decision.kind))
    )


def _is_among(effect: Effect, runs: tuple[PlannedEffect, ...]) -> bool:
    asked = {key: effect.payload.get(key) for key in ("integration", "action", "parameters")}
    return digest(asked) in {digest(planned.as_json()) for planned in runs}


def _calls(effect: Effect, definition: LoopDefinition) -> list[Transition]:
    asked = (effect.payload.get("integration"), effect.payload.get("action"))
    return [
        transition
        for transition in definition.transitions
        if any((call.integration, call.action) == asked for call in transition.effects)
    ]


def _is_approval(transition: Transition, definition: LoopDefinition) -> bool:
    """Return whether what *transition* runs always rests on a human's answer: `loops.decide` knows no other way."""
    is_parked = transition.approval is not None and PARKED_ACTORS.issuperset(transition.actors)
    return is_parked or definition.state(transition.from_).asks_humans
