"""Arranging: faults, repeated deliveries, people who change, connections that break, time that passes."""

import asyncio
from typing import Literal

from pydantic import Field
from starlette.requests import Request

from channels.slack_sandbox.acts import ImpossibleAct
from channels.slack_sandbox.control.asked import Asked
from channels.slack_sandbox.events_api import send_event
from channels.slack_sandbox.faults import Fault
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import user_json, usergroup_json
from channels.slack_sandbox.workspace import JsonObject, with_flags


class _Redelivery(Asked):
    delivery_id: str
    count: int = Field(default=1, ge=1, le=100)


class _Clock(Asked):
    advance_s: float = Field(default=0.0, ge=0)
    signature_skew_s: float | None = None
    ack_deadline_s: float | None = Field(default=None, gt=0)
    event_retry_delays_s: tuple[float, ...] | None = None


class _Sockets(Asked):
    """What happens to one connection, or without *connection* to all; *broadcast* sends payloads over all of them."""

    do: Literal["disconnect", "deaden", "cut"] | None = None
    connection: str = ""
    reason: Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"] = "refresh_requested"
    close_after_s: float = Field(default=0.0, ge=0)
    broadcast: bool | None = None
    enabled: bool | None = None


class _Usergroup(Asked):
    add: list[str] = Field(default_factory=list)
    remove: list[str] = Field(default_factory=list)
    disabled: bool | None = None


class _Settings(Asked):
    rate_limits: str | None = Field(default=None, pattern="^(slack|off)$")
    rate_factor: float | None = Field(default=None, gt=0)
    token_error: str | None = None


async def reset(sandbox: Sandbox, _: Request, __: JsonObject) -> JsonObject:
    """Begin anew."""
    await sandbox.reset()
    return {"ok": True}


async def add_fault(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Have something go wrong the next times."""
    sandbox.faults.add(Fault.model_validate(body))
    return {"ok": True, "faults": [fault.model_dump() for fault in sandbox.faults.waiting]}


async def clear_faults(sandbox: Sandbox, _: Request, __: JsonObject) -> JsonObject:
    """Have nothing more go wrong."""
    sandbox.faults.waiting.clear()
    return {"ok": True, "faults": []}


async def replay(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Send a delivery again, as it was."""
    return await _again(sandbox, body, fresh_signature=False)


async def duplicate(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Send a delivery again, signed anew."""
    return await _again(sandbox, body, fresh_signature=True)


async def _again(sandbox: Sandbox, body: JsonObject, *, fresh_signature: bool) -> JsonObject:
    asked = _Redelivery.model_validate(body)
    delivery = sandbox.courier.find(asked.delivery_id)
    if delivery is None:
        raise ImpossibleAct("no_such_delivery", f"no delivery {asked.delivery_id!r} is remembered")
    send = sandbox.courier.duplicate if fresh_signature else sandbox.courier.replay
    sent = await asyncio.gather(*(send(delivery) for _ in range(asked.count)))
    return {"ok": True, "deliveries": [one.to_json() for one in sent]}


async def change_user(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    """Change what a person is, and tell the app."""
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


async def act_on_sockets(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Change what becomes of connections."""
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


async def change_usergroup(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    """Change who is in a user group, and tell the app."""
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


async def set_clock(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Move the clock, and what waits for it."""
    asked = _Clock.model_validate(body)
    sandbox.clock.advance(asked.advance_s)
    if asked.signature_skew_s is not None:
        sandbox.clock.signature_skew_s = asked.signature_skew_s
    if asked.ack_deadline_s is not None:
        sandbox.courier.ack_deadline_s = asked.ack_deadline_s
    if asked.event_retry_delays_s is not None:
        sandbox.event_retry_delays_s = asked.event_retry_delays_s
    return {"ok": True, "now": sandbox.clock.now()}


async def change_settings(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Change limits, and whether tokens are taken."""
    asked = _Settings.model_validate(body)
    if asked.rate_limits is not None:
        sandbox.limiter.enabled = asked.rate_limits == "slack"
    if asked.rate_factor is not None:
        sandbox.limiter.factor = asked.rate_factor
    if asked.token_error is not None:
        sandbox.token_error = asked.token_error
    return {"ok": True}
