"""
One HTTP request of an integration: sent once, answered or not, its answer kept in a form that fits a ledger.

Redirects are not followed: whoever answers one would choose where an approved order goes.
"""

import asyncio
import contextlib
import hashlib
import json
from datetime import datetime
from typing import Any

import httpx2

from gateway.outgoing import retry_after
from loops.errors import Rejected, Unavailable
from loops.evidence import BadEvidence, accept

#: Bytes of an answer that are read; the rest is left.
KEPT_BYTES = 64 * 1024

#: Statuses below 500 that ask to come back. Sources: RFC 9110 (408), RFC 8470 (425), RFC 6585 (429).
LATER = frozenset({408, 425, 429})

# Characters of a refusal's body that go into our message.
_EXCERPT = 200


async def exchange(
    client: httpx2.AsyncClient, request: httpx2.Request, name: str, *, timeout_s: float, now: datetime
) -> dict[str, Any]:
    """
    Send *request* once, for the action *name*, and return ``{status, bodyBytes, bodyDigest, bodyComplete, body?}``.

    `bodyDigest` is SHA-256 over the `bodyBytes` read, at most `KEPT_BYTES`; `body` is there where that is JSON.

    Args:
        timeout_s: The longest it may take, from connecting to the last byte read.
        now: What a ``Retry-After`` that names a date is counted from.

    Raises:
        Unavailable: On no connection, a time-out, 408, 425, 429 or 5xx.
        Rejected: On a redirect, any other 4xx, or a request that cannot be sent.
    """
    host = request.url.host
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchanged(client, request, name, now)
    except TimeoutError as error:
        raise Unavailable(f"{name}: {host} did not answer within {timeout_s:g} s") from error
    except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL) as error:
        raise Rejected(f"{name}: the request cannot be sent: {type(error).__name__}") from error
    except httpx2.TimeoutException as error:
        raise Unavailable(f"{name}: {host} did not answer in time ({type(error).__name__})") from error
    except httpx2.HTTPError as error:
        raise Unavailable(f"{name}: {host} cannot be reached: {type(error).__name__}") from error


async def _exchanged(client: httpx2.AsyncClient, request: httpx2.Request, name: str, now: datetime) -> dict[str, Any]:
    host = request.url.host
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        kept, complete = await _read(response)
    finally:
        await response.aclose()
    status = response.status_code
    if status in LATER or status >= 500:
        wait = retry_after(response.headers.get("retry-after"), now)
        raise Unavailable(f"{name}: {host} answered {status}", retry_after=wait)
    if 300 <= status < 400:
        raise Rejected(f"{name}: {host} answered {status}; redirects are not followed, configure its goal")
    if status >= 400:
        raise Rejected(f"{name}: {host} answered {status}: {_excerpt(kept)}")
    return _detail(status, kept, complete=complete)


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
