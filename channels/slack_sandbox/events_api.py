"""Events: sent to the app when it subscribed, redelivered until it takes them or Slack gives up."""

import asyncio
import json

from channels.slack_sandbox import payloads
from channels.slack_sandbox.delivery import JSON, Delivery
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import JsonObject

_CHANNEL_TYPES = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


async def send_event(sandbox: Sandbox, event: JsonObject) -> Delivery | None:
    """Send *event* when the app subscribed to it; gives the first delivery and redelivers in the background."""
    if _subscription(event) not in sandbox.config.app.events:
        return None
    body = json.dumps(payloads.event_callback(sandbox, event), ensure_ascii=False)
    first = await sandbox.courier.deliver("event", body, JSON)
    if not first.is_acknowledged:
        sandbox.in_background(_redeliver(sandbox, body, first))
    return first


async def send_url_verification(sandbox: Sandbox) -> Delivery:
    """Ask the app to prove the request URL is its own; warns when the challenge does not come back."""
    challenge = "sandbox-challenge-3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    body = json.dumps({"token": payloads.LEGACY_TOKEN, "challenge": challenge, "type": "url_verification"})
    delivery = await sandbox.courier.deliver("url_verification", body, JSON)
    if not delivery.is_acknowledged or challenge not in delivery.answer:
        sandbox.warn("", "Your URL didn't respond with the value of the challenge parameter.")
    return delivery


async def _redeliver(sandbox: Sandbox, body: str, last: Delivery) -> None:
    for number, wait_s in enumerate(sandbox.event_retry_delays_s, start=1):
        if last.answer_headers.get("x-slack-no-retry") == "1":
            return
        await asyncio.sleep(wait_s)
        headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": _reason(last)}
        last = await sandbox.courier.deliver("event", body, JSON, headers)
        if last.is_acknowledged:
            return


def _reason(delivery: Delivery) -> str:
    match delivery.problem:
        case "timeout":
            return "http_timeout"
        case "unreachable" | "dropped":
            return "connection_failed"
        case "":
            return "http_error"


def _subscription(event: JsonObject) -> str:
    if event["type"] == "message":
        return _CHANNEL_TYPES[event["channel_type"]]
    return str(event["type"])
