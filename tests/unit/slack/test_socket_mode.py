"""Socket Mode: the same listeners over connections of our own; none of their many ends loses a click."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from builders import a_house
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE_S
from slack_bolt import BoltResponse
from unit.slack.rig import Rig, SeenInMemory, a_rig

from channels.slack.deliveries import Delivery
from channels.slack.socket_mode.counts import SocketCounts
from channels.slack.socket_mode.frames import BadFrame, Envelope, acknowledgement, read
from channels.slack.socket_mode.keeper import Pace
from channels.slack.socket_mode.link import dial
from loops.errors import Rejected, Unavailable

#: Everything as in production, a hundred times as fast; the sandbox pings every 0.1 s here.
QUICK = Pace(silence_s=PATIENCE_S, first_wait_s=0.02, longest_wait_s=0.3, proven_s=0.2, overlap_s=0.3)
#: The same where silence is what it is about.
ALERT = replace(QUICK, silence_s=2.0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A card waiting for an approval, two connections up."""
    async with connected() as made:
        yield made


@asynccontextmanager
async def connected(pace: Pace = QUICK) -> AsyncIterator[Rig]:
    """Yield a rig whose connections are up."""
    async with a_rig(a_house(), socket=pace) as made:
        await until(lambda: made.counts.up == pace.links)
        yield made


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it *holds*."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - counts know no event
            await asyncio.sleep(0.005)


async def sockets(rig: Rig, **act: Any) -> dict[str, Any]:
    """Tell what connections the sandbox has, after it did something to them."""
    answer = await rig.sandbox.post("/sandbox/sockets", json=act)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_click_is_committed_and_acknowledged(rig: Rig) -> None:
    """An approval over Socket Mode is one decision, acknowledged with nothing in it, and counted."""
    clicked = await rig.approve("UDANA")
    stored = await rig.stored()

    assert (clicked["status"], clicked["body"], clicked["warning"]) == (200, "", None)
    assert stored.request is not None
    assert stored.request.decisions[-1].by.user_id == "dana"
    assert rig.counts.acknowledged == {"interactive": 1}
    assert rig.counts.received["hello"] == 2


async def test_modals_commands_and_home_are_answered(rig: Rig) -> None:
    """What a submission or a command answers goes along with the acknowledgement; an event's carries nothing."""
    await rig.reject("UDANA")
    [view] = await rig.get("views", user="UDANA")
    block = next(block for block in view["blocks"] if block["type"] == "input")
    empty = {block["block_id"]: {block["element"]["action_id"]: "   "}}
    refused = await rig.act("submit", "UDANA", view_id=view["id"], values=empty)
    command = await rig.act("command", "UDANA", channel="C1", text="/loops pending")
    home = await rig.act("home", "UDANA")

    assert json.loads(refused["body"])["response_action"] == "errors"
    assert json.loads(command["body"])["response_type"] == "ephemeral"
    assert (home["status"], home["body"]) == (200, "")
    assert rig.counts.acknowledged == {"interactive": 2, "slash_commands": 1, "events_api": 1}


async def test_what_cannot_be_committed_is_not_acknowledged(rig: Rig) -> None:
    """Commit first, ack second: without a store Slack shows an error, and the person is told to try again."""
    rig.gate.is_away = True
    await rig.sandbox.post("/sandbox/clock", json={"ack_deadline_s": 1})
    clicked = await rig.approve("UDANA")

    await until(lambda: rig.counts.unacknowledged.total() == 1)

    assert clicked["problem"] == "timeout"
    assert clicked["warning"]
    assert rig.counts.unacknowledged == {"status_500": 1}
    assert "try again" in (await rig.whispers("UDANA"))[-1]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_the_last_link_goes_on_beside_the_next_one(reason: str) -> None:
    """Slack announces the end of both: the next two come up, and the last two are not ours to close before Slack."""
    async with connected(replace(QUICK, overlap_s=60)) as rig:
        last = {each["id"] for each in (await sockets(rig))["connections"]}
        await sockets(rig, do="disconnect", reason=reason, close_after_s=60)
        clicks = [await rig.click("UGHOST", "loopgate.answer.approve.0")]
        while rig.counts.opened < 4 or len(clicks) < 8:
            clicks.append(await rig.click("UGHOST", "loopgate.answer.approve.0"))
        now = {each["id"] for each in (await sockets(rig))["connections"]}

        assert last < now
        assert len(now) == 4
        assert {each["status"] for each in clicks} == {200}
        assert (rig.counts.up, rig.counts.ended) == (2, {reason: 2})
        assert rig.counts.unacknowledged == {}


