"""The worker process: RQ in the main thread, one event loop for every adapter in another, the relay beside them."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from redis import Redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError  # noqa: A004 - redis-py's names
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from gateway.cancelling import cancelled
from gateway.jobs.bench import Bench
from gateway.jobs.queues import QueueName, rq_name
from gateway.jobs.relay import RELAY_LEASE, Relay

log = structlog.stdlib.get_logger()

T = TypeVar("T")

#: After how many seconds of silence RQ counts a worker as gone; its default is seven minutes.
WORKER_TTL_S = 60

#: The longest one wait for a job, in seconds, and so how soon a signal to stop is heeded; while some queue is full,
#: the longest wait for room.
_LOOK_S = 1
_LOOK_AGAIN_S = 0.05

_PAUSE_S = 1.0


class StopSignal:
    """
    SIGTERM and SIGINT, remembered.

    Nothing is raised from the handler, as RQ does: an exception that may come between any two steps of the main thread
    leaves connections and locks half used. Whoever waits looks here often enough.
    """

    def __init__(self) -> None:
        self._times = 0

    @property
    def is_given(self) -> bool:
        """Whether this process was told to stop."""
        return self._times > 0

    @property
    def is_urgent(self) -> bool:
        """Whether it was told so again."""
        return self._times > 1

    def install(self) -> None:
        """Take the signals over, for as long as the process lives. In the main thread only."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: self.give())

    def give(self) -> None:
        """Tell this process to stop, as a signal does."""
        self._times += 1

    def sleep(self, seconds: float) -> None:
        """Sleep, but not on when told to stop."""
        end = time.monotonic() + seconds
        while not self.is_given and time.monotonic() < end:
            time.sleep(0.05)


class EffectWorker(SimpleWorker):
    """
    An RQ worker that puts effects on the bench by the id of their job, and goes on to the next.

    What a job in Redis says is to be called is never called: who can write there could otherwise run anything here.
    RQ's own commands by pub/sub are left out for the same reason. A job is gone once its effect is on the bench: that
    it is carried out is the claim's and the sweep's to see to, not RQ's.
    """

    def __init__(self, bench: Bench, client: Redis, names: Sequence[QueueName], stop: StopSignal) -> None:
        self._bench = bench
        self._stop = stop
        self._names = {rq_name(name): name for name in names}
        queues = [Queue(name, connection=client, serializer=JSONSerializer) for name in self._names]
        super().__init__(queues, connection=client, serializer=JSONSerializer, worker_ttl=WORKER_TTL_S)

    @property
    def dequeue_timeout(self) -> int:
        """How long one wait for a job is; from it RQ tells when a server that does not answer is gone."""
        return _LOOK_S

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,  # noqa: ARG002 - RQ's signature; how long one look takes is ours to say
        max_idle_time: int | None = None,  # noqa: ARG002 - an idle worker of ours waits on
    ) -> tuple[Job, Queue]:
        """
        Wait for a job of a queue that has room on the bench. A store that is away is waited for.

        Raises:
            StopRequested: When told to stop.
        """
        while not self._stop.is_given:
            try:
                if found := self._looked():
                    return found
            except DequeueTimeout:
                continue
            except (ConnectionError, TimeoutError) as error:
                log.warning("worker.lost_store", error=str(error))
                self._stop.sleep(_PAUSE_S)
        raise StopRequested

    def _looked(self) -> tuple[Job, Queue] | None:
        self.heartbeat()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
        roomy = [queue for queue in self.queues if self._bench.has_room(self._names[queue.name])]
        if len(roomy) == len(self.queues):
            return self._popped(roomy, _LOOK_S)
        # While some queue is full, room is what to wait for: Redis cannot tell of it.
        found = self._popped(roomy, None) if roomy else None
        if found is None:
            self._bench.wait_for_an_end(_LOOK_AGAIN_S)
        return found

    def _popped(self, queues: Sequence[Queue], timeout: int | None) -> tuple[Job, Queue] | None:
        return Queue.dequeue_any(queues, timeout, connection=self.connection, serializer=JSONSerializer)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Put the job's effect on the bench and forget the job."""
        self._bench.take(self._names[queue.name], job.id)
        with self.connection.pipeline(transaction=True) as pipeline:
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            pipeline.delete(job.key)
            pipeline.execute()

    def procline(self, message: str) -> None:
        """Leave the process title alone: it is what operators look for."""

    def subscribe(self) -> None:
        """Listen to no commands."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed to."""

    def _install_signal_handlers(self) -> None:
        """Leave signals to `StopSignal`."""


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


def work(bench: Bench, client: Redis, names: Sequence[QueueName], stop: StopSignal) -> None:
    """
    Serve the queues *names* until told to stop. *client* is RQ's alone: it changes the client's time-outs.

    A Redis that goes away may end RQ's own loop; it is begun again until the store is back.
    """
    while not stop.is_given:
        try:
            EffectWorker(bench, client, names, stop).work(logging_level="WARNING")
        except RedisError as error:
            log.warning("worker.lost_store", error=str(error))
        stop.sleep(_PAUSE_S)


async def _cancel_all() -> None:
    await cancelled(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
