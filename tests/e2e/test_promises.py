"""
The nine promises of the README, one test each and named after it, on one running stack.

Each shows its promise once, through the front door. What else is tested of each is found beside it in the README.
"""

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

import pytest
from stack import CHANGE, Stack

from gateway.storage import keys
from gateway.storage.connect import connect_sync

pytestmark = pytest.mark.e2e


def _add_silent(configuration: dict[str, Any], _: dict[str, Any]) -> None:
    start = {"loop": "silent.change", "aggregateId": "{{ body.data.changeId }}", "whole": "data"}
    configuration["sources"]["ci"]["rules"].append({"when": {"type": "silence.proposed"}, "start": start})


@pytest.fixture(scope="module")
def promised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that also has the shipped loop with two seconds to answer."""
    shipped = (files("loops") / "library" / "infrastructure_change.yaml").read_text()
    silent = shipped.replace("id: infrastructure.change", "id: silent.change")
    silent = silent.replace("remindAfter: 1h", "remindAfter: 1s").replace("expireAfter: 4h", "expireAfter: 2s")
    home = tmp_path_factory.mktemp("promised")
    with Stack(home, loops={"silent.yaml": silent}, adjust=_add_silent) as running:
        yield running


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def _calls(stack: Stack, change: str) -> list[dict[str, Any]]:
    return [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == change]


def _instances(stack: Stack) -> int:
    """Return how many loops there are, open and closed."""
    with connect_sync(stack.store_url) as client:
        # A scan may come by a key twice.
        return len(set(client.scan_iter(f"{keys.INSTANCE}*", count=1_000)))


def test_one_decision_one_effect(promised: Stack) -> None:
    """Six people approve at the same moment: one decision, five refusals on record, one call."""
    card = promised.propose("PROMISE-1")
    people = [f"sre{number}" for number in range(1, 7)]
    with ThreadPoolExecutor(len(people)) as pool:
        clicks = list(pool.map(lambda person: promised.click(card, "Approve", person), people))
    promised.card("PROMISE-1", saying="Approved and executed")
    types = _types(promised.audited("PROMISE-1"))

    assert [click["status"] for click in clicks] == [200] * len(people)
    assert types.count("approval.decision.recorded") == 1
    assert types.count("approval.decision.refused") == len(people) - 1
    assert len(_calls(promised, "PROMISE-1")) == 1


def test_nothing_acknowledged_is_lost(promised: Stack) -> None:
    """Gateway and worker are killed on the answer to a click: others carry it out, once."""
    card = promised.propose("PROMISE-2")
    promised.workers[-1].kill()
    clicked = promised.click(card, "Approve", "dana")
    promised.gateways[-1].kill()
    promised.start_worker()
    promised.start_gateway()
    promised.await_gateway()
    promised.card("PROMISE-2", saying="Approved and executed")

    assert clicked["status"] == 200
    assert len({call["id"] for call in _calls(promised, "PROMISE-2")}) == 1


def test_the_right_human(promised: Stack) -> None:
    """Who the loop does not name, and who asked, are refused in private; who it names decides."""
    card = promised.propose("PROMISE-3", requested_by="robin")
    for person in ("kim", "robin"):
        before = promised.last_private_word_at(person)
        promised.click(card, "Approve", person)
        promised.until(
            lambda person=person, before=before: promised.private_words(person, after=before), f"a word to {person}"
        )
    refused = _types(promised.audited("PROMISE-3"))
    promised.click(card, "Approve", "dana")
    promised.card("PROMISE-3", saying="Approved and executed")

    assert refused.count("approval.decision.refused") == 2
    assert "approval.decision.recorded" not in refused


def test_what_was_shown_is_what_runs(promised: Stack) -> None:
    """The digest that was asked about is the one that was approved and the one that the system of record was told."""
    card = promised.propose("PROMISE-4")
    promised.click(card, "Approve", "dana")
    promised.card("PROMISE-4", saying="Approved and executed")
    events = promised.audited("PROMISE-4")
    [asked] = [event["data"]["digest"] for event in events if event["type"] == "approval.requested"]
    [approved] = [event["data"]["digest"] for event in events if event["type"] == "approval.decision.recorded"]
    [call] = _calls(promised, "PROMISE-4")

    assert asked == approved == call["data"]["approval"]["digest"]
    assert asked.removeprefix("sha256:")[:8] in json.dumps(card)
    assert call["data"]["parameters"]["parameters"] == CHANGE["parameters"]


def test_cards_tell_the_truth(promised: Stack) -> None:
    """It says that it waits and, once rejected, that it was, by whom, and offers no decision any more."""
    card = promised.propose("PROMISE-5")
    waiting = json.dumps(card)
    promised.click(card, "Reject", "sam")
    promised.submit("sam", promised.view("sam"), "Not before the sale ends")
    rejected = json.dumps(promised.card("PROMISE-5", saying="Not before the sale ends"))

    assert "Approval needed" in waiting
    assert "Rejected" in rejected
    assert "Sam Lee" in rejected
    assert '"text": "Approve"' not in rejected


def test_silence_approves_nothing(promised: Stack) -> None:
    """Nobody answers: when the time is over the change is refused, its card says so, and nothing ran."""
    data = {**CHANGE, "changeId": "PROMISE-6", "requestedBy": "lee"}
    promised.deliver({"type": "silence.proposed", "data": data})
    promised.card("PROMISE-6", saying="Expired")
    events = promised.audited("PROMISE-6")

    assert [event["data"]["finalState"] for event in events if event["type"] == "loop.completed"] == ["REJECTED"]
    assert _calls(promised, "PROMISE-6") == []


def test_a_model_is_an_actor_not_an_authority(promised: Stack) -> None:
    """A model that asks for its own approval is refused on the record; what it wrote stands quoted on the card."""
    card = promised.propose("PROMISE-7")
    made = promised.run_cli("keys", "create", "agent", "--scope", "loops:write")
    asked = {
        "signalId": "approve",
        "actor": {"id": "analyst", "type": "ai-agent", "modelId": "any", "provider": "any", "confidence": 1.0},
    }
    answer = promised.http.post(
        f"{promised.gateway()}/api/v1/loops/PROMISE-7/transition",
        json=asked,
        headers={"authorization": f"Bearer {made.stdout.strip()}", "idempotency-key": secrets.token_hex(8)},
    )
    types = _types(promised.audited("PROMISE-7"))

    assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized_actor")
    assert "loop.transition.refused" in types
    assert "approval.decision.recorded" not in types
    assert "Quoted, not verified" in json.dumps(card)


def test_every_step_is_on_the_record(promised: Stack) -> None:
    """Who proposed, who assessed, who decided and who carried it out: each is named in a chain that verifies."""
    card = promised.propose("PROMISE-8")
    promised.click(card, "Approve", "dana")
    promised.card("PROMISE-8", saying="Approved and executed")
    events = promised.audited("PROMISE-8")
    moved = [event["data"]["actor"]["type"] for event in events if event["type"] == "loop.transition.executed"]

    assert events[0]["data"]["actor"]["id"] == "ci"
    assert moved == ["ai-agent", "human", "automation"]
    assert [event["previousHash"] for event in events[1:]] == [event["hash"] for event in events[:-1]]


def test_bad_input_gets_a_clear_refusal(promised: Stack) -> None:
    """What cannot be read, or lacks what it must say, is a 4xx that says what is wrong, and nothing is written."""
    before = _instances(promised)
    bodies = ["", "{", "[]", '{"type": "change.proposed"}', '{"type": "change.proposed", "data": 7}']
    answers = [promised.deliver(body) for body in bodies]

    assert [answer.status_code // 100 for answer in answers] == [4] * len(bodies)
    assert all(answer.json()["error"] for answer in answers)
    assert _instances(promised) == before
