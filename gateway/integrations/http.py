"""
The HTTP integration: one JSON request per attempt to a vendor's API, such as GitHub's answer to a deployment.

Where the request goes may come from the effect's parameters (GitHub sends its callback's URL), which come from outside:
so it goes nowhere but to the places the configuration allows.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import httpx2
from pydantic import SecretStr

from gateway.integrations.exchange import exchange
from gateway.integrations.ports import Run
from gateway.outgoing import HEADERS, checked_url
from loops.canonical import NotCanonical, canonical_json
from loops.errors import Rejected
from loops.templates import fill

Method = Literal["POST", "PUT", "PATCH"]

_HOLE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)\s*\}\}")

# What a value may have that becomes part of a path.
_WITHIN = re.compile(r"[\w.~/-]+", re.ASCII)

# Steps that servers and proxies resolve in ways of their own, in any spelling.
_STEPS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)|%2f|%5c|\\", re.IGNORECASE)


class HttpIntegration:
    """
    An `Integration` that sends the effect's parameters as JSON to *url*.

    The receiver gets the effect id as ``Idempotency-Key`` on every attempt; whether it heeds that is the vendor's.

    Args:
        url: https, or http on loopback; may have holes ``{{ callbackUrl }}`` that the effect's parameters fill. Those
            that do are not sent in the body.
        allow: What a filled url must begin with: whole steps of its path count. Needed where *url* has holes.
        headers: Sent along, none of them secret.
        token: Sent as ``Authorization: Bearer``.
        timeout_s: The longest one run may take, from connecting to the last byte read.

    Raises:
        ValueError: If a url is not such, or has holes and nothing is allowed; the message does not repeat it.
    """

    kind = "http"

    def __init__(
        self,
        url: str,
        client: httpx2.AsyncClient,
        *,
        method: Method = "POST",
        allow: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        token: SecretStr | None = None,
        timeout_s: float = 15.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url
        self._holes = tuple(_HOLE.findall(url))
        if self._holes and not allow:
            raise ValueError("an http integration's url has holes: say under allow where it may lead")
        self._allow = tuple(checked_url(place, "what an http integration may reach") for place in allow)
        if not self._holes:
            checked_url(url, _OURS)
        self._client = client
        self._method = method
        self._headers = {**HEADERS, **(headers or {})}
        self._token = token
        self._timeout_s = timeout_s
        self._now = now

    async def run(self, run: Run) -> dict[str, Any]:
        """
        Send *run* once and return what `gateway.integrations.exchange.exchange` returns.

        Raises:
            Unavailable: On no connection, a time-out, 408, 425, 429 or 5xx.
            Rejected: On a redirect, any other 4xx, a url that may not be reached, or parameters without canonical JSON.
        """
        name = f"{run.integration}.{run.action}"
        url = self._filled(run.parameters, name)
        sent = {key: value for key, value in run.parameters.items() if key not in self._holes}
        try:
            body = canonical_json(sent)
        except NotCanonical as error:
            raise Rejected(f"{name}: the parameters cannot be sent: {error}") from error
        headers = {**self._headers, "idempotency-key": run.effect_id}
        if self._token:
            headers["authorization"] = f"Bearer {self._token.get_secret_value()}"
        request = self._client.build_request(self._method, url, content=body, headers=headers, timeout=self._timeout_s)
        return await exchange(self._client, request, name, timeout_s=self._timeout_s, now=self._now())

    def _filled(self, parameters: Mapping[str, Any], name: str) -> httpx2.URL:
        for hole in self._holes:
            value = parameters.get(hole)
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                raise Rejected(f"{name}: the url needs the parameter '{hole}', as text")
            if not _is_whole(self._url) and not _WITHIN.fullmatch(str(value)):
                raise Rejected(f"{name}: the parameter '{hole}' has characters that do not belong into a url's path")
        text = str(fill(self._url, parameters))
        try:
            url = checked_url(text, _OURS)
        except ValueError as error:
            raise Rejected(f"{name}: {error}") from error
        if self._holes and (_STEPS.search(text) or not any(_leads_below(url, place) for place in self._allow)):
            raise Rejected(f"{name}: this leads to nothing this integration may reach; see its allow")
        return url


_OURS = "an http integration's url"


def _leads_below(url: httpx2.URL, place: httpx2.URL) -> bool:
    origin = (place.scheme, place.host, place.port)
    path, base = url.raw_path.decode(), place.path.rstrip("/") + "/"
    return (url.scheme, url.host, url.port) == origin and path.startswith(base)


def _is_whole(template: str) -> bool:
    return _HOLE.fullmatch(template.strip()) is not None
