"""Deliveries: what the app receives when people act, how it is signed, and what happens when it fails."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest
from slack_sdk.signature import SignatureVerifier
from starlette.responses import JSONResponse, PlainTextResponse, Response
from unit.slack_sandbox.sandbox_driver import ADA, BOT, CHANNEL, LIN, SECRET, Slack, a_button, a_card, plain, until

from channels.slack_sandbox.events_api import send_url_verification

Json = dict[str, Any]


async def never(_: Json) -> Response:
    """An app that does not answer in time."""
    await asyncio.sleep(60)
    return PlainTextResponse("")


async def test_click_arrives_with_the_fields_slack_sends(slack: Slack) -> None:
    """A click is form-encoded block_actions with user, team, message, container, trigger and response URL."""
    ts = await slack.post(metadata={"event_type": "e", "event_payload": {}})

    answer = await slack.click(ts, "approve")

    [payload] = slack.app.payloads
    [action] = payload["actions"]
    assert answer["status"] == 200
    assert payload["type"] == "block_actions"
    assert payload["team"] == {"id": "T0ACME", "domain": "acme"}
    assert payload["user"] == {"id": ADA, "username": "ada", "name": "ada", "team_id": "T0ACME"}
    assert payload["api_app_id"] == "A0APP"
    assert payload["container"] == {"type": "message", "message_ts": ts, "channel_id": CHANNEL, "is_ephemeral": False}
    assert payload["message"]["ts"] == ts
    assert payload["channel"] == {"id": CHANNEL, "name": "ops"}
    assert (action["action_id"], action["block_id"], action["value"], action["type"]) == (
        "approve",
        "decide",
        "r1",
        "button",
    )
    assert action["action_ts"]
    assert payload["trigger_id"] == answer["trigger_id"]
    assert payload["response_url"] == answer["response_url"]
    assert payload["is_enterprise_install"] is False


async def test_signature_is_what_slack_documents(slack: Slack) -> None:
    """v0 HMAC-SHA256 over timestamp and raw body, by our own arithmetic and by Slack's SDK."""
    await slack.click(await slack.post())

    headers, body = slack.app.received[0]
    stamp = headers["x-slack-request-timestamp"]
    expected = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-slack-signature"] == f"v0={expected}"
    assert stamp == str(int(slack.sandbox.clock.now()))
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert SignatureVerifier(SECRET).is_valid_request(body, headers)
    assert not SignatureVerifier("another").is_valid_request(body, headers)


async def test_skewed_clock_signs_stale_requests(slack: Slack) -> None:
    """The control API can make signatures older than the five minutes an app accepts."""
    await slack.control("clock", signature_skew_s=-301)
    await slack.click(await slack.post())

    headers, body = slack.app.received[0]
    assert not SignatureVerifier(SECRET).is_valid_request(body, headers)


async def test_app_that_does_not_answer_in_time_shows_a_warning(slack: Slack) -> None:
    """Past the deadline the click ends as operation_timeout, for the person who clicked and nobody else."""
    await slack.control("clock", ack_deadline_s=0.05)
    slack.app.calls_back(never)

    answer = await slack.click(await slack.post())

    assert (answer["status"], answer["problem"]) == (None, "timeout")
    assert answer["warning"].startswith("operation_timeout")
    assert len((await slack.read(f"warnings?user={ADA}"))["warnings"]) == 1
    assert (await slack.read(f"warnings?user={LIN}"))["warnings"] == []


async def test_deadline_is_three_seconds_unless_changed(slack: Slack) -> None:
    """Slack's own deadline is the default."""
    assert slack.sandbox.courier.ack_deadline_s == 3.0


async def test_status_500_is_told_with_its_code(slack: Slack) -> None:
    """A failing app is told by its status code; clicks are never sent again."""
    slack.app.answers_with(500)

    answer = await slack.click(await slack.post())

    assert answer["warning"] == "This app responded with Status Code 500"
    assert len(slack.app.received) == 1


async def test_eight_clicks_are_delivered_at_the_same_time(slack: Slack) -> None:
    """Concurrent clicks meet in the app; none waits for another."""
    gate = asyncio.Barrier(8)

    async def meet(_: Json) -> Response:
        await gate.wait()
        return PlainTextResponse("")

    slack.app.calls_back(meet)
    ts = await slack.post()

    answers = await asyncio.gather(*(slack.click(ts, user=(ADA, LIN)[n % 2]) for n in range(8)))

    assert [answer["status"] for answer in answers] == [200] * 8
    assert slack.app.in_flight_max == 8
    assert len({payload["trigger_id"] for payload in slack.app.payloads}) == 8


