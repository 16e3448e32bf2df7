"""
The webhook integration: one signed POST per attempt, by Standard Webhooks.

Source: standardwebhooks.com, the specification: headers webhook-id, webhook-timestamp and webhook-signature; a body of
``type``, ``timestamp`` and ``data``; 2xx is success, anything else is not.
"""

import asyncio
import base64
import contextlib
import hashlib
import ipaddress
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from pydantic import SecretStr
from standardwebhooks import Webhook

from gateway.integrations.ports import Run
from loops.canonical import NotCanonical, canonical_json
from loops.errors import Rejected, Unavailable
from loops.evidence import BadEvidence, accept

#: Bytes of an answer that are read; the rest is left.
KEPT_BYTES = 64 * 1024

#: Statuses below 500 that ask to come back. Sources: RFC 9110 (408), RFC 8470 (425), RFC 6585 (429).
LATER = frozenset({408, 425, 429})

#: The longest wait we believe, in seconds.
RETRY_AFTER_MAX_S = 3_600.0

#: Bytes a signing secret must have. Source: the specification, "Signature scheme": 24 to 64.
SECRET_BYTES = range(24, 65)

# The client percent-encodes what no host name has; we would rather not send an order to such a place.
_HOST = re.compile(r"[\w.:-]+")

# Characters of a refusal's body that go into our message.
_EXCERPT = 200


class WebhookIntegration:
    """
    An `Integration` that POSTs to *url*, signed with *secret*.

    The receiver gets ``webhook-id`` = the effect id on every attempt and must act once per id.

    Args:
        url: https, or http on loopback.
        secret: ``whsec_`` and base64 of 24 to 64 bytes.
        client: The caller's to make and to close.
        timeout_s: The longest one run may take, from connecting to the last byte read.

    Raises:
        ValueError: If *url* or *secret* is not such; the message does not repeat them.
    """

    kind = "webhook"

    def __init__(
        self,
        url: str,
        secret: str | SecretStr,
        client: httpx2.AsyncClient,
        *,
        timeout_s: float = 15.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = _checked_url(url)
        self._signer = _signer(secret.get_secret_value() if isinstance(secret, SecretStr) else secret)
        self._client = client
        self._timeout_s = timeout_s
        self._now = now

    async def run(self, run: Run) -> dict[str, Any]:
        """
        Send *run* once and return ``{status, bodyBytes, bodyDigest, bodyComplete, body?}``.

        `bodyDigest` is SHA-256 over the `bodyBytes` read, at most `KEPT_BYTES`; `body` is there where that is JSON.

        Raises:
            Unavailable: On no connection, a time-out, 408, 425, 429 or 5xx.
            Rejected: On a redirect, any other 4xx, or parameters that have no canonical JSON form.
        """
        name = f"{run.integration}.{run.action}"
        body = self._body(run, name)
        request = self._client.build_request(
            "POST", self._url, content=body, headers=self._headers(run, body), timeout=self._timeout_s
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(request, name)
        except TimeoutError as error:
            raise Unavailable(f"{name}: {self._url.host} did not answer within {self._timeout_s:g} s") from error
        except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL) as error:
            raise Rejected(f"{name}: the request cannot be sent: {type(error).__name__}") from error
        except httpx2.TimeoutException as error:
            raise Unavailable(f"{name}: {self._url.host} did not answer in time ({type(error).__name__})") from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"{name}: {self._url.host} cannot be reached: {type(error).__name__}") from error

    async def _exchange(self, request: httpx2.Request, name: str) -> dict[str, Any]:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            kept, complete = await _read(response)
        finally:
            await response.aclose()
        status = response.status_code
        if status in LATER or status >= 500:
            wait = retry_after(response.headers.get("retry-after"), self._now())
            raise Unavailable(f"{name}: {self._url.host} answered {status}", retry_after=wait)
        if 300 <= status < 400:
            raise Rejected(
                f"{name}: {self._url.host} answered {status}; redirects are not followed, configure its goal"
            )
        if status >= 400:
            raise Rejected(f"{name}: {self._url.host} answered {status}: {_excerpt(kept)}")
        return _detail(status, kept, complete=complete)

    def _body(self, run: Run, name: str) -> bytes:
        data: dict[str, Any] = {
            "effectId": run.effect_id,
            "integration": run.integration,
            "action": run.action,
            "aggregateId": run.aggregate_id,
            "loopId": run.loop_id,
            "parameters": run.parameters,
        }
        if run.grant is not None:
            data["approval"] = run.grant.as_json()
        stamp = (run.created_at or self._now()).astimezone(UTC).isoformat().replace("+00:00", "Z")
        try:
            return canonical_json({"type": name, "timestamp": stamp, "data": data})
        except NotCanonical as error:
            raise Rejected(f"{name}: the parameters cannot be sent: {error}") from error

    def _headers(self, run: Run, body: bytes) -> dict[str, str]:
        sent_at = self._now().astimezone(UTC)
        return {
            "content-type": "application/json",
            # We read raw bytes with a limit: a compressed answer could unpack to anything.
            "accept-encoding": "identity",
            "user-agent": "loopgate",
            "webhook-id": run.effect_id,
            "webhook-timestamp": str(math.floor(sent_at.timestamp())),
            "webhook-signature": self._signer.sign(run.effect_id, sent_at, body.decode()),
        }


def retry_after(header: str | None, now: datetime) -> float | None:
    """
    Return the wait a ``Retry-After`` header asks for, in seconds from *now*, at most `RETRY_AFTER_MAX_S`.

    Both forms of RFC 9110, 10.2.3 are read, seconds and HTTP date; None where the header says neither.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:12]), RETRY_AFTER_MAX_S)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), RETRY_AFTER_MAX_S)


async def _read(response: httpx2.Response) -> tuple[bytes, bool]:
    kept = bytearray()
    async for chunk in response.aiter_raw():
        kept += chunk
        if len(kept) > KEPT_BYTES:
            return bytes(kept[:KEPT_BYTES]), False
    return bytes(kept), True


def _detail(status: int, kept: bytes, *, complete: bool) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "status": status,
        "bodyBytes": len(kept),
        "bodyDigest": "sha256:" + hashlib.sha256(kept).hexdigest(),
        "bodyComplete": complete,
    }
    # Only JSON the ledger can hold is kept; of anything else the digest is on record.
    with contextlib.suppress(ValueError, RecursionError, BadEvidence):
        detail["body"] = accept({"body": json.loads(kept)})["body"]
    return detail


def _excerpt(kept: bytes) -> str:
    text = kept[: 4 * _EXCERPT].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in text)[:_EXCERPT].strip() or "(no body)"


def _checked_url(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ValueError(
            "a webhook integration's url cannot be read; write it like https://deployer.example/hooks"
        ) from error
    if not _HOST.fullmatch(parsed.host) or not 0 < (parsed.port or 443) < 65_536:
        raise ValueError("a webhook integration's url needs a host, and a port there can be")
    if parsed.userinfo or parsed.fragment:
        raise ValueError("a webhook integration's url takes neither user:password@ nor #fragment")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(parsed.host)):
        raise ValueError(f"a webhook integration's url must be https, not {parsed.scheme}://{parsed.host}")
    return parsed


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _signer(secret: str) -> Webhook:
    # The library decodes leniently: a mistyped secret would become another, weaker key without a word.
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError("a webhook secret is whsec_ followed by base64; this one is not base64") from error
    if not secret.startswith("whsec_") or len(key) not in SECRET_BYTES:
        raise ValueError("a webhook secret is whsec_ followed by base64 of 24 to 64 bytes")
    return Webhook(key)
