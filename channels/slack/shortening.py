"""Shortening: a request, and what it holds, where there is no room for all of it. Pure; nothing is cut silently."""

from channels.slack import wording
from channels.slack.course import NAME_MAX, NO_NAMES, Names, decider
from channels.slack.faces import OPEN, face_of
from channels.slack.mrkdwn import inline, quoted, utc
from loops.approvals import ApprovalRequest
from loops.canonical import canonical_json
from loops.ports import Loaded

#: Units (`mrkdwn.size`) of a title, and of the names of who may decide.
TITLE_MAX, APPROVERS_MAX = 300, 300
#: Hex digits of a digest that are shown; all of them stand under Details.
DIGEST_SHOWN = 12


def summary(subject: Loaded, request: ApprovalRequest) -> str:
    """Return how *request* stands in one line, for notifications and lists; escaped, without formatting."""
    face = face_of(subject, request)
    title = quoted(request.title, TITLE_MAX)
    by = decider(request.closed_by) if request.closed_by else None
    line = wording.notification(face, title, by=by, chosen=chosen(request))
    if face in OPEN and request.expires_at:
        line += f" ({wording.decide_by(utc(request.expires_at))})"
    return line


def chosen(request: ApprovalRequest) -> str | None:
    """Return the label of the answer that closed *request* where that was neither approve nor reject."""
    decision = request.closed_by
    if decision is None or decision.kind != "other":
        return None
    offered = request.answer(decision.transition_id)
    return inline(offered.label if offered else decision.transition_id, NAME_MAX).text


def approvers(request: ApprovalRequest, names: Names = NO_NAMES) -> str:
    """Return who may decide, escaped; with stages, how many of each."""
    policy = request.policy
    who = policy.named(names) if policy.stages else policy.approvers.named(names)
    return inline(who, APPROVERS_MAX).text


def short_digest(digest: str) -> str:
    """Return the first digits of *digest*."""
    kind, _, digits = digest.rpartition(":")
    return f"{kind}:{digits[:DIGEST_SHOWN]}…" if kind else f"{digits[:DIGEST_SHOWN]}…"


def parameters_size(request: ApprovalRequest) -> int:
    """Return the bytes the proposal's parameters take as canonical JSON."""
    return len(canonical_json(request.proposal.parameters))