async def test_impossible_acts_are_refused_and_say_why(slack: Slack) -> None:
    """Nobody can press a button that is not there, in a channel they are not in, or as a bot."""
    ts = await slack.post()

    assert (await slack.click(ts, "nope"))["error"] == "no_such_element"
    assert (await slack.click("1.1"))["error"] == "no_such_message"
    assert (await slack.click(ts, user="U0GUEST"))["error"] == "not_in_channel"
    assert (await slack.click(ts, user=BOT))["error"] == "user_is_bot"
    assert (await slack.act("click", user=ADA))["error"] == "invalid_body"
    assert (await slack.http.post("/sandbox/act/click", content=b"[")).json()["error"] == "invalid_body"
    assert slack.app.received == []


async def test_choice_arrives_in_action_and_state(slack: Slack) -> None:
    """A select sends the whole chosen option, and the message remembers it."""
    menu = {
        "type": "static_select",
        "action_id": "pick",
        "options": [{"text": plain(word), "value": word} for word in ("low", "high")],
    }
    ts = await slack.post(blocks=[{"type": "actions", "block_id": "b", "elements": [menu]}])

    await slack.click(ts, "pick", value="high")
    refused = await slack.click(ts, "pick", value="other")

    [payload] = slack.app.payloads
    assert payload["actions"][0]["selected_option"]["value"] == "high"
    assert payload["state"]["values"]["b"]["pick"]["selected_option"]["text"]["text"] == "high"
    assert refused["error"] == "no_such_element"


async def test_replay_sends_the_identical_request(slack: Slack) -> None:
    """A replayed delivery is byte for byte and header for header what was sent before."""
    answer = await slack.click(await slack.post())

    replayed = await slack.control("replay", delivery_id=answer["delivery_id"])

    first, second = slack.app.received
    signed = ("x-slack-signature", "x-slack-request-timestamp", "content-type")
    assert first[1] == second[1]
    assert [first[0][name] for name in signed] == [second[0][name] for name in signed]
    assert replayed["deliveries"][0]["replay_of"] == answer["delivery_id"]


async def test_duplicate_sends_the_same_body_signed_anew(slack: Slack) -> None:
    """A duplicate carries a fresh, valid signature: de-duplication must not lean on it."""
    answer = await slack.click(await slack.post())
    await slack.control("clock", advance_s=10)

    await slack.control("duplicate", delivery_id=answer["delivery_id"], count=3)

    first, *others = slack.app.received
    assert len(others) == 3
    for headers, body in others:
        assert body == first[1]
        assert headers["x-slack-signature"] != first[0]["x-slack-signature"]
        assert SignatureVerifier(SECRET).is_valid_request(body, headers)


async def test_deliveries_are_logged_as_they_were_on_the_wire(slack: Slack) -> None:
    """The log keeps headers, raw body, status and ack time of each delivery."""
    slack.app.answers_with({"text": "done"})
    answer = await slack.click(await slack.post())

    [delivery] = (await slack.read("deliveries"))["deliveries"]

    assert delivery["id"] == answer["delivery_id"]
    assert delivery["body"].encode() == slack.app.received[0][1]
    assert delivery["headers"]["X-Slack-Signature"].startswith("v0=")
    assert (delivery["status"], delivery["answer"]) == (200, '{"text":"done"}')
    assert delivery["ack_ms"] >= 0


async def test_command_is_a_form_and_its_answer_is_shown(slack: Slack) -> None:
    """A slash command arrives as a form with escaped mentions; a text answer is only for who asked."""
    slack.app.answers_with("nothing waits for you")

    await slack.act("command", user=ADA, channel=CHANNEL, text="/loops show @lin <b>")

    [form] = slack.app.payloads
    [shown] = (await slack.read(f"ephemerals?user={ADA}"))["messages"]
    assert form["command"] == "/loops"
    assert form["text"] == f"show <@{LIN}|lin> &lt;b&gt;"
    assert (form["channel_id"], form["channel_name"], form["user_id"]) == (CHANNEL, "ops", ADA)
    assert form["is_enterprise_install"] == "false"
    assert shown["text"] == "nothing waits for you"


