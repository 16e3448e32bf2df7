"""
The stage: `python -m gateway.demo.stage` plays the systems around Loopgate and serves the demo's one page.

It plays the CI system that announces proposals, the deployer and the ERP that carry out what was approved, and an
auditor that reads the ledger back. It talks to Loopgate the way such systems would: signed webhooks both ways.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.resources import files
from pathlib import PurePosixPath
from types import FrameType
from typing import Any

import httpx2
import structlog
import uvicorn
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.cancelling import cancelled
from gateway.demo.cast import MEMBERS, ROOMS
from gateway.demo.ci import Ci
from gateway.demo.receiver import Receiver, deployer_says, erp_says
from gateway.demo.scenarios import SCENARIOS
from gateway.demo.watch import Watch
from gateway.log import configure_logging
from gateway.storage.connect import connect
from gateway.storage.redis_store import RedisStore

log = structlog.stdlib.get_logger()

#: Seconds the systems' work takes: long enough to see "executing" on the card.
WORK_S = 0.5
#: Bytes of a webhook that are read.
BODY_BYTES_MAX = 256 * 1024

_STATIC = files("gateway.demo") / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class StageSettings(BaseSettings):
    """What the supervisor tells the stage, in `LOOPGATE_STAGE_*` variables."""

    model_config = SettingsConfigDict(env_prefix="LOOPGATE_STAGE_", frozen=True)

    port: int
    redis_url: SecretStr
    gateway_url: str
    sandbox_url: str
    assessed_by: str
    ci_secret: SecretStr
    deployer_secret: SecretStr
    erp_secret: SecretStr


class Stage:
    """The systems around Loopgate, as one app."""

    def __init__(self, settings: StageSettings) -> None:
        self.settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self.deployer = self._receiver("deployer", settings.deployer_secret, deployer_says)
        self.erp = self._receiver("erp", settings.erp_secret, erp_says)
        self._redis = connect(settings.redis_url.get_secret_value())
        self.watch = Watch(RedisStore(self._redis), self.calls)
        self._client = httpx2.AsyncClient(timeout=10, trust_env=False)
        self._ci = Ci(self._client, f"{settings.gateway_url}/webhooks/ci", settings.ci_secret)

    def app(self) -> Starlette:
        """Return the ASGI app."""
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/static/{name}", self._static),
                Route("/page.json", self._page),
                Route("/propose", self._propose, methods=["POST"]),
                Route("/calls", self._calls),
                Route("/ledger", self._ledger),
                Route("/deployer", self._receive(self.deployer), methods=["POST"]),
                Route("/erp", self._receive(self.erp), methods=["POST"]),
            ],
            # Against a foreign page that rebinds its name to this machine; the port is known to it, the name is not.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
            lifespan=self._lifespan,
            max_body_size=BODY_BYTES_MAX,
        )

    def calls(self) -> list[dict[str, Any]]:
        """Return every call the systems received, oldest first."""
        calls = [call.as_json() for receiver in (self.deployer, self.erp) for call in receiver.calls.values()]
        return sorted(calls, key=lambda call: str(call["receivedAt"]))

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._background(self.watch.run())
        yield
        await cancelled(self._tasks)
        await self._client.aclose()
        await self._redis.aclose()

    def _receiver(self, name: str, secret: SecretStr, says: Callable[[str, Any], str]) -> Receiver:
        return Receiver(name, secret, says, work_s=WORK_S, changed=lambda: self._background(self.watch.touch()))

    def _background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _index(self, _: Request) -> Response:
        return self._file("index.html")

    async def _static(self, request: Request) -> Response:
        return self._file(request.path_params["name"])

    def _file(self, name: str) -> Response:
        kind = _TYPES.get(PurePosixPath(name).suffix)
        found = _STATIC / name
        if kind is None or "/" in name or not found.is_file():
            return PlainTextResponse("there is no such file\n", 404)
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            f"frame-src {self.settings.sandbox_url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Response(found.read_bytes(), media_type=kind, headers=headers)

    async def _page(self, _: Request) -> Response:
        return JSONResponse(
            {
                "sandboxUrl": self.settings.sandbox_url,
                "assessedBy": self.settings.assessed_by,
                "members": [asdict(member) for member in MEMBERS],
                "rooms": [asdict(room) for room in ROOMS],
                "scenarios": [
                    {
                        "id": scenario.id,
                        "button": scenario.button,
                        "hint": scenario.hint,
                        "room": scenario.room.slack,
                        "decider": scenario.decider.slack,
                        "seat": scenario.seat.slack,
                    }
                    for scenario in SCENARIOS.values()
                ],
            }
        )

    async def _propose(self, request: Request) -> Response:
        # A content type that another site's page cannot send without asking us first, which gets no answer.
        if not request.headers.get("content-type", "").startswith("application/json"):
            return JSONResponse({"error": "send application/json"}, 415)
        try:
            asked = await request.json()
        except ValueError:
            return JSONResponse({"error": "the body is not JSON"}, 400)
        scenario = SCENARIOS.get(str(asked.get("scenario"))) if isinstance(asked, dict) else None
        if scenario is None:
            return JSONResponse({"error": f"scenario must be one of {', '.join(SCENARIOS)}"}, 422)
        delivery = await self._ci.propose(scenario)
        if 200 <= delivery.status < 300:
            self.watch.include(delivery.aggregate_id, scenario.id)
            await self.watch.look()
        else:
            log.warning("proposal.refused", status=delivery.status, answer=delivery.answer)
        return JSONResponse(
            {
                "aggregateId": delivery.aggregate_id,
                "webhookId": delivery.webhook_id,
                "status": delivery.status,
                "answer": delivery.answer,
            },
            201 if 200 <= delivery.status < 300 else 502,
        )

    async def _calls(self, _: Request) -> Response:
        return JSONResponse({"calls": self.calls()})

    async def _ledger(self, _: Request) -> Response:
        return StreamingResponse(
            self.watch.follow(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    def _receive(self, receiver: Receiver) -> Callable[[Request], Awaitable[Response]]:
        async def receive(request: Request) -> Response:
            status, answer = await receiver.receive(request.headers, await request.body())
            return JSONResponse(answer, status)

        return receive


class _Server(uvicorn.Server):
    """Ends the pages' streams when told to stop, so that nothing waits for a browser."""

    def __init__(self, config: uvicorn.Config, stage: Stage) -> None:
        super().__init__(config)
        self._stage = stage
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._stage.watch.close(), self._loop)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = StageSettings()
    configure_logging("console", "info")
    stage = Stage(settings)
    config = uvicorn.Config(
        stage.app(),
        host="127.0.0.1",
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    _Server(config, stage).run()


if __name__ == "__main__":
    main()
