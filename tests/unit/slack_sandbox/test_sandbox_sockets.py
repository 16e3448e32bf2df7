"""The sandbox's Socket Mode: who may open a connection, what goes over it, and the ways it goes wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from patience import PATIENCE_S
from unit.slack_sandbox.sandbox_driver import ADA, CHANNEL, TOKEN, Slack, a_config, until

Json = dict[str, Any]
APP_TOKEN = "xapp-test"
#: How long the sandbox waits for an app that will not answer.
SOON_S = 0.3


@pytest.fixture
def slack(make_slack: Callable[..., Slack]) -> Slack:
    """A sandbox whose app is in Socket Mode."""
    app = a_config().app.model_dump() | {"app_token": APP_TOKEN, "socket_mode": True}
    return make_slack(app=app, socket_ping_s=0.05, ack_deadline_s=PATIENCE_S, event_retry_delays_s=[0.0])


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Closes what a test opens."""
    async with AsyncExitStack() as opened:
        yield opened


class App:
    """The app's end of one connection: acknowledges everything with what a test says."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.frames: list[Json] = []
        self.pings = 0
        self.payload: Json | None = None
        self.is_mute = False

    async def listen(self) -> None:
        """Take frames until the end."""
        while True:
            message = await self.ws.receive()
            if message.type is aiohttp.WSMsgType.PING:
                self.pings += 1
            elif message.type is aiohttp.WSMsgType.TEXT:
                frame = json.loads(message.data)
                self.frames.append(frame)
                if "envelope_id" in frame and not self.is_mute:
                    more = {} if self.payload is None else {"payload": self.payload}
                    await self.ws.send_json({"envelope_id": frame["envelope_id"], **more})
            else:
                return

    @property
    def envelopes(self) -> list[Json]:
        """The payloads' envelopes it got."""
        return [frame for frame in self.frames if "envelope_id" in frame]


async def connect(slack: Slack, stack: AsyncExitStack, url: str | None = None) -> App:
    """Open a connection and wait for its first frame."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    url = url or (await slack.api("apps.connections.open", token=APP_TOKEN))["url"]
    app = App(await stack.enter_async_context(session.ws_connect(url, autoping=False)))
    listening = asyncio.create_task(app.listen())
    stack.callback(listening.cancel)
    await until(lambda: bool(app.frames))
    return app


async def test_only_the_app_level_token_opens_connections(slack: Slack) -> None:
    """The bot's token is of the wrong kind, and the app-level token is good for nothing else."""
    bot = await slack.api("apps.connections.open", token=TOKEN)
    stranger = await slack.api("apps.connections.open", token="xapp-other")
    posting = await slack.api("chat.postMessage", token=APP_TOKEN, channel=CHANNEL, text="x")

    assert bot["error"] == posting["error"] == "not_allowed_token_type"
    assert stranger["error"] == "invalid_auth"


async def test_a_url_is_good_for_one_connection(slack: Slack, stack: AsyncExitStack) -> None:
    """The first use gets hello with the app and how many connections there are; the second is refused."""
    url = (await slack.api("apps.connections.open", token=APP_TOKEN))["url"]
    app = await connect(slack, stack, url)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await connect(slack, stack, url)

    [hello] = app.frames
    assert (hello["type"], hello["connection_info"], hello["num_connections"]) == ("hello", {"app_id": "A0APP"}, 1)


async def test_a_payload_goes_over_one_connection_and_its_answer_comes_back(
    slack: Slack, stack: AsyncExitStack
) -> None:
    """Interactions and commands arrive decoded and take content; events say how often they were tried."""
    apps = [await connect(slack, stack) for _ in range(3)]
    for app in apps:
        app.payload = {"text": "hello"}
    click = await slack.click(await slack.post())
    command = await slack.act("command", user=ADA, channel=CHANNEL, text="/loops help me")
    await slack.act("home", user=ADA)
    envelopes = [each for app in apps for each in app.envelopes]
    by_type = {each["type"]: each for each in envelopes}

    assert len(envelopes) == 3
    assert (click["status"], click["body"]) == (200, '{"text": "hello"}')
    assert command["status"] == 200
    assert by_type["interactive"]["payload"]["type"] == "block_actions"
    assert by_type["interactive"]["accepts_response_payload"] is True
    assert by_type["slash_commands"]["payload"]["text"] == "help me"
    assert by_type["events_api"]["payload"]["event"]["type"] == "app_home_opened"
    assert by_type["events_api"]["accepts_response_payload"] is False
    assert by_type["events_api"]["retry_attempt"] == 0


