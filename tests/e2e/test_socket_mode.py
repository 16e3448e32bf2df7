"""Socket Mode on real processes: the whole line over connections the gateway opens, and the ways they end."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from stack import CHANNEL, Stack, slack_id

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose Slack delivers over Socket Mode."""
    with Stack(tmp_path_factory.mktemp("socket"), slack_mode="socket") as running:
        yield running


def act(stack: Stack, kind: str, user: str, **act: Any) -> dict[str, Any]:
    """Act as the person *user*."""
    answer = stack.http.post(f"{stack.sandbox}/sandbox/act/{kind}", json={"user": slack_id(user), **act})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def sockets(stack: Stack, **act: Any) -> list[dict[str, Any]]:
    """Return the sandbox's connections, after it did something to them."""
    return list(stack.http.post(f"{stack.sandbox}/sandbox/sockets", json=act).json()["connections"])


def test_the_line_runs_over_socket_mode(line: Stack) -> None:
    """A click, a modal, a command and the Home tab do what they do over HTTP; no request URL is served."""
    approved, rejected = line.propose("SOCK-1"), line.propose("SOCK-2")
    clicked = line.click(approved, "Approve", "dana")
    line.click(rejected, "Reject", "sam")
    submitted = line.submit("sam", line.view("sam"), "not before Monday")
    command = act(line, "command", "kim", channel=CHANNEL, text="/loops show sock-1")
    home = act(line, "home", "robin")
    line.card("SOCK-1", saying="Approved and executed")
    line.card("SOCK-2", saying="not before Monday")
    view = line.http.get(f"{line.sandbox}/sandbox/home", params={"user": slack_id("robin")}).json()["view"]

    answers = [clicked, submitted, command, home]
    assert [(each["status"], each["warning"]) for each in answers] == [(200, None)] * 4
    assert "*SOCK-1*" in json.loads(command["body"])["text"]
    assert view["type"] == "home"
    assert line.http.post(f"{line.gateway()}/slack/events", content=b"{}").status_code == 404
    assert len([e for e in line.ledger("SOCK-1") if e["type"] == "approval.decision.recorded"]) == 1
    assert line.metric("loopgate_slack_socket_acknowledged_total") >= 5


def test_a_refresh_of_one_of_two_connections_loses_no_click(line: Stack) -> None:
    """Slack renews a connection while eight people click: each click is acknowledged, each change decided once."""
    names = [f"SOCK-REFRESH-{number}" for number in range(8)]
    cards = [line.propose(name) for name in names]
    before = [each["id"] for each in sockets(line)]
    sockets(line, do="disconnect", connection=before[0], reason="refresh_requested", close_after_s=60)
    with ThreadPoolExecutor(4) as pool:
        clicks = list(pool.map(lambda card: line.click(card, "Approve", "dana"), cards))
    # Closed while a click is out on it, that click would be lost, whatever the gateway does.
    sockets(line, do="disconnect", connection=before[0], reason="refresh_requested")
    for name in names:
        line.card(name, saying="Approved and executed")
    after = line.until(
        lambda: (ids := [each["id"] for each in sockets(line)]) and len(ids) == 2 and before[0] not in ids and ids,
        "the connection to be replaced",
    )

    assert [(each["status"], each["warning"]) for each in clicks] == [(200, None)] * 8
    assert before[1] in after


def test_a_payload_to_every_connection_of_two_gateways_counts_once(line: Stack) -> None:
    """An envelope over four connections of two processes: one decision, one acknowledgement, three left alone."""
    line.start_gateway(1)
    line.await_gateway(1)
    card = line.propose("SOCK-ALL")
    sockets(line, broadcast=True)
    clicked = line.click(card, "Approve", "dana")
    line.card("SOCK-ALL", saying="Approved and executed")
    replayed = line.until(
        lambda: sum(line.metric("loopgate_slack_socket_unacknowledged_total", number) for number in (0, 1)) >= 3,
        "three replays to be counted",
    )
    sockets(line, broadcast=False)

    assert clicked["status"] == 200
    assert replayed
    assert len([e for e in line.ledger("SOCK-ALL") if e["type"] == "approval.decision.recorded"]) == 1
    assert line.gateways[-1].stop() == 0


def test_the_doctor_finds_nothing_wrong(line: Stack, stack: Stack) -> None:
    """With everything up all checks are well, over Socket Mode and over HTTP; who decides alone is told, each once."""
    for running, alone in ((line, ["kim"]), (stack, ["kim", "dana"])):
        told = running.run_cli("doctor", "--json")
        findings = [each for each in json.loads(told.stdout)["findings"] if each["status"] != "ok"]

        assert [(each["check"], each["status"]) for each in findings] == [("approvers", "warn")] * len(alone)
        assert all(any(person in json.dumps(each).casefold() for each in findings) for person in alone), findings
        assert told.returncode == 0


def test_a_gateway_killed_right_after_its_acknowledgement_has_lost_nothing(line: Stack) -> None:
    """The acknowledgement left only after the commit; the next gateway's connections take over."""
    card = line.propose("SOCK-KILL")
    clicked = line.click(card, "Approve", "dana")
    line.gateways[0].kill()
    line.card("SOCK-KILL", saying="Approved and executed")
    line.start_gateway()
    line.await_gateway()
    card = line.propose("SOCK-NEXT")

    assert clicked["status"] == 200
    assert line.click(card, "Approve", "dana")["status"] == 200
    assert line.gateways[-1].stop() == 0
    line.until(lambda: not sockets(line), "the connections to be closed")
