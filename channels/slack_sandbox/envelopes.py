"""
Envelopes: what goes over a Socket Mode connection, both ways.

Source: docs.slack.dev, apis/events-api/using-socket-mode.
"""

import json
import uuid
from typing import Any
from urllib.parse import parse_qsl

from channels.slack_sandbox.delivery import JSON
from channels.slack_sandbox.workspace import JsonObject


def envelope(kind: str, body: str, content_type: str, extra: dict[str, str]) -> JsonObject:
    """
    What Slack sends over a connection instead of posting *body*.

    Only commands and interactions take content with their acknowledgement; only events say how often they were tried.
    """
    made: JsonObject = {"envelope_id": str(uuid.uuid4()), "payload": _payload(body, content_type)}
    if kind == "event":
        return made | {
            "type": "events_api",
            "accepts_response_payload": False,
            "retry_attempt": int(extra.get("X-Slack-Retry-Num", 0)),
            "retry_reason": extra.get("X-Slack-Retry-Reason", ""),
        }
    return made | {
        "type": "slash_commands" if kind == "command" else "interactive",
        "accepts_response_payload": True,
    }


def hello(app_id: str, connections: int, lifetime_s: int) -> str:
    """The first frame of a connection."""
    return json.dumps(
        {
            "type": "hello",
            "connection_info": {"app_id": app_id},
            "num_connections": connections,
            "debug_info": {"host": "sandbox", "approximate_connection_time": lifetime_s},
        }
    )


def disconnect(reason: str) -> str:
    """The frame that announces the end of a connection."""
    return json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}})


def acknowledged(frame: str) -> tuple[str, str] | None:
    """The envelope id and the payload, as JSON, of an app's acknowledgement; None for anything else."""
    try:
        said: Any = json.loads(frame)
    except ValueError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("envelope_id"), str):
        return None
    payload = said.get("payload")
    return said["envelope_id"], "" if payload is None else json.dumps(payload, ensure_ascii=False)


def _payload(body: str, content_type: str) -> Any:
    if content_type == JSON:
        return json.loads(body)
    fields = dict(parse_qsl(body, keep_blank_values=True))
    return json.loads(fields["payload"]) if "payload" in fields else fields
