"""Telling: which events of a commit people who follow a request are told of, one by one, in the card's thread."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from loops.events import EventType


class Fact(Protocol):
    """What telling looks at in an event, sealed or read back."""

    @property
    def type(self) -> EventType:
        """Its type."""

    @property
    def data(self) -> Mapping[str, Any]:
        """Its fields."""


_Fact = TypeVar("_Fact", bound=Fact)

#: Events that always matter to somebody who follows a request.
_TOLD = frozenset(
    {
        "approval.question.asked",
        "approval.question.answered",
        "approval.decision.recorded",
        "approval.edited",
        "approval.reassigned",
        "approval.escalated",
        "effect.retried",
        "loop.failed",
    }
)

#: Events that may matter besides.
_MAY_MATTER = _TOLD | {"approval.closed", "approval.reminded", "loop.cancelled", "effect.succeeded", "effect.failed"}

#: How a request may close without anybody having answered it. Answers tell of themselves, a cancellation does too.
_UNANSWERED = frozenset({"expired", "superseded", "withdrawn"})


def worth_telling(events: Sequence[_Fact]) -> list[_Fact]:
    """
    Return those of one commit's *events* that matter, in order: one line each, nothing told twice.

    Refusals are not among them: they are the business of whoever was refused.
    """
    events = [event for event in events if event.type in _MAY_MATTER]
    if not events:
        return events
    closings = {event.data.get("status") for event in events if event.type == "approval.closed"}
    return [event for event in events if _matters(event, is_closed_otherwise=bool(closings & _UNANSWERED))]


def worth_messaging(told: Sequence[_Fact]) -> list[_Fact]:
    """Return those of what is worth telling that who asked is told of directly: questions to them, and outcomes."""
    return [event for event in told if event.type in _OUTCOMES or _decides(event)]


_OUTCOMES = frozenset(
    {
        "approval.question.asked",
        "approval.closed",
        "effect.succeeded",
        "effect.failed",
        "loop.cancelled",
        "loop.failed",
    }
)


def _decides(event: Fact) -> bool:
    if event.type != "approval.decision.recorded":
        return False
    return bool(event.data.get("complete")) or getattr(event.data["decision"], "kind", None) == "reject"


def _matters(event: Fact, *, is_closed_otherwise: bool) -> bool:
    match event.type:
        case "approval.closed":
            return event.data.get("status") in _UNANSWERED
        case "approval.reminded":
            return "person" not in event.data  # a reminder somebody asked for is their own
        case "loop.cancelled":
            return not is_closed_otherwise
        case "effect.succeeded" | "effect.failed":
            return event.data.get("kind") == "integration.run"
        case kind:
            return kind in _TOLD