async def test_a_link_is_kept_until_its_successor_is_up() -> None:
    """Opening the next ones takes long: until they are there the last ones go on, however short the overlap."""
    async with connected(replace(QUICK, overlap_s=0.01)) as rig:
        await rig.fault("apps.connections.open", "slow", count=2, delay_s=0.5)
        fewest = len((await sockets(rig, do="disconnect", close_after_s=60))["connections"])
        while rig.counts.opened < 4:
            fewest = min(fewest, len((await sockets(rig))["connections"]))

        assert fewest == 2


async def test_one_of_two_broken_links_loses_no_click_after_it(rig: Rig) -> None:
    """A connection cut without a word is replaced; everything sent over the other one arrives."""
    [first, _] = (await sockets(rig))["connections"]
    await sockets(rig, do="cut", connection=first["id"])
    clicks = [await rig.click("UGHOST", "loopgate.answer.approve.0") for _ in range(10)]
    await until(lambda: rig.counts.up == 2)

    assert [each["status"] for each in clicks] == [200] * 10
    assert rig.counts.ended == {"closed": 1}


async def test_a_silent_link_is_replaced() -> None:
    """
    A connection that stays open and delivers nothing, not even pings, is noticed and another one opened.

    The other one, with pings alone and past the limit, too, is kept: a quiet workspace is no dead connection.
    """
    async with connected(ALERT) as rig:
        [first, second] = (await sockets(rig))["connections"]
        await sockets(rig, do="deaden", connection=first["id"])
        await until(lambda: rig.counts.ended["silent"] == 1 and rig.counts.up == 2)

        # The dead one is closed without its answer; only then does Slack know.
        async with asyncio.timeout(PATIENCE_S):
            while first["id"] in (left := [each["id"] for each in (await sockets(rig))["connections"]]):
                pass

        assert second["id"] in left
        assert len(left) == 2
        assert rig.counts.ended == {"silent": 1}
        assert (await rig.approve("UDANA"))["status"] == 200


async def test_a_process_that_stood_still_gives_up_no_live_link() -> None:
    """Whoever did not listen for as long as a dead link is silent hears first what came meanwhile."""
    counts = SocketCounts()
    async with a_server(hello(), ping_s=0.02) as (url, _), aiohttp.ClientSession() as session:
        link = await dial(session, url, "A1", Desk(), seen=SeenInMemory(), counts=counts, silence_s=0.1)
        await until(lambda: counts.received["ping"] > 0)
        heard = counts.received["ping"]
        time.sleep(0.3)  # noqa: ASYNC251 - the whole process stands still
        await until(lambda: link.leaving.done() or counts.received["ping"] > heard + 1)
        is_given_up = link.leaving.done()
        await link.close(1)

    assert not is_given_up


async def test_too_many_connections_are_given_up_for_a_while(rig: Rig) -> None:
    """Slack wants fewer: that link is closed, another try comes later, and the other link goes on."""
    [first, _] = (await sockets(rig))["connections"]
    await sockets(rig, do="disconnect", connection=first["id"], reason="too_many_websockets", close_after_s=0.1)
    await until(lambda: rig.counts.up == 1)
    assert (await rig.approve("UDANA"))["status"] == 200
    await until(lambda: rig.counts.up == 2)

    assert rig.counts.ended == {"too_many_websockets": 1}
    assert len((await sockets(rig))["connections"]) == 2


async def test_socket_mode_turned_off_is_waited_out(rig: Rig) -> None:
    """With Socket Mode off every attempt is refused, seldom; on again, the links come back by themselves."""
    await sockets(rig, do="disconnect", reason="link_disabled", enabled=False)
    await until(lambda: rig.counts.not_opened >= 2)
    assert rig.counts.up == 0
    await sockets(rig, enabled=True)
    await until(lambda: rig.counts.up == 2)

    assert rig.counts.ended == {"link_disabled": 2}
    assert (await rig.approve("UDANA"))["status"] == 200


