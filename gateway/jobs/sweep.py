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

#: How long the putting back of effects stays with a process that died.
SWEEP_LEASE = timedelta(seconds=3)

#: For how long deadlines that one worker took are kept from the others: some times what a batch takes.
HELD_FOR = timedelta(seconds=3)

#: Deadlines that are taken at a time, and of those how many take effect side by side.
BATCH, AT_A_TIME = 32, 8

#: How long a deadline that cannot take effect is left alone.
STUCK_PAUSE = timedelta(minutes=1)


class Sweep:
    """
    What falls due takes effect, and effects that nobody finished are put back.

    Deadlines are shared: each worker takes some and keeps them from the others for a moment, so the more workers, the
    more take effect in time. Should two come to the same one all the same, the second finds nothing due any more.
    """

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

    async def put_back(self) -> None:
        """Queue again the effects whose time has come; one worker at a time is enough."""
        overdue = await self._effects.requeue_overdue(grace=self._grace)
        if overdue:
            log.info("sweep.requeued", effects=len(overdue))

    async def fall_due(self) -> bool:
        """Let what is due take effect, up to `BATCH` deadlines; return whether more may be."""
        now = self._clock.now()
        held_until = now + HELD_FOR
        due = await self._deadlines.due(now, limit=BATCH, held_until=held_until)
        # Each request has one deadline, so what falls due together is about different ones.
        left = iter(due)

        async def take_turns() -> None:
            for deadline in left:
                await self._take(deadline, held_until)

        ends = await asyncio.gather(*(take_turns() for _ in range(AT_A_TIME)), return_exceptions=True)
        for error in (each for each in ends if isinstance(each, BaseException)):
            raise error
        return len(due) >= BATCH

    async def _take(self, deadline: Deadline, held_until: datetime) -> None:
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
            await self._deadlines.let_rest(deadline, held_until=held_until, until=self._clock.now() + STUCK_PAUSE)
