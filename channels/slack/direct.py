"""Direct messages: what one person is told about a request outside its channel, with the way to its card. Pure."""

from collections.abc import Iterator, Sequence

from channels.slack import wording
from channels.slack.course import HANDOVER_REASON_MAX, NAME_MAX, NO_NAMES, Names, name_of
from channels.slack.mrkdwn import inline, quoted
from channels.slack.shortening import TITLE_MAX, summary
from channels.slack.threads import reply_text
from loops.approvals import ApprovalRequest
from loops.errors import Rejected
from loops.events import Event
from loops.ports import Loaded

#: `event_type` of the metadata of our direct messages: how one is found again after a doubtful attempt to post it.
DIRECT_TYPE = "loopgate_direct"
#: Facts an invitation shows.
FACTS_MAX, FACT_MAX = 4, 150


def news_text(subject: Loaded, event: Event, card: str, names: Names = NO_NAMES) -> str:
    """
    Return what a direct message says of *event*.

    *card* is the card's permanent link, *names* what people are called whom *event* names by id.

    Raises:
        Rejected: If *subject* has no request.
    """
    title = inline(_request_of(subject).title, TITLE_MAX).text
    return wording.direct_news(title, reply_text(event, subject, names), card)


def invitation_text(subject: Loaded, person_id: str, card: str, in_stead_of: Sequence[str] = ()) -> str:
    """
    Return what tells a person that they are asked to decide, and why they are: *in_stead_of* whom, by name.

    *card* is the card's permanent link.

    Raises:
        Rejected: If *subject* has no request.
    """
    request = _request_of(subject)
    proposal = request.proposal
    asked = wording.asked_by(name_of(proposal.requester), proposal.requester.type)
    facts = [
        wording.fact(inline(fact.label, FACT_MAX).text, inline(fact.value, FACT_MAX).text)
        for fact in request.facts[:FACTS_MAX]
    ]
    return wording.direct_ask(
        summary(subject, request), [*_why_asked(request, person_id, in_stead_of), asked, *facts], card
    )


def _why_asked(request: ApprovalRequest, person_id: str, in_stead_of: Sequence[str]) -> Iterator[str]:
    if in_stead_of:
        yield wording.asked_in_stead_of([inline(name, NAME_MAX).text for name in in_stead_of])
    for each in request.reassignments[-1:]:
        if each.to_person == person_id:
            reason = quoted(each.reason, HANDOVER_REASON_MAX) if each.reason else None
            yield wording.handed_to_you(name_of(each.by), reason)


def _request_of(subject: Loaded) -> ApprovalRequest:
    if subject.request is None:
        raise Rejected(f"instance {subject.instance.instance_id} has no approval request to tell of")
    return subject.request
