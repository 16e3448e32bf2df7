"""
The traps of Bolt, its SDK and Slack's protocol, each with the test that fails if it comes back: here, or where it says.

- the default polls for acks and loses the answer of a listener that raises:
  test_a_listener_that_breaks_is_answered_500
- the ack leaves before the commit:
  test_answering test_the_ack_leaves_after_the_commit
- a commit that fails is answered 200:
  test_answering test_a_click_that_cannot_be_recorded_is_a_500_and_said_privately
- auth.test on requests: a Slack that is away loses clicks in silence:
  test_a_first_click_asks_slack_nothing
- the SDK posts again after a dropped connection:
  test_a_dropped_connection_posts_once; the channel's contract
- each call opens a connection:
  test_calls_share_their_connections
- unsigned garbage gives 500 and a traceback:
  test_guard test_garbage_is_a_400_if_signed_and_a_401_if_not
- form bodies with the letters "payload" are misread:
  test_guard test_a_genuine_delivery_gets_through
- a wrong signature logs the whole body:
  test_no_log_holds_what_was_sent
- response_url, bodies and tokens in logs:
  test_no_log_holds_what_was_sent
- no replay cache:
  test_guard test_a_replayed_delivery_is_refused; e2e test_forged_stale_and_replayed_clicks_are_refused
- stamps from the future, or no numbers:
  test_guard test_a_stale_stamp_is_refused, test_a_stamp_that_is_no_number_is_refused
- huge bodies:
  test_guard test_a_huge_body_is_refused_unread
- the environment changes Bolt (tokens, secrets, proxies):
  test_viewing test_the_environment_changes_nothing
- another app's or team's delivery, or none's:
  test_viewing test_another_apps_delivery_is_refused; test_identity
- actions, events and link buttons nobody listens to show a warning:
  test_viewing test_events_and_buttons_nobody_asked_for_are_acknowledged
- windows and commands nobody listens to, closed windows:
  test_windows_and_commands_nobody_knows_are_answered
- `token`, the legacy field, taken for proof:
  test_the_legacy_token_proves_nothing
- an update without blocks deletes them:
  test_every_update_carries_its_blocks
- lazy listeners, the sync app and its handler:
  test_nothing_runs_after_the_ack_or_beside_the_loop
- clicks come twice:
  test_answering test_a_repeated_delivery_counts_once, test_two_clicks_of_one_person_are_two_answers
- a trigger lives three seconds:
  test_answering test_a_modal_that_slack_does_not_open_in_time_is_said_in_time
- a store that hangs costs Slack's three seconds:
  test_answering test_a_slow_commit_is_given_up_within_slacks_three_seconds
- a page is turned twice by a double click:
  test_viewing (hash_conflict)
"""

import ast
import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from builders import a_house
from patience import PATIENCE_S
from pydantic import SecretStr
from unit.slack.rig import SIGNING_SECRET, Rig, a_rig
from unit.slack.test_guard import signed

import channels.slack
from channels.slack.client import slack_client
from channels.slack.installation import SlackInstallation
from channels.slack.shown import Shown


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A card waiting for an approval."""
    async with a_rig(a_house()) as made:
        yield made


async def post(rig: Rig, body: dict[str, Any], secret: str = SIGNING_SECRET) -> httpx2.Response:
    """Post *body* to the gateway, signed with *secret* now."""
    raw = json.dumps(body).encode()
    headers = signed(raw, datetime.now(UTC), secret) | {"Content-Type": "application/json"}
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        return await client.post(f"{rig.gateway_url}/slack/events", content=raw, headers=headers)


def a_click(rig: Rig, **more: Any) -> dict[str, Any]:
    """Return Dana's click on Approve as Slack sends it."""
    return {
        "type": "block_actions",
        "user": {"id": "UDANA", "team_id": "T1"},
        "team": {"id": "T1"},
        "api_app_id": "A1",
        "container": {"type": "message", "message_ts": rig.address["ts"], "channel_id": "C1"},
        "actions": [
            {
                "action_id": "loopgate.answer.approve.0",
                "action_ts": "1.0",
                "value": Shown.of(rig.request, transition_id="approve").encode(),
            }
        ],
        **more,
    }


async def test_a_listener_that_breaks_is_answered_500(rig: Rig) -> None:
    """A bug of ours is a 500 within the second: never a 200, and never three seconds of polling and a 404."""

    async def break_down() -> None:
        raise RuntimeError("a bug of ours")

    rig.gate.before = break_down
    answer = await post(rig, a_click(rig))

    assert (answer.status_code, answer.json()) == (500, {"error": "internal_error"})


