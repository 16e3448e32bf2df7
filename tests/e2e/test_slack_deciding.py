"""What people do on a card short of deciding, and who may not decide at all, on real processes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stack import CHANNEL, Stack, slack_id


def choose(stack: Stack, card: Mapping[str, Any], entry: str, by: str) -> None:
    """Choose *entry* of the card's menu."""
    [menu] = [e for b in card["blocks"] if b["type"] == "actions" for e in b["elements"] if e["type"] == "overflow"]
    [value] = [option["value"] for option in menu["options"] if option["text"]["text"] == entry]
    _act(stack, card, menu["action_id"], by, value=value)


def _act(stack: Stack, card: Mapping[str, Any], action_id: str, by: str, **more: Any) -> None:
    asked = {"user": slack_id(by), "channel": CHANNEL, "ts": card["ts"], "action_id": action_id, **more}
    answer = stack.http.post(f"{stack.sandbox}/sandbox/act/click", json=asked)
    assert answer.json()["status"] == 200, answer.text


@contextmanager
def a_guest(stack: Stack, person: str) -> Iterator[None]:
    """Let *person* be a guest of the workspace; the gateway knows that inside, and that it is over afterwards."""

    def acknowledged() -> set[str]:
        sent = stack.http.get(f"{stack.sandbox}/sandbox/deliveries", params={"kind": "event"}).json()["deliveries"]
        return {each["id"] for each in sent if "user_change" in each["body"] and each["status"] == 200}

    def become(is_restricted: bool) -> None:
        before = acknowledged()
        stack.http.post(
            f"{stack.sandbox}/sandbox/users/{slack_id(person)}", json={"is_restricted": is_restricted}
        ).raise_for_status()
        stack.until(lambda: acknowledged() - before, "the gateway to learn about the guest")

    become(True)
    try:
        yield
    finally:
        become(False)


def test_a_question_is_answered_on_the_card_before_it_is_approved(stack: Stack) -> None:
    """An approver asks, somebody else replies, the card shows both, and the approval runs as ever."""
    card = stack.propose("ASK-1")
    choose(stack, card, "Ask a question", "dana")
    stack.submit("dana", stack.view("dana"), "Is the cache warm?")
    asked = stack.card("ASK-1", saying="Needs information")
    _act(stack, asked, "loopgate.inform", "kim")
    stack.submit("kim", stack.view("kim"), "Since this morning.")
    answered = stack.card("ASK-1", saying="Since this morning.")
    stack.click(answered, "Approve", "dana")
    done = json.dumps(stack.card("ASK-1", saying="Approved and executed"))
    types = [event["type"] for event in stack.ledger("ASK-1")]

    assert "Is the cache warm?" in json.dumps(asked)
    assert "Since this morning." in done
    assert [each for each in types if "question" in each] == ["approval.question.asked", "approval.question.answered"]


def test_why_is_told_to_one_person(stack: Stack) -> None:
    """Somebody outside the group learns privately why they cannot decide; nothing is on the ledger."""
    card = stack.propose("WHY-1")
    before = len(stack.ledger("WHY-1"))
    choose(stack, card, "Why can't I?", "kim")
    words = stack.until(lambda: [each for each in stack.private_words("kim") if "WHY-1" in each], "a private word")

    assert "needs 1 of sre" in words[-1]
    assert "none of the groups it names" in words[-1]
    assert len(stack.ledger("WHY-1")) == before


def test_a_guest_does_not_decide_though_the_configuration_names_them(stack: Stack) -> None:
    """From the moment Slack says that somebody is a guest their click is refused, privately and on the record."""
    card = stack.propose("GUEST-1")

    def told() -> list[str]:
        return [each for each in stack.private_words("sre7") if "guests may not decide here" in each]

    with a_guest(stack, "sre7"):
        stack.click(card, "Approve", "sre7")
        stack.until(told, "a private word to the guest")
        last = stack.ledger("GUEST-1")[-1]

    assert last["type"] == "approval.decision.refused"
    assert last["data"]["channel"]["slackStanding"] == "guest"
