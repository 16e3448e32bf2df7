"""Staffing: whether the people there are can ever meet an approval policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loops.policy import ApprovalPolicy, Need
from loops.quorum import Standing, may_fill


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
    filled = fill([need for _, _, need in places], people)
    return tuple(
        Shortfall(stage, number, need.quorum, able)
        for (stage, number, need), able in zip(places, filled, strict=True)
        if able < need.quorum
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


def fill(needs: Sequence[Need], people: Mapping[str, frozenset[str]]) -> tuple[int, ...]:
    """
    Return how many people fill each need when as many slots as possible are filled, each person in one slot.

    A maximum bipartite matching by augmenting paths: whoever could fill two needs is moved to the one only they can.
    """
    standing = {person: Standing(frozenset({person}), groups) for person, groups in people.items()}
    able = {
        person: [slot for slot, need in enumerate(needs) if may_fill(need, theirs)]
        for person, theirs in standing.items()
    }
    holders: list[list[str]] = [[] for _ in needs]

    def place(person: str, tried: set[int]) -> bool:
        for slot in able[person]:
            if slot in tried:
                continue
            tried.add(slot)
            here = holders[slot]
            if len(here) < needs[slot].quorum:
                here.append(person)
                return True
            for index, holder in enumerate(here):
                if place(holder, tried):
                    here[index] = person
                    return True
        return False

    # Those with fewer choices first: most are then placed at once.
    for person in sorted(able, key=lambda each: len(able[each])):
        if all(len(here) == need.quorum for here, need in zip(holders, needs, strict=True)):
            break
        place(person, set())
    return tuple(map(len, holders))