async def test_command_answer_in_channel_is_for_everybody(slack: Slack) -> None:
    """response_type in_channel posts a message as the bot."""
    slack.app.answers_with({"response_type": "in_channel", "text": "all clear", "blocks": a_card()})

    await slack.act("command", user=ADA, channel=CHANNEL, text="/loops")

    [message] = (await slack.read(f"messages?channel={CHANNEL}"))["messages"]
    assert (message["text"], message["user"]) == ("all clear", BOT)
    assert message["blocks"][1]["elements"][0]["action_id"] == "approve"


@pytest.mark.parametrize(
    ("answer", "error"),
    [(500, "dispatch_failed"), ({"blocks": [{"type": "nope"}]}, "invalid_blocks")],
)
async def test_failed_command_is_told(slack: Slack, answer: Any, error: str) -> None:
    """A failing command tells the person its name and Slack's error code."""
    slack.app.answers_with(answer)

    done = await slack.act("command", user=ADA, channel=CHANNEL, text="/loops")

    assert done["warning"] == f'/loops failed with the error "{error}"'


async def test_command_nobody_registered_is_not_sent(slack: Slack) -> None:
    """An unregistered command never reaches the app."""
    answer = await slack.act("command", user=ADA, channel=CHANNEL, text="/nope")

    assert answer["error"] == "unknown_command"
    assert slack.app.received == []


async def test_response_url_takes_five_posts_in_thirty_minutes(slack: Slack) -> None:
    """The sixth post, and any after half an hour, is refused with 404."""
    ts = await slack.post()
    url = (await slack.click(ts))["response_url"]
    late = (await slack.click(ts))["response_url"]

    statuses = [(await slack.http.post(url, json={"text": f"{n}"})).status_code for n in range(6)]
    await slack.control("clock", advance_s=1_801)
    expired = await slack.http.post(late, json={"text": "late"})

    assert statuses == [200] * 5 + [404]
    assert expired.json() == {"ok": False, "error": "expired_url"}
    assert len((await slack.read(f"ephemerals?user={ADA}"))["messages"]) == 5


async def test_response_url_replaces_and_deletes_the_original(slack: Slack) -> None:
    """replace_original changes the message clicked on, delete_original takes it away."""
    ts = await slack.post()
    url = (await slack.click(ts))["response_url"]

    replaced = await slack.http.post(url, json={"replace_original": True, "text": "decided"})
    [message] = (await slack.read(f"messages?channel={CHANNEL}"))["messages"]
    await slack.http.post(url, json={"delete_original": "true"})

    assert replaced.text == "ok"
    assert (message["ts"], message["text"]) == (ts, "decided")
    assert (await slack.read(f"messages?channel={CHANNEL}"))["messages"] == []


async def test_only_the_response_url_changes_an_ephemeral(slack: Slack) -> None:
    """A click on an ephemeral carries no message; its response URL can replace it."""
    posted = await slack.api("chat.postEphemeral", channel=CHANNEL, user=ADA, text="psst", blocks=a_card())
    url = (await slack.click(posted["message_ts"]))["response_url"]

    await slack.http.post(url, json={"replace_original": True, "text": "gone"})

    [payload] = slack.app.payloads
    [ephemeral] = (await slack.read(f"ephemerals?user={ADA}"))["messages"]
    assert payload["container"]["is_ephemeral"] is True
    assert "message" not in payload
    assert ephemeral["text"] == "gone"
    assert (await slack.click(posted["message_ts"], user=LIN))["error"] == "no_such_message"


async def test_response_url_refuses_bad_blocks(slack: Slack) -> None:
    """What a post would be refused for, a response URL refuses with 400."""
    url = (await slack.click(await slack.post()))["response_url"]

    bad = await slack.http.post(url, json={"blocks": [{"type": "nope"}]})
    garbage = await slack.http.post(url, content=b"[1")

    assert (bad.status_code, bad.json()["error"]) == (400, "invalid_blocks")
    assert (garbage.status_code, garbage.json()["error"]) == (400, "invalid_payload")


async def test_home_opened_is_an_event(slack: Slack) -> None:
    """Opening Home sends app_home_opened as signed JSON in an event envelope."""
    await slack.act("home", user=ADA)

    [envelope] = slack.app.payloads
    headers, body = slack.app.received[0]
    assert envelope["type"] == "event_callback"
    assert envelope["event"]["type"] == "app_home_opened"
    assert (envelope["event"]["user"], envelope["event"]["tab"]) == (ADA, "home")
    assert envelope["event_id"].startswith("Ev")
    assert headers["content-type"] == "application/json"
    assert SignatureVerifier(SECRET).is_valid_request(body, headers)


