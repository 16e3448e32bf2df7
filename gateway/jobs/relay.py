"""The relay: moves outbox entries into RQ. Handing over and removing are one MULTI, so none is lost or left behind."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer

from gateway.jobs.ports import Outbox, OutboxEntry
from gateway.jobs.queues import QUEUE_OF, QUEUES, QueueName, rq_name
from gateway.jobs.tasks import RUN_EFFECT
from loops.errors import LoopgateError

log = structlog.stdlib.get_logger()

#: How long the chore stays with a relay that died.
RELAY_LEASE = timedelta(seconds=3)

#: Entries handed over in one MULTI. Larger batches gain little (facts/redis-rq: 20 -> 100 is 3,904 -> 4,817 jobs/s).
BATCH = 100


class Relay:
    """
    One relay at a time holds the lease; a second one would only enqueue jobs that find nothing to do.

    *client* is of the relay's own: RQ's workers change the time-outs of theirs.
    """

    def __init__(self, outbox: Outbox, client: Redis) -> None:
        self._outbox = outbox
        self._client = client
        self._queues: dict[QueueName, Queue] = {
            name: Queue(rq_name(name), connection=client, serializer=JSONSerializer) for name in QUEUES
        }

    def run(self, hold: Callable[[], bool], stop: threading.Event) -> None:
        """Hand over until *stop* is set, while *hold* says the chore is ours; a store that is away is tried again."""
        while not stop.is_set():
            try:
                if hold():
                    self.once(wait_s=RELAY_LEASE.total_seconds() / 3)
                else:
                    stop.wait(RELAY_LEASE.total_seconds() / 6)
            except (LoopgateError, RedisError) as error:
                log.warning("relay.failed", error=str(error))
                stop.wait(1)
            except Exception:
                log.exception("relay.broke")
                stop.wait(1)

    def once(self, wait_s: float = 0) -> int:
        """Hand over one batch, waiting up to *wait_s* for the first entry; return how many there were."""
        entries = self._outbox.peek(BATCH, wait_s)
        if entries:
            with self._client.pipeline(transaction=True) as pipeline:
                for name, queue in self._queues.items():
                    if jobs := _jobs(name, entries):
                        queue.enqueue_many(jobs, pipeline=pipeline)
                self._outbox.remove(pipeline, entries)
                pipeline.execute()
        if strange := [entry.effect_id for entry in entries if entry.kind not in QUEUE_OF]:
            # A newer Loopgate's: the sweep puts it back for that one to take. Left here it would hold up all others.
            log.error("relay.unknown_kind", effect_ids=strange)
        return len(entries)


def _jobs(name: QueueName, entries: Sequence[OutboxEntry]) -> list[EnqueueData]:
    # Each effect once: RQ refuses a batch that names a job twice.
    kinds = {entry.effect_id: entry.kind for entry in entries if QUEUE_OF.get(entry.kind) == name}
    return [
        Queue.prepare_data(
            RUN_EFFECT, args=[effect_id], job_id=effect_id, result_ttl=0, description=f"{kind} {effect_id}"
        )
        for effect_id, kind in kinds.items()
    ]
