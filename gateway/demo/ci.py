"""The CI system: announces what its agents propose, by webhooks it signs."""

import itertools
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
from pydantic import SecretStr
from standardwebhooks import Webhook

from gateway.demo.scenarios import Scenario

#: The first business object's number; each proposal takes the next.
FIRST_NUMBER = 2041


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as it was sent and what Loopgate answered; `status` 0 is no answer at all."""

    aggregate_id: str
    webhook_id: str
    status: int
    answer: Any


class Ci:
    """Sends proposals to *url*, signed with *secret* by Standard Webhooks, the way any system would."""

    def __init__(self, client: httpx2.AsyncClient, url: str, secret: SecretStr) -> None:
        self._client = client
        self._url = url
        self._webhook = Webhook(secret.get_secret_value())
        self._numbers = itertools.count(FIRST_NUMBER)

    async def propose(self, scenario: Scenario) -> Delivery:
        """Announce *scenario* as a fresh business object."""
        now = datetime.now(UTC)
        aggregate_id, body = scenario.body(next(self._numbers), now.isoformat())
        return await self._send(aggregate_id, f"msg_{secrets.token_hex(12)}", body, now)

    async def _send(self, aggregate_id: str, webhook_id: str, body: dict[str, Any], now: datetime) -> Delivery:
        content = json.dumps(body, ensure_ascii=False)
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(webhook_id, now, content),
        }
        try:
            response = await self._client.post(self._url, content=content.encode(), headers=headers)
        except httpx2.HTTPError as error:
            return Delivery(aggregate_id, webhook_id, 0, {"error": f"Loopgate cannot be reached: {error}"})
        return Delivery(aggregate_id, webhook_id, response.status_code, _json(response))


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return {"error": response.text[:200]}
