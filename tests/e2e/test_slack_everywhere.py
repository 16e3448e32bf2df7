"""Slack beyond the card, on real processes: the command, the Home tab, several at once, the thread."""

import hashlib
import json
from typing import Any

import pytest
from stack import CHANGE, CHANNEL, Stack, slack_id

pytestmark = pytest.mark.e2e


def act(stack: Stack, kind: str, user: str, **act: Any) -> dict[str, Any]:
    """Act as the person *user* in the sandbox."""
    answer = stack.http.post(f"{stack.sandbox}/sandbox/act/{kind}", json={"user": slack_id(user), **act})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def command(stack: Stack, user: str, text: str) -> str:
    """Return what the command privately answers."""
    answer = act(stack, "command", user, channel=CHANNEL, text=text)
    assert (answer["status"], answer["warning"]) == (200, None)
    body = json.loads(answer["body"])
    assert body["response_type"] == "ephemeral"
    return str(body["text"])


def home(stack: Stack, user: str) -> dict[str, Any]:
    """Return somebody's Home tab as it stands."""
    return dict(stack.http.get(f"{stack.sandbox}/sandbox/home", params={"user": slack_id(user)}).json()["view"])


def press(stack: Stack, user: str, label: str, *, about: str = "") -> dict[str, Any]:
    """Press a button on somebody's Home tab; *about* is a part of its block's id."""
    view = home(stack, user)
    block, element = next(
        (block, element)
        for block in view["blocks"]
        if block["type"] == "actions" and about in block["block_id"]
        for element in block["elements"]
        if element.get("text", {"text": ""})["text"].startswith(label)
    )
    place = {"view_id": view["id"], "action_id": element["action_id"], "block_id": block["block_id"]}
    return act(stack, "click", user, **place)


def thread(stack: Stack, card: dict[str, Any]) -> list[str]:
    """Return what stands under a card, in order."""
    return [each["text"] for each in stack.cards() if each.get("thread_ts") == card["ts"] and each["ts"] != card["ts"]]


def request_of(card: dict[str, Any]) -> str:
    """Return the id of the request on a card."""
    row = next(block for block in card["blocks"] if block["type"] == "actions")
    return str(json.loads(row["elements"][0]["value"])["r"])


def test_the_thread_tells_a_change_from_vote_to_rollout(stack: Stack) -> None:
    """Who approved, and what was carried out, stand under the card once, in that order; the history agrees."""
    card = stack.propose("CHG-THREAD")
    stack.click(card, "Approve", by="dana")
    said = stack.until(lambda: (found := thread(stack, card)) and len(found) >= 2 and found, "two replies")

    assert "*Dana Ops* approved" in said[0]
    assert "Now executing deployer: rollout" in said[0]
    assert "was carried out" in said[1]
    stack.card("CHG-THREAD", saying="Approved and executed")
    assert len(thread(stack, card)) == 2
    shown = command(stack, "kim", "/loops show chg-thread")
    assert shown.startswith("*CHG-THREAD*")
    assert "Completed in COMPLETE" in command(stack, "kim", "/loops history CHG-THREAD")


def test_home_decides_in_place(stack: Stack) -> None:
    """What waits for me stands on the tab with the card's buttons; approved there, the card follows."""
    card = stack.propose("CHG-HOME")
    act(stack, "home", "sam")
    clicked = press(stack, "sam", "Approve", about=request_of(card))

    def is_decided() -> bool:
        shown = json.dumps(home(stack, "sam"), ensure_ascii=False)
        return request_of(card) not in shown and "You answered *Approve*" in shown

    assert (clicked["status"], clicked["warning"]) == (200, None)
    # Whoever draws the tabs of all that are open may be at Sam's just now, with what stood before.
    stack.until(is_decided, "Sam's tab to say what Sam answered")
    stack.card("CHG-HOME", saying="Approved and executed")


def test_an_open_home_tab_follows_what_happens(stack: Stack) -> None:
    """Sam's tab shows what waits for Sam, and no longer than that, without being opened anew."""
    act(stack, "home", "sam")
    card = stack.propose("CHG-FOLLOW")
    request = request_of(card)
    stack.until(lambda: request in json.dumps(home(stack, "sam")), "Sam's tab to show it")
    stack.click(card, "Reject", by="dana")
    stack.submit("dana", stack.view("dana"), "Not today")

    stack.until(lambda: request not in json.dumps(home(stack, "sam")), "Sam's tab to be rid of it")


