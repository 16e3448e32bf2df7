"""The outbox: entries stay until they are handed over, and leave in the same step."""

import threading
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from gateway.jobs.ports import OutboxEntry
from gateway.storage import keys
from gateway.storage.connect import ANSWER_TIMEOUT_S, connect_sync
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.outbox import Outbox

FIRST, SECOND, THIRD = (OutboxEntry(f"ef_{number}", "card.post") for number in (1, 2, 3))


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """A relay's client."""
    with connect_sync(redis_url) as client:
        yield client


def push(client: Redis, *entries: OutboxEntry) -> None:
    """Add *entries* as a commit does."""
    client.rpush(keys.OUTBOX, *(f"{entry.kind} {entry.effect_id}" for entry in entries))


def test_peeking_takes_nothing_away(client: Redis) -> None:
    """Entries are seen in the order of their commits, again and again, until they are removed."""
    push(client, FIRST, SECOND, THIRD)
    outbox = Outbox(client)

    assert outbox.peek(2) == [FIRST, SECOND]
    assert outbox.peek(10, wait_s=5) == [FIRST, SECOND, THIRD]
    assert outbox.size() == 3


def test_waiting_ends_with_the_first_entry(client: Redis) -> None:
    """A relay that waits is woken by an entry at once, not at the end of its wait."""
    waiting = threading.Timer(0.2, push, (client, FIRST))
    waiting.start()

    found = Outbox(client).peek(10, wait_s=3_600)

    waiting.join()
    assert found == [FIRST]


def test_waiting_longer_than_the_time_out_is_no_error(client: Redis, redis_server: EmbeddedServer) -> None:
    """A quiet outbox is waited on for as long as asked, beyond what one command may take, and is then empty."""
    database = client.connection_pool.connection_kwargs["db"]
    began = time.monotonic()

    with connect_sync(f"{redis_server.url}?db={database}") as impatient:
        assert Outbox(impatient).peek(10, wait_s=2.2) == []

    assert time.monotonic() - began >= 2.2
    assert ANSWER_TIMEOUT_S < 2.2


def test_entries_leave_with_the_hand_over(client: Redis) -> None:
    """Removal takes place when the pipeline it shares with the hand-over is executed, and not before."""
    push(client, FIRST, SECOND, THIRD)
    outbox = Outbox(client)
    with client.pipeline(transaction=True) as pipeline:
        outbox.remove(pipeline, [FIRST, THIRD])
        pipeline.rpush("jobs", "handed over")
        assert outbox.size() == 3

        pipeline.execute()

    assert outbox.peek(10) == [SECOND]
    assert client.llen("jobs") == 1


def test_a_hand_over_that_dies_leaves_the_entries(client: Redis) -> None:
    """A relay that ends before its pipeline is executed has removed nothing."""
    push(client, FIRST)
    outbox = Outbox(client)
    with client.pipeline(transaction=True) as pipeline:
        outbox.remove(pipeline, outbox.peek(10))

    assert outbox.peek(10) == [FIRST]


def test_two_relays_remove_only_what_they_saw(client: Redis) -> None:
    """A second relay that removes the same entries again does not take those that came since."""
    push(client, FIRST, SECOND)
    outbox = Outbox(client)
    seen = outbox.peek(10)
    for _ in range(2):
        with client.pipeline(transaction=True) as pipeline:
            outbox.remove(pipeline, seen)
            pipeline.execute()
        push(client, THIRD)

    assert outbox.peek(10) == [THIRD, THIRD]
