"""A local receiver of Standard Webhooks: verifies with the library, acts once per webhook-id, misbehaves on request."""

import gzip
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from patience import PATIENCE_S
from serving import CutShort, served_in_a_thread
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

#: What the vendor's API wants to be shown.
TOKEN = "ghs_of-the-installation"

#: Some 10 kB that unpack to 10 MB of JSON.
BOMB = gzip.compress(b"[" + b"0," * 5_000_000 + b"0]", mtime=0)


class Receiver:
    """`received` is every verified request, `performed` what took place by webhook-id."""

    def __init__(self) -> None:
        self.url = ""
        self.lock = threading.Lock()
        self.release = threading.Event()
        self.received: list[dict[str, Any]] = []
        self.performed: dict[str, Any] = {}
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.fault: str | None = None
        self.redirect_target_hit = False
        self.app = Starlette(
            routes=[
                Route("/hooks", self._hook, methods=["POST"]),
                Route("/api/{rest:path}", self._api, methods=["POST", "PUT", "PATCH"]),
                Route("/elsewhere", self._elsewhere),
            ]
        )

    def reset(self) -> None:
        """Forget everything but the address."""
        fresh = Receiver()
        kept = {"url": self.url, "app": self.app, "release": self.release, "lock": self.lock}
        self.__dict__.update(fresh.__dict__ | kept)
        self.release.clear()

    async def _elsewhere(self, _request: Request) -> Response:
        self.redirect_target_hit = True
        return JSONResponse({})

    async def _hook(self, request: Request) -> Response:
        body = await request.body()
        try:
            Webhook(SECRET).verify(body, dict(request.headers))
        except WebhookVerificationError as error:
            return JSONResponse({"error": str(error)}, status_code=401)
        port = request.client.port if request.client else None
        self.received.append({"headers": dict(request.headers), "body": body, "port": port})
        match self.fault:
            case "slow":
                await _hang(self.release)
            case "dropped":
                return CutShort()
            case "redirect":
                return RedirectResponse("/elsewhere", status_code=307)
            case "endless":
                return StreamingResponse(self._endless(), media_type="application/json")
            case "trickle":
                return StreamingResponse(self._trickle(), media_type="application/json")
            case "bomb":
                return Response(BOMB, headers={"content-encoding": "gzip", "content-type": "application/json"})
            case _:
                pass
        if self.status >= 300:
            return Response(self.body or b"not now", status_code=self.status, headers=self.headers)
        if self.body is not None:
            return Response(self.body, status_code=self.status, headers=self.headers)
        with self.lock:
            self.performed.setdefault(request.headers["webhook-id"], json.loads(body))
        return JSONResponse({"performed": json.loads(body)["type"]}, status_code=self.status)

    async def _api(self, request: Request) -> Response:
        """A vendor's API: one token, plain JSON, idempotent by key."""
        body = await request.body()
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "who are you"}, status_code=401)
        self.received.append({"headers": dict(request.headers), "body": body, "path": request.url.path})
        if self.status >= 300:
            return Response(b"not now", status_code=self.status, headers=self.headers)
        with self.lock:
            self.performed.setdefault(request.headers["idempotency-key"], json.loads(body))
        return JSONResponse({"performed": request.url.path}, status_code=self.status)

    async def _endless(self) -> AsyncIterator[bytes]:
        for _ in range(16):
            yield b"x" * 65_536
        await _hang(self.release)

    async def _trickle(self) -> AsyncIterator[bytes]:
        yield b"{"
        await _hang(self.release)


async def _hang(release: threading.Event) -> None:
    import asyncio

    await asyncio.to_thread(release.wait, PATIENCE_S)


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Serve *receiver* on a loopback port of its own, in a thread, for the length of the block."""
    with served_in_a_thread(receiver.app) as url:
        receiver.url = f"{url}/hooks"
        try:
            yield receiver
        finally:
            receiver.release.set()
