"""The HTTP service: Slack's deliveries, webhooks, and whether this process is well."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

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
from channels.slack.client import slack_client
from gateway.gate import EngineGate
from gateway.intake.intake import intake_routes, open_sources
from gateway.log import configure_logging
from gateway.settings import Settings
from gateway.storage import health
from gateway.wiring import Parts, open_parts, slack_installation, store_url
from loops.errors import StoreUnavailable

log = structlog.stdlib.get_logger()

#: How long open requests may go on after SIGTERM. Slack waits three seconds for any of them.
DRAIN_S = 5


def serve(settings: Settings) -> None:
    """
    Serve HTTP until SIGTERM or SIGINT; requests in hand are answered first.

    Raises:
        ConfigurationError, InvalidLoopFiles: If the service cannot start as configured.
    """
    configure_logging(settings.log_format, settings.log_level)
    with store_url(settings) as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, url))


async def _serve(settings: Settings, url: str) -> None:
    async with open_parts(settings, url) as parts, open_app(parts) as app:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
        )
        log.info("gateway.started", host=settings.host, port=settings.port, loops=sorted(parts.definitions.all()))
        await uvicorn.Server(config).serve()
        log.info("gateway.stopped")


@asynccontextmanager
async def open_app(parts: Parts) -> AsyncIterator[Starlette]:
    """Yield the application on *parts*."""
    installation = slack_installation(parts.configuration)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(slack_client(installation))
        bolt = create_bolt_app(
            installation, client, gate=EngineGate(parts.engine, parts.store), directory=parts.directory
        )
        yield Starlette(
            routes=[
                Route("/healthz", _healthy),
                Route("/readyz", _readiness(parts)),
                *slack_routes(bolt, installation, seen=parts.seen, clock=parts.clock),
                *intake_routes(open_sources(parts.configuration.sources, os.environ), parts.engine),
            ],
            exception_handlers={HTTPException: _refused, Exception: _broke},
        )


async def _healthy(_: Request) -> Response:
    """Say that the process runs; nothing more."""
    return JSONResponse({"status": "ok"})


def _readiness(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        """Say whether what is sent here can be recorded: 503 with the reasons where it cannot."""
        try:
            problems = await health.check(parts.client)
        except StoreUnavailable as error:
            problems = [str(error)]
        if problems:
            return JSONResponse({"status": "unready", "error": "; ".join(problems)}, 503, {"Retry-After": "2"})
        return JSONResponse({"status": "ready", "loops": sorted(parts.definitions.all())})

    return ready


async def _refused(_: Request, error: Exception) -> Response:
    """Answer what no route takes, as every other refusal is answered."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse(
        {"error": {404: "not_found", 405: "method_not_allowed"}.get(status, "refused")}, status, headers
    )


async def _broke(_: Request, error: Exception) -> Response:
    """Answer for a bug of ours: the log has it, the caller does not."""
    log.error("request.broke", error=type(error).__name__)
    return JSONResponse({"error": "internal_error"}, 500)