async def test_a_payload_over_every_link_is_taken_once(rig: Rig) -> None:
    """An envelope id counts once, over all connections; the twin of a click changes nothing."""
    await sockets(rig, broadcast=True)
    clicked = await rig.approve("UDANA")
    await until(lambda: rig.counts.unacknowledged["replayed"] == 1)

    assert clicked["status"] == 200
    assert len(rig.gate.answers) == 1


@pytest.mark.parametrize("how", ["is_away", "is_silent"])
async def test_envelopes_go_on_while_the_store_is_away_from_the_replay_cache(rig: Rig, how: str) -> None:
    """Without the cache a click is still judged: its commit is once by its own key."""
    setattr(rig.seen, how, True)

    assert (await rig.approve("UDANA"))["status"] == 200


async def test_a_rate_limit_on_opening_is_waited_out() -> None:
    """Retry-After is obeyed: no second attempt before it, not even one that our own pacing holds back."""
    async with connected() as rig:
        await rig.fault("apps.connections.open", "429", retry_after_s=2)
        [first, _] = (await sockets(rig))["connections"]
        before = len(await rig.get("calls", method="apps.connections.open"))
        await sockets(rig, do="cut", connection=first["id"])
        await until(lambda: rig.counts.opened == 3)
        refused, granted = (await rig.get("calls", method="apps.connections.open"))[before:]

    assert (refused["error"], granted["ok"]) == ("ratelimited", True)
    assert granted["at"] - refused["at"] >= 2
    assert not granted["too_early"]
    assert rig.counts.not_opened <= 2


async def test_stopping_finishes_what_is_under_way() -> None:
    """A click under way when the process stops is committed and acknowledged; then the connections are closed."""
    started, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        started.set()
        await go_on.wait()

    async with connected() as rig:
        rig.gate.before = hold
        click = asyncio.create_task(rig.approve("UDANA"))
        await started.wait()
        stopping = asyncio.create_task(rig.stop())
        await until(lambda: rig.counts.up == 0)
        go_on.set()
        clicked = await click
        await stopping
        left = (await sockets(rig))["connections"]

    assert clicked["status"] == 200
    assert left == []


CLICK = {
    "type": "block_actions",
    "user": {"id": "U1"},
    "api_app_id": "A1",
    "actions": [{"action_id": "a"}],
}
ENVELOPE = {"type": "interactive", "envelope_id": "e1", "payload": CLICK, "accepts_response_payload": True}


@dataclass
class Desk:
    """Takes deliveries; answers the next ones with *statuses*, and then 200."""

    statuses: list[int] = field(default_factory=list)
    taken: list[Delivery] = field(default_factory=list)

    async def answer(self, delivery: Delivery) -> BoltResponse:
        """Take one."""
        self.taken.append(delivery)
        return BoltResponse(status=self.statuses.pop(0) if self.statuses else 200, body="")


@asynccontextmanager
async def a_server(*says: str | bytes, ping_s: float | None = None) -> AsyncIterator[tuple[str, "asyncio.Queue[str]"]]:
    """Yield the URL of a server that says that on every connection, and pings then, and the frames it is sent."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def link(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        for each in says:
            await (ws.send_str(each) if isinstance(each, str) else ws.send_bytes(each))
        pinging = asyncio.create_task(ping(ws)) if ping_s else None
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                heard.put_nowait(message.data)
        if pinging:
            pinging.cancel()
        return ws

    async def ping(ws: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            while ping_s:
                await asyncio.sleep(ping_s)
                await ws.ping()

    app = web.Application()
    app.router.add_get("/", link)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/", heard
    finally:
        await runner.cleanup()


def hello(app_id: str = "A1") -> str:
    """Return a hello."""
    return json.dumps({"type": "hello", "connection_info": {"app_id": app_id}, "num_connections": 1})


@pytest.mark.parametrize(
    ("first", "error", "says"),
    [
        (hello("A2"), Rejected, "of app A2, and the configuration says A1"),
        ('{"type": "disconnect", "reason": "link_disabled"}', Unavailable, "turn Socket Mode on"),
        ('{"type": "disconnect", "reason": "too_many_websockets"}', Unavailable, "ten connections"),
        ("no json", Unavailable, "invalid_frame came first"),
        (b"bytes", Unavailable, "closed it before it was up"),
    ],
)
async def test_a_link_is_up_with_hello_and_nothing_else(first: str | bytes, error: type[Exception], says: str) -> None:
    """Another app's connection, a refusal and garbage are told apart, and none of them is a link."""
    counts = SocketCounts()
    async with a_server(first) as (url, _), aiohttp.ClientSession() as session:
        with pytest.raises(error, match=says):
            await dial(session, url, "A1", Desk(), seen=SeenInMemory(), counts=counts)

    assert counts.up == 0


