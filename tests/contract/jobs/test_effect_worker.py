"""RQ's worker and the bench on a real server: every effect taken once, what a job says to call never called."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from patience import PATIENCE_S
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from gateway.jobs.bench import Bench
from gateway.jobs.queues import QUEUES, QueueName, rq_name
from gateway.jobs.rq_worker import StopSignal, loop_in_thread, work
from gateway.jobs.tasks import RUN_EFFECT
from gateway.storage.connect import connect_sync


class Attempts:
    """What was attempted; effects whose id begins with ``slow`` wait until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = threading.Event()
        self._changed = threading.Condition()

    async def attempt(self, effect_id: str) -> None:
        """Note it, and wait if it is slow."""
        with self._changed:
            self.begun.append(effect_id)
            self._changed.notify_all()
        while effect_id.startswith("slow") and not self.go.is_set():  # noqa: ASYNC110 - the other side is a thread
            await asyncio.sleep(0.001)

    def until(self, *effect_ids: str) -> None:
        """Wait until all *effect_ids* were begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: set(effect_ids) <= set(self.begun), PATIENCE_S), self.begun


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """A connection to put jobs in with."""
    with connect_sync(redis_url) as connected:
        yield connected


@contextmanager
def working(redis_url: str, attempts: Attempts, names: Sequence[QueueName] = QUEUES, places: int = 2) -> Iterator[None]:
    """Run a worker of the queues *names* for the length of the block."""
    stop = StopSignal()
    with loop_in_thread(asyncio.new_event_loop) as loop, connect_sync(redis_url) as own:
        bench = Bench(loop, attempts.attempt, places)
        thread = threading.Thread(target=work, args=(bench, own, names, stop))
        thread.start()
        try:
            yield
        finally:
            stop.give()
            attempts.go.set()
            thread.join(PATIENCE_S)
            bench.close(PATIENCE_S)
    assert not thread.is_alive()


def put(client: Redis, name: QueueName, *effect_ids: str, calls: str = RUN_EFFECT) -> None:
    """Put jobs into a queue, as the relay does."""
    queue = Queue(rq_name(name), connection=client, serializer=JSONSerializer)
    queue.enqueue_many(
        [Queue.prepare_data(calls, args=[effect_id], job_id=effect_id, result_ttl=0) for effect_id in effect_ids]
    )


@pytest.mark.parametrize("names", [QUEUES, ("cards",)], ids=["every queue", "one queue"])
def test_every_job_is_taken_once_and_leaves_nothing_behind(
    redis_url: str, client: Redis, names: Sequence[QueueName]
) -> None:
    """Twenty effects begin once each; of their jobs no key stays, also where RQ moves them through a second list."""
    ids = [f"ef_{number}" for number in range(20)]
    attempts = Attempts()
    with working(redis_url, attempts, names):
        put(client, "cards", *ids)
        attempts.until(*ids)
    left = [key for key in client.scan_iter("rq:*") if b"ef_" in key]
    lists = [key for key in client.scan_iter("rq:queue:*") if client.type(key) == b"list"]

    assert sorted(attempts.begun) == sorted(ids)
    assert left == []
    assert lists == []


def test_what_a_job_says_to_call_is_not_called(redis_url: str, client: Redis) -> None:
    """Whoever can write to Redis can name any function there; here it is only an effect's id that counts."""
    attempts = Attempts()
    with working(redis_url, attempts):
        put(client, "cards", "ef_evil", calls="builtins.exit")
        put(client, "cards", "ef_good")
        attempts.until("ef_evil", "ef_good")

    assert attempts.begun == ["ef_evil", "ef_good"]


def test_a_job_that_cannot_be_read_stops_nobody(redis_url: str, client: Redis) -> None:
    """A job that is no job, or whose hash is gone, is passed over."""
    client.hset("rq:job:ef_junk", mapping={"created_at": "yesterday", "data": b"\x80junk"})
    client.rpush(f"rq:queue:{rq_name('cards')}", "ef_junk", "ef_gone")
    attempts = Attempts()
    with working(redis_url, attempts):
        put(client, "cards", "ef_good")
        attempts.until("ef_good")


def test_effects_of_one_queue_do_not_wait_for_those_of_another(redis_url: str, client: Redis) -> None:
    """With every place of the integrations taken by ones that hang, cards go on."""
    attempts = Attempts()
    with working(redis_url, attempts, places=2):
        put(client, "integrations", "slow_1", "slow_2", "slow_3")
        attempts.until("slow_1", "slow_2")
        put(client, "cards", "ef_1", "ef_2", "ef_3")
        attempts.until("ef_1", "ef_2", "ef_3")
        waiting = "slow_3" not in attempts.begun
        attempts.go.set()
        attempts.until("slow_3")

    assert waiting


def test_a_worker_stops_when_told_though_every_place_is_taken(redis_url: str, client: Redis) -> None:
    """Told to stop while it waits for room, the worker takes no further effect and ends."""
    attempts = Attempts()
    with working(redis_url, attempts, ("cards",), places=1):
        put(client, "cards", "slow_1", "ef_2")
        attempts.until("slow_1")

    assert attempts.begun == ["slow_1"]
