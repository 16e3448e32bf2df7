"""Events: immutable facts emitted with a commit, in one hash-chained sequence per loop instance."""

from typing import Literal

from loops.values import Instant, JsonObject, Value

EventType = Literal[
    "loop.started",
    "loop.signal.received",
    "loop.transition.requested",
    "loop.guard.failed",
    "loop.transition.blocked",
    "loop.transition.refused",
    "loop.transition.executed",
    "loop.completed",
    "loop.cancelled",
    "loop.failed",
    "loop.suspended",
    "loop.resumed",
    "loop.learning.recorded",
    "approval.requested",
    "approval.card.posted",
    "approval.decision.unconfirmed",
    "approval.decision.recorded",
    "approval.decision.refused",
    "approval.edited",
    "approval.question.asked",
    "approval.question.answered",
    "approval.reassigned",
    "approval.snoozed",
    "approval.details.requested",
    "approval.reminded",
    "approval.escalated",
    "approval.closed",
    "effect.succeeded",
    "effect.failed",
    "effect.retried",
    "effect.abandoned",
    "effect.cancelled",
    "effect.retry.refused",
]


class Event(Value):
    """
    One entry of a ledger.

    `sequence` counts from 1 within the instance. `hash` is SHA-256 over the canonical JSON of everything else in the
    event, `previous_hash` included. `data` holds the fields of the type (facts/loop-engine-contract names them).
    """

    event_id: str
    type: EventType
    sequence: int
    tenant: str
    loop_id: str
    aggregate_id: str
    instance_id: str
    definition_version: str
    definition_digest: str
    occurred_at: Instant
    correlation_id: str
    causation_id: str | None = None
    data: JsonObject
    previous_hash: str
    hash: str
