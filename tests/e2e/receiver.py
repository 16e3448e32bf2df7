"""
A system of record for the tests, as a process of its own: acts once per effect id, and can be told to fail.

``POST /hook`` verifies the signature and acts, ``POST /api/...`` wants the same secret as a bearer token. ``GET
/calls`` lists what came in, when, and which call acted, ``GET /count`` how much was done. ``POST /faults`` {status,
count} makes the next calls fail before they act, ``POST /hang`` {seconds} makes the next call act and then stay silent,
``POST /heal`` ends both.
"""

import asyncio
import os
import sys
import time
from typing import Any

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Receiver:
    """What came in, in order, and what was done, by id."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self._token = secret
        self._received: list[dict[str, Any]] = []
        self._acted: dict[str, dict[str, Any]] = {}
        self._faults: list[int] = []
        self._hang_s = 0.0

    async def hook(self, request: Request) -> Response:
        """Act once on a signed call."""
        body = await request.body()
        try:
            self._webhook.verify(body, dict(request.headers))
        except WebhookVerificationError as error:
            return JSONResponse({"error": str(error)}, 401)
        effect_id = request.headers["webhook-id"]
        payload = await request.json()
        call = {"id": effect_id, "type": payload["type"], "data": payload["data"], "at": time.time(), "acted": False}
        self._received.append(call)
        if self._faults:
            return JSONResponse({"error": "not now"}, self._faults.pop(0))
        call["acted"] = effect_id not in self._acted
        answer = self._acted.setdefault(effect_id, {"acted": len(self._acted) + 1})
        if self._hang_s:
            hang, self._hang_s = self._hang_s, 0.0
            await asyncio.sleep(hang)
        return JSONResponse(answer)

    async def api(self, request: Request) -> Response:
        """Take a vendor's API call: one token, plain JSON, acted on once per Idempotency-Key."""
        if request.headers.get("authorization") != f"Bearer {self._token}":
            return JSONResponse({"error": "who are you"}, 401)
        effect_id = request.headers["idempotency-key"]
        is_first = effect_id not in self._acted
        call = {"id": effect_id, "type": request.url.path, "data": await request.json(), "at": time.time()}
        self._received.append({**call, "acted": is_first})
        return JSONResponse(self._acted.setdefault(effect_id, {"acted": len(self._acted) + 1}))

    async def calls(self, _: Request) -> Response:
        """List what came in and what was done."""
        return JSONResponse({"received": self._received, "acted": self._acted})

    async def count(self, _: Request) -> Response:
        """Tell how much was done."""
        return JSONResponse({"acted": len(self._acted)})

    async def faults(self, request: Request) -> Response:
        """Let the next calls fail."""
        asked = await request.json()
        self._faults += [asked["status"]] * asked["count"]
        return JSONResponse({})

    async def hang(self, request: Request) -> Response:
        """Let the next call act, and stay silent."""
        self._hang_s = (await request.json())["seconds"]
        return JSONResponse({})

    async def heal(self, _: Request) -> Response:
        """Fail and hang no more."""
        self._faults.clear()
        self._hang_s = 0.0
        return JSONResponse({})


def main() -> None:
    """Serve on the port given as the only argument."""
    receiver = Receiver(os.environ["RECEIVER_SECRET"])
    app = Starlette(
        routes=[
            Route("/hook", receiver.hook, methods=["POST"]),
            Route("/api/{rest:path}", receiver.api, methods=["POST"]),
            Route("/calls", receiver.calls),
            Route("/count", receiver.count),
            Route("/faults", receiver.faults, methods=["POST"]),
            Route("/hang", receiver.hang, methods=["POST"]),
            Route("/heal", receiver.heal, methods=["POST"]),
        ]
    )
    # Who keeps a connection, for some seconds, must be the one who closes it: what is sent as we do is lost.
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, timeout_keep_alive=75
    )


if __name__ == "__main__":
    main()
