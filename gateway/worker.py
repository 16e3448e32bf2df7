"""The worker process: opens its parts on an event loop of its own and serves RQ's queues until it is told to stop."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TypeVar

import structlog
import uvloop

from gateway.jobs.queues import QueueName
from gateway.jobs.relay import Relay
from gateway.jobs.rq_worker import loop_in_thread, on_loop, relaying
from gateway.jobs.rq_worker import work as serve_queues
from gateway.jobs.runner import EffectRunner, RetryPolicy
from gateway.jobs.sweep import Sweep
from gateway.jobs.tasks import Bench
from gateway.log import configure_logging
from gateway.settings import Settings
from gateway.storage.connect import connect_sync
from gateway.storage.outbox import Outbox
from gateway.wiring import Parts, open_handlers, open_parts, store_url

log = structlog.stdlib.get_logger()

T = TypeVar("T")

#: What RQ waits beyond an effect's own time-out before it interrupts the job.
_MARGIN = timedelta(seconds=10)


def work(settings: Settings, queues: Sequence[QueueName]) -> None:
    """
    Carry out effects of *queues* until SIGTERM or SIGINT.

    Raises:
        ConfigurationError, InvalidLoopFiles: If this worker cannot start as configured.
    """
    configure_logging(settings.log_format, settings.log_level)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    policy = RetryPolicy(
        lease=timedelta(seconds=settings.effect_lease_s),
        timeout=timedelta(seconds=settings.effect_timeout_s),
        attempts=settings.effect_attempts,
        base=timedelta(seconds=settings.retry_base_s),
    )
    with (
        store_url(settings) as url,
        loop_in_thread(uvloop.new_event_loop) as loop,
        _entered(_workshop(settings, url, holder, policy), loop) as (parts, runner),
    ):
        client = connect_sync(url)
        relay = Relay(Outbox(client), client, policy.timeout + _MARGIN)

        def hold(ttl: timedelta) -> bool:
            return on_loop(loop, parts.leases.hold("relay", holder, ttl))

        log.info("worker.started", queues=list(queues), holder=holder)
        with relaying(relay, hold):
            serve_queues(Bench(loop, runner), client, queues)
        log.info("worker.stopped", holder=holder)


@asynccontextmanager
async def _workshop(
    settings: Settings, url: str, holder: str, policy: RetryPolicy
) -> AsyncIterator[tuple[Parts, EffectRunner]]:
    """Yield the parts and the runner, with the sweep going on beside them."""
    async with open_parts(settings, url) as parts, open_handlers(parts) as handlers:
        sweep = Sweep(
            holder,
            parts.effects,
            parts.deadlines,
            parts.leases,
            parts.engine,
            parts.clock,
            grace=timedelta(seconds=settings.effect_grace_s),
            every=timedelta(seconds=settings.sweep_every_s),
        )
        sweeping = asyncio.create_task(sweep.run(), name="sweep")
        try:
            yield parts, EffectRunner(parts.effects, handlers, policy)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            for chore in ("relay", "sweep"):
                await parts.leases.let_go(chore, holder)


@contextmanager
def _entered(opened: AbstractAsyncContextManager[T], loop: asyncio.AbstractEventLoop) -> Iterator[T]:
    """Enter an async context manager on *loop* from this thread, and leave it there."""
    value = on_loop(loop, opened.__aenter__())
    try:
        yield value
    finally:
        on_loop(loop, opened.__aexit__(None, None, None))
