"""
A visitor who presses everything: every button, every entry of a menu, every window, every command, as several people.

Drives the real Bolt app and `SlackChannel` without a network, and keeps whatever they say to Slack: calls, and what the
acks carry. It knows buttons and windows by name only where they decide: a new button, window or command is tried as
soon as it stands on a card, in a menu, on the Home tab or in the command's help.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from builders import TENANT
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient
from unit.slack.worlds import AGGREGATE, World

from channels.slack.app import create_bolt_app
from channels.slack.bulk import BULK_VIEW
from channels.slack.channel import SlackChannel
from channels.slack.commands.windows import CANCEL_VIEW
from channels.slack.commands.wording import HELP
from channels.slack.deliveries import Click, Command, Delivery, EventCallback, Submission
from channels.slack.installation import SlackInstallation
from channels.slack.reception import Reception
from channels.slack.shown import ANSWER, EDIT_VIEW, REASON_VIEW, WITHDRAW_VIEW
from gateway.gate import EngineGate
from loops.cards import Notice

Json = dict[str, Any]

INSTALLATION = SlackInstallation("T1", "A1", SecretStr("xoxb-test"), SecretStr("secret"), "UBOT", "http://127.0.0.1:9/")
CARD = {"channel_id": "C1", "message_ts": "1.2", "type": "message"}
WORDS = ("", AGGREGATE, "mine", "any.change", "any.change a=b", "nothing-of-the-kind <!channel> *x*", "--page 2")


class Kept(AsyncWebClient):
    """Slack's client, but for the network: it keeps each call and says that it went well."""

    def __init__(self) -> None:
        super().__init__(token="xoxb-test", base_url=INSTALLATION.api_url, retry_handlers=[])
        self.calls: list[tuple[str, Json]] = []

    async def api_call(self, api_method: str, **given: Any) -> Json:  # type: ignore[override]
        """Keep one call."""
        args = next((dict(each) for name in ("json", "data", "params") if (each := given.get(name))), {})
        self.calls.append((api_method, args))
        return {"ok": True, "channel": args.get("channel"), "ts": "1.2", "messages": [], "view": {"id": "V1"}}


