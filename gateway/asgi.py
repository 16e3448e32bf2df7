"""The HTTP service: Slack's deliveries, webhooks, and whether this process is well."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channels.slack.app import create_bolt_app
from channels.slack.asgi import slack_routes
from channels.slack.reception import Reception
from channels.slack.socket_mode.keeper import socket_mode
from gateway.accepting import Acceptor
from gateway.admission import admitted, standing
from gateway.api.api import api_routes
from gateway.api.approvals import Approvals
from gateway.api.bell import Bell
from gateway.api.endpoint import Door
from gateway.api.events import Events
from gateway.api.loops import Loops
from gateway.api.problems import Problem, unrouted
from gateway.api.runs import Runs
from gateway.api.subscriptions import Subscriptions
from gateway.api.table import endpoints
from gateway.coherence import incoherences
from gateway.head_limits import HeadLimits
from gateway.identifiers import process_name
from gateway.intake.backpressure import BackPressure
from gateway.intake.intake import intake_routes, open_sources
from gateway.jobs.queues import QUEUE_OF
from gateway.leash import say_ready
from gateway.listener import listening
from gateway.log import configure_logging
from gateway.metrics import CONTENT_TYPE, Metrics
from gateway.seat import Seat
from gateway.settings import Settings
from gateway.storage.health import Verdict
from gateway.storage.redis_openers import RedisOpeners
from gateway.stuck import ended_when_stuck
from gateway.tallies import CONNECTIONS, Tallies
from gateway.wiring import (
    Parts,
    destinations,
    gate_of,
    lanes,
    open_parts,
    open_slack,
    slack_accounts,
    slack_installation,
    slack_people,
    store_url,
)
from loops.errors import StoreUnavailable

log = structlog.stdlib.get_logger()

#: How long open requests may go on after SIGTERM. Slack waits three seconds for any of them.
DRAIN_S = 5

#: Connections open at once; one more is told 503 at once, before it costs memory.
CONNECTIONS_MAX = 1_000


def serve(settings: Settings, seat: Seat | None = None) -> None:
    """
    Serve HTTP until SIGTERM or SIGINT; requests in hand are answered first.

    Args:
        seat: Of a process beside others at one address; without one this process is alone there.

    Raises:
        ConfigurationError, InvalidLoopFiles, UnusableSource: If the service cannot start as configured.
        Rejected: If the port cannot be had.
    """
    configure_logging(settings.log_format, settings.log_level)
    listener, tallies = None, Tallies()
    if seat:
        structlog.contextvars.bind_contextvars(place=seat.place)
        listener, tallies = seat.take()
    with store_url(settings) as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, url, tallies, listener))


async def _serve(settings: Settings, url: str, tallies: Tallies, listener: socket.socket | None) -> None:
    async with (
        open_parts(settings, url, Metrics(tallies)) as parts,
        admitted(parts, process_name()),
        open_app(parts) as app,
    ):
        config = uvicorn.Config(
            app,
            http=HeadLimits,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=DRAIN_S,
        )
        with listener or listening(settings) as socket_:
            # A first full collection takes 50 ms and more, in the middle of somebody's click. What is here now is
            # here to stay, so it is looked through once, before we are ready, and never again.
            gc.collect()
            gc.freeze()
            host, port = socket_.getsockname()[:2]
            log.info("gateway.started", host=host, port=port, loops=sorted(parts.definitions.all()))
            server = _Server(config, tallies, is_shared=listener is not None)
            # Alone it goes on, as nobody would start it again: what waits for it may still be answered.
            watch = ended_when_stuck(asyncio.get_running_loop(), settings.worker_stuck_s) if listener else nullcontext()
            with watch:
                await server.serve(sockets=[socket_])
        log.info("gateway.stopped")


class _Server(uvicorn.Server):
    """
    Ends by returning. uvicorn's own raises the signal again, and so dies of it before anything is tidied up.

    Where others accept at the same socket, connections are shared out.
    """

    def __init__(self, config: uvicorn.Config, tallies: Tallies, *, is_shared: bool) -> None:
        super().__init__(config)
        self._tallies = tallies
        self._is_shared = is_shared

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Turn SIGTERM and SIGINT into an orderly end; a second SIGINT does not wait for open requests."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, self.handle_exit, each, None)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and tell whoever keeps this process up."""
        if self._is_shared and sockets:
            await self.lifespan.startup()
            self.servers = [Acceptor(each, self._tallies, self._protocol, self._connections) for each in sockets]  # type: ignore[misc]
            self.started = True
        else:
            await super().startup(sockets)
        say_ready()

    async def on_tick(self, counter: int) -> bool:
        """Say how many connections there are, ten times a second."""
        self._tallies.set_level(CONNECTIONS, self._connections())
        return await super().on_tick(counter)

    def _connections(self) -> int:
        return len(self.server_state.connections)

    def _protocol(self) -> asyncio.Protocol:
        return HeadLimits(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )


