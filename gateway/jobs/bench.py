"""The bench: where one worker carries out effects, several of each queue at a time, on its one event loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway.jobs.queues import QUEUES, QueueName
from loops.errors import LoopgateError

log = structlog.stdlib.get_logger()

#: One attempt at the effect with this id, as `gateway.jobs.runner.EffectRunner.run` makes it.
Attempt = Callable[[str], Coroutine[Any, Any, None]]

#: How long attempts that were cut off may take to let go of what they hold.
_LETTING_GO_S = 5.0


class Bench:
    """
    Runs attempts on *loop*, at most *per_queue* of each queue, so that a slow system of record delays no card.

    Called from the worker's main thread only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, attempt: Attempt, per_queue: int) -> None:
        self._loop = loop
        self._attempt = attempt
        self._per_queue = per_queue
        self._ended = threading.Condition()
        self._under_way: dict[QueueName, int] = dict.fromkeys(QUEUES, 0)
        # Touched on the loop only.
        self._tasks: set[asyncio.Task[None]] = set()

    def has_room(self, queue: QueueName) -> bool:
        """Whether one more effect of *queue* may be taken."""
        return self._under_way[queue] < self._per_queue

    def take(self, queue: QueueName, effect_id: str) -> None:
        """Begin an attempt at an effect and return at once."""
        with self._ended:
            self._under_way[queue] += 1
        self._loop.call_soon_threadsafe(self._begin, queue, effect_id)

    def wait_for_an_end(self, timeout_s: float) -> None:
        """Return when an attempt has ended, or after *timeout_s*."""
        with self._ended:
            self._ended.wait(timeout_s)

    def close(self, patience_s: float, hurried: Callable[[], bool] = lambda: False) -> None:
        """Let what is under way end within *patience_s*, or until *hurried* says so; cut off the rest."""
        self._await_all(patience_s, hurried)
        end = time.monotonic() + _LETTING_GO_S
        # Again until all have ended: on Python 3.11 a wait_for swallows a cancellation that comes with its answer.
        while any(self._under_way.values()) and time.monotonic() < end:
            self._loop.call_soon_threadsafe(self._cut_off)
            self._await_all(1.0, lambda: False)

    def _await_all(self, patience_s: float, hurried: Callable[[], bool]) -> None:
        end = time.monotonic() + patience_s
        while any(self._under_way.values()) and time.monotonic() < end and not hurried():
            self.wait_for_an_end(0.1)

    def _begin(self, queue: QueueName, effect_id: str) -> None:
        task = self._loop.create_task(self._carried_out(effect_id), name=effect_id)
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._end(queue, ended))

    def _end(self, queue: QueueName, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with self._ended:
            self._under_way[queue] -= 1
            self._ended.notify_all()

    def _cut_off(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    async def _carried_out(self, effect_id: str) -> None:
        try:
            await self._attempt(effect_id)
        except LoopgateError as error:
            # The claim runs out and the sweep brings the effect back.
            log.warning("effect.unrecorded", effect_id=effect_id, error=str(error))
        except Exception:
            log.exception("effect.unrecorded", effect_id=effect_id)