async def test_garbage_on_a_link_ends_nothing() -> None:
    """Frames that are none, envelopes without a delivery and deliveries for nobody: unacknowledged, and on it goes."""
    garbage = [
        "no json",
        "[]",
        json.dumps({"type": "surprise"}),
        json.dumps(ENVELOPE | {"envelope_id": ""}),
        json.dumps(ENVELOPE | {"envelope_id": "e2", "payload": {"type": "surprise"}}),
        json.dumps(ENVELOPE | {"envelope_id": "e3", "payload": []}),
        b"\x00\xff",
    ]
    desk, counts = Desk(), SocketCounts()
    async with (
        a_server(hello(), *garbage, json.dumps(ENVELOPE)) as (url, heard),
        aiohttp.ClientSession() as session,
    ):
        link = await dial(session, url, "A1", desk, seen=SeenInMemory(), counts=counts)
        acknowledged = await asyncio.wait_for(heard.get(), PATIENCE_S)
        await link.close(1)

    assert json.loads(acknowledged) == {"envelope_id": "e1"}
    assert heard.empty()
    assert len(desk.taken) == 1
    assert counts.unacknowledged == {"unsupported_delivery": 1}
    assert counts.received["other"] == 6


async def test_an_event_whose_listener_fails_is_taken_when_it_comes_again() -> None:
    """A listener that fails acknowledges nothing, and what Slack then delivers again is not held for a replay."""
    event = {"type": "event_callback", "event": {"type": "team_join"}, "api_app_id": "A1"}
    tries = [
        json.dumps({"type": "events_api", "envelope_id": "e1", "payload": event, "retry_attempt": number})
        for number in (0, 1, 1)
    ]
    desk, counts = Desk([500, 200]), SocketCounts()
    async with a_server(hello(), *tries) as (url, heard), aiohttp.ClientSession() as session:
        link = await dial(session, url, "A1", desk, seen=SeenInMemory(), counts=counts)
        acknowledged = await asyncio.wait_for(heard.get(), PATIENCE_S)
        await until(lambda: counts.unacknowledged.total() == 2)
        await link.close(1)

    assert json.loads(acknowledged) == {"envelope_id": "e1"}
    assert heard.empty()
    assert counts.unacknowledged == {"status_500": 1, "replayed": 1}
    assert len(desk.taken) == 2


async def test_a_frame_beyond_all_bounds_ends_the_link_and_is_not_read() -> None:
    """What is larger than any delivery is not taken into memory: the link closes, and another one is opened."""
    counts = SocketCounts()
    huge = json.dumps(ENVELOPE | {"payload": {"x": "x" * (5 * 1024 * 1024)}})
    async with a_server(hello(), huge) as (url, _), aiohttp.ClientSession() as session:
        link = await dial(session, url, "A1", Desk(), seen=SeenInMemory(), counts=counts)
        why = await asyncio.wait_for(asyncio.shield(link.leaving), PATIENCE_S)
        await link.close(1)

    assert why == "closed"
    assert counts.received == {"hello": 1}


@given(st.text() | st.binary().map(repr) | st.lists(st.none() | st.integers() | st.text()).map(json.dumps))
@settings(max_examples=100)
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever comes is a frame or `BadFrame`."""
    with pytest.raises(BadFrame):
        read(text)


def test_only_what_slack_takes_goes_with_an_acknowledgement() -> None:
    """Text becomes a message, JSON goes as it is, and where Slack takes no content there is none."""
    taking = Envelope.model_validate(ENVELOPE)
    mute = Envelope.model_validate(ENVELOPE | {"accepts_response_payload": False})
    said = BoltResponse(status=200, body={"response_action": "clear"})

    assert json.loads(acknowledgement(taking, said))["payload"] == {"response_action": "clear"}
    assert json.loads(acknowledgement(taking, BoltResponse(status=200, body="hi")))["payload"] == {"text": "hi"}
    assert json.loads(acknowledgement(mute, said)) == {"envelope_id": "e1"}
