"""The worker process: opens its parts on an event loop of its own and serves RQ's queues until it is told to stop."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
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
from gateway.listener import FOR_PROBES, listening
from gateway.log import configure_logging
from gateway.metrics import Metrics
from gateway.sealing import seal
from gateway.seat import Seat
from gateway.settings import Settings
from gateway.storage.connect import connect_sync
from gateway.storage.outbox import Outbox
from gateway.stuck import ended_when_stuck
from gateway.tallies import Tallies
from gateway.wiring.parts import Parts, destinations, open_parts, tenants
from gateway.wiring.slack import open_slack, slack_channel, slack_following
from gateway.wiring.store import store_url
from gateway.wiring.work import archivist, effect_runner, open_handlers
from loops.errors import Unavailable

log = structlog.stdlib.get_logger()

T = TypeVar("T")

#: The lease of who hands effects over to RQ.
RELAY = "relay"

#: How long effects under way may go on after SIGTERM, in seconds; a second signal does not wait. What is cut off is
#: taken up by another worker.
DRAIN_S = 20.0


def work(settings: Settings, queues: Sequence[QueueName], seat: Seat | None = None) -> None:
    """
    Carry out effects of *queues* until SIGTERM or SIGINT.

    Args:
        seat: Of a worker beside others that answer probes at one address; without one this process is alone there.

    Raises:
        ConfigurationError, InvalidLoopFiles: If this worker cannot start as configured.
        Rejected: If the port for probes cannot be had.
    """
    configure_logging(settings.log_format, settings.log_level)
    probed = _probed(settings, seat)
    stop = StopSignal()
    stop.install()
    holder = process_name()
    with (
        store_url(settings) as url,
        loop_in_thread(uvloop.new_event_loop) as loop,
        _entered(_workshop(settings, url, holder, probed), loop) as (parts, runner),
        connect_sync(url) as relay_client,
        connect_sync(url) as rq_client,
        contextlib.ExitStack() as stack,
    ):

        def hold(ttl: timedelta) -> bool:
            return on_loop(loop, parts.leases.hold(RELAY, holder, ttl))

        def let_go() -> None:
            with contextlib.suppress(Unavailable):
                on_loop(loop, parts.leases.let_go(RELAY, holder))

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


@dataclass(frozen=True, slots=True)
class _Probed:
    """Where this worker answers probes, if anywhere, and what it counts on."""

    listener: socket.socket | None
    tallies: Tallies
    is_shared: bool = False


def _probed(settings: Settings, seat: Seat | None) -> _Probed:
    if seat:
        structlog.contextvars.bind_contextvars(place=seat.place)
        return _Probed(*seat.take(), is_shared=True)
    if settings.worker_port is None:
        return _Probed(None, Tallies())
    listener = listening(settings.worker_host, settings.worker_port, set_by=FOR_PROBES)
    host, port = listener.getsockname()[:2]
    log.info("worker.answering", host=host, port=port)
    return _Probed(listener, Tallies())


@asynccontextmanager
async def _workshop(
    settings: Settings, url: str, holder: str, probed: _Probed
) -> AsyncIterator[tuple[Parts, EffectRunner]]:
    """Yield the parts and the runner, with the chores going on beside them, and probes answered."""
    async with (
        open_parts(settings, url, Metrics(probed.tallies)) as parts,
        admitted(parts, holder),
        open_handlers(parts) as handlers,
        screened_client(destinations(parts.configuration)) as http,
        open_slack(parts) as slack,
    ):
        warn, following = slack_channel(parts, slack).warn, slack_following(parts, slack)
        follow = Chore("home", following.once, FOLLOW_EVERY, FOLLOW_LEASE)
        chores = [*_chores(parts, http, warn), follow]
        # Those that some worker always has: the others have their pauses.
        held = [RELAY, *(each.name for each in chores if each.lease and not each.is_put_off)]
        async with doing(chores, parts.leases, holder), _answering(parts, probed, held):
            yield parts, effect_runner(parts, handlers)


def _answering(parts: Parts, probed: _Probed, chores: Sequence[str]) -> AbstractAsyncContextManager[None]:
    if probed.listener is None:
        return nullcontext()
    # Imported where it is needed: a web server is some megabytes, and most workers have none.
    from gateway.answering import answering  # noqa: PLC0415

    return answering(parts, probed.listener, chores, is_shared=probed.is_shared)


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