@dataclass
class Visitor:
    """Whoever presses things in *world*; `said` is everything that was said to Slack, as `/sandbox/calls` would be."""

    world: World
    client: Kept = field(default_factory=Kept)
    answers: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(1))
    #: Who pressed what: the person, the kind of place, the action, the entry of a menu.
    pressed: set[tuple[str, str, str, str]] = field(default_factory=set)

    _open: list[tuple[str, Json]] = field(default_factory=list)

    def __post_init__(self) -> None:
        house = self.world.house
        gate = EngineGate(
            house.engine,
            house.store,
            effects=house.store,  # type: ignore[arg-type]
            definitions=house.definitions,
            directory=house.people,
            clock=house.clock,
        )
        self.bolt = create_bolt_app(INSTALLATION, self.client, gate=gate, directory=house.people, tenant=TENANT)
        self._reception = Reception(self.bolt, INSTALLATION)
        self.channel = SlackChannel(self.client, INSTALLATION, routes={"sre-approvals": "C1"})

    @property
    def said(self) -> list[Json]:
        """Everything that was said by a call."""
        return [{"method": method, "args": args} for method, args in self.client.calls]

    async def read(self) -> None:
        """Have the card posted, brought up to date and replied to, and everybody told what they are to be told."""
        house, request = self.world.house, self.world.request
        subject = await house.store.load_request(TENANT, request.request_id)
        assert subject is not None
        address = await self.channel.post(subject, "ef_card", again=False)
        await self.channel.update(subject, address)
        for event in await house.store.events(TENANT, request.instance_id):
            await self.channel.reply(subject, event, address, "ef_reply", again=False)
        for effect in await house.effects(request.instance_id, "notice"):
            await self.channel.tell(Notice.model_validate(dict(effect.payload)), subject)

    async def look_around(self, user: str, *, words: Sequence[str] = ("", AGGREGATE)) -> None:
        """Open the Home tab and say every command there is, with each of *words*."""
        happened = {"type": "app_home_opened", "user": user, "tab": "home"}
        event = {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event": happened}
        await self._follow(user, await self._deliver(EventCallback.model_validate(event)), CARD)
        for verb in dict.fromkeys(usage.split()[0] for usage, _ in HELP):
            for word in words:
                command = {"command": "/loops", "text": f"{verb} {word}", "user_id": user, "team_id": "T1"}
                delivery = Command.model_validate({**command, "api_app_id": "A1", "trigger_id": self._number("t")})
                await self._follow(user, await self._deliver(delivery), CARD)

    async def press(self, user: str, *, decides: bool) -> None:
        """Press what the card shows now, and whatever opens; only the buttons that decide at once where *decides*."""
        await self._follow(user, await self._card(), CARD, decides=decides)

    async def submit(self) -> None:
        """Submit every window that was opened: empty, with a number, with text. Those that close the request last."""
        closing = (EDIT_VIEW, BULK_VIEW, REASON_VIEW, WITHDRAW_VIEW, CANCEL_VIEW)
        windows, self._open = self._open, []
        for user, view in sorted(windows, key=lambda opened: opened[1]["callback_id"] in closing):
            for typed in ("", "7", "something <!channel> *bold*"):
                await self._follow(user, await self._deliver(self._submission(user, view, typed)), CARD)

    async def _card(self) -> list[Json]:
        subject = await self.world.house.store.load_request(TENANT, self.world.request.request_id)
        assert subject is not None
        before = len(self.client.calls)
        await self.channel.update(subject, {"channel": "C1", "ts": "1.2"})
        return [args for _, args in self.client.calls[before:]]

    async def _follow(self, user: str, shown: list[Json], place: Json, *, decides: bool = False) -> None:
        for each in shown:
            view = each.get("view") or (each if each.get("type") in {"modal", "home"} else None)
            blocks = (view or each).get("blocks") or []
            here = place if view is None else {"type": "view", "view_id": "V1"}
            for action in _actions(blocks):
                if action["action_id"].startswith(ANSWER) == decides and self._is_new(user, here, action):
                    click = self._click(user, action, here, view)
                    await self._follow(user, await self._deliver(click), place)
            if view and "submit" in view and self._is_new(user, here, {"action_id": view["callback_id"]}):
                self._open.append((user, view))

    def _is_new(self, user: str, place: Json, action: Json) -> bool:
        chosen = (action.get("selected_option") or {}).get("value", "")
        verb = (*re.findall(r'"v":"(\w+)"', chosen), "")[0]
        pressed = (user, place["type"], re.sub(r"\d+$", "", action["action_id"]), verb)
        is_new = pressed not in self.pressed
        self.pressed.add(pressed)
        return is_new

    def _click(self, user: str, action: Json, place: Json, view: Json | None) -> Click:
        of_view = {"view": {"id": "V1", "hash": "h", "type": view["type"]}} if view else {}
        return Click.model_validate(
            {"type": "block_actions", **self._from(user), "container": place, "actions": [action], **of_view}
        )

    def _submission(self, user: str, view: Json, typed: str) -> Submission:
        state: Json = {}
        for block in view["blocks"]:
            if block["type"] == "input":
                element = block["element"]
                chosen = element.get("options", [None])[0]
                given: Json = {"value": typed or element.get("initial_value"), "selected_option": chosen}
                given |= {"selected_options": [chosen] if chosen and typed else [], "selected_user": "UKIM"}
                state[block["block_id"]] = {element["action_id"]: given}
        kept = {name: view[name] for name in ("callback_id", "private_metadata", "type") if name in view}
        sent = {"id": "V1", "hash": self._number("h"), **kept, "state": {"values": state}}
        return Submission.model_validate({"type": "view_submission", **self._from(user), "view": sent})

    def _from(self, user: str) -> Json:
        return {
            "user": {"id": user, "team_id": "T1"},
            "team": {"id": "T1"},
            "api_app_id": "A1",
            "trigger_id": self._number("t"),
        }

    def _number(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers)}"

    async def _deliver(self, delivery: Delivery) -> list[Json]:
        """Deliver, and return what came of it that can be seen: what was called and what the ack carries."""
        before = len(self.client.calls)
        answer = await self._reception.answer(delivery)
        self.statuses.append(answer.status)
        self.answers.append(answer.body)
        carried = json.loads(answer.body) if answer.body else {}
        return [*(args for _, args in self.client.calls[before:]), carried]


def _actions(blocks: list[Json]) -> Iterator[Json]:
    """Yield what acting on each element of *blocks* would send."""
    for block in blocks:
        for element in [*block.get("elements", ()), block.get("accessory") or {}]:
            action = {"action_id": element.get("action_id"), "block_id": block.get("block_id", ""), "action_ts": "3.4"}
            if element.get("type") == "button":
                yield action | {"value": element.get("value")}
            elif element.get("type") == "overflow":
                yield from ({**action, "selected_option": each} for each in element["options"])
