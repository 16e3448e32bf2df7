"""
Wrong humans: everybody who may not decide, each refused privately with one sentence why, on the ledger, and no more.

One stack. The gate's approvers are a Slack user group; somebody is recognised by an address; others are guests, gone,
strangers, behind what is asked. What never reaches a ledger (not signed, replayed, another app's) gets a 4xx.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from ruamel.yaml import YAML
from stack import CHANNEL, TEAM, Stack, slack_id
from test_attacks import a_click, sent, signed

from channels.slack.shown import ANSWER, Shown

pytestmark = pytest.mark.e2e

GROUP = "S0ONCALL"
APPROVERS = ("dana", "sam", "robin", "sre1", "sre2", "sre3", "sre4", "sre5", "sre6", "sre7", "sre8")
ODD = {
    "U0GUEST": {"is_restricted": True},
    "U0SINGLE": {"is_restricted": True, "is_ultra_restricted": True},
    "U0BOTTY": {"is_bot": True},
    "U0GONE": {"deleted": True},
    "U0STRANGE": {"is_stranger": True},
    "U0FOREIGN": {"team_id": "T0OTHER"},
    "U0TWIN": {"email": "twin@acme.com"},
    "U0UNSURE": {"email": "sam@acme.com", "is_email_confirmed": False},
    "U0ELSE": {"email": "sam@evil.com"},
    "U0DANA2": {"email": "dana@acme.com"},
    "U0TENANT": {},
}
GATE = {
    "id": "test.gate",
    "version": "1.0.0",
    "initialState": "READY",
    "states": [
        {"id": "READY"},
        {
            "id": "PENDING_HUMAN_GATE",
            "approval": {
                "channel": "sre-approvals",
                "approvers": {"groups": ["oncall"]},
                "quorum": 2,
                "title": "Gate {{ data.changeId }}",
                "editable": {"replicas": {"type": "integer", "minimum": 1, "maximum": 20}},
                "expireAfter": "4h",
            },
        },
        {"id": "RUNNING"},
        {"id": "DONE", "isTerminal": True},
        {"id": "FAILED", "isTerminal": True, "isError": True},
    ],
    "transitions": [
        {"id": "ready", "from": "READY", "to": "PENDING_HUMAN_GATE", "actors": ["automation"]},
        {
            "id": "approve",
            "from": "PENDING_HUMAN_GATE",
            "to": "RUNNING",
            "actors": ["human"],
            "effects": [{"integration": "deployer", "action": "go", "onSuccess": "done", "onFailure": "failed"}],
        },
        {"id": "reject", "from": "PENDING_HUMAN_GATE", "to": "FAILED", "actors": ["human"]},
        {"id": "done", "from": "RUNNING", "to": "DONE", "actors": ["automation"]},
        {"id": "failed", "from": "RUNNING", "to": "FAILED", "actors": ["automation"]},
    ],
}
#: The same, answered once, with a very short time to answer.
HASTY = json.loads(json.dumps(GATE).replace("4h", "1s").replace("test.gate", "test.hasty"))


def adjusted(configuration: dict[str, Any], sandbox: dict[str, Any]) -> None:
    """Add the gate, its user group and everybody odd."""
    configuration["loops"] = ["library", "loops"]
    configuration["groups"] = {"oncall": {"slackUserGroup": GROUP}}
    configuration["slack"]["emailDomains"] = ["acme.com"]
    people = configuration["people"]
    next(each for each in people if each["id"] == "dana")["aliases"] = ["dana@acme.com", "dana.ops"]
    for name in ("sam", "robin"):
        next(each for each in people if each["id"] == name)["aliases"] = ["twin@acme.com", f"{name}@acme.com"]
    mapped = ("U0GUEST", "U0SINGLE", "U0BOTTY", "U0GONE", "U0STRANGE", "U0FOREIGN")
    people += [{"id": user.lower(), "name": user, "slack": user} for user in mapped]
    people.append({"id": "elsewhere", "name": "Elsewhere", "tenant": "other", "slack": "U0TENANT"})
    start = {"aggregateId": "{{ body.data.changeId }}", "whole": "data"}
    configuration["sources"]["ci"]["rules"] += [
        {"when": {"type": f"{name}.wanted"}, "start": {"loop": f"test.{name}", **start}} for name in ("gate", "hasty")
    ]
    configuration["sources"]["ci"]["rules"].append(
        {"when": {"type": "ready"}, "signal": {"name": "ready", "aggregateId": "{{ body.data.changeId }}"}}
    )
    sandbox["users"] += [{"id": user, "name": user.lower(), **flags} for user, flags in ODD.items()]
    sandbox["channels"][0]["members"] += list(ODD)
    everybody = [*map(slack_id, APPROVERS), *ODD]
    sandbox["usergroups"] = [{"id": GROUP, "handle": "oncall", "name": "On call", "users": everybody}]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of our own: other tests need not know these people."""
    home = tmp_path_factory.mktemp("wrong")
    (home / "loops").mkdir()
    for definition in (GATE, HASTY):
        with (home / "loops" / f"{definition['id']}.yaml").open("w") as file:
            YAML().dump(definition, file)
    with Stack(home, adjust=adjusted) as running:
        yield running


