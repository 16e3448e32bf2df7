"""Attacks from outside on a running stack: twisted deliveries decide nothing, break nothing and write nothing."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from stack import APP, CHANNEL, TEAM, Stack, slack_id

pytestmark = pytest.mark.e2e


def signed(stack: Stack, body: bytes, *, content_type: str = "application/x-www-form-urlencoded") -> httpx2.Response:
    """Post *body* as Slack would sign it: what somebody with the signing secret, or a broken Slack, could send."""
    secret = json.loads((stack.home / "sandbox.json").read_text())["app"]["signing_secret"]
    stamp = str(int(time.time()))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": content_type,
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }
    return stack.http.post(f"{stack.gateway()}/slack/events", content=body, headers=headers)


def sent(stack: Stack, payload: Mapping[str, Any]) -> httpx2.Response:
    """Post *payload* as an interaction."""
    return signed(stack, urlencode({"payload": json.dumps(payload)}).encode())


def a_click(card: Mapping[str, Any], by: str, **changes: Any) -> dict[str, Any]:
    """Return the click of *by* on the card's Approve button, changed by *changes*."""
    approve = next(
        element
        for block in card["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
        if element["text"]["text"] == "Approve"
    )
    click = {
        "type": "block_actions",
        "team": {"id": TEAM},
        "api_app_id": APP,
        "user": {"id": slack_id(by), "team_id": TEAM},
        "container": {"type": "message", "message_ts": card["ts"], "channel_id": CHANNEL},
        "trigger_id": "1.2.3",
        "actions": [
            {
                "type": "button",
                "action_id": approve["action_id"],
                "block_id": "b",
                "value": approve["value"],
                "action_ts": str(time.time()),
            }
        ],
    }
    return click | changes


def decided(stack: Stack, change: str) -> list[str]:
    """Return the kinds of decision events on a change's ledger."""
    return [event["type"] for event in stack.ledger(change) if event["type"] == "approval.decision.recorded"]


def test_signed_clicks_from_elsewhere_decide_nothing(stack: Stack) -> None:
    """Another app, workspace, person's workspace, nobody at all: no decision, though the signature is right."""
    card = stack.propose("ELSE-1")
    twisted = [
        a_click(card, "dana", api_app_id="A0OTHER"),
        a_click(card, "dana", api_app_id=None),
        a_click(card, "dana", team={"id": "T0OTHER"}),
        a_click(card, "dana", user={"id": slack_id("dana"), "team_id": "T0OTHER"}),
        a_click(card, "dana", team=None, user={"id": slack_id("dana")}),
        a_click(card, "dana", user={"id": slack_id("dana").lower(), "team_id": TEAM}),
        a_click(card, "dana", user={"id": f" {slack_id('dana')}", "team_id": TEAM}),
        a_click(card, "dana", user={"id": "", "team_id": TEAM}),
    ]
    answers = [sent(stack, click) for click in twisted]

    assert [answer.status_code for answer in answers[:2]] == [403, 403]
    assert all(answer.status_code < 500 for answer in answers), [answer.status_code for answer in answers]
    assert not decided(stack, "ELSE-1")


def test_signed_buttons_with_other_values_decide_nothing(stack: Stack) -> None:
    """A value pointing at another request, version, digest or transition, or at nothing, is refused."""
    card, other = stack.propose("VALUE-1"), stack.propose("VALUE-2")
    click = a_click(card, "dana")
    value = json.loads(click["actions"][0]["value"])
    elsewhere = json.loads(a_click(other, "dana")["actions"][0]["value"])
    values = [
        json.dumps(value | {"r": elsewhere["r"]}),
        json.dumps(value | {"d": elsewhere["d"]}),
        json.dumps(value | {"v": 2}),
        json.dumps(value | {"t": "submit_analysis"}),
        json.dumps(value | {"t": "rollout_done"}),
        json.dumps(value | {"r": "ar_" + "0" * 26}),
        json.dumps(value | {"r": "x" * 100_000}),
        json.dumps(value | {"extra": 1}),
        json.dumps([value]),
        "{",
        "",
        "\x00",
    ]
    for number, each in enumerate(values):
        action = click["actions"][0] | {"value": each, "action_ts": f"{time.time()}{number}"}
        answer = sent(stack, click | {"actions": [action]})
        assert answer.status_code in {200, 500}, (each[:80], answer.status_code)
        assert "Traceback" not in answer.text

    assert not decided(stack, "VALUE-1")
    assert not decided(stack, "VALUE-2")


def test_a_modal_opened_by_one_counts_for_whoever_submits_it(stack: Stack) -> None:
    """Metadata names a card, never a person: kim submitting the modal dana opened is kim, and refused."""
    card = stack.propose("MODAL-1")
    stack.click(card, "Reject", "dana")
    view = stack.view("dana")
    block = next(block for block in view["blocks"] if block["type"] == "input")
    payload = {
        "type": "view_submission",
        "team": {"id": TEAM},
        "api_app_id": APP,
        "user": {"id": slack_id("kim"), "team_id": TEAM},
        "view": {
            "id": view["id"],
            "type": "modal",
            "hash": "1.1",
            "callback_id": view["callback_id"],
            "private_metadata": view["private_metadata"],
            "state": {"values": {block["block_id"]: {block["element"]["action_id"]: {"value": "because"}}}},
        },
    }
    answer = sent(stack, payload)
    events = stack.ledger("MODAL-1")

    assert answer.status_code == 200
    assert answer.json()["response_action"] == "update"
    assert events[-1]["type"] == "approval.decision.refused"
    assert events[-1]["data"]["by"]["userId"] == "kim"
    assert not decided(stack, "MODAL-1")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"[]"),
        ("application/json", b"null"),
        ("application/json", b'{"type":"event_callback"}'),
        ("application/json", b'{"type":"event_callback","event":[]}'),
        ("application/json", b'{"type":"url_verification","challenge":{"a":1}}'),
        ("application/json", b"[" * 200_000),
        ("application/json", b'{"type":"\\ud800"}'),
        ("application/json", b'{"type":NaN}'),
        ("application/json", b"\xff"),
        ("application/x-www-form-urlencoded", b"payload"),
        ("application/x-www-form-urlencoded", b"payload=%ff%fe"),
        ("application/x-www-form-urlencoded", b"payload=%7B%22type%22%3A%22block_actions%22%7D"),
        ("application/x-www-form-urlencoded", b"payload=" + b"%5B" * 100_000),
        ("application/x-www-form-urlencoded", b"command=%2Floops&text=%00&user_id=U&team_id=T"),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(50_000))),
        ("text/plain", b"payload={}"),
        ("", b""),
    ],
)
def test_signed_nonsense_gets_a_short_refusal(stack: Stack, content_type: str, body: bytes) -> None:
    """Whatever a signed body holds, the answer is a 4xx with a code, never a 5xx."""
    answer = signed(stack, body, content_type=content_type)

    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]
    assert len(answer.content) < 500


