"""Asked: everything an act on an approval request is judged on, at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from loops.absence import Absence
from loops.actors import Human
from loops.approvals import ApprovalRequest
from loops.ports import Loaded
from loops.quorum import Standing, Tally, Vote, standings, tally


@dataclass(frozen=True)
class Asked:
    """
    Everything a person's answer is judged on. `groups` are those of everybody concerned, at this moment.

    `doubts` are the people and groups about whom too little is known to judge; nothing is decided while there are any.
    `absences` are those by which whoever acts may act in somebody's stead, at this moment.
    """

    loaded: Loaded
    request: ApprovalRequest
    groups: Mapping[str, frozenset[str]]
    now: datetime
    doubts: frozenset[str] = frozenset()
    absences: tuple[Absence, ...] = ()
    # Each rule asks where the votes stand; they are counted once.
    _tallies: dict[tuple[str, Vote | None], Tally] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def standing(self) -> dict[str, Standing]:
        """What everybody concerned may act as."""
        handed_over = [(each.from_person, each.to_person) for each in self.request.reassignments]
        return standings(self.groups, handed_over)

    @property
    def grounds(self) -> dict[str, list[str]]:
        """The groups this is judged on, for the ledger: of everybody concerned, those the policy names."""
        needs = [need for stage in self.request.policy.gates for need in stage.needs]
        named = {group for need in needs for group in need.groups}
        return {person: sorted(groups & named) for person, groups in sorted(self.groups.items())}

    def tally(self, transition_id: str, extra: Vote | None = None) -> Tally:
        """
        Return where the votes for *transition_id* stand, with one more where *extra* is given.

        Who took somebody's part counts by that person's rights of now, as long as both are known and may decide at all;
        whether the one was away, and left their part to the other, was judged when they decided, for good.
        """
        if known := self._tallies.get((transition_id, extra)):
            return known
        counted = self._tallies[transition_id, extra] = self._count(transition_id, extra)
        return counted

    def _count(self, transition_id: str, extra: Vote | None) -> Tally:
        given = [Vote(each.by.user_id, each.stage, each.part) for each in self.request.votes_for(transition_id)]
        votes, standing = [*given, extra] if extra else given, self.standing
        acting = {vote.person_id: standing.get(vote.part or vote.person_id) for vote in votes}
        known = {person: theirs for person, theirs in acting.items() if theirs and person in self.groups}
        return tally(self.request.policy, votes, known)

    def open_stage(self, transition_id: str) -> int:
        """
        Return the stage that is open for the answer *transition_id*, counted from 0.

        The last one where nothing more is needed: approvals that had lapsed may count again, and then it is for
        somebody's word to have them take effect.
        """
        return min(self.tally(transition_id).stage, len(self.request.policy.gates) - 1)

    @cached_property
    def stage(self) -> int:
        """The furthest stage any answer has reached: who belongs to it may decide now."""
        return max(self.open_stage(offered.transition_id) for offered in self.request.answers)


def concerned(request: ApprovalRequest, by: Human | None) -> frozenset[str]:
    """Return the people whose groups judging an answer of *by* depends on."""
    people = {person for decision in request.decisions for person in (decision.by.user_id, decision.part)}
    people |= {person for each in request.reassignments for person in (each.from_person, each.to_person)}
    return frozenset(people | ({by.user_id} if by else set()))
