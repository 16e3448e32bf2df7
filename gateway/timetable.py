"""The timetable of a loop: what happens in each place where people are asked while nobody decides, in words."""

from collections.abc import Iterator
from datetime import timedelta

from loops.definition import LoopDefinition
from loops.durations import format_duration
from loops.hours import Hours
from loops.policy import ApprovalPolicy, EscalationStep


def timetable(definition: LoopDefinition) -> Iterator[str]:
    """Yield a line for each place of *definition* where people are asked: what silence leads to, in order."""
    for state in definition.states:
        if state.asks_humans:
            yield _line(definition, state.id, state.id, state.approval or ApprovalPolicy())
    for transition in definition.transitions:
        if transition.approval:
            yield _line(definition, transition.from_, f"{transition.id} (parked)", transition.approval)


def _line(definition: LoopDefinition, state_id: str, name: str, policy: ApprovalPolicy) -> str:
    moments = [(step.after, f"asks {_whom(step)}") for step in policy.escalate]
    moments += [(policy.remind_after * number, "reminds") for number in _numbers(policy) if policy.remind_after]
    if policy.expire_after:
        taken = definition.exit_named(state_id, policy.on_expiry) if policy.on_expiry else None
        moments = [moment for moment in moments if moment[0] < policy.expire_after]
        moments.append((policy.expire_after, f"{taken.id} to {taken.to}" if taken else "refused"))
    if not moments:
        return f"{name}: waits for ever"
    steps = ", ".join(f"after {format_duration(after)} {what}" for after, what in sorted(moments, key=_by_time))
    hours = _hours(policy.hours) if policy.hours else f"of calendar {policy.calendar}" if policy.calendar else ""
    return f"{name}, while nobody decides: {steps}{f'; only hours {hours} count' if hours else ''}"


def _numbers(policy: ApprovalPolicy) -> range:
    return range(1, policy.reminders + 1) if policy.remind_after else range(0)


def _by_time(moment: tuple[timedelta, str]) -> timedelta:
    return moment[0]


def _whom(step: EscalationStep) -> str:
    on_call = [f"who is on call ({step.on_call})"] if step.on_call else []
    who = ", ".join([*step.groups, *on_call]) or "again"
    return f"{who} in {step.channel}" if step.channel else f"{who} too"


def _hours(hours: Hours) -> str:
    off = len(hours.holidays)
    but = f", without {off} holiday{'' if off == 1 else 's'}," if off else ""
    return f"{hours.from_}-{hours.to} {hours.zone}, {' '.join(hours.days)}{but}"
