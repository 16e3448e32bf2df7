"""Direct messages: what one person is told about a request outside its channel, with the way to its card. Pure."""

from channels.slack import wording
from channels.slack.course import NO_NAMES, Names, name_of
from channels.slack.mrkdwn import inline
from channels.slack.shortening import TITLE_MAX, summary
from channels.slack.threads import reply_text
from loops.errors import Rejected
from loops.events import Event
from loops.ports import Loaded

#: `event_type` of the metadata of our direct messages: how one is found again after a doubtful attempt to post it.
DIRECT_TYPE = "loopgate_direct"
#: Facts an invitation shows.
FACTS_MAX, FACT_MAX = 4, 150


def direct_text(subject: Loaded, event: Event | None, card: str, names: Names = NO_NAMES) -> str:
    """
    Return what a direct message says of *event*, or, without one, that the person is asked to decide.

    *card* is the card's permanent link, *names* what people are called whom *event* names by id.

    Raises:
        Rejected: If *subject* has no request.
    """
    request = subject.request
    if request is None:
        raise Rejected(f"instance {subject.instance.instance_id} has no approval request to tell of")
    title = inline(request.title, TITLE_MAX).text
    if event is not None:
        return wording.direct_news(title, reply_text(event, subject, names), card)
    facts = [
        wording.fact(inline(fact.label, FACT_MAX).text, inline(fact.value, FACT_MAX).text)
        for fact in request.facts[:FACTS_MAX]
    ]
    proposal = request.proposal
    asked = wording.asked_by(name_of(proposal.requester), proposal.requester.type)
    return wording.direct_ask(summary(subject, request), [asked, *facts], card)