def asked(stack: Stack, change: str, *, by: str = "lee", ready_by: str = "lee", kind: str = "gate") -> dict[str, Any]:
    """Have CI ask for a change on behalf of *by*, and say on behalf of *ready_by* that it is ready; return the card."""
    for body in (
        {"type": f"{kind}.wanted", "data": {"changeId": change, "requestedBy": by, "replicas": 3}},
        {"type": "ready", "data": {"changeId": change, "requestedBy": ready_by}},
    ):
        answer = stack.deliver(body)
        assert answer.status_code in {200, 202}, answer.text
    return stack.posted(change)


def act(stack: Stack, kind: str, user: str, **what: Any) -> dict[str, Any]:
    """Act in the sandbox."""
    return dict(stack.http.post(f"{stack.sandbox}/sandbox/act/{kind}", json={"user": user, **what}).json())


def change_group(stack: Stack, **change: list[str]) -> None:
    """Change who is in the user group, and wait until the gateway was told."""
    told = len(events_sent(stack))
    stack.http.post(f"{stack.sandbox}/sandbox/usergroups/{GROUP}", json=change)
    stack.until(lambda: len(events_sent(stack)) >= told + 2, "the events to be taken")


def events_sent(stack: Stack) -> list[dict[str, Any]]:
    """Return the events the gateway acknowledged."""
    sent_ = stack.http.get(f"{stack.sandbox}/sandbox/deliveries", params={"kind": "event"}).json()["deliveries"]
    return [each for each in sent_ if each["status"] == 200]


def press(stack: Stack, card: dict[str, Any], user: str, **changes: Any) -> None:
    """Deliver *user*'s press of Approve as Slack would, whoever they are; bots and the gone press no buttons there."""
    answer = sent(stack, a_click(card, "dana", user={"id": user, "team_id": TEAM}, **changes))
    assert answer.status_code == 200, answer.text


def moves(events: list[dict[str, Any]]) -> int:
    """Count what moved the loop or counted for a move."""
    return sum(each["type"] in {"loop.transition.executed", "approval.decision.recorded"} for each in events)


Arrange = Callable[[Stack, str], dict[str, Any]]


@dataclass(frozen=True)
class Wrong:
    """Who is wrong and why: the refusal's code, and words of the sentence they are told."""

    name: str
    user: str
    code: str
    says: str
    arrange: Arrange = asked
    twist: Callable[[dict[str, Any]], dict[str, Any]] = lambda click: click


def by_requester(stack: Stack, change: str) -> dict[str, Any]:
    """Dana's own change."""
    return asked(stack, change, by="dana")


def by_alias(stack: Stack, change: str) -> dict[str, Any]:
    """Dana's own, under what CI calls her."""
    return asked(stack, change, by=" Dana.OPS ")


def by_submitter(stack: Stack, change: str) -> dict[str, Any]:
    """Dana's service said it is ready."""
    return asked(stack, change, ready_by="dana")


def behind_the_agent(stack: Stack, change: str) -> dict[str, Any]:
    """An agent assessed it on behalf of dana."""
    return stack.propose(change, requested_by="dana")


def voted(stack: Stack, change: str) -> dict[str, Any]:
    """Dana approved already."""
    card = asked(stack, change)
    stack.click(card, "Approve", "dana")
    return stack.card(change, saying="1 of 2")


