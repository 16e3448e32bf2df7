"""Drives a sandbox in process, with a small app of our own on the other end of its deliveries."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx2
from patience import PATIENCE_S
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from channels.slack_sandbox.app import create_app
from channels.slack_sandbox.config import SandboxConfig
from channels.slack_sandbox.sandbox import Sandbox

Json = dict[str, Any]
Answer = Callable[[Json], Awaitable[Response]]

CHANNEL = "C0OPS"
ADA, LIN, BOT = "U0ADA", "U0LIN", "U0BOT"
TOKEN, SECRET = "xoxb-test", "a-signing-secret"


@dataclass
class FakeApp:
    """The app Slack delivers to: remembers every request and answers as a test says."""

    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    in_flight: int = 0
    in_flight_max: int = 0

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.received.append((dict(request.headers), body))
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight, self.in_flight_max)
        try:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0] if self.answers else None
            return await answer(payload_of(body)) if answer else PlainTextResponse("")
        finally:
            self.in_flight -= 1

    def answers_with(self, *responses: Response | Json | str | int) -> None:
        """Answer the next requests with these, the last one for good."""
        self.answers = [_fixed(response) for response in responses]

    def calls_back(self, *answers: Answer) -> None:
        """Answer by running these with the payload."""
        self.answers = list(answers)

    @property
    def payloads(self) -> list[Json]:
        """What was received, decoded."""
        return [payload_of(body) for _, body in self.received]


def payload_of(body: bytes) -> Json:
    """The interaction, command form or event in *body*."""
    if body.startswith(b"{"):
        event: Json = json.loads(body)
        return event
    form = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    payload: Json = json.loads(form["payload"]) if "payload" in form else form
    return payload


def _fixed(response: Response | Json | str | int) -> Answer:
    async def answer(_: Json) -> Response:
        match response:
            case Response():
                return response
            case int():
                return PlainTextResponse("", response)
            case str():
                return PlainTextResponse(response)
            case _:
                return JSONResponse(response)

    return answer


@dataclass
class Slack:
    """A sandbox to drive: its Web API, its control API, and the app it delivers to."""

    app: FakeApp
    sandbox: Sandbox
    http: httpx2.AsyncClient

    async def api(self, method: str, *, token: str = TOKEN, **args: Any) -> Json:
        """Call a Web API method with a JSON body."""
        answer: Json = (await self.call(method, token=token, **args)).json()
        return answer

    async def call(self, method: str, *, token: str = TOKEN, **args: Any) -> httpx2.Response:
        """The same, with the whole HTTP answer."""
        return await self.http.post(f"/api/{method}", json=args, headers={"Authorization": f"Bearer {token}"})

    async def act(self, what: str, **body: Any) -> Json:
        """Act as a person."""
        answer: Json = (await self.http.post(f"/sandbox/act/{what}", json=body)).json()
        return answer

    async def control(self, path: str, **body: Any) -> Json:
        """Post to the control API."""
        answer: Json = (await self.http.post(f"/sandbox/{path}", json=body)).json()
        return answer

    async def read(self, path: str) -> Json:
        """Read from the control API."""
        answer: Json = (await self.http.get(f"/sandbox/{path}")).json()
        return answer

    async def post(self, blocks: list[Json] | None = None, **args: Any) -> str:
        """Post a message with buttons; gives its ts."""
        answer = await self.api(
            "chat.postMessage", **{"channel": CHANNEL, "text": "card", "blocks": blocks or a_card(), **args}
        )
        assert answer["ok"], answer
        ts: str = answer["ts"]
        return ts

    async def click(self, ts: str, action_id: str = "approve", user: str = ADA, **more: Any) -> Json:
        """Press a button of a message."""
        return await self.act("click", user=user, channel=CHANNEL, ts=ts, action_id=action_id, **more)

    async def trigger(self, user: str = ADA) -> str:
        """A fresh trigger id, as a click gives it."""
        answer = await self.click(await self.post(), user=user)
        trigger_id: str = answer["trigger_id"]
        return trigger_id

    async def open(self, view: Json | None = None, user: str = ADA) -> Json:
        """Open a modal for *user*; gives the view."""
        answer = await self.api("views.open", trigger_id=await self.trigger(user), view=view or a_modal())
        assert answer["ok"], answer
        opened: Json = answer["view"]
        return opened

    async def submit(self, view_id: str, reason: str | None = "the budget is spent", user: str = ADA) -> Json:
        """Submit the modal of `a_modal` with *reason*."""
        return await self.act("submit", user=user, view_id=view_id, values={"reason": {"text": reason}})


def a_config(**changes: Any) -> SandboxConfig:
    """A workspace with two people, a guest, a bot and three channels; rate limits off unless *changes* says so."""
    return SandboxConfig.model_validate(
        {
            "team": {"id": "T0ACME", "name": "Acme", "domain": "acme"},
            "app": {
                "app_id": "A0APP",
                "bot_token": TOKEN,
                "signing_secret": SECRET,
                "bot_user": {"id": BOT, "name": "loopgate"},
                "request_url": "http://127.0.0.1:9/slack/events",
                "commands": [{"command": "/loops"}],
            },
            "channels": [
                {"id": CHANNEL, "name": "ops", "members": [ADA, LIN, BOT]},
                {"id": "C0ELSE", "name": "else", "members": [ADA]},
                {"id": "G0SECRET", "name": "secret", "members": [ADA], "is_private": True},
            ],
            "users": [
                {"id": ADA, "name": "ada", "real_name": "Ada Lovelace", "email": "ada@acme.test"},
                {"id": LIN, "name": "lin"},
                {"id": "U0GUEST", "name": "gus", "is_restricted": True},
            ],
            "usergroups": [{"id": "S0SRE", "handle": "sre", "name": "SRE", "users": [ADA, LIN]}],
            "rate_limits": "off",
            **changes,
        }
    )


def plain(text: str) -> Json:
    """A plain_text object."""
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    """A mrkdwn object."""
    return {"type": "mrkdwn", "text": text}


def a_button(action_id: str = "approve", **changes: Any) -> Json:
    """A button."""
    return {"type": "button", "action_id": action_id, "text": plain("Approve"), "value": "r1", **changes}


def a_card() -> list[Json]:
    """A message with text and two buttons."""
    return [
        {"type": "section", "text": mrkdwn("*Roll out* CHG-1")},
        {"type": "actions", "block_id": "decide", "elements": [a_button(), a_button("reject", style="danger")]},
    ]


def a_modal(**changes: Any) -> Json:
    """A modal that asks for a reason."""
    return {
        "type": "modal",
        "callback_id": "reject",
        "title": plain("Reject"),
        "submit": plain("Reject"),
        "blocks": [
            {
                "type": "input",
                "block_id": "reason",
                "label": plain("Reason"),
                "element": {"type": "plain_text_input", "action_id": "text"},
            },
            {"type": "actions", "block_id": "more", "elements": [a_button("details")]},
        ],
        **changes,
    }


async def until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Wait for *condition* to hold."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  what is waited for knows no event
            await asyncio.sleep(0.005)


def in_process(**changes: Any) -> Slack:
    """
    A sandbox whose deliveries reach a `FakeApp`, all in this process; close it with `close`.

    Its clock stands still but for what a test advances it by: triggers expire and limits refill on no slow machine.
    """
    fake, now = FakeApp(), time.time()
    receiver = Starlette(routes=[Route("/slack/events", fake.answer, methods=["POST"])])
    app = create_app(a_config(**changes), httpx2.ASGITransport(receiver), lambda: now)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1")
    return Slack(fake, app.state.sandbox, http)


async def close(slack: Slack) -> None:
    """End what *slack* runs in the background."""
    await slack.http.aclose()
    await slack.sandbox.aclose()