async def test_what_is_not_acknowledged_times_out_and_only_events_come_again(
    slack: Slack, stack: AsyncExitStack
) -> None:
    """A click ends with a warning; an event is delivered again, in a new envelope that says so."""
    app = await connect(slack, stack)
    app.is_mute = True
    await slack.control("clock", ack_deadline_s=SOON_S)
    click = await slack.click(await slack.post())
    await slack.act("home", user=ADA)
    await until(lambda: len(app.envelopes) == 3)
    first, again = app.envelopes[1:]

    assert (click["problem"], click["warning"][:17]) == ("timeout", "operation_timeout")
    assert again["envelope_id"] != first["envelope_id"]
    assert again["payload"]["event_id"] == first["payload"]["event_id"]
    assert (again["retry_attempt"], again["retry_reason"]) == (1, "http_timeout")


async def test_without_a_connection_nothing_arrives(slack: Slack) -> None:
    """No connection: the app cannot be reached."""
    assert (await slack.click(await slack.post()))["problem"] == "unreachable"


async def test_an_acknowledgement_counts_over_its_own_connection_only(slack: Slack, stack: AsyncExitStack) -> None:
    """The other connection's, an unknown id and garbage acknowledge nothing."""
    app, other = await connect(slack, stack), await connect(slack, stack)
    app.is_mute = other.is_mute = True
    await slack.control("clock", ack_deadline_s=SOON_S)
    click = asyncio.create_task(slack.click(await slack.post()))
    await until(lambda: bool(app.envelopes or other.envelopes))
    got, not_got = (app, other) if app.envelopes else (other, app)
    await not_got.ws.send_json({"envelope_id": got.envelopes[0]["envelope_id"]})
    await got.ws.send_json({"envelope_id": "no-such"})
    await got.ws.send_str("garbage")
    await until(lambda: slack.sandbox.sockets.stray_acks == 3)

    assert (await click)["problem"] == "timeout"
    assert (await slack.read("sockets"))["stray_acks"] == 3


async def test_an_eleventh_connection_is_one_too_many(slack: Slack, stack: AsyncExitStack) -> None:
    """Ten are the most; the next one is told so and closed."""
    for _ in range(10):
        await connect(slack, stack)
    late = await connect(slack, stack)

    assert late.frames == [{"type": "disconnect", "reason": "too_many_websockets", "debug_info": {"host": "sandbox"}}]
    assert len((await slack.read("sockets"))["connections"]) == 10


async def test_connections_end_in_the_ways_slack_ends_them(slack: Slack, stack: AsyncExitStack) -> None:
    """Announced, cut without a word, or dead while open: the control API can have each."""
    announced, cut, dead = [await connect(slack, stack) for _ in range(3)]
    one, two, three = [each["id"] for each in (await slack.read("sockets"))["connections"]]
    await slack.control("sockets", do="disconnect", connection=one, reason="warning")
    await slack.control("sockets", do="cut", connection=two)
    await slack.control("sockets", do="deaden", connection=three)
    await until(lambda: announced.ws.closed and cut.ws.closed)
    pings = dead.pings
    await slack.control("clock", ack_deadline_s=SOON_S)
    click = await slack.click(await slack.post())

    assert announced.frames[-1]["reason"] == "warning"
    assert len(cut.frames) == 1
    assert click["problem"] == "timeout"
    assert not dead.ws.closed
    assert dead.pings == pings
    assert dead.envelopes == []


async def test_an_app_without_socket_mode_is_told_so(make_slack: Callable[..., Slack], stack: AsyncExitStack) -> None:
    """The URL is given out, and the connection ends with link_disabled."""
    app = a_config().app.model_dump() | {"app_token": APP_TOKEN}
    connected = await connect(make_slack(app=app), stack)

    assert connected.frames[0]["reason"] == "link_disabled"