def decided(stack: Stack, change: str) -> dict[str, Any]:
    """Two others have approved it."""
    card = asked(stack, change)
    stack.click(card, "Approve", "sre1")
    stack.click(card, "Approve", "sre2")
    stack.until(lambda: "loop.completed" in [each["type"] for each in stack.audited(change)], "the loop to end")
    return card


def expired(stack: Stack, change: str) -> dict[str, Any]:
    """Nobody answered in time: its card as somebody may still have it on their screen, be it ever posted like that."""
    card = asked(stack, change, kind="hasty")
    stack.until(lambda: "approval.closed" in stack.recorded(change), "the request to expire")
    [request] = [each["data"] for each in stack.audited(change) if each["type"] == "approval.requested"]
    shown = Shown(
        request_id=request["requestId"],
        version=request["requestVersion"],
        digest=request["digest"],
        transition_id="approve",
    )
    button = {"text": {"text": "Approve"}, "action_id": f"{ANSWER}approve.0", "value": shown.encode()}
    return card | {"blocks": [{"type": "actions", "elements": [button]}]}


def edited(stack: Stack, change: str) -> dict[str, Any]:
    """Sam has approved it with other values since: the old card, version 1, is what is clicked."""
    card = asked(stack, change)
    stack.click(card, "Edit and approve", "sam")
    stack.submit("sam", stack.view("sam"), "7")
    stack.until(lambda: "approval.edited" in [each["type"] for each in stack.audited(change)], "the edit")
    return card


def choose(stack: Stack, card: dict[str, Any], person: str, entry: str) -> dict[str, Any]:
    """Choose an entry of a card's menu; return the window it opens."""
    row = next(block for block in card["blocks"] if block["type"] == "actions")
    menu = next(element for element in row["elements"] if element["type"] == "overflow")
    chosen = next(each["value"] for each in menu["options"] if entry in each["text"]["text"])
    act(stack, "click", slack_id(person), channel=CHANNEL, ts=card["ts"], action_id=menu["action_id"], value=chosen)
    return stack.view(person)


def handed_over(stack: Stack, change: str) -> dict[str, Any]:
    """Dana handed her part to somebody else."""
    card = asked(stack, change)
    view = choose(stack, card, "dana", "Hand my part over")
    block = next(block for block in view["blocks"] if block.get("element", {}).get("type") == "users_select")
    values = {block["block_id"]: {block["element"]["action_id"]: slack_id("sre8")}}
    act(stack, "submit", slack_id("dana"), view_id=view["id"], values=values)
    stack.until(lambda: "approval.reassigned" in [each["type"] for each in stack.audited(change)], "the hand-over")
    return card


def withdrawn(stack: Stack, change: str) -> dict[str, Any]:
    """Sam, on whose behalf it was asked for, took it back."""
    card = asked(stack, change, by="sam")
    view = choose(stack, card, "sam", "Withdraw")
    act(stack, "submit", slack_id("sam"), view_id=view["id"], values={})
    stack.until(lambda: "approval.closed" in [each["type"] for each in stack.audited(change)], "the withdrawal")
    return card


def cancelled(stack: Stack, change: str) -> dict[str, Any]:
    """It was cancelled by command."""
    card = asked(stack, change)
    act(stack, "command", slack_id("sre3"), channel=CHANNEL, text=f"/loops cancel {change}")
    act(stack, "submit", slack_id("sre3"), view_id=stack.view("sre3")["id"], values={})
    stack.until(lambda: "loop.cancelled" in [each["type"] for each in stack.audited(change)], "the cancellation")
    return card


