"""
The quorum: which approvals count, in which slot, and what is still needed.

A policy is a sequence of stages; a stage has needs, each a number of people out of some groups. One person counts once
in the whole request, in one slot. Rights are those people have when the tally is made, so an approval by somebody who
has left the group since counts no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loops.policy import ApprovalPolicy, Need, Stage


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody may act as now: the people whose part they have, themselves included, and the groups these give."""

    people: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Vote:
    """
    One person's approval: who, and the stage that was open when they gave it, counted from 0.

    `part` is the person whose part they took; None where that is their own.
    """

    person_id: str
    stage: int
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """
    Where a request stands.

    `stage` is the open stage, counted from 0; the number of stages once nothing more is needed. `filled` says, for
    each need of the open stage, how many people fill it. `lapsed` are approvals that count no more.
    """

    stage: int
    filled: tuple[int, ...]
    needed: tuple[int, ...]
    lapsed: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is needed."""
        return not self.needed

    @property
    def score(self) -> tuple[int, int]:
        """What grows with every approval that helps."""
        return self.stage, sum(self.filled)


def standings(groups: Mapping[str, frozenset[str]], handed_over: Sequence[tuple[str, str]]) -> dict[str, Standing]:
    """
    Return what each person may act as.

    Args:
        groups: The groups of everybody concerned, now. Who is missing has no rights.
        handed_over: Parts given away, as (from, to), in the order it happened: who gives theirs away has none left.
    """
    found = {person: Standing(frozenset({person}), theirs) for person, theirs in groups.items()}
    for giver, taker in handed_over:
        given = found.pop(giver, None)
        if given and taker in groups:
            own = found.get(taker, Standing(frozenset({taker}), frozenset()))
            found[taker] = Standing(own.people | given.people, own.groups | given.groups)
    return found


def tally(policy: ApprovalPolicy, votes: Sequence[Vote], standing: Mapping[str, Standing]) -> Tally:
    """
    Count *votes* under *policy*.

    Args:
        policy: The request's snapshot of it.
        votes: Approvals in the order they were given; one per person.
        standing: What every voter may act as now. Who is missing has no rights.
    """
    lapsed: set[str] = set()
    for number, stage in enumerate(policy.gates):
        voters = [vote.person_id for vote in votes if vote.stage == number]
        able = {person: _slots(stage, person, standing) for person in voters}
        lapsed |= {person for person, slots in able.items() if not slots}
        needed = tuple(need.quorum for need in stage.needs)
        filled = fill(needed, able)
        if filled != needed:
            return Tally(number, filled, needed, frozenset(lapsed))
    return Tally(len(policy.gates), (), (), frozenset(lapsed))


def may_fill(need: Need, standing: Standing) -> bool:
    """Return whether somebody of *standing* may fill a slot of *need*."""
    return not (standing.people.isdisjoint(need.users) and standing.groups.isdisjoint(need.groups))


def may_decide(policy: ApprovalPolicy, stage: int, standing: Standing | None) -> bool:
    """Return whether somebody of *standing* may decide while *stage* is open."""
    return standing is not None and any(may_fill(need, standing) for need in policy.gates[stage].needs)


def is_approver(policy: ApprovalPolicy, standing: Standing | None) -> bool:
    """Return whether somebody of *standing* may decide in any of the stages."""
    return any(may_decide(policy, stage, standing) for stage in range(len(policy.gates)))


def _slots(stage: Stage, person_id: str, standing: Mapping[str, Standing]) -> tuple[int, ...]:
    theirs = standing.get(person_id)
    if theirs is None:
        return ()
    return tuple(index for index, need in enumerate(stage.needs) if may_fill(need, theirs))


def fill(capacities: Sequence[int], able: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """
    Return how many people fill each slot when as many are placed as possible, each in one slot.

    A maximum bipartite matching by augmenting paths: whoever could fill two slots is moved to the one only they can.

    Args:
        capacities: How many people each slot takes.
        able: The slots each person may fill.
    """
    holders: list[list[str]] = [[] for _ in capacities]

    def place(person: str, tried: set[int]) -> bool:
        for slot in able[person]:
            if slot in tried:
                continue
            tried.add(slot)
            here = holders[slot]
            if len(here) < capacities[slot]:
                here.append(person)
                return True
            for index, holder in enumerate(here):
                if place(holder, tried):
                    here[index] = person
                    return True
        return False

    # Those with fewer choices first: most are then placed at once.
    for person in sorted(able, key=lambda each: len(able[each])):
        if all(len(here) == most for here, most in zip(holders, capacities, strict=True)):
            break
        place(person, set())
    return tuple(map(len, holders))
