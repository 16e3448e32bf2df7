"""The sweep: queues again what a crash or a back-off left due, and turns due deadlines into signals."""

import asyncio
from datetime import timedelta

import structlog

from gateway.jobs.ports import Deadlines, Effects, Leases
from loops.engine import LoopEngine
from loops.errors import LoopgateError
from loops.ports import Clock

log = structlog.stdlib.get_logger()

#: How long the chore stays with a sweeper that died.
SWEEP_LEASE = timedelta(seconds=3)


class Sweep:
    """One process at a time sweeps; any other takes over within `SWEEP_LEASE` of its death."""

    def __init__(
        self,
        holder: str,
        effects: Effects,
        deadlines: Deadlines,
        leases: Leases,
        engine: LoopEngine,
        clock: Clock,
        *,
        grace: timedelta,
        every: timedelta,
    ) -> None:
        self._holder = holder
        self._effects = effects
        self._deadlines = deadlines
        self._leases = leases
        self._engine = engine
        self._clock = clock
        self._grace = grace
        self._every = every

    async def run(self) -> None:
        """Sweep until cancelled; a store that is away is tried again."""
        while True:
            try:
                if await self._leases.hold("sweep", self._holder, SWEEP_LEASE):
                    await self.once()
            except LoopgateError as error:
                log.warning("sweep.failed", error=str(error))
            except Exception:
                log.exception("sweep.broke")
            await asyncio.sleep(self._every.total_seconds())

    async def once(self) -> None:
        """Do what is due now."""
        overdue = await self._effects.requeue_overdue(grace=self._grace)
        if overdue:
            log.info("sweep.requeued", effects=len(overdue))
        for deadline in await self._deadlines.due(self._clock.now()):
            outcome = await self._engine.fall_due(deadline)
            log.info("deadline.due", request_id=deadline.request_id, kind=deadline.kind, outcome=outcome.outcome)
