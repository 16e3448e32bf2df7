"""The ASGI application: routes, lifespan, and the guard that keeps it to this machine."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from channels.slack_sandbox import answers, page, uploads, web_api
from channels.slack_sandbox.config import SandboxConfig, is_loopback
from channels.slack_sandbox.control.routes import ROUTES as CONTROL
from channels.slack_sandbox.events_api import send_url_verification
from channels.slack_sandbox.refusal import JsonObject, SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox

#: Bytes a request may bring; a view is at most 250 kB. A file could be far larger in Slack; ours are not.
BODY_BYTES_MAX = 4_000_000


def create_app(
    config: SandboxConfig,
    transport: httpx2.AsyncBaseTransport | None = None,
    machine: Callable[[], float] = time.time,
) -> Starlette:
    """
    A sandbox as an ASGI app; its `Sandbox` is ``app.state.sandbox``.

    Args:
        transport: Takes the deliveries instead of the network, such as ``httpx2.ASGITransport(app)`` in tests.
        machine: The machine's time, in seconds since the epoch.
    """
    sandbox = Sandbox(config, transport, machine)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if config.verify_url_on_start:
            sandbox.in_background(send_url_verification(sandbox))
        yield
        await sandbox.aclose()

    app = Starlette(
        routes=[
            Route("/api/{method}", web_api.call, methods=["GET", "POST"]),
            Route("/actions/{team}/{number}/{secret}", _response_url, methods=["POST"]),
            Route("/commands/{team}/{number}/{secret}", _response_url, methods=["POST"]),
            *uploads.ROUTES,
            *CONTROL,
            *page.ROUTES,
        ],
        middleware=[Middleware(_LoopbackOnly)],
        lifespan=lifespan,
        max_body_size=BODY_BYTES_MAX,
    )
    app.state.sandbox = sandbox
    return app


async def _response_url(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    try:
        answer = _posted(await request.body(), request.headers.get("content-type", ""))
        origin = sandbox.response_urls.use(request.path_params["secret"])
        answers.take_response_url_post(sandbox, origin, answer)
    except SlackRefusal as refusal:
        return JSONResponse(refusal.body(), refusal.status if refusal.status != 200 else 400)
    return PlainTextResponse("ok")


def _posted(body: bytes, content_type: str) -> JsonObject:
    try:
        if content_type.startswith("application/x-www-form-urlencoded"):
            fields = dict(parse_qsl(body.decode()))
            answer: Any = json.loads(fields["payload"]) if "payload" in fields else fields
        else:
            answer = json.loads(body)
    except ValueError as error:
        raise SlackRefusal("invalid_payload", status=400) from error
    if not isinstance(answer, dict):
        raise SlackRefusal("invalid_payload", status=400)
    return answer


class _LoopbackOnly:
    """Refuses requests another site's page could cause: a foreign Host (DNS rebinding) or a foreign Origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            host = urlsplit(f"//{headers.get(b'host', '')}").hostname or ""
            origin = headers.get(b"origin", "")
            if not is_loopback(host) or (origin and not is_loopback(urlsplit(origin).hostname or "")):
                refusal = PlainTextResponse("the sandbox answers this machine only\n", 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
