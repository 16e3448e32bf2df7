"""The webhook integration: one signed POST per attempt, by Standard Webhooks."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
from pydantic import SecretStr

from gateway.integrations.exchange import exchange
from gateway.integrations.ports import Run
from gateway.outgoing import HEADERS, checked_url
from gateway.standard_webhooks import message, signed_headers, signing_key
from loops.canonical import NotCanonical
from loops.errors import Rejected


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
        self._url = checked_url(url, "a webhook integration's url")
        self._key = signing_key(secret.get_secret_value() if isinstance(secret, SecretStr) else secret)
        self._client = client
        self._timeout_s = timeout_s
        self._now = now

    async def run(self, run: Run) -> dict[str, Any]:
        """
        Send *run* once and return what `gateway.integrations.exchange.exchange` returns.

        Raises:
            Unavailable: On no connection, a time-out, 408, 425, 429 or 5xx.
            Rejected: On a redirect, any other 4xx, or parameters that have no canonical JSON form.
        """
        name = f"{run.integration}.{run.action}"
        body = self._body(run, name)
        headers = {**HEADERS, **signed_headers(run.effect_id, self._now(), body, [self._key])}
        request = self._client.build_request("POST", self._url, content=body, headers=headers, timeout=self._timeout_s)
        return await exchange(self._client, request, name, timeout_s=self._timeout_s, now=self._now())

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
        try:
            return message(name, run.created_at or self._now(), data)
        except NotCanonical as error:
            raise Rejected(f"{name}: the parameters cannot be sent: {error}") from error
