"""
Parts: which part in a decision somebody may take, their own or that of somebody who is away.

A part is one person's say in a request. Each is filled once, by whoever fills it.
"""

from dataclasses import dataclass
from typing import Literal

from loops.absence import InStead, Way, ways_to
from loops.actors import folded, people_behind
from loops.approvals import AnswerOffered, ApprovalRequest
from loops.asked import Asked
from loops.policy import SeparatedRole
from loops.quorum import Vote, is_approver, may_decide


@dataclass(frozen=True, slots=True)
class Part:
    """One part in a decision: who takes it, and in whose stead, where it is not their own."""

    by: str
    in_stead_of: InStead | None = None

    @property
    def person(self) -> str:
        """Whose it is."""
        return self.in_stead_of.person if self.in_stead_of else self.by


def parts(asked: Asked, person_id: str) -> list[Part]:
    """Return the parts somebody may take in the stage that is open, taken or not: their own comes first."""
    own = [Part(person_id)] if is_named(asked, person_id) else []
    absent = [way[0] for way in ways_unbarred(asked, person_id)]
    return [*own, *(Part(person_id, InStead(person=each.person, name=each.name)) for each in absent)]


def part_to_take(asked: Asked, person_id: str, offered: AnswerOffered) -> Part | None:
    """
    Return the part an answer of theirs fills: the first that is free and, where approvals are counted, of use.

    A part is free until it was filled, by its person or in their stead; who it belongs to may still reject. Where what
    was given is enough already, anybody's will do, also once more.
    """
    filled = set() if is_enough(asked, offered) else {decision.part for decision in asked.request.decisions}
    for part in parts(asked, person_id):
        if offered.kind == "reject" and part.in_stead_of is None:
            return part
        if part.person not in filled and (offered.kind == "reject" or _helps(asked, part, offered)):
            return part
    return None


def is_enough(asked: Asked, offered: AnswerOffered) -> bool:
    """
    Return whether what was given is enough, though it was not when it was given: who had lost their rights has them
    again. Nothing more is needed then but that somebody says so once more.
    """
    return offered.kind != "reject" and asked.tally(offered.transition_id).is_complete


def counts_alone(asked: Asked, person_id: str) -> bool:
    """Return whether an approval of theirs would count on their own account: nobody's stead then matters."""
    approving = [offered for offered in asked.request.answers if offered.kind != "reject"]
    return is_named(asked, person_id) and all(_helps(asked, Part(person_id), offered) for offered in approving)


def is_named(asked: Asked, person_id: str) -> bool:
    """Return whether the policy names somebody, or a part handed to them, for the stage that is open."""
    return may_decide(asked.request.policy, asked.stage, asked.standing.get(person_id))


def ways_in(asked: Asked, person_id: str) -> list[Way]:
    """
    Return from whom *person_id* might take over a part in the stage that is open.

    An absence gives nobody a part that its person could not hand over: where the policy's `reassign` is ``no``, from
    nobody, and with ``approvers`` only to somebody named in one of its stages. Everybody on the way must be known and
    able to decide.
    """
    policy, theirs = asked.request.policy, asked.standing.get(person_id)
    if policy.reassign == "no" or (policy.reassign == "approvers" and not is_approver(policy, theirs)):
        return []
    return [
        way
        for way in ways_to(asked.absences, person_id)
        if is_named(asked, way[0].person) and asked.groups.keys() >= {person_id, *(each.person for each in way)}
    ]


def ways_unbarred(asked: Asked, person_id: str) -> list[Way]:
    """Return the ways on which nobody is kept from deciding: whoever asks for something chooses no one who decides."""
    return [way for way in ways_in(asked, person_id) if not any(roles_of(asked.request, each.person) for each in way)]


def roles_of(request: ApprovalRequest, person_id: str) -> list[SeparatedRole]:
    """Return the roles somebody has in what is proposed that the policy keeps from deciding it."""
    return [role for role in request.policy.separation if folded(person_id) in people_of(request, role)]


def people_of(request: ApprovalRequest, role: Literal["requester", "submitter"]) -> frozenset[str]:
    """Return the folded ids of the people who have *role* in the proposal, or are behind who has it."""
    proposal = request.proposal
    actor = proposal.requester if role == "requester" else proposal.submitter
    people = people_behind(actor) if actor else frozenset[str]()
    if role == "submitter":
        people |= frozenset(proposal.contributors)
    return frozenset(folded(person_id) for person_id in people)


def _helps(asked: Asked, part: Part, offered: AnswerOffered) -> bool:
    before = asked.tally(offered.transition_id)
    if before.is_complete:
        return True
    vote = Vote(part.by, before.stage, part.person)
    return asked.tally(offered.transition_id, vote).score > before.score
