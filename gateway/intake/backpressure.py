"""Back-pressure: while too much waits to be carried out, what would only add to it is told to come again later."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.intake.ports import Engine
from loops.actors import Actor
from loops.errors import Unavailable
from loops.outcomes import Executed, Recorded, Refused

#: When a sender should come back, in seconds: the least, and how much more, so that not all come back together.
COME_BACK_S, SPREAD_S = 5.0, 10.0

#: For how long a count is believed, in seconds. What comes in meanwhile may go over the bound by that much.
BELIEVED_S = 0.25

Outcome = Executed | Recorded | Refused


class TooMuchWaits(Unavailable):
    """More effects wait than may; nothing was recorded."""


class Relieved:
    """
    An `Engine` that takes starts and signals while fewer than *maximum* effects wait; 0 takes them always.

    A cancellation is always taken, as it only makes less to do. Answers of people do not come this way: they are
    never refused because much waits.

    Args:
        waiting: Counts the effects that wait. What it raises, the caller gets.
    """

    def __init__(
        self,
        engine: Engine,
        waiting: Callable[[], Awaitable[int]],
        maximum: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._waiting = waiting
        self._maximum = maximum
        self._clock = clock
        self._count = 0
        self._counted_at = -BELIEVED_S

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
    ) -> Outcome:
        """Start *loop_id* on *aggregate_id*. Raises `TooMuchWaits`."""
        await self._relieve()
        return await self._engine.start(
            tenant=tenant,
            loop_id=loop_id,
            aggregate_id=aggregate_id,
            data=data,
            actor=actor,
            correlation_id=correlation_id,
            idempotency_key=idempotency_key,
        )

    async def signal(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        signal: str,
        actor: Actor,
        evidence: Mapping[str, Any],
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Send *signal* to the instance on *aggregate_id*. Raises `TooMuchWaits`."""
        await self._relieve()
        return await self._engine.signal(
            tenant=tenant,
            aggregate_id=aggregate_id,
            signal=signal,
            actor=actor,
            evidence=evidence,
            idempotency_key=idempotency_key,
        )

    async def cancel(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        actor: Actor,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Cancel the instance on *aggregate_id*."""
        return await self._engine.cancel(
            tenant=tenant, aggregate_id=aggregate_id, actor=actor, reason=reason, idempotency_key=idempotency_key
        )

    async def _relieve(self) -> None:
        if not self._maximum:
            return
        now = self._clock()
        if now - self._counted_at >= BELIEVED_S:
            # Set first: of those who come meanwhile, one counts for all.
            self._counted_at = now
            self._count = await self._waiting()
        if self._count >= self._maximum:
            spread = random.random() * SPREAD_S  # noqa: S311 - spread, not secrecy
            raise TooMuchWaits(f"{self._count} effects wait, as many as may", retry_after=COME_BACK_S + spread)
