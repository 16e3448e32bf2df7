"""What intake asks of the engine."""

from collections.abc import Mapping
from typing import Any, Protocol

from loops.actors import Actor
from loops.outcomes import Executed, Recorded, Refused


class Engine(Protocol):
    """
    The three doors of `loops.engine.LoopEngine` that a source may use.

    Under a repeated `idempotency_key` each gives the first answer again, with `repeated` set. Each may raise
    `loops.errors.StoreUnavailable`.
    """

    async def start(
        self,
        *,
        tenant: str,
        loop_id: str,
        aggregate_id: str,
        data: Mapping[str, Any],
        actor: Actor,
        correlation_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Executed | Recorded | Refused:
        """Start *loop_id* on *aggregate_id*."""

    async def signal(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        signal: str,
        actor: Actor,
        evidence: Mapping[str, Any],
        idempotency_key: str | None = None,
    ) -> Executed | Recorded | Refused:
        """Send *signal* to the instance on *aggregate_id*."""

    async def cancel(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        actor: Actor,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Executed | Recorded | Refused:
        """Cancel the instance on *aggregate_id*."""