@asynccontextmanager
async def open_app(parts: Parts) -> AsyncIterator[Starlette]:
    """Yield the application on *parts*."""
    mode = parts.settings.slack_mode
    installation = slack_installation(parts.configuration, mode)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_slack(parts))
        members, user_groups = slack_people(parts, client)
        users, emails = slack_accounts(parts.configuration)
        if parts.metrics.tallies.place:
            # What is learned of people is kept for all, so of the processes at one address the first one asks.
            users, emails = [], []
        for informing in (members.stay_informed(users, emails), user_groups.stay_informed()):
            stack.callback(asyncio.create_task(informing).cancel)
        bolt = create_bolt_app(
            installation,
            client,
            gate=gate_of(parts),
            directory=parts.directory,
            members=members,
            openers=RedisOpeners(parts.client),
            user_groups=user_groups,
        )
        from_slack: list[Route] = []
        if mode == "socket":
            reception = Reception(bolt, installation)
            counts = parts.metrics.socket_counts()
            taking = socket_mode(reception, client, installation, seen=parts.seen, counts=counts)
            await stack.enter_async_context(taking)
        else:
            from_slack = slack_routes(bolt, installation, seen=parts.seen, clock=parts.clock)
        yield Starlette(
            routes=[
                Route("/healthz", _healthy),
                Route("/readyz", _readiness(parts)),
                Route("/metrics", _scraped(parts)),
                *from_slack,
                *await _api(parts, stack),
                *intake_routes(
                    open_sources(parts.configuration.sources, os.environ),
                    parts.engine,
                    let_in=BackPressure(_waiting(parts), parts.settings.max_backlog).let_in,
                    answered=lambda source, status: parts.metrics.deliveries.add(source, str(status)),
                ),
            ],
            exception_handlers={HTTPException: unrouted, Exception: _broke},
        )


async def _api(parts: Parts, stack: AsyncExitStack) -> list[Route]:
    """Return the routes of the API, behind its door."""
    bell = Bell(parts.feed)
    listening = asyncio.create_task(bell.listen(), name="bell")
    stack.callback(listening.cancel)
    table = endpoints(
        Loops(parts.engine, parts.store, parts.effects, parts.definitions, parts.ids, parts.directory, parts.archives),
        Approvals(
            parts.engine,
            parts.store,
            parts.ids,
            parts.directory,
            parts.configuration.adhoc,
            lambda definition: incoherences(definition, parts.configuration),
            bell,
        ),
        Runs(parts.store, parts.checkpoints, parts.clock),
        Events(parts.feed, bell, parts.api_keys, parts.clock),
        Subscriptions(parts.subscriptions, parts.feed, parts.clock, parts.ids, destinations(parts.configuration)),
    )
    door = Door(
        parts.api_keys,
        parts.clock.now,
        key_limit=parts.settings.api_key_limit,
        tenant_limit=parts.settings.api_tenant_limit,
    )
    return api_routes(table, door)


async def _healthy(_: Request) -> Response:
    """Say that the process runs; nothing more."""
    return JSONResponse({"status": "ok"})


def _readiness(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        """Say whether what is sent here can be recorded: 503 with the reasons where it cannot."""
        try:
            verdict = await standing(parts)
            standings = await parts.lanes.standing(sorted(lanes(parts.configuration)))
        except StoreUnavailable as error:
            # Where the store is, is for our log: anybody may ask this.
            log.warning("store.away", error=str(error))
            verdict, standings = Verdict(troubled=("the store does not answer",)), []
        allowed = verdict.unfit if parts.settings.unfit_store else ()
        if problems := [each for each in (*verdict.unfit, *verdict.troubled) if each not in allowed]:
            return JSONResponse({"status": "unready", "error": "; ".join(problems)}, 503, {"Retry-After": "2"})
        # A system of record that is down is no reason to send people elsewhere: what is recorded here waits for it.
        let_be = [standing.name for standing in standings if standing.circuit != "closed"]
        warnings = {"warnings": allowed} if allowed else {}
        loops = sorted(parts.definitions.all())
        return JSONResponse({"status": "ready", "loops": loops, "openCircuits": let_be, **warnings})

    return ready


def _waiting(parts: Parts) -> Callable[[], Awaitable[int]]:
    async def waiting() -> int:
        return (await parts.effects.backlog()).waiting

    return waiting


def _scraped(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    async def scraped(_: Request) -> Response:
        """Answer a scrape; a store that is away is a figure too."""
        metrics = parts.metrics
        try:
            backlog = await parts.effects.backlog()
            standings = await parts.lanes.standing(sorted(lanes(parts.configuration)))
        except StoreUnavailable as error:
            log.warning("store.away", error=str(error))
            metrics.store_up.set(0)
        else:
            metrics.store_up.set(1)
            metrics.outbox.set(backlog.outbox)
            for heap in backlog.heaps:
                labels = (QUEUE_OF[heap.kind], heap.kind, heap.state)
                metrics.effects.labels(*labels).set(heap.count)
                metrics.oldest.labels(*labels).set(heap.oldest.total_seconds())
            for standing in standings:
                metrics.circuits.labels(standing.name).set(standing.circuit != "closed")
                metrics.lanes.labels(standing.name, "inside").set(standing.inside)
                metrics.lanes.labels(standing.name, "waiting").set(standing.waiting)
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return scraped


async def _broke(_: Request, error: Exception) -> Response:
    """Answer for a bug of ours: the log has it, the caller does not."""
    log.error("request.broke", error=type(error).__name__)
    return Problem(500, "internal_error", "this is a fault of Loopgate's own; its log says more").answer()
