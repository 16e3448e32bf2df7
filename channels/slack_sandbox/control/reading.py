"""Reading the workspace: everything that is shown, was called, sent or went wrong."""

import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from channels.slack_sandbox import messages, views
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import channel_json, user_json
from channels.slack_sandbox.workspace import JsonObject


async def state(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """Everything there is, of one channel or of all."""
    workspace = sandbox.workspace
    only = request.query_params.get("channel")
    return {
        "ok": True,
        "team": {"id": workspace.team_id, "name": workspace.team_name, "domain": workspace.team_domain},
        "app": {
            "id": workspace.app_id,
            "name": workspace.app_name,
            "bot_user_id": workspace.bot_user_id,
            "bot_id": workspace.bot_id,
            "request_url": sandbox.config.app.request_url,
            "commands": [command.model_dump() for command in sandbox.config.app.commands],
        },
        "users": [user_json(workspace, user) for user in workspace.users.values()],
        "usergroups": [group.model_dump() for group in workspace.usergroups.values()],
        "channels": [
            channel_json(workspace, channel) | {"members": channel.members}
            for channel in workspace.channels.values()
            if only in {None, channel.id}
        ],
        "messages": {
            channel: [messages.shown(sandbox, message) for message in said]
            for channel, said in workspace.messages.items()
            if only in {None, channel}
        },
        "ephemerals": [messages.shown(sandbox, m) for m in workspace.ephemerals if only in {None, m.channel}],
        "views": {user: views.shown_stack(sandbox, user) for user in workspace.stacks},
        "homes": {user: views.shown(sandbox, view) for user, view in workspace.homes.items()},
        "warnings": list(sandbox.warnings),
        "faults": [fault.model_dump() for fault in sandbox.faults.waiting],
        "rate_limits": "slack" if sandbox.limiter.enabled else "off",
        "now": sandbox.clock.now(),
    }


async def said(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """The messages of a channel."""
    said = sandbox.workspace.messages.get(request.query_params.get("channel", ""), [])
    return {"ok": True, "messages": [messages.shown(sandbox, message) for message in said]}


async def ephemerals(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """Messages that only one person sees."""
    user = request.query_params.get("user")
    seen = [m for m in sandbox.workspace.ephemerals if user in {None, m.ephemeral_to}]
    return {"ok": True, "messages": [messages.shown(sandbox, message) for message in seen]}


async def modals(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """The modals a person has open."""
    return {"ok": True, "views": views.shown_stack(sandbox, request.query_params.get("user", ""))}


async def home_view(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """A person's Home tab."""
    view = sandbox.workspace.homes.get(request.query_params.get("user", ""))
    return {"ok": True, "view": views.shown(sandbox, view) if view else None}


async def calls(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """The calls of the Web API."""
    method = request.query_params.get("method")
    return {"ok": True, "calls": [call for call in sandbox.calls if method in {None, call["method"]}]}


async def deliveries(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """What was sent to the app."""
    kind = request.query_params.get("kind")
    sent = [delivery.to_json() for delivery in sandbox.courier.log if kind in {None, delivery.kind}]
    return {"ok": True, "deliveries": sent}


async def warnings(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    """What people were told went wrong."""
    user = request.query_params.get("user")
    return {"ok": True, "warnings": [warning for warning in sandbox.warnings if user in {None, warning["user"]}]}


async def sockets(sandbox: Sandbox, _: Request, __: JsonObject) -> JsonObject:
    """The Socket Mode connections."""
    return {"ok": True, **sandbox.sockets.shown()}


async def follow(request: Request) -> Response:
    """The change feed as server-sent events."""
    sandbox: Sandbox = request.app.state.sandbox

    async def stream() -> AsyncIterator[str]:
        async for change in sandbox.feed.follow():
            yield f"id: {change['id']}\ndata: {json.dumps(change, ensure_ascii=False)}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
