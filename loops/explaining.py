"""Explaining: what a policy means for one person at this moment, judged by the rules that would judge their answer."""

from dataclasses import dataclass

from loops.absence import Absence, InStead
from loops.actors import Human, folded
from loops.asked import Asked
from loops.objections import no_longer
from loops.parts import part_to_take, parts, people_of
from loops.policy import SeparatedRole
from loops.quorum import may_decide


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    How one person stands to a request.

    `stop` is the code of what keeps everybody from answering as this person (unknown, closed, too late), or None;
    the rest then says nothing. `stage` is the open stage and `named_in` the stages they may decide in, from 0.
    `roles` are those the policy separates and they have. `is_needed` is whether one more approval of theirs would help.
    `in_stead_of` is by whose part, where it is not their own; `stands_in_for` names everybody whose part they might
    take. `away` is their own absence.
    """

    stop: str | None
    stage: int = 0
    named_in: tuple[int, ...] = ()
    roles: tuple[SeparatedRole, ...] = ()
    has_answered: bool = False
    is_needed: bool = False
    has_handed_over: bool = False
    in_stead_of: InStead | None = None
    stands_in_for: tuple[InStead, ...] = ()
    away: Absence | None = None

    @property
    def may_act(self) -> bool:
        """Whether they may ask, hand over, or answer some way now."""
        return self.stop is None and (self.stage in self.named_in or bool(self.stands_in_for)) and not self.roles

    @property
    def may_approve(self) -> bool:
        """Whether an approval of theirs would count now."""
        return self.may_act and self.is_needed and not self.has_answered


def explain(asked: Asked, by: Human | None, away: Absence | None = None) -> Explanation:
    """
    Return how *by* stands to the request; None is somebody nobody knows. Pure, like the judging itself.

    *away* is their own absence, which keeps them from nothing.
    """
    if (stop := no_longer(asked, by, {})) or by is None:
        return Explanation(stop.code if stop else "unmapped_identity")
    request, policy = asked.request, asked.request.policy
    theirs, person = asked.standing.get(by.user_id), by.user_id
    approving = next((offered for offered in request.answers if offered.kind == "approve"), None)
    part = part_to_take(asked, person, approving) if approving else None
    return Explanation(
        stop=None,
        stage=asked.stage,
        named_in=tuple(stage for stage in range(len(policy.gates)) if may_decide(policy, stage, theirs)),
        roles=tuple(role for role in policy.separation if folded(person) in people_of(request, role)),
        has_answered=any(decision.by.user_id == person for decision in request.decisions),
        is_needed=part is not None,
        has_handed_over=theirs is None and any(each.from_person == person for each in request.reassignments),
        in_stead_of=part.in_stead_of if part else None,
        stands_in_for=tuple(each.in_stead_of for each in parts(asked, person) if each.in_stead_of),
        away=away,
    )
