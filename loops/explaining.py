"""Explaining: what a policy means for one person at this moment, judged by the rules that would judge their answer."""

from dataclasses import dataclass

from loops.actors import Human, folded
from loops.answers import Asked, no_longer, people_of
from loops.policy import SeparatedRole
from loops.quorum import Vote, may_decide


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    How one person stands to a request.

    `stop` is the code of what keeps everybody from answering as this person (unknown, closed, too late), or None;
    the rest then says nothing. `stage` is the open stage and `named_in` the stages they may decide in, from 0.
    `roles` are those the policy separates and they have. `is_needed` is whether one more approval of theirs would help.
    """

    stop: str | None
    stage: int = 0
    named_in: tuple[int, ...] = ()
    roles: tuple[SeparatedRole, ...] = ()
    has_answered: bool = False
    is_needed: bool = False
    has_handed_over: bool = False

    @property
    def may_act(self) -> bool:
        """Whether they may ask, hand over, or answer some way now."""
        return self.stop is None and self.stage in self.named_in and not self.roles

    @property
    def may_approve(self) -> bool:
        """Whether an approval of theirs would count now."""
        return self.may_act and self.is_needed and not self.has_answered


def explain(asked: Asked, by: Human | None) -> Explanation:
    """Return how *by* stands to the request; None is somebody nobody knows. Pure, like the judging itself."""
    if (stop := no_longer(asked, by, {})) or by is None:
        return Explanation(stop.code if stop else "unmapped_identity")
    request, policy = asked.request, asked.request.policy
    theirs, person = asked.standing.get(by.user_id), by.user_id
    approving = next((offered for offered in request.answers if offered.kind == "approve"), None)
    helps = False
    if approving:
        before = asked.tally(approving.transition_id)
        helps = asked.tally(approving.transition_id, Vote(person, before.stage)).score > before.score
    return Explanation(
        stop=None,
        stage=asked.stage,
        named_in=tuple(stage for stage in range(len(policy.gates)) if may_decide(policy, stage, theirs)),
        roles=tuple(role for role in policy.separation if folded(person) in people_of(request, role)),
        has_answered=any(decision.by.user_id == person for decision in request.decisions),
        is_needed=helps,
        has_handed_over=theirs is None and any(each.from_person == person for each in request.reassignments),
    )