def test_several_are_approved_in_one_window(stack: Stack) -> None:
    """Each selected request is its own decision; the window says what became of each, and every card follows."""
    names = ["CHG-BULK1", "CHG-BULK2", "CHG-BULK3"]
    for name in names:
        stack.propose(name)
    act(stack, "home", "robin")
    press(stack, "robin", "Approve several")
    view = stack.view("robin")
    block = next(block for block in view["blocks"] if block.get("element", {}).get("type") == "checkboxes")
    element = block["element"]
    # Other tests leave requests open on the shared stack; only our own are decided here.
    ours = [option["value"] for option in element["options"] if "CHG-BULK" in json.dumps(option)]
    act(
        stack,
        "submit",
        "robin",
        view_id=view["id"],
        values={block["block_id"]: {element["action_id"]: ours}},
    )
    result = json.dumps(stack.view("robin"), ensure_ascii=False)

    assert result.count(": approved") == 3
    for name in names:
        stack.card(name, saying="Approved and executed")
        decisions = [each for each in stack.ledger(name) if each["type"] == "approval.decision.recorded"]
        assert [each["data"]["decision"]["by"]["id"] for each in decisions] == ["robin"]


def test_a_loop_is_started_and_cancelled_by_command(stack: Stack) -> None:
    """Started in Slack the person is the requester; cancelled, the card says so and nobody can answer it."""
    typed = "changeId=CHG-CMD service=checkout summary=scale environment=production parameters.max_replicas=12"
    told = command(stack, "dana", f"/loops start infrastructure.change id=CHG-CMD {typed}")
    assert "Started *infrastructure.change* on *CHG-CMD*" in told
    stack.card("CHG-CMD")
    assert "Dana Ops is the requester" in command(stack, "dana", "/loops who CHG-CMD")

    assert act(stack, "command", "dana", channel=CHANNEL, text="/loops cancel CHG-CMD")["status"] == 200
    act(stack, "submit", "dana", view_id=stack.view("dana")["id"], values={})
    stack.card("CHG-CMD", saying="Cancelled")
    assert "is cancelled already" in command(stack, "dana", "/loops cancel CHG-CMD")


def test_all_of_a_large_proposal_is_had_as_a_file(stack: Stack) -> None:
    """Asked for in Details, it comes as a direct message, and its digest is the one that is approved."""
    plan = "naïve ☃ " * 10_000
    data = {**CHANGE, "changeId": "CHG-FILE", "requestedBy": "lee", "parameters": {"max_replicas": 12, "plan": plan}}
    assert stack.deliver({"type": "change.proposed", "data": data}).status_code == 202
    card = stack.card("CHG-FILE")
    stack.click(card, "Details", by="kim")
    view = stack.view("kim")
    place = {"view_id": view["id"], "action_id": "loopgate.file", "block_id": "loopgate.page.top"}
    clicked = act(stack, "click", "kim", **place)
    assert (clicked["status"], clicked["warning"]) == (200, None)

    def shared() -> list[dict[str, Any]]:
        answer = stack.http.get(f"{stack.sandbox}/sandbox/messages", params={"channel": f"D{slack_id('kim')[1:]}"})
        return [file for message in answer.json()["messages"] for file in message.get("files", ())]

    (file,) = stack.until(shared, "the file")
    content = stack.http.get(f"{stack.sandbox}{file['url_private_download']}").content
    events = stack.ledger("CHG-FILE")
    digest = next(each["data"]["digest"] for each in events if each["type"] == "approval.requested")
    (asked,) = [each["data"] for each in events if each["type"] == "approval.details.requested"]

    assert json.loads(content)["parameters"]["parameters"]["plan"] == plan
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest == asked["digest"]
    assert asked["actor"]["id"] == "kim"
    stack.click(card, "Approve", by="dana")
    stack.card("CHG-FILE", saying="Approved and executed")
