"""Staffing: whether the people there are can ever meet an approval policy."""

from collections.abc import Mapping
from dataclasses import dataclass

from loops.policy import ApprovalPolicy
from loops.quorum import Standing, fill, may_fill


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A need that cannot be met. `stage` and `need` count from 0; `able` is how many people there are for it."""

    stage: int
    need: int
    quorum: int
    able: int


def shortfalls(policy: ApprovalPolicy, people: Mapping[str, frozenset[str]]) -> tuple[Shortfall, ...]:
    """
    Return the needs of *policy* that stay open even when everybody of *people* approves.

    One person counts once in a whole request, so people enough for each need may still be too few for all. The needs
    named are then those that were left when as many as possible were met.

    Args:
        policy: Any policy; its `separation` is not looked at here.
        people: Who can be asked, by person id, with the groups each is in.
    """
    places = [
        (stage, number, need) for stage, each in enumerate(policy.gates) for number, need in enumerate(each.needs)
    ]
    able = {
        person: [
            slot for slot, (_, _, need) in enumerate(places) if may_fill(need, Standing(frozenset({person}), groups))
        ]
        for person, groups in people.items()
    }
    filled = fill([need.quorum for _, _, need in places], able)
    return tuple(
        Shortfall(stage, number, need.quorum, placed)
        for (stage, number, need), placed in zip(places, filled, strict=True)
        if placed < need.quorum
    )


def stranded(policy: ApprovalPolicy, people: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """
    Return the people whose own proposals nobody could approve, because separation takes them out of the approvers.

    Sorted; nobody where the policy separates nobody, or where it cannot be met in the first place.
    """
    if not policy.separation or shortfalls(policy, people):
        return ()
    without = ((person, {other: groups for other, groups in people.items() if other != person}) for person in people)
    return tuple(sorted(person for person, others in without if shortfalls(policy, others)))
