"""The bodies of deliveries: interaction payloads, slash commands and events, with the fields Slack sends."""

import json
from typing import Any
from urllib.parse import urlencode

from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import message_json, view_json
from channels.slack_sandbox.workspace import Channel, JsonObject, Message, User, View, new_id

#: The legacy verification token; apps must ignore it, so it proves nothing.
LEGACY_TOKEN = "legacy-token-proves-nothing"  # noqa: S105


def form_payload(payload: JsonObject) -> str:
    """An interaction as Slack posts it: one form field with JSON in it."""
    return urlencode({"payload": json.dumps(payload, ensure_ascii=False, separators=(",", ":"))})


def message_action(
    sandbox: Sandbox, user: User, message: Message, action: JsonObject, *, trigger_id: str, response_url: str
) -> JsonObject:
    """`block_actions` from a message; an ephemeral one is not included, as in Slack."""
    container: JsonObject = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": bool(message.ephemeral_to),
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    payload = _interaction(sandbox, "block_actions", user) | {
        "container": container,
        "trigger_id": trigger_id,
        "channel": {"id": message.channel, "name": channel_name(sandbox.workspace.channels[message.channel])},
        "state": {"values": message.states.get(user.id, {})},
        "response_url": response_url,
        "actions": [action],
    }
    if not message.ephemeral_to:
        payload["message"] = message_json(sandbox.workspace, message)
    return payload


def view_action(sandbox: Sandbox, user: User, view: View, action: JsonObject, trigger_id: str) -> JsonObject:
    """`block_actions` from a modal or Home tab."""
    return _interaction(sandbox, "block_actions", user) | {
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": trigger_id,
        "view": view_json(sandbox.workspace, view),
        "actions": [action],
    }


def view_submission(sandbox: Sandbox, user: User, view: View, trigger_id: str) -> JsonObject:
    """A submitted modal with everything typed into it."""
    return _interaction(sandbox, "view_submission", user) | {
        "trigger_id": trigger_id,
        "view": view_json(sandbox.workspace, view),
        "response_urls": [],
    }


def view_closed(sandbox: Sandbox, user: User, view: View, *, is_cleared: bool) -> JsonObject:
    """A modal closed without submitting; *is_cleared* when the whole stack went."""
    return _interaction(sandbox, "view_closed", user) | {
        "view": view_json(sandbox.workspace, view),
        "is_cleared": is_cleared,
    }


def slash_command(
    sandbox: Sandbox, user: User, channel: Channel, *, command: str, text: str, trigger_id: str, response_url: str
) -> str:
    """A slash command's form body."""
    return urlencode(
        {
            "token": LEGACY_TOKEN,
            "team_id": sandbox.workspace.team_id,
            "team_domain": sandbox.workspace.team_domain,
            "channel_id": channel.id,
            "channel_name": channel_name(channel),
            "user_id": user.id,
            "user_name": user.name,
            "command": command,
            "text": text,
            "api_app_id": sandbox.workspace.app_id,
            "is_enterprise_install": "false",
            "response_url": response_url,
            "trigger_id": trigger_id,
        }
    )


def event_callback(sandbox: Sandbox, event: JsonObject) -> JsonObject:
    """The envelope of one event."""
    workspace = sandbox.workspace
    return {
        "token": LEGACY_TOKEN,
        "team_id": workspace.team_id,
        "context_team_id": workspace.team_id,
        "context_enterprise_id": None,
        "api_app_id": workspace.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": new_id("Ev"),
        "event_time": int(sandbox.clock.now()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.team_id,
                "user_id": workspace.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def channel_name(channel: Channel) -> str:
    """The name payloads carry: private conversations do not tell theirs."""
    if channel.im_user:
        return "directmessage"
    return "privategroup" if channel.is_private else channel.name


def _interaction(sandbox: Sandbox, kind: str, user: User) -> dict[str, Any]:
    workspace = sandbox.workspace
    return {
        "type": kind,
        "team": {"id": workspace.team_id, "domain": workspace.team_domain},
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id},
        "api_app_id": workspace.app_id,
        "token": LEGACY_TOKEN,
        "enterprise": None,
        "is_enterprise_install": False,
    }
