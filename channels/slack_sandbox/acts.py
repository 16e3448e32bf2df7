"""What a person does in the workspace: click, submit, close, run a command, open Home, write. One function each."""

import re
from typing import Any

from channels.slack_sandbox import answers, form, messages, payloads, views
from channels.slack_sandbox.delivery import FORM, Delivery
from channels.slack_sandbox.events_api import send_event
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import view_json
from channels.slack_sandbox.workspace import Blocks, Channel, JsonObject, Message, User, View, new_id

Values = dict[str, dict[str, Any]]

#: What an element brings along into `actions[]`. Source: docs.slack.dev, reference/interaction-payloads/block_actions.
_CARRIED = ("text", "value", "style", "url", "placeholder", "confirm")


class ImpossibleAct(Exception):  # noqa: N818  the person could not do this; nothing failed
    """
    Nobody could do this in Slack's client: no such button, not in the channel, account deactivated.

    Args:
        code: A stable word for tests, such as ``no_such_message``.
    """

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


async def click(
    sandbox: Sandbox,
    base_url: str,
    user_id: str,
    *,
    action_id: str,
    channel: str = "",
    ts: str = "",
    view_id: str = "",
    block_id: str | None = None,
    value: Any = None,
    values: Values | None = None,
) -> JsonObject:
    """Press a button or choose an option in a message (*channel*, *ts*) or a view (*view_id*)."""
    user = _person(sandbox, user_id)
    place: Message | View = _own_view(sandbox, user, view_id) if view_id else _message(sandbox, user, channel, ts)
    seen = _seen(place, action_id, block_id)
    block, element = form.find_element(seen, action_id, block_id)
    state = form.merged_state(seen, _state(place, user, seen), values or {})
    action = _action(sandbox, state, block, element, value)
    if isinstance(place, View):
        place.state = state
    else:
        place.states[user.id] = state
    if block["type"] == "input" and not block.get("dispatch_action"):
        return _not_sent(sandbox, user)
    if isinstance(place, View):
        trigger_id = sandbox.triggers.issue(user.id, view_id=place.id)
        response_url = ""
        payload = payloads.view_action(sandbox, user, place, action, trigger_id)
        where = {"view_id": place.id}
    else:
        trigger_id = sandbox.triggers.issue(user.id, channel=place.channel)
        response_url = sandbox.response_urls.issue(
            base_url,
            "actions",
            user=user.id,
            channel=place.channel,
            message_ts=place.ts,
            thread_ts=place.thread_ts,
        )
        payload = payloads.message_action(
            sandbox, user, place, action, trigger_id=trigger_id, response_url=response_url
        )
        where = {"channel": place.channel, "ts": place.ts}
    delivery = await sandbox.courier.deliver("block_actions", payloads.form_payload(payload), FORM)
    warning = answers.failure(delivery, sandbox.courier.ack_deadline_s)
    if warning:
        sandbox.warn(user.id, warning, action_id=action["action_id"], block_id=action["block_id"], **where)
    return _outcome(sandbox, user, delivery, warning, trigger_id=trigger_id, response_url=response_url)


async def submit(sandbox: Sandbox, user_id: str, *, view_id: str, values: Values | None = None) -> JsonObject:
    """Press a modal's submit button with *values* typed in."""
    user = _person(sandbox, user_id)
    view = _top_view(sandbox, user, view_id)
    view.state = form.merged_state(view.blocks, view.state, values or {})
    view.trouble = ""
    view.errors = form.missing_inputs(view.blocks, view.state)
    if view.errors:
        views.announce(sandbox, view)
        return _not_sent(sandbox, user, errors=view.errors)
    trigger_id = sandbox.triggers.issue(user.id, view_id=view.id)
    body = payloads.form_payload(payloads.view_submission(sandbox, user, view, trigger_id))
    delivery = await sandbox.courier.deliver("view_submission", body, FORM)
    warning = answers.take_submission_answer(sandbox, view, delivery)
    if warning:
        sandbox.warn(user.id, warning, view_id=view.id)
    return _outcome(sandbox, user, delivery, warning, trigger_id=trigger_id, errors=view.errors)


async def close(sandbox: Sandbox, user_id: str, *, view_id: str = "", everything: bool = False) -> JsonObject:
    """Press a modal's close button (or, with *everything*, the cross that closes the whole stack)."""
    user = _person(sandbox, user_id)
    view = _top_view(sandbox, user, view_id)
    is_cleared = everything or bool(view.content.get("clear_on_close"))
    if is_cleared:
        closed = views.clear(sandbox, user.id)
    else:
        closed = [view]
        views.remove(sandbox, view)
    deliveries = []
    for gone in closed:
        if gone.content.get("notify_on_close"):
            body = payloads.form_payload(payloads.view_closed(sandbox, user, gone, is_cleared=is_cleared))
            deliveries.append(await sandbox.courier.deliver("view_closed", body, FORM))
    if not deliveries:
        return _not_sent(sandbox, user)
    return _outcome(sandbox, user, deliveries[0], "")


