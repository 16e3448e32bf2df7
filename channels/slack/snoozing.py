"""Snoozing: what an approver who wants to be reminded later is told, and where the reminder will reach them."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from channels.slack import wording
from channels.slack.mrkdwn import when
from loops.actors import Human
from loops.outcomes import Executed, Recorded, Refused

#: What the entry of the card's menu stands for.
LATER_SPAN = timedelta(hours=1)

#: Where in the evidence of an act its place stands; without one, a word to its author is a direct message.
_PLACE = frozenset({"slackChannelId", "slackMessageTs", "slackThreadTs"})


def direct(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return *evidence* without its place: in an hour nobody looks at that channel any more."""
    return {key: value for key, value in evidence.items() if key not in _PLACE}


def snooze_words(outcome: Executed | Recorded | Refused, by: Human, refused: Callable[[str, str], str]) -> str:
    """Return what to tell *by*; *refused* puts a refusal's code and message into words."""
    if isinstance(outcome, Refused):
        return refused(outcome.code, outcome.message)
    snoozes = outcome.request.snoozes if outcome.request else ()
    until = next((each.until for each in snoozes if each.person == by.user_id), None)
    return wording.snoozed(when(until) if until else "then")
