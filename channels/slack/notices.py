"""Notices: what one person is told privately about their click, from its refusal and the request as it stands."""

from typing import Any

from channels.slack import wording
from channels.slack.course import NO_NAMES, Names, standing
from channels.slack.faces import OPEN, face_of
from channels.slack.mrkdwn import inline, when
from channels.slack.shortening import approvers, chosen
from loops.approvals import ApprovalRequest
from loops.cards import Notice
from loops.ports import Loaded

#: Units of the engine's own words in a notice.
MESSAGE_MAX = 1_000
NAME_MAX, TITLE_MAX = 80, 300


#: Words about finding out who answered: at first, and where it counts; what is refused says why in words of its own.
_CHECKS = {
    "checking": wording.CHECKING,
    "confirmed": wording.CHECKED,
    "unconfirmed": wording.NEVER_CHECKED,
}


def notice_text(notice: Notice, subject: Loaded | None, *, team_id: str, names: Names = NO_NAMES) -> str:
    """
    Return what to tell the person at *notice*'s address.

    *team_id* is the workspace whose members may decide; *names* are what those who may are called, by id.
    """
    request = subject.request if subject else None
    if notice.code == "unmapped_identity":
        return _unmapped(notice.address, team_id)
    if found := _CHECKS.get(notice.code):
        return found
    if notice.code == "file_not_sent":
        return wording.file_not_sent(inline(notice.message, MESSAGE_MAX).text.rstrip("."))
    if notice.code == "unknown_request":
        return wording.UNKNOWN_REQUEST
    if subject is None or request is None:
        return _plain_refusal(notice)
    match notice.code:
        case "already_decided" | "request_closed" | "loop_closed":
            return _already(subject, request, notice)
        case "request_expired":
            return wording.expired(when(request.expires_at) if request.expires_at else None)
        case "not_an_approver":
            return wording.not_an_approver(approvers(request, names))
        case "self_approval":
            return wording.SELF_APPROVAL
        case "already_answered":
            return wording.already_answered(standing(request, names))
        case "not_needed":
            return wording.not_needed(standing(request, names))
        case "stale_request":
            return wording.STALE
        case "unknown_question":
            return wording.ANSWERED_ALREADY
        case "not_the_requester" | "cannot_reassign":
            return wording.cannot_inform(inline(notice.message, MESSAGE_MAX).text.rstrip("."))
        case "cannot_snooze":
            return wording.cannot_snooze(inline(notice.message, MESSAGE_MAX).text.rstrip("."))
        case "snooze_over":
            title = inline(request.title, TITLE_MAX).text
            return wording.snooze_over(title, inline(request.request_id, NAME_MAX).text)
        case "reason_required":
            return wording.REASON_NEEDED
        case _:
            return _plain_refusal(notice)


def _unmapped(address: dict[str, Any], team_id: str) -> str:
    user = inline(str(address.get("slackUserId") or "?"), NAME_MAX).text
    team = str(address.get("slackTeamId") or "?")
    if standing := wording.NOT_ELIGIBLE.get(str(address.get("slackStanding"))):
        return standing
    if team != team_id:
        return wording.foreign(inline(team_id, NAME_MAX).text)
    return wording.unmapped(user, inline(team, NAME_MAX).text)


def _already(subject: Loaded, request: ApprovalRequest, notice: Notice) -> str:
    face = face_of(subject, request)
    if face in OPEN:
        # The request is open as it stands now; the engine's own words say what stood in the way then.
        return _plain_refusal(notice)
    by = inline(request.closed_by.name, 2 * NAME_MAX).text if request.closed_by else None
    at = when(request.closed_at) if request.closed_at else None
    return wording.already(face, by, at, chosen=chosen(request))


def _plain_refusal(notice: Notice) -> str:
    return wording.refused(inline(notice.message, MESSAGE_MAX).text.rstrip("."))
