"""The main job, over real HTTP and through real processes: proposed, asked, decided by a human, carried out once."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from stack import STRANGER, Stack

pytestmark = pytest.mark.e2e


def test_an_approved_change_is_carried_out_once_and_every_step_is_on_the_record(stack: Stack) -> None:
    """From webhook to learning signal, with the human, the channel and the parameters on a ledger that verifies."""
    card = stack.propose("LINE-1")
    clicked = stack.click(card, "Approve", "dana")
    shown = stack.card("LINE-1", saying="Approved and executed")
    [call] = [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == "LINE-1"]
    events = stack.ledger("LINE-1")

    assert clicked["status"] == 200
    assert "Dana Ops" in json.dumps(shown)
    assert call["data"]["parameters"]["parameters"] == {"max_replicas": 12}
    assert [event["type"] for event in events] == [
        "loop.started",
        "effect.succeeded",
        "loop.transition.requested",
        "loop.transition.executed",
        "approval.requested",
        "approval.card.posted",
        "approval.decision.recorded",
        "loop.transition.requested",
        "loop.transition.executed",
        "approval.closed",
        "effect.succeeded",
        "loop.transition.requested",
        "loop.transition.executed",
        "loop.completed",
        "loop.learning.recorded",
    ]
    decision = next(e for e in events if e["type"] == "approval.decision.recorded")["data"]["decision"]
    assert decision["by"]["userId"] == "dana"
    assert decision["channel"] == {
        "channelConnectionId": "channel.slack",
        "channelKind": "slack",
        "slackTeamId": "T0TEST",
        "slackChannelId": "C0SRE",
        "slackMessageTs": card["ts"],
        "slackUserId": "U0DANA",
        "slackActionId": decision["channel"]["slackActionId"],
        "decisionSignalId": "approve",
    }
    [card_event] = [e for e in events if e["type"] == "approval.card.posted"]
    assert (card_event["data"]["channel"], card_event["data"]["ts"]) == ("C0SRE", card["ts"])


def test_a_rejection_carries_its_reason_and_runs_nothing(stack: Stack) -> None:
    """Reject asks for a reason in a modal; the loop ends rejected, the card says why, the integration is not called."""
    card = stack.propose("LINE-2")
    stack.click(card, "Reject", "sam")
    submitted = stack.submit("sam", stack.view("sam"), "Not before the sale ends")
    shown = stack.card("LINE-2", saying="Not before the sale ends")
    events = stack.ledger("LINE-2")

    assert submitted["status"] == 200
    assert "Sam Lee" in json.dumps(shown)
    assert events[-2]["data"]["finalState"] == "REJECTED"
    assert not [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == "LINE-2"]


@pytest.mark.parametrize(
    ("who", "says"),
    [("kim", "sre"), ("robin", "behind the agent"), (STRANGER, "loopgate.yaml")],
)
def test_the_wrong_human_is_refused_privately(stack: Stack, who: str, says: str) -> None:
    """Not in the group, behind the agent, mapped to nobody: a private word that says why, an event, no transition."""
    change = f"WRONG-{who}"
    card = stack.propose(change, requested_by="robin")
    before = stack.last_private_word_at(who)
    stack.click(card, "Approve", who)
    words = stack.until(lambda: stack.private_words(who, after=before), f"a private word to {who}")
    events = stack.ledger(change)

    assert says in words[-1]
    assert [event["type"] for event in events][-1] == "approval.decision.refused"
    assert not [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == change]


def test_details_show_the_whole_proposal(stack: Stack) -> None:
    """Details opens a modal with the canonical parameters and their digest."""
    card = stack.propose("LINE-3")
    stack.click(card, "Details", "kim")
    shown = json.dumps(stack.view("kim"))

    assert "max_replicas" in shown
    assert "sha256:" in shown


def test_a_duplicate_delivery_gets_the_first_answer_and_starts_nothing(stack: Stack) -> None:
    """The same webhook twice is one loop instance, and the sender is told so."""
    body = {"type": "change.proposed", "data": {"changeId": "DUP-1", "service": "checkout", "requestedBy": "lee"}}
    first = stack.deliver(body, delivery_id="msg_dup1")
    again = stack.deliver(body, delivery_id="msg_dup1")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["status"] == "duplicate"
    assert again.json()["instanceId"] == first.json()["instanceId"]
    assert len([e for e in stack.ledger("DUP-1") if e["type"] == "loop.started"]) == 1


def test_bad_webhooks_are_refused_by_name_and_write_nothing(stack: Stack) -> None:
    """Forged, stale, malformed, incomplete, unknown: a 4xx that says what is wrong, and no loop."""
    good = {"type": "change.proposed", "data": {"changeId": "BAD-1", "requestedBy": "lee"}}
    forged = stack.http.post(
        f"{stack.gateway()}/webhooks/ci",
        content=json.dumps(good).encode(),
        headers={
            "content-type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(datetime.now(UTC).timestamp())),
            "webhook-signature": "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        },
    )
    stale = stack.deliver(good, at=datetime.now(UTC) - timedelta(minutes=6))
    broken = stack.deliver("{not json")
    incomplete = stack.deliver({"type": "change.proposed", "data": {"requestedBy": "lee"}})
    loop = stack.deliver({"type": "loop.wanted", "data": {"changeId": "BAD-1", "requestedBy": "lee"}})
    source = stack.deliver(good, source="nobody")

    answers = [forged, stale, broken, incomplete, loop, source]
    assert [answer.status_code for answer in answers] == [401, 401, 400, 422, 422, 404]
    assert all({"error", "fields"} <= set(answer.json()) for answer in answers)
    assert "data.changeId" in json.dumps(incomplete.json()["fields"])
    assert stack.run_cli("audit", "show", "BAD-1").returncode == 1


def test_forged_stale_and_replayed_clicks_are_refused(stack: Stack) -> None:
    """A click with a wrong signature, an old stamp, or sent twice as it was: 401, and one decision at most."""
    card = stack.propose("FORGED-1")
    clicked = stack.click(card, "Approve", "dana")
    url = f"{stack.sandbox}/sandbox/replay"
    replayed = stack.http.post(url, json={"delivery_id": clicked["delivery_id"]}).json()["deliveries"][0]
    stack.card("FORGED-1", saying="Approved and executed")
    unsigned = stack.http.post(f"{stack.gateway()}/slack/events", content=b"payload=%7B%7D")

    assert clicked["status"] == 200
    assert replayed["status"] == 401
    assert unsigned.status_code == 401
    assert len([e for e in stack.ledger("FORGED-1") if e["type"].startswith("approval.decision")]) == 1


def test_a_later_clicker_is_told_who_decided(stack: Stack) -> None:
    """After a decision, a click on the old card is answered privately with who decided what."""
    card = stack.propose("LATE-1")
    stack.click(card, "Approve", "dana")
    before = stack.last_private_word_at("sre8")
    stack.click(card, "Approve", "sre8")
    words = stack.until(lambda: stack.private_words("sre8", after=before), "a private word")

    assert "Dana Ops" in words[-1]
    assert "pproved" in words[-1]


def test_every_unknown_route_answers_in_json(stack: Stack) -> None:
    """What no route takes gets a JSON error with a code and a word on what to do, never a page or a traceback."""
    missing = stack.http.get(f"{stack.gateway()}/nothing/here")
    wrong_method = stack.http.get(f"{stack.gateway()}/webhooks/ci")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert "/api/v1/docs lists what there is" in missing.json()["error"]
    assert (wrong_method.status_code, wrong_method.json()["code"]) == (405, "method_not_allowed")
    assert "Allow" in wrong_method.json()["error"]
    assert wrong_method.headers["allow"] == "POST"


def test_racing_clicks_have_one_winner_and_truthful_answers(stack: Stack) -> None:
    """
    Rounds of eight people clicking at once: one decision, one call where it was an approval, eight truthful answers.

    The short form of `make races` (200 rounds).
    """
    from races import race

    with httpx2.Client(timeout=30, limits=httpx2.Limits(max_connections=16)) as client, ThreadPoolExecutor(8) as pool:
        for number in range(10):
            race(stack, f"RACE-{number}", client, pool)
