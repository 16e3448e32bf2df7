"""Why somebody can or cannot decide: the policy explained to one person, in a few sentences. Pure."""

from collections.abc import Iterator

from channels.slack import wording
from channels.slack.course import NO_NAMES, Names, is_shared, standing
from channels.slack.mrkdwn import inline, when
from loops.approvals import ApprovalRequest
from loops.explaining import Explanation

TITLE_MAX, NEEDS_MAX, NAME_MAX, NAMES_MAX = 200, 400, 80, 5


def why_text(request: ApprovalRequest, found: Explanation, names: Names = NO_NAMES) -> str:
    """Return what the person *found* is about should know about *request*, which is open; *names* are by person id."""
    return wording.why(
        inline(request.title, TITLE_MAX).text,
        inline(request.policy.named(names), NEEDS_MAX).text,
        standing(request, names) if is_shared(request) else None,
        list(why_lines(found)),
    )


def why_lines(found: Explanation) -> Iterator[str]:
    """Yield what somebody may do about an open request, or why not, each as a sentence to them."""
    if found.away:
        yield wording.why_away(when(found.away.until))
    if found.may_approve:
        absent = found.in_stead_of
        yield wording.why_for(inline(absent.name, NAME_MAX).text) if absent else wording.WHY_YOU_CAN
        return
    if "requester" in found.roles:
        yield wording.WHY_REQUESTER
    elif "submitter" in found.roles:
        yield wording.WHY_SUBMITTER
    if found.has_answered:
        yield wording.WHY_ANSWERED
    elif found.has_handed_over:
        yield wording.WHY_HANDED_OVER
    elif found.stands_in_for and not found.roles:
        yield wording.why_taken([inline(each.name, NAME_MAX).text for each in found.stands_in_for[:NAMES_MAX]])
    elif not found.named_in:
        yield wording.WHY_NOT_NAMED
    elif found.stage not in found.named_in:
        yield wording.WHY_LATER if max(found.named_in) > found.stage else wording.WHY_EARLIER
    elif not found.roles:
        yield wording.WHY_NOT_NEEDED
