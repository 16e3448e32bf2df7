"""
The guard in front of Slack's request URL: only what Slack signed, lately and once, reaches Bolt, already read.

Bolt parses before it verifies, keeps no replay cache and answers garbage with 500. Here: method and path, size,
headers, stamp, HMAC over the raw bytes, shape, replay; in that order, so that nothing unsigned is parsed. Refusals are
JSON ``{"error": code}``; nothing of a body is logged.
Source: docs.slack.dev, authentication/verifying-requests-from-slack.
"""

import asyncio
import hashlib
import hmac
import re
from datetime import timedelta

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from channels.slack.deliveries import BadDelivery, read
from channels.slack.installation import SlackInstallation
from channels.slack.ports import SeenOnce
from loops.errors import Unavailable
from loops.ports import Clock

#: Bytes a delivery may have. Slack's largest carry a whole view (250 kB) or message.
BODY_BYTES_MAX = 1024 * 1024
#: How old, or how far ahead, a stamp may be. Source: docs.slack.dev, verifying-requests-from-slack.
STAMP_AGE = timedelta(minutes=5)
#: How long a signature is remembered: a stamp from the future stays valid this long.
REPLAY_TTL = 2 * STAMP_AGE + timedelta(minutes=1)
#: Seconds the store has to say whether a signature was seen, which takes a millisecond. A listener's 2.5 s begin after
#: that, and Slack's 3 before.
SEEN_S = 0.4
#: Where the guard leaves the delivery for `asgi.Endpoint`, which serves nothing that does not have it.
DELIVERY = "loopgate.slack.delivery"

_SIGNATURE = re.compile(rb"v0=[0-9a-f]{64}")
_STAMP = re.compile(rb"[0-9]{1,12}")

_log = structlog.get_logger("channels.slack")


class Refusal(Exception):  # noqa: N818 - reads as what the guard answers
    """A request that goes no further."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class SlackGuard:
    """
    ASGI middleware in front of one path.

    Args:
        app: Gets the request with a `Delivery` in its scope.
        seen: Remembers signatures. While it is away, or silent, requests go on: a click commits once by its own key,
            and that commit will say so itself if the store is gone.
    """

    def __init__(
        self, app: ASGIApp, installation: SlackInstallation, *, seen: SeenOnce, clock: Clock, path: str
    ) -> None:
        self._app = app
        if installation.signing_secret is None:
            raise ValueError("without a signing secret no delivery over HTTP can be verified")
        self._secret = installation.signing_secret.get_secret_value().encode()
        self._seen = seen
        self._clock = clock
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a genuine delivery on; answer everything else."""
        try:
            scope[DELIVERY] = await self._admitted(scope, receive)
        except Refusal as refusal:
            _log.info("slack.delivery.refused", code=refusal.code, status=refusal.status)
            headers = {"Allow": "POST"} if refusal.status == 405 else None
            await JSONResponse({"error": refusal.code}, refusal.status, headers)(scope, receive, send)
            return
        except ConnectionResetError:
            return
        await self._app(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive) -> object:
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) != self._path:
            raise Refusal(404, "not_found")
        if scope["method"] != "POST":
            raise Refusal(405, "method_not_allowed")
        length = _one_header(scope, b"content-length")
        if length is not None and (not _STAMP.fullmatch(length) or int(length) > BODY_BYTES_MAX):
            raise Refusal(413, "too_large")
        signature = self._signature(scope)
        stamp = self._stamp(scope)
        body = await _body(receive)
        self._verify(signature, stamp, body)
        try:
            delivery = read((_one_header(scope, b"content-type") or b"").decode("latin-1"), body)
        except BadDelivery as error:
            raise Refusal(400, str(error)) from error
        await self._refuse_replay(signature)
        return delivery

    def _signature(self, scope: Scope) -> bytes:
        signature = _one_header(scope, b"x-slack-signature")
        if signature is None or not _SIGNATURE.fullmatch(signature):
            raise Refusal(401, "invalid_signature")
        return signature

    def _stamp(self, scope: Scope) -> bytes:
        stamp = _one_header(scope, b"x-slack-request-timestamp")
        if stamp is None or not _STAMP.fullmatch(stamp):
            raise Refusal(401, "invalid_timestamp")
        if abs(self._clock.now().timestamp() - int(stamp)) > STAMP_AGE.total_seconds():
            raise Refusal(401, "stale_timestamp")
        return stamp

    def _verify(self, signature: bytes, stamp: bytes, body: bytes) -> None:
        expected = hmac.new(self._secret, b"v0:" + stamp + b":" + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"v0={expected}".encode(), signature):
            raise Refusal(401, "invalid_signature")

    async def _refuse_replay(self, signature: bytes) -> None:
        try:
            async with asyncio.timeout(SEEN_S):
                is_first = await self._seen.first_time(f"slack:{signature.decode()}", REPLAY_TTL)
        except (Unavailable, TimeoutError):
            return
        if not is_first:
            raise Refusal(401, "replayed")


def _one_header(scope: Scope, name: bytes) -> bytes | None:
    values = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        raise Refusal(401, "repeated_header")
    return values[0] if values else None


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionResetError("the caller went away while sending")
        part = message.get("body", b"")
        total += len(part)
        if total > BODY_BYTES_MAX:
            raise Refusal(413, "too_large")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