def value_with(**changed: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what changes the value of the button."""

    def twist(click: dict[str, Any]) -> dict[str, Any]:
        [action] = click["actions"]
        return click | {"actions": [action | {"value": json.dumps(json.loads(action["value"]) | changed)}]}

    return twist


DANA = slack_id("dana")
WRONG = [
    Wrong("a guest", "U0GUEST", "unmapped_identity", "guests may not decide"),
    Wrong("a single-channel guest", "U0SINGLE", "unmapped_identity", "guests may not decide"),
    Wrong("a bot", "U0BOTTY", "unmapped_identity", "bots may not decide"),
    Wrong("somebody deactivated", "U0GONE", "unmapped_identity", "deactivated accounts may not decide"),
    Wrong("a stranger", "U0STRANGE", "unmapped_identity", "people of other workspaces may not decide"),
    Wrong("a member of another workspace", "U0FOREIGN", "unmapped_identity", "people of other workspaces may not"),
    Wrong("nobody mapped", "U0ALEX", "unmapped_identity", "not mapped to a person"),
    Wrong("an address of two people", "U0TWIN", "unmapped_identity", "not mapped to a person"),
    Wrong("an address Slack did not confirm", "U0UNSURE", "unmapped_identity", "not mapped to a person"),
    Wrong("an address of another domain", "U0ELSE", "unmapped_identity", "not mapped to a person"),
    Wrong("somebody of another tenant", "U0TENANT", "unmapped_identity", "not mapped to a person"),
    Wrong("not in the group", slack_id("kim"), "not_an_approver", "You may not decide this"),
    Wrong("a stale digest", DANA, "stale_request", "changed", twist=value_with(d="sha256:" + "0" * 64)),
    Wrong("a version there is not", DANA, "stale_request", "changed", twist=value_with(v=9)),
    Wrong("an answer not offered", DANA, "answer_not_offered", "is not an answer", twist=value_with(t="ready")),
    Wrong("the requester", DANA, "self_approval", "somebody else must decide", by_requester),
    Wrong("the requester under an alias", DANA, "self_approval", "somebody else must decide", by_alias),
    Wrong("the submitter", DANA, "self_approval", "somebody else must decide", by_submitter),
    Wrong("the human behind the agent", DANA, "self_approval", "somebody else must decide", behind_the_agent),
    Wrong("a second vote", DANA, "already_answered", "already", voted),
    Wrong("a second vote by another account", "U0DANA2", "already_answered", "already", voted),
    Wrong("already decided", DANA, "already_decided", "Engineer 2", decided),
    Wrong("too late", DANA, "request_expired", "time to answer ended", expired),
    Wrong("an old version after an edit", DANA, "stale_request", "changed", edited),
    Wrong("whose part was handed over", DANA, "not_an_approver", "You may not decide this", handed_over),
    Wrong("of a withdrawn request", DANA, "request_closed", "ithdrawn", withdrawn),
    Wrong("of a cancelled loop", DANA, "request_closed", "ancelled", cancelled),
]

_cards: dict[str, dict[str, Any]] = {}


@pytest.mark.parametrize("wrong", WRONG, ids=[each.name.replace(" ", "-") for each in WRONG])
def test_a_wrong_human_is_told_why_on_the_record_and_nothing_moves(stack: Stack, wrong: Wrong) -> None:
    """Refused with its code on the ledger, told in a private sentence, and no transition and no vote counts."""
    change = "WRONG-0" if wrong.arrange is asked else f"WRONG-{WRONG.index(wrong)}"
    if change not in _cards:
        _cards[change] = wrong.arrange(stack, change)
    card, before = _cards[change], stack.audited(change)
    heard_at = stack.last_private_word_at(wrong.user)
    click = wrong.twist(a_click(card, "dana", user={"id": wrong.user, "team_id": TEAM}))
    answer = sent(stack, click)

    def refusals() -> list[dict[str, Any]]:
        fresh = stack.audited(change)[len(before) :]
        return [each for each in fresh if each["type"] == "approval.decision.refused"]

    [refused] = stack.until(refusals, f"the refusal of {wrong.name}")
    # Whom Slack has to be asked about first is told so, and then what became of it.
    is_kept = "approval.decision.unconfirmed" in [each["type"] for each in stack.audited(change)[len(before) :]]

    def told() -> list[str]:
        found = stack.private_words(wrong.user, after=heard_at)
        return found if len(found) > is_kept else []

    words = stack.until(told, f"a private word to {wrong.name}")

    assert answer.status_code == 200
    assert refused["data"]["code"] == wrong.code
    assert wrong.says in words[-1], words
    assert moves(stack.audited(change)) == moves(before)
    assert not any(words[-1] in json.dumps(message, ensure_ascii=False) for message in stack.cards())


def test_somebody_removed_from_the_group_between_two_votes_counts_no_more(stack: Stack) -> None:
    """The second vote does not complete the quorum: the first one's right is gone, and a third is needed."""
    change = "WRONG-BETWEEN"
    card = asked(stack, change)
    stack.click(card, "Approve", "sre4")
    stack.card(change, saying="1 of 2")
    change_group(stack, remove=[slack_id("sre4")])
    stack.click(card, "Approve", "sre5")

    def votes() -> list[dict[str, Any]]:
        found = [each for each in stack.audited(change) if each["type"] == "approval.decision.recorded"]
        return found if len(found) == 2 else []

    second = stack.until(votes, "the second vote")[1]

    assert second["data"]["lapsed"] == ["sre4"]
    assert "approval.closed" not in [each["type"] for each in stack.audited(change)]


def test_somebody_removed_from_the_group_before_the_effect_stops_it(stack: Stack) -> None:
    """Approved by two, one leaves before it runs: nothing is called, the ledger says why, the loop fails."""
    change = "WRONG-EFFECT"
    card = asked(stack, change)
    stack.click(card, "Approve", "sre6")
    stack.card(change, saying="1 of 2")
    worker = stack.workers[0]
    stack.until(lambda: worker.is_running, "the worker")
    worker.kill()
    stack.click(card, "Approve", "sre7")
    change_group(stack, remove=[slack_id("sre7")])
    stack.start_worker()

    def failed() -> list[dict[str, Any]]:
        return [each for each in stack.audited(change) if each["type"] == "effect.failed"]

    [event] = stack.until(failed, "the effect to be stopped")
    calls = [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == change]

    assert event["data"]["detail"]["lapsed"] == ["sre7"]
    assert calls == []
    assert "counts no more" in json.dumps(stack.card(change, saying="counts no more"))


def test_a_window_of_another_request_is_refused(stack: Stack) -> None:
    """Metadata pointing at another digest is stale; metadata of nobody's making is not ours. Neither decides."""
    card = asked(stack, "WRONG-META")
    stack.click(card, "Reject", "dana")
    view = stack.view("dana")
    block = next(block for block in view["blocks"] if block["type"] == "input")
    state = {"values": {block["block_id"]: {block["element"]["action_id"]: {"value": "because"}}}}
    twisted = json.loads(view["private_metadata"].replace("sha256:", "sha256:0"))
    before, said = stack.audited("WRONG-META"), []
    for number, tampered in enumerate((json.dumps({"forged": 1}), json.dumps(twisted))):
        submission = {
            "type": "view_submission",
            "team": {"id": TEAM},
            "api_app_id": "A0TEST",
            "user": {"id": DANA, "team_id": TEAM},
            "view": {
                "id": f"V{number}",
                "type": "modal",
                "hash": "1.1",
                "callback_id": view["callback_id"],
                "private_metadata": tampered,
                "state": state,
            },
        }
        said.append(sent(stack, submission).json())
    refusals = [each["data"]["code"] for each in stack.audited("WRONG-META")[len(before) :]]

    assert [each["response_action"] for each in said] == ["update", "update"]
    assert refusals == ["stale_request"]


def test_what_is_not_slacks_reaches_no_ledger(stack: Stack) -> None:
    """
    Not signed, signed with another secret, sent again, of another app: a 4xx, and nothing on any ledger.

    There is nobody to attribute it to; the answer says what was wrong with it.
    """
    card = asked(stack, "WRONG-SIGNATURE")
    before = len(stack.audited("WRONG-SIGNATURE"))
    click = a_click(card, "dana")
    body = urlencode({"payload": json.dumps(click | {"api_app_id": "A0OTHER"})}).encode()
    unsigned = stack.http.post(f"{stack.gateway()}/slack/events", content=body)
    stamp = str(int(time.time()))
    forged = stack.http.post(
        f"{stack.gateway()}/slack/events",
        content=body,
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": "v0=" + hmac.new(b"other", f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest(),
        },
    )
    foreign = signed(stack, body)
    replayed = signed(stack, body)
    elsewhere = sent(stack, click | {"team": {"id": "T0OTHER"}})
    codes = [each.status_code for each in (unsigned, forged, foreign, replayed)]

    assert all(400 <= code < 500 for code in codes), codes
    assert elsewhere.status_code in {200, 403}
    recorded = stack.audited("WRONG-SIGNATURE")[before:]
    assert {each["type"] for each in recorded} <= {"approval.decision.refused"}