async def test_thread_reply_is_a_message_event(slack: Slack) -> None:
    """What a person writes in a thread reaches an app in the channel, mentions as ids."""
    ts = await slack.post()

    await slack.act("message", user=ADA, channel=CHANNEL, text="@lin please look", thread_ts=ts)

    event = slack.app.payloads[0]["event"]
    assert (event["type"], event["channel_type"], event["thread_ts"]) == ("message", "channel", ts)
    assert event["text"] == f"<@{LIN}> please look"


async def test_typed_markup_is_escaped_as_slacks_client_does(slack: Slack) -> None:
    """What looks like markup arrives as entities; references that are ids already stay."""
    await slack.act("message", user=ADA, channel=CHANNEL, text=f"<b> & <@{LIN}> in #ops")

    assert slack.app.payloads[0]["event"]["text"] == f"&lt;b&gt; &amp; <@{LIN}> in <#{CHANNEL}|ops>"


async def test_wrong_challenge_is_warned_about(slack: Slack) -> None:
    """url_verification asks for the challenge back and warns when it does not come."""
    slack.app.answers_with("no")
    await send_url_verification(slack.sandbox)
    warned = (await slack.read("warnings"))["warnings"]

    async def echo(payload: Json) -> Response:
        return PlainTextResponse(payload["challenge"])

    slack.app.calls_back(echo)
    await send_url_verification(slack.sandbox)

    assert len(warned) == 1
    assert (await slack.read("warnings"))["warnings"] == warned


async def test_message_where_the_bot_is_not_sends_nothing(slack: Slack) -> None:
    """An app hears only the channels its bot is in."""
    await slack.act("message", user=ADA, channel="C0ELSE", text="hello")

    assert slack.app.received == []


async def test_failed_event_is_sent_again_with_retry_headers(slack: Slack) -> None:
    """Events are redelivered, same body, with number and reason, until acknowledged."""
    await slack.control("clock", event_retry_delays_s=[0, 0, 0])
    slack.app.answers_with(500, 500, 200)

    await slack.act("home", user=ADA)
    await until(lambda: len(slack.app.received) == 3)

    first, second, third = slack.app.received
    assert "x-slack-retry-num" not in first[0]
    assert (second[0]["x-slack-retry-num"], second[0]["x-slack-retry-reason"]) == ("1", "http_error")
    assert third[0]["x-slack-retry-num"] == "2"
    assert first[1] == second[1] == third[1]


async def test_event_is_given_up_after_three_retries(slack: Slack) -> None:
    """One first try and three more, then Slack stops."""
    await slack.control("clock", event_retry_delays_s=[0, 0, 0])
    slack.app.answers_with(500)

    await slack.act("home", user=ADA)
    await until(lambda: len(slack.app.received) == 4)
    await asyncio.sleep(0.05)

    assert len(slack.app.received) == 4


async def test_no_retry_header_stops_redelivery(slack: Slack) -> None:
    """X-Slack-No-Retry: 1 on a failure ends it."""
    await slack.control("clock", event_retry_delays_s=[0, 0, 0])
    slack.app.answers_with(JSONResponse({}, 500, headers={"X-Slack-No-Retry": "1"}))

    await slack.act("home", user=ADA)
    await asyncio.sleep(0.05)

    assert len(slack.app.received) == 1


async def test_click_in_a_thread_names_the_thread(slack: Slack) -> None:
    """The container of a reply carries thread_ts, and an answer through its response URL stays in the thread."""
    parent = await slack.post()
    ts = await slack.post(thread_ts=parent)

    url = (await slack.click(ts))["response_url"]
    await slack.http.post(url, json={"text": "in here"})

    [shown] = (await slack.read(f"ephemerals?user={ADA}"))["messages"]
    assert slack.app.payloads[0]["container"]["thread_ts"] == parent
    assert shown["thread_ts"] == parent


async def test_url_button_is_delivered_too(slack: Slack) -> None:
    """A button with a link still sends block_actions."""
    button = a_button("link", url="https://example.com")
    ts = await slack.post(blocks=[{"type": "actions", "elements": [button]}])

    await slack.click(ts, "link")

    assert slack.app.payloads[0]["actions"][0]["url"] == "https://example.com"


async def test_payload_is_json_without_ascii_escapes(slack: Slack) -> None:
    """Names and texts beyond ASCII survive the form encoding."""
    await slack.act("command", user=ADA, channel=CHANNEL, text="/loops größe ✓")

    assert slack.app.payloads[0]["text"] == "größe ✓"
    assert json.dumps(slack.app.payloads[0])
