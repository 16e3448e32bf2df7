"""A ledger as people read it in a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from loops.events import Event


def shown(text: object) -> Text:
    """
    Return *text* for a terminal, as it is: no markup in it counts, no control character moves the cursor.

    Whoever proposes a change chooses some of what is printed here, models included.
    """
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)))


def ledger_table(events: Iterable[Event]) -> Table:
    """Return one row an event: when, what, who, what it came to, and the head of its hash."""
    table = Table(box=None, header_style="bold")
    for name in ("#", "time (UTC)", "event"):
        table.add_column(name, no_wrap=True)
    table.add_column("actor", overflow="fold")
    table.add_column("what", overflow="fold", ratio=1)
    table.add_column("hash", no_wrap=True)
    for event in events:
        table.add_row(
            str(event.sequence),
            f"{event.occurred_at:%H:%M:%S.%f}"[:-3],
            event.type,
            *(shown(told) for told in _told(event)),
            shown(event.hash[7:15]),
        )
    return table


def _told(event: Event) -> tuple[str, str]:
    try:
        return actor_of(event.data), summary(event)
    except (KeyError, TypeError, AttributeError):
        # Somebody changed it; that it is shown at all is worth more than how.
        return "", "cannot be read"


def actor_of(data: Mapping[str, Any]) -> str:
    """Return who did it, as ``name (type)``, or nothing where the event names nobody."""
    decision = data.get("decision") or {}
    actor = data.get("actor") or decision.get("by") or data.get("by") or data.get("claimedBy")
    return f"{actor.get('displayName') or actor['id']} ({actor['type']})" if actor else ""


def summary(event: Event) -> str:
    """Return what an event came to, in a few words."""
    data = event.data
    match event.type:
        case "loop.started":
            return f"in {data['initialState']}"
        case "loop.transition.executed":
            return f"{data['fromState']} → {data['toState']}"
        case "loop.transition.requested":
            return f"{data['transitionId']}: {data['fromState']} → {data['toState']}"
        case "loop.transition.blocked":
            return "; ".join(str(failure["message"]) for failure in data["guardFailures"])
        case "loop.transition.refused" | "approval.decision.refused" | "effect.retry.refused" | "loop.guard.failed":
            return str(data["message"])
        case "loop.signal.received":
            return str(data["signal"])
        case "approval.requested":
            return f"{data['requestId']} digest {data['digest'][7:15]}"
        case "approval.decision.unconfirmed":
            return f"{data['transitionId']}, kept until it is known who gave it"
        case "approval.decision.recorded":
            return str(data["decision"]["kind"])
        case "approval.closed":
            return str(data["status"])
        case "approval.card.posted":
            return f"{data['requestId']}"
        case "effect.succeeded" | "effect.failed" | "effect.retried" | "effect.abandoned" | "effect.cancelled":
            called = " ".join(str(data[key]) for key in ("integration", "action") if key in data)
            return f"{data['kind']} {called}".strip()
        case "loop.completed":
            return f"{data['finalState']} after {data['durationMs'] / 1000:.1f} s"
        case "loop.learning.recorded":
            return f"{data['transitionCount']} transitions, {data['durationMs'] / 1000:.1f} s"
        case "loop.cancelled" | "loop.suspended":
            return str(data.get("reason", ""))
        case "loop.resumed":
            return f"in {data['fromState']}"
        case "approval.edited":
            return "; ".join(f"{c['path']}: {c.get('old')} → {c.get('new')}" for c in data["changes"])
        case "approval.question.asked":
            return str(data["text"])
        case "approval.question.answered":
            return str(data["answer"])
        case "approval.reassigned":
            return f"{data['fromPerson']} → {data['toPerson']}"
        case "approval.snoozed":
            return f"until {data['until']}"
        case "approval.details.requested":
            return f"a copy of version {data['requestVersion']} for {data['actor']['id']}"
        case "approval.reminded":
            return str(data["person"]) if "person" in data else f"{data['number']} of {data['of']}"
        case "approval.escalated":
            added = ", ".join((*data.get("groups", ()), *data.get("onCall", ())))
            return " → ".join(part for part in (added, data.get("channel")) if part)
        case "loop.failed":
            return str(data["error"]["message"])
