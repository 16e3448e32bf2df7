"""The HTTP service: what one gateway process serves, from Slack's deliveries to probes, until it is told to stop."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial

import structlog
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.slack.app import create_bolt_app
from channels.slack.asgi import slack_routes
from channels.slack.members import INFORMED_EVERY, INFORMED_LEASE
from channels.slack.reception import Reception
from channels.slack.socket_mode.keeper import socket_mode
from gateway.admission import admitted
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
from gateway.backpressure import BackPressure
from gateway.coherence import incoherences
from gateway.identifiers import process_name
from gateway.intake.intake import intake_routes
from gateway.intake.sources import open_sources
from gateway.jobs.chores import Unending, doing
from gateway.listener import listening
from gateway.log import configure_logging
from gateway.metrics import Metrics
from gateway.probes import probe_routes
from gateway.seat import Seat
from gateway.server import Server
from gateway.settings import Settings
from gateway.storage.redis_openers import RedisOpeners
from gateway.stuck import ended_when_stuck
from gateway.tallies import Tallies
from gateway.wiring.parts import Parts, destinations, open_parts
from gateway.wiring.slack import gate_of, open_slack, slack_accounts, slack_installation, slack_people
from gateway.wiring.store import store_url

log = structlog.stdlib.get_logger()

#: The chore of asking Slack about people, one gateway's for all.
PEOPLE = "people"


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
        with listener or listening(settings.host, settings.port) as socket_:
            # A first full collection takes 50 ms and more, in the middle of somebody's click. What is here now is
            # here to stay, so it is looked through once, before we are ready, and never again.
            gc.collect()
            gc.freeze()
            host, port = socket_.getsockname()[:2]
            log.info("gateway.started", host=host, port=port, loops=sorted(parts.definitions.all()))
            server = Server(app, tallies, is_shared=listener is not None)
            # Alone it goes on, as nobody would start it again: what waits for it may still be answered.
            watch = ended_when_stuck(asyncio.get_running_loop(), settings.worker_stuck_s) if listener else nullcontext()
            with watch:
                await server.serve(sockets=[socket_])
        log.info("gateway.stopped")


@asynccontextmanager
async def open_app(parts: Parts) -> AsyncIterator[Starlette]:
    """Yield the application on *parts*."""
    mode = parts.settings.slack_mode
    installation = slack_installation(parts.configuration, mode)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_slack(parts))
        members, user_groups = slack_people(parts, client)
        asking = partial(members.stay_informed, *slack_accounts(parts.configuration))
        people = Unending(PEOPLE, asking, every=INFORMED_EVERY, lease=INFORMED_LEASE)
        await stack.enter_async_context(doing([people.chore], parts.leases, process_name()))
        stack.callback(asyncio.create_task(user_groups.stay_informed()).cancel)
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
        pressure = BackPressure(_waiting(parts), parts.settings.max_backlog)
        yield Starlette(
            routes=[
                *probe_routes(parts, [PEOPLE]),
                *from_slack,
                *await _api(parts, stack, pressure),
                *intake_routes(
                    open_sources(parts.configuration.sources, os.environ),
                    parts.engine,
                    let_in=pressure.let_in,
                    answered=lambda source, status: parts.metrics.deliveries.add(source, str(status)),
                ),
            ],
            exception_handlers={HTTPException: unrouted, Exception: _broke},
        )


async def _api(parts: Parts, stack: AsyncExitStack, pressure: BackPressure) -> list[Route]:
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
        let_in=pressure.let_in,
    )
    return api_routes(table, door)


def _waiting(parts: Parts) -> Callable[[], Awaitable[int]]:
    async def waiting() -> int:
        return (await parts.effects.backlog()).waiting

    return waiting


async def _broke(_: Request, error: Exception) -> Response:
    """Answer for a bug of ours: the log has it, the caller does not."""
    log.error("request.broke", error=type(error).__name__)
    return Problem(500, "internal_error", "this is a fault of Loopgate's own; its log says more").answer()