ODD_CHANGES: list[dict[str, Any]] = [
    {"changeId": "x" * 201},
    {"changeId": ""},
    {"changeId": " \u2003"},
    {"changeId": "a\u0000b"},
    {"changeId": "\u202eCHG"},
    {"changeId": ["CHG-1"]},
    {"changeId": {"$ne": None}},
    {"changeId": True},
    {"changeId": 1e400},
    {"changeId": 2**60},
    {"changeId": "OK-1", "requestedBy": ["dana"]},
    {"changeId": "OK-1", "requestedBy": ""},
    {"changeId": "OK-1", "requestedBy": None},
    {"changeId": "OK-1", "deep": json.loads("[" * 40 + "]" * 40)},
    {"changeId": "OK-1", "number": 2**53},
    {"changeId": "OK-1", "text": "\ud800"},
    {"changeId": "OK-1", "large": "x" * 262_144},
    {"changeId": "OK-1", "_softGuardWarnings": []},
    {"changeId": "OK-1", "wide": [[0] * 1000] * 120},
]


def test_signed_webhooks_with_odd_contents_get_a_4xx_and_write_nothing(stack: Stack) -> None:
    """Bad ids, odd types, depth, size, numbers and texts no JSON reader agrees on: a 4xx that says what is wrong."""
    for data in ODD_CHANGES:
        answer = stack.deliver({"type": "change.proposed", "data": {"requestedBy": "lee", **data}})
        assert 400 <= answer.status_code < 500, (json.dumps(data)[:80], answer.text)
        assert {"error", "fields"} <= answer.json().keys()

    assert stack.run_cli("audit", "show", "OK-1").returncode == 1


def test_a_webhook_cannot_answer_for_a_human(stack: Stack) -> None:
    """A delivery that claims an actor, an approval or a signal is data, and the loop waits on."""
    stack.propose("CLAIM-1")
    claim = {"actor": {"type": "human", "id": "dana"}, "approved": True, "transition": "approve", "signal": "approve"}
    body = {"type": "change.proposed", **claim, "data": {"changeId": "CLAIM-1", "requestedBy": "lee", **claim}}
    answer = stack.deliver(body)
    events = stack.ledger("CLAIM-1")

    assert answer.status_code == 409
    assert events[-1]["type"] == "loop.transition.refused"
    assert not decided(stack, "CLAIM-1")


def test_no_spelling_of_the_requester_approves_their_own_change(stack: Stack) -> None:
    """The source spells robin as it likes; robin's click is refused."""
    card = stack.propose("SPELLING-1", requested_by=" ROBIN ")
    stack.click(card, "Approve", "robin")
    events = stack.ledger("SPELLING-1")

    assert events[-1]["data"]["code"] == "self_approval"
    assert not decided(stack, "SPELLING-1")
