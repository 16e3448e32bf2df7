"""
Objections: every rule of the policy that forbids an answer, whoever gives it or because of who gives it.

The most telling rule comes first; what it says is told privately and put on the ledger.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loops.actors import Human, folded
from loops.approvals import AnswerOffered, ApprovalRequest, HumanAnswer
from loops.asked import Asked
from loops.editing import Edited, edit
from loops.outcomes import RefusalCode
from loops.parts import is_enough, is_named, part_to_take, parts, people_of, roles_of, ways_in, ways_unbarred
from loops.ports import Loaded

#: What a closed request is called when somebody answers it late.
CLOSED_WORDS: Mapping[str, str] = {
    "approved": "was approved",
    "rejected": "was rejected",
    "decided": "was decided",
    "expired": "expired",
    "superseded": "was superseded",
    "cancelled": "was cancelled",
    "withdrawn": "was withdrawn",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """A rule of the policy that forbids an answer."""

    rule: str
    code: RefusalCode
    message: str


def objections(asked: Asked, answer: HumanAnswer) -> Iterator[Objection]:
    """Yield every rule of the policy that forbids *answer*, the most telling first."""
    if stop := no_longer(asked, answer.by, answer.channel):
        yield stop
        return
    yield from _about_shown(asked, answer)
    offered = asked.request.answer(answer.transition_id)
    if answer.by:
        yield from about_person(asked, answer.by)
        yield from _about_vote(asked, answer, answer.by, offered)
    yield from _about_said(asked, answer, offered)


def objections_to_anybody(asked: Asked, answer: HumanAnswer) -> Iterator[Objection]:
    """Yield every rule that forbids *answer* whoever gave it."""
    if stop := too_late(asked):
        yield stop
        return
    yield from _about_shown(asked, answer)
    yield from _about_said(asked, answer, asked.request.answer(answer.transition_id))


def no_longer(asked: Asked, by: Human | None, channel: Mapping[str, object]) -> Objection | None:
    """Return what keeps anybody at all from acting on the request as this person: unknown, closed, too late."""
    if by is None:
        user, standing = channel.get("slackUserId") or "this user", channel.get("slackStanding")
        why = f"may not decide: {standing}" if standing else "is not mapped to a person in the configuration"
        return Objection("identity", "unmapped_identity", f"{user} {why}")
    if by.authenticated_by is None:
        return Objection("identity", "unmapped_identity", "no channel has verified who this is")
    return too_late(asked)


def too_late(asked: Asked) -> Objection | None:
    """Return what keeps everybody from acting on the request: it is closed, the loop moved on, its time is over."""
    request, instance = asked.request, asked.loaded.instance
    if not request.is_open:
        return _closed(request)
    if instance.is_closed:
        return Objection("open", "request_closed", f"the loop is {instance.status}")
    if instance.request_id != request.request_id:
        return Objection("open", "request_closed", "the loop has moved on since this was asked")
    if request.expires_at and asked.now >= request.expires_at:
        return Objection("in-time", "request_expired", f"the time to answer ended at {request.expires_at:%H:%M} UTC")
    return None


def about_person(asked: Asked, by: Human) -> Iterator[Objection]:
    """Yield what about this person forbids them to decide now: not named, or not independent."""
    policy = asked.request.policy
    if not is_named(asked, by.user_id) and not ways_unbarred(asked, by.user_id):
        yield from _about_ways(asked, by)
        yield Objection("approver", "not_an_approver", f"{by.name} may not decide this now; {policy.named()} may")
    for role in policy.separation:
        if folded(by.user_id) in people_of(asked.request, role):
            yield Objection(
                "separation", "self_approval", f"{by.name} is the {role} (or behind it) and may not decide this"
            )


def _about_shown(asked: Asked, answer: HumanAnswer) -> Iterator[Objection]:
    request = asked.request
    if (answer.request_version, answer.digest) != (request.version, request.digest):
        yield Objection("shown", "stale_request", "the proposal is not the one that was shown; look at the new card")
    if request.answer(answer.transition_id) is None:
        yield Objection("offered", "answer_not_offered", f"'{answer.transition_id}' is not an answer to this request")


def _about_said(asked: Asked, answer: HumanAnswer, offered: AnswerOffered | None) -> Iterator[Objection]:
    rule = asked.request.proposal.policy.reason.for_kind(offered.kind if offered else "other")
    if rule == "required" and not (answer.reason or "").strip():
        yield Objection("reason", "reason_required", "this answer needs a reason")
    yield from _about_edits(asked, answer, offered)


def _about_ways(asked: Asked, by: Human) -> Iterator[Objection]:
    for way in ways_in(asked, by.user_id):
        for each in way:
            for role in roles_of(asked.request, each.person):
                message = (
                    f"{by.name} stands in through {each.name}, who is the {role} (or behind it) and may not decide this"
                )
                yield Objection("separation", "self_approval", message)


def _about_vote(asked: Asked, answer: HumanAnswer, by: Human, offered: AnswerOffered | None) -> Iterator[Objection]:
    edited = edited_by(asked.loaded, asked.request, answer) if answer.edits else None
    if isinstance(edited, Edited) and edited.changes:
        return  # a changed proposal voids every vote, the editor's own too
    if offered and is_enough(asked, offered):
        return  # each person counts once, and nobody's answer is counted any more
    if any(decision.by.user_id == by.user_id for decision in asked.request.decisions):
        yield Objection("once", "already_answered", f"{by.name} has answered already; each person counts once")
    elif offered and part_to_take(asked, by.user_id, offered) is None:
        yield from _about_parts(asked, by)
        message = f"{by.name}'s part is approved already; this waits for {_missing(asked, offered)}"
        yield Objection("needed", "not_needed", message)


def _missing(asked: Asked, offered: AnswerOffered) -> str:
    """Say what the open stage still needs for *offered*: ``1 of sre and 2 of finance``."""
    stands = asked.tally(offered.transition_id)
    needs = asked.request.policy.gates[stands.stage].needs
    left = [(need, need.quorum - filled) for need, filled in zip(needs, stands.filled, strict=True)]
    return " and ".join(f"{count} of {need.who()}" for need, count in left if count)


def _about_parts(asked: Asked, by: Human) -> Iterator[Objection]:
    """Yield who has filled a part that *by* could take: each counts once, whoever fills it."""
    theirs = {part.person for part in parts(asked, by.user_id)}
    for decision in asked.request.decisions:
        if decision.part in theirs:
            yield Objection("once", "part_taken", f"{decision.name} has answered already; each part counts once")


def _about_edits(asked: Asked, answer: HumanAnswer, offered: AnswerOffered | None) -> Iterator[Objection]:
    if not answer.edits:
        return
    if offered is None or offered.kind != "approve":
        yield Objection("edit", "bad_edit", "only an approval may carry edits")
        return
    edited = edited_by(asked.loaded, asked.request, answer)
    if not isinstance(edited, Edited):
        yield Objection("edit", "bad_edit", "; ".join(edited))


def _closed(request: ApprovalRequest) -> Objection:
    by = f" by {request.closed_by.name}" if request.closed_by else ""
    at = f" at {request.closed_at:%Y-%m-%d %H:%M:%S} UTC" if request.closed_at else ""
    code: RefusalCode = "already_decided" if request.closed_by else "request_closed"
    if request.status == "expired":
        code = "request_expired"
    return Objection("open", code, f"this request {CLOSED_WORDS[request.status]}{by}{at}")


def edited_by(loaded: Loaded, request: ApprovalRequest, answer: HumanAnswer) -> Edited | list[str]:
    """Return the proposal with the answer's edits in it, or what keeps them out."""
    return edit(loaded.instance.data, answer.edits, request.proposal.policy.editable)
