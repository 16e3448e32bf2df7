"""The worker process: opens its parts on an event loop of its own and serves RQ's queues until it is told to stop."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from typing import TypeVar

import httpx2
import structlog
import uvloop

from channels.slack.following import FOLLOW_EVERY, FOLLOW_LEASE
from gateway.admission import admitted
from gateway.archiving import ARCHIVING, ARCHIVING_LEASE
from gateway.delivering import DELIVERING_EVERY, DELIVERING_LEASE, Deliverer, Warn
from gateway.destinations import screened_client
from gateway.identifiers import process_name
from gateway.jobs.bench import Bench
from gateway.jobs.chores import Chore, doing
from gateway.jobs.queues import QueueName
from gateway.jobs.reconcile import RECONCILE_LEASE, Reconciler
from gateway.jobs.relay import Relay
from gateway.jobs.rq_worker import StopSignal, loop_in_thread, on_loop, relaying
from gateway.jobs.rq_worker import work as serve_queues
from gateway.jobs.runner import EffectRunner
from gateway.jobs.sweep import SWEEP_LEASE, Sweep
from gateway.leash import say_ready
from gateway.log import configure_logging
from gateway.sealing import seal
from gateway.settings import Settings
from gateway.storage.connect import connect_sync
from gateway.storage.outbox import Outbox
from gateway.stuck import ended_when_stuck
from gateway.wiring import (
    Parts,
    archivist,
    destinations,
    effect_runner,
    open_handlers,
    open_parts,
    open_slack,
    slack_channel,
    slack_following,
    store_url,
    tenants,
)
from loops.errors import Unavailable

log = structlog.stdlib.get_logger()

T = TypeVar("T")

#: How long effects under way may go on after SIGTERM, in seconds; a second signal does not wait. What is cut off is
#: taken up by another worker.
DRAIN_S = 20.0


def work(settings: Settings, queues: Sequence[QueueName]) -> None:
    """
    Carry out effects of *queues* until SIGTERM or SIGINT.

    Raises:
        ConfigurationError, InvalidLoopFiles: If this worker cannot start as configured.
    """
    configure_logging(settings.log_format, settings.log_level)
    stop = StopSignal()
    stop.install()
    holder = process_name()
    with (
        store_url(settings) as url,
        loop_in_thread(uvloop.new_event_loop) as loop,
        _entered(_workshop(settings, url, holder), loop) as (parts, runner),
        connect_sync(url) as relay_client,
        connect_sync(url) as rq_client,
        contextlib.ExitStack() as stack,
    ):

        def hold(ttl: timedelta) -> bool:
            return on_loop(loop, parts.leases.hold("relay", holder, ttl))

        def let_go() -> None:
            with contextlib.suppress(Unavailable):
                on_loop(loop, parts.leases.let_go("relay", holder))

        stack.callback(let_go)
        stack.enter_context(ended_when_stuck(loop, settings.worker_stuck_s))
        bench = Bench(loop, runner.run, settings.effect_concurrency)
        # What is here now is here to stay: later collections need not walk through it.
        gc.collect()
        gc.freeze()
        say_ready()
        log.info("worker.started", queues=list(queues), holder=holder)
        try:
            with relaying(Relay(Outbox(relay_client), relay_client), hold):
                serve_queues(bench, rq_client, queues, stop)
        finally:
            bench.close(DRAIN_S, hurried=lambda: stop.is_urgent)
    log.info("worker.stopped", holder=holder)


@asynccontextmanager
async def _workshop(settings: Settings, url: str, holder: str) -> AsyncIterator[tuple[Parts, EffectRunner]]:
    """Yield the parts and the runner, with the chores going on beside them."""
    async with (
        open_parts(settings, url) as parts,
        admitted(parts, holder),
        open_handlers(parts) as handlers,
        screened_client(destinations(parts.configuration)) as http,
        open_slack(parts) as slack,
    ):
        warn, following = slack_channel(parts, slack).warn, slack_following(parts, slack)
        follow = Chore("home", following.once, FOLLOW_EVERY, FOLLOW_LEASE)
        async with doing([*_chores(parts, http, warn), follow], parts.leases, holder):
            yield parts, effect_runner(parts, handlers)


def _chores(parts: Parts, http: httpx2.AsyncClient, warn: Warn) -> Iterator[Chore]:
    """Yield what workers do beside their effects, mostly one for all. Over *http* subscribers get their events."""
    settings = parts.settings
    sweep_every = timedelta(seconds=settings.sweep_every_s)
    grace = timedelta(seconds=settings.effect_grace_s)
    sweep = Sweep(parts.effects, parts.deadlines, parts.engine, parts.clock, grace=grace)
    yield Chore("sweep", sweep.put_back, sweep_every, SWEEP_LEASE)
    yield Chore("deadlines", sweep.fall_due, sweep_every, lease=None)
    reconciler = Reconciler(parts.cards, parts.effects, parts.store, parts.engine)
    yield Chore("cards", reconciler.once, sweep_every, RECONCILE_LEASE)
    deliverer = Deliverer(parts.subscriptions, parts.feed, parts.clock, http, warn=warn)
    yield Chore("subscriptions", deliverer.begin, DELIVERING_EVERY, DELIVERING_LEASE, deliverer.leave_off)
    seal_every = timedelta(seconds=settings.seal_every_s)
    seal_all = partial(seal, tenants(parts.configuration), parts.store, parts.checkpoints, parts.clock)
    yield Chore("sealing", seal_all, seal_every, seal_every, is_put_off=True)
    if archives := archivist(parts):
        archive_every = timedelta(seconds=settings.archive_every_s)
        yield Chore(ARCHIVING, archives.once, archive_every, ARCHIVING_LEASE, is_put_off=True)


@contextmanager
def _entered(opened: AbstractAsyncContextManager[T], loop: asyncio.AbstractEventLoop) -> Iterator[T]:
    """Enter an async context manager on *loop* from this thread, and leave it there."""
    value = on_loop(loop, opened.__aenter__())
    try:
        yield value
    finally:
        on_loop(loop, opened.__aexit__(None, None, None))
