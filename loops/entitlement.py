"""Entitlement: whether those who approved a request would still be enough to approve it now."""

from dataclasses import dataclass

from loops.asked import Asked, concerned


@dataclass(frozen=True, slots=True)
class Entitlement:
    """
    How an approved request stands now: whether the approvals `is_enough`, and who of the approvers has `lapsed`.

    `doubts` are the people and groups about whom too little is known to say; `people` are all whom it depends on.
    """

    is_enough: bool
    lapsed: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


def entitlement(asked: Asked) -> Entitlement:
    """
    Count the approvals of a closed request again, by the rights people have now. Pure.

    What was not approved by people, and what the policy has checked at the decision only, stands as it is.
    """
    request, decision = asked.request, asked.request.closed_by
    if decision is None or decision.kind != "approve" or request.proposal.policy.entitled_until == "decision":
        return Entitlement(is_enough=True)
    tallied = asked.tally(decision.transition_id)
    return Entitlement(
        is_enough=tallied.is_complete,
        lapsed=tuple(sorted(tallied.lapsed)),
        doubts=tuple(sorted(asked.doubts)),
        people=tuple(sorted(concerned(request, None))),
    )
