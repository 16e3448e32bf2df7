"""A vendor's webhook comes in, people decide, the vendor is answered where it said: on a running stack."""

from typing import Any

import pytest
from github import PAYLOAD, ask, send
from stack import Stack

pytestmark = pytest.mark.e2e


def answers(stack: Stack, run: str) -> list[dict[str, Any]]:
    return [call["data"] for call in stack.calls()["received"] if f"/{run}/" in call["type"]]


def types(stack: Stack, aggregate: str) -> list[str]:
    return [event["type"] for event in stack.ledger(aggregate)]


@pytest.mark.parametrize(("deployment", "button", "state"), [(501, "Approve", "approved"), (502, "Reject", "rejected")])
def test_github_is_told_what_people_decided_where_it_asked(
    stack: Stack, deployment: int, button: str, state: str
) -> None:
    """A deployment GitHub holds back is asked about in Slack, and GitHub gets the answer, once, at its callback."""
    run = f"acme/shop/actions/runs/{deployment}"
    started = ask(stack, deployment, run=run).json()
    card = stack.card(f"production/{deployment}")
    stack.click(card, button, "dana")
    if button != "Approve":
        stack.submit("dana", stack.view("dana"), "Not on a Sunday")
    told = stack.until(lambda: answers(stack, run), "GitHub to be told")
    stack.until(lambda: "loop.completed" in types(stack, f"acme/shop/production/{deployment}"), "the end")

    assert (started["status"], started["loopId"]) == ("started", "github.deployment")
    assert told[0]["state"] == state
    assert told[0]["environment_name"] == "production"
    assert "callbackUrl" not in told[0]
    assert len(answers(stack, run)) == 1


def test_who_started_a_deployment_cannot_approve_it(stack: Stack) -> None:
    """The creator GitHub names counts as the requester, by whatever name the directory knows them."""
    ask(stack, 503, run="acme/shop/actions/runs/503", creator="dana")
    card = stack.card("production/503")
    stack.click(card, "Approve", "dana")
    refused = stack.until(
        lambda: [e for e in stack.ledger("acme/shop/production/503") if e["type"] == "approval.decision.refused"],
        "the refusal",
    )

    assert refused[0]["data"]["code"] == "self_approval"
    assert answers(stack, "acme/shop/actions/runs/503") == []


def test_replayed_delivery_under_another_id_starts_nothing(stack: Stack) -> None:
    """GitHub does not sign its delivery id: the same bytes under another id are the same delivery."""
    body = PAYLOAD.read_bytes()
    first, again = send(stack, body, delivery="one").json(), send(stack, body, delivery="two").json()

    assert (first["status"], again["status"]) == ("started", "duplicate")
    assert again["instanceId"] == first["instanceId"]