async def command(sandbox: Sandbox, base_url: str, user_id: str, *, channel: str, text: str) -> JsonObject:
    """Send ``/name words`` from *channel*'s message box."""
    user = _person(sandbox, user_id)
    place = _channel(sandbox, user, channel)
    name, _, words = text.strip().partition(" ")
    known = {registered.command: registered for registered in sandbox.config.app.commands}
    if name not in known:
        sandbox.warn(user.id, f"{name} is not a valid command.", channel=channel)
        raise ImpossibleAct("unknown_command", f"{name} is not a valid command; the app has {sorted(known) or 'none'}")
    words = _escaped(sandbox, words.strip(), with_names=True) if known[name].should_escape else words.strip()
    trigger_id = sandbox.triggers.issue(user.id, channel=place.id)
    response_url = sandbox.response_urls.issue(base_url, "commands", user=user.id, channel=place.id)
    body = payloads.slash_command(
        sandbox, user, place, command=name, text=words, trigger_id=trigger_id, response_url=response_url
    )
    delivery = await sandbox.courier.deliver("command", body, FORM)
    failed = answers.take_command_answer(sandbox, delivery, user.id, place.id)
    warning = f'{name} failed with the error "{failed}"' if failed else ""
    if warning:
        sandbox.warn(user.id, warning, channel=place.id)
    return _outcome(sandbox, user, delivery, warning, trigger_id=trigger_id, response_url=response_url)


async def open_home(sandbox: Sandbox, user_id: str) -> JsonObject:
    """Open the app's Home tab."""
    user = _person(sandbox, user_id)
    event: JsonObject = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": sandbox.workspace.direct_message(user.id).id,
        "tab": "home",
        "event_ts": f"{sandbox.clock.now():.6f}",
    }
    if user.id in sandbox.workspace.homes:
        event["view"] = view_json(sandbox.workspace, sandbox.workspace.homes[user.id])
    return _event_outcome(sandbox, user, await send_event(sandbox, event))


async def write(sandbox: Sandbox, user_id: str, *, channel: str, text: str, thread_ts: str = "") -> JsonObject:
    """Write a message, or a reply in the thread of *thread_ts*; the app gets the message event it subscribed to."""
    user = _person(sandbox, user_id)
    place = _channel(sandbox, user, channel)
    if not text.strip():
        raise ImpossibleAct("no_text", "an empty message cannot be sent")
    if thread_ts and sandbox.workspace.message(place.id, thread_ts) is None:
        raise ImpossibleAct("no_such_message", f"no message {thread_ts!r} in {place.id} to reply to")
    written = _escaped(sandbox, text, with_names=False)
    message = messages.post(sandbox, place.id, user.id, written, [], thread_ts=thread_ts)
    event: JsonObject = {
        "type": "message",
        "user": user.id,
        "text": message.text,
        "ts": message.ts,
        "client_msg_id": new_id(""),
        "team": user.team_id,
        "channel": place.id,
        "channel_type": "im" if place.im_user else "group" if place.is_private else "channel",
        "event_ts": message.ts,
    }
    if thread_ts:
        parent = sandbox.workspace.message(place.id, thread_ts)
        event |= {"thread_ts": thread_ts, "parent_user_id": parent.user if parent else ""}
    first = await send_event(sandbox, event) if sandbox.workspace.bot_user_id in place.members else None
    if f"<@{sandbox.workspace.bot_user_id}>" in message.text:
        mention = {name: value for name, value in event.items() if name != "channel_type"} | {"type": "app_mention"}
        first = await send_event(sandbox, mention) or first
    return _event_outcome(sandbox, user, first) | {"ts": message.ts}


def _seen(place: Message | View, action_id: str, block_id: str | None) -> Blocks:
    """What the person acts on: *place* as it is, or as their client still shows it, if only there is the element."""
    earlier = place.earlier if isinstance(place, Message) else []
    for blocks in (place.blocks, *earlier):
        if form.has_element(blocks, action_id, block_id):
            return blocks
    return place.blocks


def _state(place: Message | View, user: User, seen: Blocks) -> form.State:
    if isinstance(place, View):
        return place.state
    return form.initial_state(seen, place.states.get(user.id))


