"""Alarms: what whoever runs the gateway is told about what was given up. Pure, escaped."""

from channels.slack import wording
from channels.slack.mrkdwn import inline, quoted
from loops.cards import LostCard
from loops.effects import GivenUp
from loops.ports import Loaded

#: `event_type` of the metadata of alarms: how one is found again after a doubtful attempt to post it.
ALARM_TYPE = "loopgate_alarm"

TITLE_MAX, ERROR_MAX = 150, 500


def alert_text(given_up: GivenUp, subject: Loaded | None) -> str:
    """Return what to tell of an effect that was given up, in one paragraph of `mrkdwn`."""
    about = inline(subject.instance.aggregate_id if subject else given_up.effect_id, TITLE_MAX).text
    error = quoted(given_up.error, ERROR_MAX)
    what, effect = inline(given_up.what, TITLE_MAX).text, inline(given_up.effect_id, TITLE_MAX).text
    return wording.effect_given_up(what, about, error, effect)


def warning_text(what: str, why: str) -> str:
    """Return what to tell of the subscription *what* that was switched off, in one paragraph of `mrkdwn`."""
    return wording.subscription_disabled(inline(what, TITLE_MAX).text, quoted(why, ERROR_MAX))


def alarm_text(lost: LostCard, subject: Loaded | None) -> str:
    """Return what to tell of *lost* in one paragraph of `mrkdwn`."""
    request = subject.request if subject else None
    title = inline(request.title if request else lost.request_id, TITLE_MAX).text
    about = inline(subject.instance.aggregate_id if subject else lost.request_id, TITLE_MAX).text
    error = quoted(lost.error, ERROR_MAX)
    effect = inline(lost.effect_id, TITLE_MAX).text
    if lost.kind == "card.post":
        return wording.card_not_shown(title, about, error, effect)
    return wording.card_not_corrected(title, about, error, effect)
