"""Chores: what has to be done again and again, mostly by one process at a time, for as long as there is one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from gateway.cancelling import cancelled
from gateway.jobs.leases import holding
from gateway.jobs.ports import Leases
from loops.errors import LoopgateError, Unavailable

log = structlog.stdlib.get_logger()


async def _nothing_is_left() -> None:
    """End nothing."""


@dataclass(frozen=True, slots=True)
class Chore:
    """
    One chore, told of in the log by its *name*, which is its lease's, too.

    Args:
        once: Does what is due. Where it returns True more is due already, and there is no pause.
        every: The pause between two looks.
        lease: How long the chore stays with a process that died; None where every process does it, at the same time.
        leave_off: Ends what `once` began and left going on, because the chore may be another process's by now.
        is_put_off: Whether the pause comes before the first look, too.
    """

    name: str
    once: Callable[[], Awaitable[bool | None]]
    every: timedelta
    lease: timedelta | None
    leave_off: Callable[[], Awaitable[None]] = _nothing_is_left
    is_put_off: bool = False


class Unending:
    """
    A chore of *work* that goes on until it is cancelled: by the process that has it, and no longer than it has it.

    A process that dies is followed by another within *lease* and *every* together.
    """

    def __init__(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], *, every: timedelta, lease: timedelta
    ) -> None:
        self._work = work
        self._going_on: asyncio.Task[None] | None = None
        self.chore = Chore(name, self._begin, every, lease, self._leave_off)

    async def _begin(self) -> None:
        """Begin, unless it goes on. Raises what broke it; it is begun again at the next look."""
        if self._going_on is None:
            log.info("chore.begun", chore=self.chore.name)
            self._going_on = asyncio.create_task(self._work(), name=self.chore.name)
        elif self._going_on.done():
            broken, self._going_on = self._going_on, None
            broken.result()

    async def _leave_off(self) -> None:
        if self._going_on:
            await cancelled([self._going_on])
            self._going_on = None
            log.info("chore.left_off", chore=self.chore.name)


@asynccontextmanager
async def doing(chores: Sequence[Chore], leases: Leases, holder: str) -> AsyncIterator[None]:
    """
    See to *chores* inside the block, but for those that another holder has; afterwards they are anybody's.

    What fails is logged and tried again after the pause.
    """
    tasks = [asyncio.create_task(_see_to(chore, leases, holder), name=chore.name) for chore in chores]
    try:
        yield
    finally:
        await cancelled(tasks)
        for chore in chores:
            await chore.leave_off()
            if chore.lease is not None:
                with contextlib.suppress(Unavailable):
                    await leases.let_go(chore.name, holder)


async def _see_to(chore: Chore, leases: Leases, holder: str) -> None:
    if chore.is_put_off:
        await asyncio.sleep(chore.every.total_seconds())
    while True:
        try:
            while await _done_once(chore, leases, holder):
                pass
        except LoopgateError as error:
            log.warning("chore.failed", chore=chore.name, error=str(error))
            # Somebody else may hold the lease by now.
            await chore.leave_off()
        except Exception:
            log.exception("chore.broke", chore=chore.name)
        await asyncio.sleep(chore.every.total_seconds())


async def _done_once(chore: Chore, leases: Leases, holder: str) -> bool:
    if chore.lease is None:
        return bool(await chore.once())
    async with holding(leases, chore.name, holder, chore.lease) as is_ours:
        if is_ours:
            return bool(await chore.once())
    await chore.leave_off()
    return False