async def test_a_first_click_asks_slack_nothing(rig: Rig) -> None:
    """Concurrent first clicks while auth.test fails: all are taken, and Slack was never asked who we are."""
    await rig.fault("auth.test", "5xx", count=50)
    clicks = [post(rig, a_click(rig, trigger_id=f"t{number}")) for number in range(6)]
    answers = await asyncio.gather(*clicks)

    assert {answer.status_code for answer in answers} == {200}
    assert len(rig.gate.answers) == 6
    assert "auth.test" not in {call["method"] for call in await rig.get("calls")}


async def test_a_dropped_connection_posts_once(rig: Rig) -> None:
    """What Slack accepted before the connection broke is not sent again behind our back."""
    await rig.fault("chat.postMessage", "reset_after_accept")
    with pytest.raises(aiohttp.ClientConnectionError):
        await rig.client.chat_postMessage(channel="C1", text="once only")
    sent = [call for call in await rig.get("calls") if call["args"].get("text") == "once only"]

    assert len(sent) == 1


async def test_calls_share_their_connections() -> None:
    """Ten calls one after the other take one connection."""
    connections, gone = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'
            )

    async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()
            gone.set()

    server = await asyncio.start_server(until_gone, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/"
    installation = SlackInstallation("T1", "A1", SecretStr("xoxb-1"), SecretStr("s"), "UBOT", url)
    async with server:
        async with slack_client(installation, factor=1_000) as client:
            for _ in range(10):
                await client.api_test()
        # Cut off at the end of the loop instead, this end would stay open, and some later test would be blamed.
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()

    assert connections == 1


async def test_no_log_holds_what_was_sent(
    rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Forged, taken or broken: nothing of a body, no response_url and no token is logged at any level."""
    caplog.set_level(logging.DEBUG)
    secrets = {"response_url": "https://hooks.slack.test/SECRET-URL", "token": "SECRET-TOKEN", "x": "SECRET-BODY"}
    forged = await post(rig, a_click(rig, **secrets), secret="a guess")
    taken = await post(rig, a_click(rig, **secrets))
    rig.gate.is_away = True
    lost = await post(rig, a_click(rig, **secrets, trigger_id="t2"))
    rig.gate.is_away = False
    shown = capfd.readouterr()
    logged = f"{caplog.text}{shown.out}{shown.err}"

    assert (forged.status_code, taken.status_code, lost.status_code) == (401, 200, 500)
    assert "slack.delivery.refused" in logged
    assert "SECRET" not in logged
    assert "xoxb-test" not in logged


async def test_windows_and_commands_nobody_knows_are_answered(rig: Rig) -> None:
    """A window of another version, a closed one and another command get their ack, and decide nothing."""
    view = {"id": "V1", "type": "modal", "callback_id": "of.another.version", "state": {"values": {}}}
    person = {"user": {"id": "UDANA", "team_id": "T1"}, "team": {"id": "T1"}, "api_app_id": "A1", "view": view}
    submitted = await post(rig, {"type": "view_submission", **person})
    closed = await post(rig, {"type": "view_closed", **person})
    command = {"type": "command", "command": "/other", "text": "help", "user_id": "UDANA", "team_id": "T1"}
    said = await post(rig, {**command, "api_app_id": "A1"})

    assert [submitted.status_code, closed.status_code, said.status_code] == [200, 200, 200]
    assert rig.gate.answers == []


async def test_the_legacy_token_proves_nothing(rig: Rig) -> None:
    """The body's `token` is not looked at: without the signature nothing helps, with it nothing hurts."""
    unsigned = await post(rig, a_click(rig, token=SIGNING_SECRET), secret="a guess")
    genuine = await post(rig, a_click(rig, token="whatever"))

    assert (unsigned.status_code, genuine.status_code) == (401, 200)
    assert len(rig.gate.answers) == 1


async def test_every_update_carries_its_blocks(rig: Rig) -> None:
    """Slack deletes the blocks of a card that is updated by its text alone."""
    await rig.approve("UDANA")
    await rig.channel.update(await rig.stored(), rig.address)
    updates = [call["args"] for call in await rig.get("calls") if call["method"] == "chat.update"]

    assert updates
    assert all(update["blocks"] and update["text"] for update in updates)


def test_nothing_runs_after_the_ack_or_beside_the_loop() -> None:
    """No listener is lazy and no sync app or handler of Bolt's is imported: their work is lost, or blocks everybody."""
    found = []
    for path in Path(channels.slack.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "lazy":
                found.append(f"{path.name}:{node.value.lineno} lazy")
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("slack_bolt"):
                names = {each.name for each in node.names}
                if names & {"App", "SlackRequestHandler", "SocketModeHandler"}:
                    found.append(f"{path.name}:{node.lineno} {sorted(names)}")

    assert found == []
