"""The sweep: queues again what a crash or a back-off left due, and turns due deadlines into signals."""

import asyncio
from datetime import datetime, timedelta

import structlog

from gateway.jobs.ports import Deadlines, Effects
from loops.deadlines import Deadline
from loops.engine import LoopEngine
from loops.errors import StoreUnavailable
from loops.ports import Clock

log = structlog.stdlib.get_logger()

#: How long the chore stays with a sweeper that died.
SWEEP_LEASE = timedelta(seconds=3)

#: Deadlines looked at in one go, and of those how many take effect side by side.
BATCH, AT_A_TIME = 100, 8

#: How long a deadline that cannot take effect is left alone.
_STUCK_PAUSE = timedelta(minutes=1)


class Sweep:
    """What one process at a time does; any other takes over within `SWEEP_LEASE` of its death."""

    def __init__(
        self,
        effects: Effects,
        deadlines: Deadlines,
        engine: LoopEngine,
        clock: Clock,
        *,
        grace: timedelta,
    ) -> None:
        self._effects = effects
        self._deadlines = deadlines
        self._engine = engine
        self._clock = clock
        self._grace = grace
        self._stuck: dict[tuple[str, str], datetime] = {}

    async def once(self) -> bool:
        """Do what is due now, up to `BATCH` deadlines; return whether more may be."""
        overdue = await self._effects.requeue_overdue(grace=self._grace)
        if overdue:
            log.info("sweep.requeued", effects=len(overdue))
        now = self._clock.now()
        self._stuck = {key: until for key, until in self._stuck.items() if until > now}
        # More than are stuck are asked for: they stay the earliest, and must not keep the others from being seen.
        found = await self._deadlines.due(now, limit=BATCH + len(self._stuck))
        due = [each for each in found if (each.tenant, each.deadline_id) not in self._stuck]
        # Each request has one deadline, so what falls due together is about different ones.
        for start in range(0, len(due), AT_A_TIME):
            falling = [self._fall_due(deadline, now) for deadline in due[start : start + AT_A_TIME]]
            ends = await asyncio.gather(*falling, return_exceptions=True)
            for error in (each for each in ends if isinstance(each, BaseException)):
                raise error
        return len(due) >= BATCH

    async def _fall_due(self, deadline: Deadline, now: datetime) -> None:
        facts = {"request_id": deadline.request_id, "kind": deadline.kind}
        try:
            outcome = await self._engine.fall_due(deadline)
        except StoreUnavailable:
            raise
        except Exception:
            # One that breaks must not keep the others from falling due.
            log.exception("deadline.broke", **facts)
            is_stuck = True
        else:
            log.info("deadline.due", outcome=outcome.outcome, **facts)
            is_stuck = outcome.outcome == "refused"
        if is_stuck:
            self._stuck[deadline.tenant, deadline.deadline_id] = now + _STUCK_PAUSE
