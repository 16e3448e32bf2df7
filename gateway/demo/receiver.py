"""A receiver: plays one system of record that Loopgate calls with signed webhooks."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from loops.canonical import NotCanonical, canonical_json

#: Calls that are remembered.
CALLS_MAX = 500


@dataclass(slots=True)
class Call:
    """
    One action, named by its ``webhook-id``, and every delivery of it.

    `performed` counts how often the action took place: once, however often it was delivered.
    """

    id: str
    system: str
    action: str
    aggregate_id: str
    parameters: Mapping[str, Any]
    digest: str
    received_at: list[datetime] = field(default_factory=list)
    performed: int = 0
    done: "asyncio.Future[dict[str, Any]] | None" = None

    def as_json(self) -> dict[str, Any]:
        """Return the call for the page and for tests."""
        return {
            "id": self.id,
            "system": self.system,
            "action": self.action,
            "aggregateId": self.aggregate_id,
            "parameters": self.parameters,
            "receivedAt": [at.isoformat() for at in self.received_at],
            "performed": self.performed,
            "repeats": len(self.received_at) - 1,
            "finished": self.done is not None and self.done.done(),
        }


class Receiver:
    """
    Verifies each delivery and performs each action once, by its ``webhook-id``.

    Args:
        system: The integration's name, as on the page.
        says: What the system answers to an action's body, in words.
        work_s: Seconds the work takes.
        changed: Called after each change of `calls`.
    """

    def __init__(
        self,
        system: str,
        secret: SecretStr,
        says: Callable[[str, Mapping[str, Any]], str],
        *,
        work_s: float,
        changed: Callable[[], None],
    ) -> None:
        self.system = system
        self.calls: dict[str, Call] = {}
        self._webhook = Webhook(secret.get_secret_value())
        self._says = says
        self._work_s = work_s
        self._changed = changed
        self._working: set[asyncio.Task[None]] = set()

    async def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and JSON answer to one delivery; a repeated one gets the first one's answer."""
        data = self._verified(headers, body)
        if data is None:
            return 401, {"error": "the signature does not match"}
        call = self._read(headers["webhook-id"], data)
        if call is None:
            return 422, {"error": "data needs action, aggregateId and parameters"}
        known = self.calls.get(call.id)
        if known is not None and known.digest != call.digest:
            return 409, {"error": "this webhook-id was used before, with another body"}
        call = known or self._begin(call)
        call.received_at.append(datetime.now(UTC))
        self._changed()
        # Shielded: the caller may hang up, the work goes on and is not done again for the next delivery.
        return 200, await asyncio.shield(call.done) if call.done else {}

    def _verified(self, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any] | None:
        try:
            message = self._webhook.verify(body, dict(headers))
        except (WebhookVerificationError, ValueError, RecursionError):
            # ValueError: the library splits and decodes signatures without checking their form first.
            return None
        data = message.get("data") if isinstance(message, dict) else None
        return data if isinstance(data, dict) else {}

    def _read(self, webhook_id: str, data: Mapping[str, Any]) -> Call | None:
        match data:
            case {"action": str(action), "aggregateId": str(aggregate_id), "parameters": dict(parameters)}:
                try:
                    digest = hashlib.sha256(canonical_json(dict(data))).hexdigest()
                except NotCanonical:
                    return None
                return Call(webhook_id, self.system, action, aggregate_id, parameters, digest)
            case _:
                return None

    def _begin(self, call: Call) -> Call:
        call.done = asyncio.get_running_loop().create_future()
        self.calls[call.id] = call
        while len(self.calls) > CALLS_MAX:
            self.calls.pop(next(iter(self.calls)))
        task = asyncio.create_task(self._perform(call, call.done))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return call

    async def _perform(self, call: Call, done: "asyncio.Future[dict[str, Any]]") -> None:
        await asyncio.sleep(self._work_s)
        call.performed += 1
        done.set_result(
            {"done": self._says(call.action, call.parameters), "reference": f"{self.system}-{call.id[-6:]}"}
        )
        self._changed()


def deployer_says(action: str, parameters: Mapping[str, Any]) -> str:
    """Return what the deployer did."""
    return (
        f"{action} of {parameters.get('service')} with {json.dumps(parameters.get('parameters'), ensure_ascii=False)}"
    )


def erp_says(action: str, parameters: Mapping[str, Any]) -> str:
    """Return what the ERP did."""
    order, vendor = parameters.get("purchaseOrder"), parameters.get("vendor")
    return f"{action.replace('_', ' ')} {order}: {parameters.get('amount')} {parameters.get('currency')} to {vendor}"
