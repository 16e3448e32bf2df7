"""Following events across two gateways and crashes: each seen once and in order, each delivered at least once."""

import asyncio
import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from contract.integration.receiver import SECRET, Receiver, receiving
from patience import PATIENCE_S
from stack import CHANGE, Process, Stack

from gateway.storage.connect import connect
from gateway.storage.redis_subscriptions import RedisSubscriptions

pytestmark = pytest.mark.e2e

CHANGES = [f"CHG-S{number}" for number in range(20)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with two gateways and two workers."""
    with Stack(tmp_path_factory.mktemp("followers"), adjust=_let_loopback) as stack:
        stack.start_gateway(1)
        stack.start_worker()
        stack.await_gateway(1)
        yield stack


def _let_loopback(configuration: dict[str, Any], _: dict[str, Any]) -> None:
    """Let subscriptions send to the receiver here, which is no public address."""
    configuration["subscriptions"] = {"networks": ["127.0.0.0/8"]}


def a_token(stack: Stack, *scopes: str) -> str:
    """Return the token of a fresh key."""
    made = stack.run_cli(
        "keys", "create", "follower", "--json", *(word for each in scopes for word in ("--scope", each))
    )
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["token"])


def calling(token: str) -> httpx2.Client:
    """Return a client with a key."""
    return httpx2.Client(headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE_S)


def propose(stack: Stack, change: str) -> None:
    """Have the CI system propose a change, and do not wait for its card."""
    data = {**CHANGE, "changeId": change, "requestedBy": "lee"}
    answer = stack.deliver({"type": "change.proposed", "data": data})
    assert answer.status_code == 202, answer.text


def follower(stack: Stack, gateway: int, token: str, journal: Path) -> Process:
    """Start the program that follows at a gateway from where *journal* ends."""
    program = [str(Path(__file__).parent / "follower.py"), stack.gateway(gateway), str(journal)]
    return Process("follower", program, os.environ | {"LOOPGATE_TOKEN": token}, stack.home / "follower.log")


@contextmanager
def killed(program: Process) -> Iterator[None]:
    """Kill -9 *program* at the end."""
    try:
        yield
    finally:
        program.kill()


def followed(journal: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the ids and the events in *journal*."""
    written = journal.read_bytes() if journal.exists() else b""
    lines = [line.decode().split("\t") for line in written[: written.rfind(b"\n") + 1].split(b"\n")[:-1]]
    return [(line[0], json.loads(line[2])) for line in lines]


def test_a_follower_killed_again_and_again_sees_every_event_once_and_in_order(two: Stack) -> None:
    """A program is killed -9 wherever it is and started at the other gateway: each event once, each loop's in order."""
    token, journal, chance = a_token(two, "events:read"), two.home / "journal", random.Random(7)
    for number, change in enumerate(CHANGES):
        propose(two, change)
        with killed(follower(two, number % 2, token, journal)):
            wanted = len(followed(journal)) + chance.randint(0, 4)
            two.until(lambda wanted=wanted: len(followed(journal)) >= wanted, f"{wanted} events")
    with calling(token) as client:
        every = two.until(
            lambda: complete(pulled(client, two.gateway(1)), CHANGES), "every card to be posted, on the ledgers"
        )
    with killed(follower(two, 1, token, journal)):
        two.until(lambda: len(followed(journal)) >= len(every), "all events")
    seen = followed(journal)
    ledgers = {change: [event["sequence"] for _, event in seen if event["aggregateId"] == change] for change in CHANGES}

    assert [cursor for cursor, _ in seen] == [event["cursor"] for event in every]
    assert len({cursor for cursor, _ in seen}) == len(seen)
    for change, sequences in ledgers.items():
        assert sequences == list(range(1, len(two.audited(change)) + 1)), change


def complete(events: list[dict[str, Any]], changes: list[str]) -> list[dict[str, Any]] | None:
    """Return *events* once those of all *changes* are among them that come last until somebody decides."""
    posted = {event["aggregateId"] for event in events if event["type"] == "approval.card.posted"}
    return events if posted >= set(changes) else None


def pulled(client: httpx2.Client, gateway: str, cursor: str = "0-0.0") -> list[dict[str, Any]]:
    """Return every event of the tenant after *cursor*, pulled page by page."""
    events: list[dict[str, Any]] = []
    while page := client.get(f"{gateway}/api/v1/events", params={"after": cursor}).json():
        events += page["events"]
        if not page["events"]:
            break
        cursor = page["nextCursor"]
    return events


def test_killed_workers_lose_no_delivery(two: Stack) -> None:
    """Whichever worker sends, and is killed while it does: a subscriber gets every event, a repeated one by its id."""
    token = a_token(two, "admin")
    with receiving(Receiver()) as receiver, calling(token) as client:
        asked = {"url": receiver.url, "loopId": "infrastructure.change"}
        made = client.post(f"{two.gateway()}/api/v1/subscriptions", json=asked).json()
        asyncio.run(_with_known_secret(two.store_url, made["subscriptionId"]))
        after = made["cursor"]
        for number in range(2):
            receiver.fault, before = "slow", len(receiver.received)
            propose(two, f"CHG-K{number}")
            two.until(lambda before=before: len(receiver.received) > before, "a delivery that is not answered")
            # Whoever sends it is one of them; the other one, or the one that comes instead, goes on.
            for worker in two.workers[-2:]:
                worker.kill()
            receiver.release.set()
            receiver.fault = None
            two.start_worker()
            two.start_worker()
            two.card(f"CHG-K{number}")
            receiver.release.clear()
        every = two.until(
            lambda: complete(pulled(client, two.gateway(), after), ["CHG-K0", "CHG-K1"]), "both cards, on the ledgers"
        )
        wanted = [(event["aggregateId"], event["sequence"]) for event in every]
        two.until(lambda: wanted == list(dict.fromkeys(_got(receiver))), "every event, in order")
        ids = {each["headers"]["webhook-id"] for each in receiver.received}

    assert len(ids) == len(wanted)
    assert len(receiver.received) > len(ids), "nothing was repeated, so nobody was killed in the middle"


def _got(receiver: Receiver) -> list[tuple[str, int]]:
    events = [json.loads(each["body"])["data"] for each in receiver.received]
    return [(event["aggregateId"], event["sequence"]) for event in events]


async def _with_known_secret(url: str, subscription_id: str) -> None:
    """Give a subscription the secret that the receiver verifies with."""
    async with connect(url) as client:
        subscriptions = RedisSubscriptions(client)
        found = await subscriptions.find("default", subscription_id)
        assert found is not None
        await subscriptions.change(found.subscription.changed(secret=SECRET))