def _action(sandbox: Sandbox, state: form.State, block: JsonObject, element: JsonObject, value: Any) -> JsonObject:
    action: JsonObject = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": f"{sandbox.clock.now():.6f}",
    }
    action |= {name: element[name] for name in _CARRIED if name in element}
    if element["type"] in {"button", "workflow_button"}:
        return action
    if element["type"] == "overflow":
        return action | form.chosen(element, value)
    here = state.setdefault(block["block_id"], {})
    if value is not None or element["action_id"] not in here:
        here[element["action_id"]] = form.chosen(element, value)
    chosen: JsonObject = here[element["action_id"]]
    return action | chosen


def _person(sandbox: Sandbox, user_id: str) -> User:
    user = sandbox.workspace.users.get(user_id)
    if user is None:
        raise ImpossibleAct("no_such_user", f"no user {user_id!r}; there are {sorted(sandbox.workspace.users)}")
    if user.is_bot:
        raise ImpossibleAct("user_is_bot", f"{user_id} is a bot; bots press no buttons")
    return user


def _channel(sandbox: Sandbox, user: User, channel_id: str) -> Channel:
    channel = sandbox.workspace.channels.get(channel_id)
    if channel is None:
        raise ImpossibleAct("no_such_channel", f"no channel {channel_id!r}")
    if user.id not in channel.members:
        raise ImpossibleAct("not_in_channel", f"{user.id} is not in {channel_id}")
    return channel


def _message(sandbox: Sandbox, user: User, channel_id: str, ts: str) -> Message:
    channel = _channel(sandbox, user, channel_id)
    message = sandbox.workspace.ephemeral(user.id, channel.id, ts) or sandbox.workspace.message(channel.id, ts)
    if message is None:
        raise ImpossibleAct("no_such_message", f"{user.id} sees no message {ts!r} in {channel_id}")
    return message


def _own_view(sandbox: Sandbox, user: User, view_id: str) -> View:
    view = sandbox.workspace.view(view_id)
    if view is None or view.user != user.id:
        raise ImpossibleAct("no_such_view", f"{user.id} sees no view {view_id!r}")
    return view


def _top_view(sandbox: Sandbox, user: User, view_id: str) -> View:
    stack = sandbox.workspace.stacks.get(user.id, [])
    if not stack or view_id not in {"", stack[-1].id}:
        raise ImpossibleAct("no_such_view", f"{view_id or 'a modal'} is not the modal {user.id} has in front")
    return stack[-1]


def _escaped(sandbox: Sandbox, text: str, *, with_names: bool) -> str:
    """
    *text* as Slack's client sends it: ``&``, ``<`` and ``>`` escaped, ``@ada`` and ``#ops`` as ids.

    References that are ids already (``<@U1>``) stay; commands carry the name as well (``<@U1|ada>``).
    """
    people = {user.name.casefold(): user for user in sandbox.workspace.users.values()}
    rooms = {channel.name: channel for channel in sandbox.workspace.channels.values() if channel.name}

    def person(match: re.Match[str]) -> str:
        user = people.get(match[1].casefold())
        if user is None:
            return match[0]
        return f"<@{user.id}|{user.name}>" if with_names else f"<@{user.id}>"

    def room(match: re.Match[str]) -> str:
        channel = rooms.get(match[1])
        return f"<#{channel.id}|{channel.name}>" if channel else match[0]

    def words(part: str) -> str:
        part = part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return re.sub(r"(?<![\w&])#([\w-]+)", room, re.sub(r"(?<!\w)@([\w.-]*\w)", person, part))

    parts = re.split(r"(<[@#!][^<>\s]+>)", text)
    return "".join(part if index % 2 else words(part) for index, part in enumerate(parts))


def _outcome(sandbox: Sandbox, user: User, delivery: Delivery, warning: str, **more: Any) -> JsonObject:
    return {
        "ok": True,
        "sent": True,
        "delivery_id": delivery.id,
        "status": delivery.status,
        "ack_ms": delivery.ack_ms,
        "body": delivery.answer,
        "problem": delivery.problem or None,
        "warning": warning or None,
        "errors": {},
        "views": views.shown_stack(sandbox, user.id),
        **more,
    }


def _not_sent(sandbox: Sandbox, user: User, **more: Any) -> JsonObject:
    return {
        "ok": True,
        "sent": False,
        "delivery_id": None,
        "status": None,
        "ack_ms": None,
        "body": "",
        "problem": None,
        "warning": None,
        "errors": {},
        "views": views.shown_stack(sandbox, user.id),
        **more,
    }


def _event_outcome(sandbox: Sandbox, user: User, delivery: Delivery | None) -> JsonObject:
    if delivery is None:
        return _not_sent(sandbox, user)
    return _outcome(sandbox, user, delivery, "")
