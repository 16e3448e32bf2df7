"""
The time line of an approval request: what falls due while nobody decides, and when.

Pure. One request has one deadline at a time, that of the next moment on its time line; when it falls due, however late,
everything that has become due since takes effect together, and a reminder whose time has come several times is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from loops.approvals import ApprovalRequest, Snooze
from loops.policy import ApprovalPolicy, EscalationStep

MomentKind = Literal["escalate", "remind", "snooze", "expire"]
#: What comes first of what falls due at the same instant: who is asked in addition is in time to be reminded.
_ORDER: tuple[MomentKind, ...] = ("expire", "escalate", "remind", "snooze")


@dataclass(frozen=True, slots=True)
class Moment:
    """
    Something that falls due at `at`.

    `number` is which one: of an escalation its step, from 0; of a reminder how many there have been with it.
    """

    kind: MomentKind
    at: datetime
    number: int = 0
    snooze: Snooze | None = None


def due_after(request: ApprovalRequest, span: timedelta) -> datetime:
    """Return when *span* of the policy's time is over: since it was asked, without the time its loop rested."""
    return counted(request.proposal.policy, request.resumed_at or request.created_at, span - request.elapsed)


def counted(policy: ApprovalPolicy, since: datetime, span: timedelta) -> datetime:
    """Return when *span* has gone by *since* then, in the policy's business hours where it has any."""
    return policy.hours.after(since, span) if policy.hours else since + span


def gone_by(request: ApprovalRequest, until: datetime) -> timedelta:
    """Return how much of the policy's time has gone by since the request was made, as of *until*."""
    since, hours = request.resumed_at or request.created_at, request.proposal.policy.hours
    return request.elapsed + (hours.between(since, until) if hours else until - since)


def ahead(request: ApprovalRequest) -> list[Moment]:
    """Return the next moment of each kind on an open request's time line, the earliest first; none after its expiry."""
    found = sorted(_each(request), key=lambda moment: (moment.at, _ORDER.index(moment.kind)))
    last = next((place for place, moment in enumerate(found) if moment.kind == "expire"), len(found))
    return found[: last + 1]


def next_moment(request: ApprovalRequest) -> Moment | None:
    """Return what falls due next of an open request, or None where it may wait for ever."""
    return next(iter(ahead(request)), None)


def due(request: ApprovalRequest, now: datetime) -> list[Moment]:
    """
    Return all that is due at *now*, in the order in which it takes effect.

    Of the reminders that are, the latest one; every escalation step; nothing but the expiry once that is due.
    """
    if request.expires_at and request.expires_at <= now:
        return [Moment("expire", request.expires_at)]
    steps = [moment for moment in _steps(request) if moment.at <= now]
    reminders = [moment for moment in _reminders(request) if moment.at <= now][-1:]
    snoozes = [moment for moment in _snoozes(request) if moment.at <= now]
    return [*steps, *reminders, *snoozes]


def _each(request: ApprovalRequest) -> Iterator[Moment]:
    if request.expires_at:
        yield Moment("expire", request.expires_at)
    for moments in (_steps(request), _reminders(request), _snoozes(request)):
        yield from list(moments)[:1]


def _steps(request: ApprovalRequest) -> Iterator[Moment]:
    steps: tuple[EscalationStep, ...] = request.proposal.policy.escalate
    earliest = request.created_at
    for number in range(len(request.escalations), len(steps)):
        earliest = max(earliest, due_after(request, steps[number].after))
        yield Moment("escalate", earliest, number)


def _reminders(request: ApprovalRequest) -> Iterator[Moment]:
    policy = request.proposal.policy
    if policy.remind_after is None:
        return
    for number in range(request.reminded + 1, policy.reminders + 1):
        yield Moment("remind", due_after(request, number * policy.remind_after), number)


def _snoozes(request: ApprovalRequest) -> Iterator[Moment]:
    for snooze in sorted(request.snoozes, key=lambda each: (each.until, each.person)):
        yield Moment("snooze", snooze.until, snooze=snooze)
