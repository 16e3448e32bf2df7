"""Nothing acknowledged is lost, nothing approved runs twice: processes are killed where it hurts most."""

import json
import os
import signal
from collections.abc import Iterator

import pytest
from stack import Stack

from gateway.storage.connect import connect_sync

pytestmark = pytest.mark.e2e


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of one's own, to break."""
    with Stack(tmp_path_factory.mktemp("own")) as running:
        yield running


def test_a_worker_killed_between_commit_and_effect_loses_nothing(own: Stack) -> None:
    """With every worker gone when the click is committed, the next worker carries it out, once."""
    card = own.propose("CRASH-1")
    own.workers[0].kill()
    clicked = own.click(card, "Approve", "dana")
    own.start_worker()
    own.card("CRASH-1", saying="Approved and executed")

    assert clicked["status"] == 200
    _assert_called_once(own, "CRASH-1")


def test_a_worker_killed_while_the_integration_acts_does_not_act_twice(own: Stack) -> None:
    """The deployer acted and the answer never arrived: the retry carries the same id, so it acts once."""
    card = own.propose("CRASH-2")
    own.http.post(f"{own.receiver}/hang", json={"seconds": 4})
    own.click(card, "Approve", "dana")
    own.until(lambda: own.calls()["received"], "the deployer to be called")
    own.workers[0].kill()
    own.start_worker()
    own.card("CRASH-2", saying="Approved and executed")

    received = [call["id"] for call in own.calls()["received"]]
    assert len(received) == 2, "the lost answer was asked for again"
    assert len(set(received)) == 1
    assert len(own.calls()["acted"]) == 1


def test_a_frozen_worker_is_overtaken_and_its_late_result_counts_once(own: Stack) -> None:
    """A worker stopped in the middle of an effect loses its claim to another; waking up changes nothing."""
    card = own.propose("CRASH-3")
    own.http.post(f"{own.receiver}/hang", json={"seconds": 1})
    own.click(card, "Approve", "dana")
    own.until(lambda: own.calls()["received"], "the deployer to be called")
    os.kill(own.workers[0].pid, signal.SIGSTOP)
    own.start_worker()
    own.card("CRASH-3", saying="Approved and executed")
    os.kill(own.workers[0].pid, signal.SIGCONT)
    card = own.propose("CRASH-3B")
    own.click(card, "Approve", "dana")
    own.card("CRASH-3B", saying="Approved and executed")

    _assert_called_once(own, "CRASH-3")
    assert len([e for e in own.ledger("CRASH-3") if e["type"] == "effect.succeeded"]) == 2


def test_a_gateway_killed_right_after_its_answer_has_lost_nothing(own: Stack) -> None:
    """The 200 left only after the commit: killing the gateway on it changes nothing of what follows."""
    card = own.propose("CRASH-4")
    clicked = own.click(card, "Approve", "dana")
    own.gateways[0].kill()
    own.card("CRASH-4", saying="Approved and executed")
    own.start_gateway()
    own.await_gateway()

    assert clicked["status"] == 200
    _assert_called_once(own, "CRASH-4")


def test_an_accepted_webhook_survives_the_gateway_and_every_worker(own: Stack) -> None:
    """A 202 to a webhook is a loop: with everything killed on it, the card still comes."""
    own.workers[0].kill()
    data = {"changeId": "CRASH-5", "service": "checkout", "summary": "x", "requestedBy": "lee"}
    answer = own.deliver({"type": "change.proposed", "data": data})
    own.gateways[0].kill()
    own.start_worker()
    own.start_gateway()
    own.await_gateway()

    assert answer.status_code == 202
    own.card("CRASH-5")


def test_an_integration_that_fails_first_is_tried_again(own: Stack) -> None:
    """Answers that say "later" are retried with back-off under the same id until it acts."""
    card = own.propose("CRASH-6")
    own.http.post(f"{own.receiver}/faults", json={"status": 503, "count": 2})
    own.click(card, "Approve", "dana")
    own.card("CRASH-6", saying="Approved and executed")

    received = [call["id"] for call in own.calls()["received"]]
    assert len(received) == 3
    assert len(set(received)) == 1
    assert len(own.calls()["acted"]) == 1


def test_an_integration_that_refuses_ends_in_the_error_state_and_the_card_says_so(own: Stack) -> None:
    """A refusal for good is not retried; the loop takes its failure signal and the card shows it."""
    card = own.propose("CRASH-7")
    own.http.post(f"{own.receiver}/faults", json={"status": 409, "count": 1})
    own.click(card, "Approve", "dana")
    own.card("CRASH-7", saying="failed")
    events = own.ledger("CRASH-7")

    assert len(own.calls()["received"]) == 1
    assert [e["data"]["finalState"] for e in events if e["type"] == "loop.completed"] == ["FAILED"]


def test_a_click_while_the_store_is_away_is_not_lost_in_silence(own: Stack) -> None:
    """No store: not ready, an error to Slack, a private word to try again, nothing half-written; then it works."""
    card = own.propose("CRASH-8")
    own.stop_store()
    unready = own.until(lambda: _unready(own), "the gateway to say it is not ready")
    clicked = own.click(card, "Approve", "dana")
    words = own.private_words("dana")
    webhook = own.deliver({"type": "change.proposed", "data": {"changeId": "CRASH-9", "requestedBy": "lee"}})
    own.start_store()
    own.await_gateway()
    own.until(lambda: own.click(card, "Approve", "dana")["status"] == 200, "a click to be taken again")
    own.card("CRASH-8", saying="Approved and executed")

    assert "error" in unready
    assert clicked["status"] == 500
    assert "try again" in words[-1]
    assert webhook.status_code == 503
    assert webhook.headers["retry-after"]
    _assert_called_once(own, "CRASH-8")


def test_a_click_while_the_store_is_silent_is_answered_in_time(own: Stack) -> None:
    """A store that takes connections and answers nobody: an error to Slack and a private word within Slack's 3 s."""
    card = own.propose("CRASH-11")
    with connect_sync(own.store_url) as client:
        store = int(client.info("server")["process_id"])
    os.kill(store, signal.SIGSTOP)
    try:
        clicked = own.click(card, "Approve", "dana")
        words = own.private_words("dana")
    finally:
        os.kill(store, signal.SIGCONT)
    own.until(lambda: own.click(card, "Approve", "dana")["status"] == 200, "a click to be taken again")
    own.card("CRASH-11", saying="Approved and executed")

    assert clicked["status"] == 500, clicked
    assert "try again" in words[-1]
    _assert_called_once(own, "CRASH-11")


def test_processes_stop_cleanly_when_told(own: Stack) -> None:
    """SIGTERM ends a gateway and a worker with exit code 0, without a traceback."""
    own.propose("CRASH-10")

    assert own.gateways[0].stop() == 0
    assert own.workers[0].stop() == 0
    assert "Traceback" not in own.gateways[0].tail() + own.workers[0].tail()


def _unready(stack: Stack) -> dict[str, object] | None:
    answer = stack.http.get(f"{stack.gateway()}/readyz")
    return dict(answer.json()) if answer.status_code == 503 else None


def _assert_called_once(stack: Stack, change: str) -> None:
    received = [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == change]
    acted = stack.calls()["acted"]
    assert len({call["id"] for call in received}) == 1, json.dumps(received)
    assert received[0]["id"] in acted
