"""The worker process: RQ in the main thread, one event loop for every adapter in another, relay and sweep beside it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from types import FrameType
from typing import Any, TypeVar

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from gateway.jobs.queues import QueueName, rq_name
from gateway.jobs.relay import RELAY_LEASE, Relay
from gateway.jobs.tasks import Bench

log = structlog.stdlib.get_logger()

T = TypeVar("T")

#: How often an idle worker tells Redis that it lives, in seconds; RQ's default is seven minutes.
WORKER_TTL_S = 60

_PAUSE_S = 1.0


class EffectWorker(SimpleWorker):
    """An RQ worker that runs jobs in its own process, beside the event loop, and knows whether it was told to stop."""

    told_to_stop = False

    def procline(self, message: str) -> None:
        """Leave the process title alone: it is what operators look for."""

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Remember the signal: RQ's loop also ends by itself when the store goes away."""
        self.told_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def loop_in_thread(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own; on leaving, cancel what runs on it and close it."""
    loop = new_loop()
    thread = threading.Thread(target=loop.run_forever, name="loopgate-loop", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


def on_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run *work* on *loop* from another thread and return its result."""
    return asyncio.run_coroutine_threadsafe(work, loop).result()


@contextlib.contextmanager
def relaying(relay: Relay, hold: Callable[[timedelta], bool]) -> Iterator[None]:
    """Run *relay* in a thread of its own."""
    stop = threading.Event()
    thread = threading.Thread(
        target=relay.run, args=(lambda: hold(RELAY_LEASE), stop), name="loopgate-relay", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


def work(bench: Bench, client: Redis, queues: Sequence[QueueName]) -> None:
    """
    Serve *queues* until SIGTERM or SIGINT; the job in hand is finished first.

    A Redis that goes away ends RQ's own loop; it is begun again until the store is back.
    """
    Bench.current = bench
    names = [Queue(rq_name(name), connection=client, serializer=JSONSerializer) for name in queues]
    while True:
        worker = EffectWorker(names, connection=client, serializer=JSONSerializer, worker_ttl=WORKER_TTL_S)
        try:
            worker.work(logging_level="WARNING")
            if worker.told_to_stop:
                return
            time.sleep(_PAUSE_S)
        except RedisError as error:
            log.warning("worker.lost_store", error=str(error))
            time.sleep(_PAUSE_S)
        except StopRequested:
            return


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
