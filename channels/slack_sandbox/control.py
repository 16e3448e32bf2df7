"""The control API under `/sandbox/`: act as a person, read everything, arrange faults. For tests and the page."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from channels.slack_sandbox import acts, messages, views
from channels.slack_sandbox.acts import ImpossibleAct
from channels.slack_sandbox.events_api import send_event
from channels.slack_sandbox.faults import Fault
from channels.slack_sandbox.form import NoSuchElementError
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import channel_json, user_json, usergroup_json
from channels.slack_sandbox.workspace import JsonObject, with_flags

Handler = Callable[[Sandbox, Request, JsonObject], Awaitable[JsonObject]]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Click(_Asked):
    user: str
    action_id: str
    channel: str = ""
    ts: str = ""
    view_id: str = ""
    block_id: str | None = None
    value: Any = None
    values: acts.Values = {}


class _Submit(_Asked):
    user: str
    view_id: str
    values: acts.Values = {}


class _Close(_Asked):
    user: str
    view_id: str = ""
    all: bool = False


class _Command(_Asked):
    user: str
    channel: str
    text: str


class _Home(_Asked):
    user: str


class _Write(_Asked):
    user: str
    channel: str
    text: str
    thread_ts: str = ""


class _Redelivery(_Asked):
    delivery_id: str
    count: int = Field(default=1, ge=1, le=100)


class _Clock(_Asked):
    advance_s: float = Field(default=0.0, ge=0)
    signature_skew_s: float | None = None
    ack_deadline_s: float | None = Field(default=None, gt=0)
    event_retry_delays_s: tuple[float, ...] | None = None


class _Sockets(_Asked):
    """What happens to one connection, or without *connection* to all; *broadcast* sends payloads over all of them."""

    do: Literal["disconnect", "deaden", "cut"] | None = None
    connection: str = ""
    reason: Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"] = "refresh_requested"
    close_after_s: float = Field(default=0.0, ge=0)
    broadcast: bool | None = None
    enabled: bool | None = None


class _Usergroup(_Asked):
    add: list[str] = []
    remove: list[str] = []
    disabled: bool | None = None


class _Settings(_Asked):
    rate_limits: str | None = Field(default=None, pattern="^(slack|off)$")
    rate_factor: float | None = Field(default=None, gt=0)
    token_error: str | None = None


async def _click(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    asked = _Click.model_validate(body)
    return await acts.click(sandbox, str(request.base_url), asked.user, **asked.model_dump(exclude={"user"}))


async def _submit(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    asked = _Submit.model_validate(body)
    return await acts.submit(sandbox, asked.user, view_id=asked.view_id, values=asked.values)


async def _close(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    asked = _Close.model_validate(body)
    return await acts.close(sandbox, asked.user, view_id=asked.view_id, everything=asked.all)


async def _command(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    asked = _Command.model_validate(body)
    return await acts.command(sandbox, str(request.base_url), asked.user, channel=asked.channel, text=asked.text)


async def _home(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    return await acts.open_home(sandbox, _Home.model_validate(body).user)


async def _write(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    asked = _Write.model_validate(body)
    return await acts.write(sandbox, asked.user, channel=asked.channel, text=asked.text, thread_ts=asked.thread_ts)


async def _reset(sandbox: Sandbox, _: Request, __: JsonObject) -> JsonObject:
    await sandbox.reset()
    return {"ok": True}


async def _add_fault(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    sandbox.faults.add(Fault.model_validate(body))
    return {"ok": True, "faults": [fault.model_dump() for fault in sandbox.faults.waiting]}


async def _clear_faults(sandbox: Sandbox, _: Request, __: JsonObject) -> JsonObject:
    sandbox.faults.waiting.clear()
    return {"ok": True, "faults": []}


async def _replay(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    return await _again(sandbox, body, fresh_signature=False)


async def _duplicate(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    return await _again(sandbox, body, fresh_signature=True)


async def _again(sandbox: Sandbox, body: JsonObject, *, fresh_signature: bool) -> JsonObject:
    asked = _Redelivery.model_validate(body)
    delivery = sandbox.courier.find(asked.delivery_id)
    if delivery is None:
        raise ImpossibleAct("no_such_delivery", f"no delivery {asked.delivery_id!r} is remembered")
    send = sandbox.courier.duplicate if fresh_signature else sandbox.courier.replay
    sent = await asyncio.gather(*(send(delivery) for _ in range(asked.count)))
    return {"ok": True, "deliveries": [one.to_json() for one in sent]}


async def _change_user(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    user_id = request.path_params["user_id"]
    user = sandbox.workspace.users.get(user_id)
    if user is None:
        raise ImpossibleAct("no_such_user", f"no user {user_id!r}")
    try:
        sandbox.workspace.users[user_id] = changed = with_flags(user, body)
    except ValueError as error:
        raise ImpossibleAct("invalid_change", str(error)) from error
    told = user_json(sandbox.workspace, changed)
    sandbox.feed.announce("user", user=told)
    event = {"type": "user_change", "user": told, "event_ts": f"{sandbox.clock.now():.6f}"}
    sandbox.in_background(send_event(sandbox, event))
    return {"ok": True, "user": told}


async def _sockets(sandbox: Sandbox, _: Request, __: JsonObject) -> JsonObject:
    return {"ok": True, **sandbox.sockets.shown()}


async def _act_on_sockets(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    asked = _Sockets.model_validate(body)
    sockets = sandbox.sockets
    if asked.broadcast is not None:
        sockets.broadcasts = asked.broadcast
    if asked.enabled is not None:
        sockets.is_enabled = asked.enabled
    chosen = [each for each in sockets.connections.values() if asked.connection in {"", each.id}]
    if asked.connection and not chosen:
        raise ImpossibleAct("no_such_connection", f"no connection {asked.connection!r} is open")
    match asked.do:
        case "deaden":
            for each in chosen:
                each.is_dead = True
        case "cut":
            sockets.cut(chosen)
        case "disconnect":
            await sockets.disconnect(chosen, asked.reason, asked.close_after_s)
        case None:
            pass
    return {"ok": True, **sockets.shown()}


async def _change_usergroup(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    asked, group_id = _Usergroup.model_validate(body), request.path_params["group_id"]
    group = sandbox.workspace.usergroups.get(group_id)
    if group is None:
        raise ImpossibleAct("no_such_usergroup", f"no user group {group_id!r}")
    if unknown := sorted({*asked.add} - sandbox.workspace.users.keys()):
        raise ImpossibleAct("no_such_user", f"no user {unknown[0]!r}")
    users = [user for user in group.users if user not in asked.remove]
    users += [user for user in dict.fromkeys(asked.add) if user not in users]
    now = sandbox.clock.now()
    disabled_at = group.disabled_at if asked.disabled is None else int(now) if asked.disabled else 0
    changed = group.model_copy(update={"users": tuple(users), "disabled_at": disabled_at})
    sandbox.workspace.usergroups[group_id] = changed
    told = usergroup_json(sandbox.workspace, changed)
    events: list[JsonObject] = [{"type": "subteam_updated", "subteam": told}]
    if changed.users != group.users:
        events.append(_members_changed(sandbox, group_id, {"added_users": asked.add, "removed_users": asked.remove}))
    for event in events:
        sandbox.in_background(send_event(sandbox, event | {"event_ts": f"{now:.6f}"}))
    return {"ok": True, "usergroup": told}


def _members_changed(sandbox: Sandbox, group_id: str, difference: dict[str, list[str]]) -> JsonObject:
    # Source: docs.slack.dev, reference/events/subteam_members_changed.
    now = int(sandbox.clock.now())
    return {
        "type": "subteam_members_changed",
        "subteam_id": group_id,
        "team_id": sandbox.workspace.team_id,
        "date_previous_update": now,
        "date_update": now,
        **difference,
        **{f"{name}_count": len(users) for name, users in difference.items()},
    }


async def _set_clock(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    asked = _Clock.model_validate(body)
    sandbox.clock.advance(asked.advance_s)
    if asked.signature_skew_s is not None:
        sandbox.clock.signature_skew_s = asked.signature_skew_s
    if asked.ack_deadline_s is not None:
        sandbox.courier.ack_deadline_s = asked.ack_deadline_s
    if asked.event_retry_delays_s is not None:
        sandbox.event_retry_delays_s = asked.event_retry_delays_s
    return {"ok": True, "now": sandbox.clock.now()}


async def _set(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    asked = _Settings.model_validate(body)
    if asked.rate_limits is not None:
        sandbox.limiter.enabled = asked.rate_limits == "slack"
    if asked.rate_factor is not None:
        sandbox.limiter.factor = asked.rate_factor
    if asked.token_error is not None:
        sandbox.token_error = asked.token_error
    return {"ok": True}


async def _state(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
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


async def _messages(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    said = sandbox.workspace.messages.get(request.query_params.get("channel", ""), [])
    return {"ok": True, "messages": [messages.shown(sandbox, message) for message in said]}


async def _ephemerals(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    user = request.query_params.get("user")
    seen = [m for m in sandbox.workspace.ephemerals if user in {None, m.ephemeral_to}]
    return {"ok": True, "messages": [messages.shown(sandbox, message) for message in seen]}


async def _views(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    return {"ok": True, "views": views.shown_stack(sandbox, request.query_params.get("user", ""))}


async def _home_view(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    view = sandbox.workspace.homes.get(request.query_params.get("user", ""))
    return {"ok": True, "view": views.shown(sandbox, view) if view else None}


async def _calls(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    method = request.query_params.get("method")
    return {"ok": True, "calls": [call for call in sandbox.calls if method in {None, call["method"]}]}


async def _deliveries(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    kind = request.query_params.get("kind")
    sent = [delivery.to_json() for delivery in sandbox.courier.log if kind in {None, delivery.kind}]
    return {"ok": True, "deliveries": sent}


async def _warnings(sandbox: Sandbox, request: Request, _: JsonObject) -> JsonObject:
    user = request.query_params.get("user")
    return {"ok": True, "warnings": [warning for warning in sandbox.warnings if user in {None, warning["user"]}]}


async def follow(request: Request) -> Response:
    """The change feed as server-sent events."""
    sandbox: Sandbox = request.app.state.sandbox

    async def stream() -> AsyncIterator[str]:
        async for change in sandbox.feed.follow():
            yield f"id: {change['id']}\ndata: {json.dumps(change, ensure_ascii=False)}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = json.loads(await request.body() or b"{}") if request.method in {"POST", "DELETE"} else {}
            if not isinstance(body, dict):
                raise ImpossibleAct("invalid_body", "the body must be a JSON object")
            return JSONResponse(await handler(request.app.state.sandbox, request, body))
        except ImpossibleAct as error:
            status = 404 if error.code.startswith("no_such") else 400
            return _refused(error.code, str(error), status)
        except NoSuchElementError as error:
            return _refused("no_such_element", str(error), 404)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            where = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in wrong)
            return _refused("invalid_body", where, 400)
        except ValueError as error:
            return _refused("invalid_body", f"the body is not JSON: {error}", 400)

    return endpoint


def _refused(code: str, why: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": code, "message": why}, status)


_HANDLERS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/sandbox/act/click", _click),
    ("POST", "/sandbox/act/submit", _submit),
    ("POST", "/sandbox/act/close", _close),
    ("POST", "/sandbox/act/command", _command),
    ("POST", "/sandbox/act/home", _home),
    ("POST", "/sandbox/act/message", _write),
    ("GET", "/sandbox/state", _state),
    ("GET", "/sandbox/messages", _messages),
    ("GET", "/sandbox/ephemerals", _ephemerals),
    ("GET", "/sandbox/views", _views),
    ("GET", "/sandbox/home", _home_view),
    ("GET", "/sandbox/calls", _calls),
    ("GET", "/sandbox/deliveries", _deliveries),
    ("GET", "/sandbox/warnings", _warnings),
    ("POST", "/sandbox/reset", _reset),
    ("POST", "/sandbox/faults", _add_fault),
    ("DELETE", "/sandbox/faults", _clear_faults),
    ("POST", "/sandbox/replay", _replay),
    ("POST", "/sandbox/duplicate", _duplicate),
    ("POST", "/sandbox/users/{user_id}", _change_user),
    ("POST", "/sandbox/usergroups/{group_id}", _change_usergroup),
    ("POST", "/sandbox/clock", _set_clock),
    ("POST", "/sandbox/settings", _set),
    ("GET", "/sandbox/sockets", _sockets),
    ("POST", "/sandbox/sockets", _act_on_sockets),
)

ROUTES = [
    Route("/sandbox/events", follow, methods=["GET"]),
    *(Route(path, _endpoint(handler), methods=[method]) for method, path, handler in _HANDLERS),
]
