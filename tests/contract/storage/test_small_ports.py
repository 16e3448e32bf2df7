"""What cards, leases and seen-once promise, on every store."""

import asyncio
from datetime import timedelta

import pytest
from contract.storage.implementations import Storage, eventually

from loops.cards import Card

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=60)


def a_card(version: int, ts: str = "1.1", **fields: str) -> Card:
    """Return the card of a request, rendered at *version*."""
    named = {"tenant": "acme", "request_id": "ar_1", **fields}
    return Card(channel_kind="slack", address={"ts": ts, "thread": None}, rendered_version=version, **named)


async def test_a_card_is_found_where_it_was_kept(storage: Storage) -> None:
    """A card is kept per tenant and request."""
    await storage.cards.save_card(a_card(3))

    assert await storage.cards.card("acme", "ar_1") == a_card(3)
    assert await storage.cards.card("other", "ar_1") is None
    assert await storage.cards.card("acme", "ar_2") is None


@pytest.mark.parametrize(("version", "ts"), [(2, "1.1"), (3, "2.2"), (4, "2.2")])
async def test_a_card_never_goes_back(storage: Storage, version: int, ts: str) -> None:
    """A card that shows an older version than the kept one changes nothing; the same or a newer one does."""
    await storage.cards.save_card(a_card(3))
    await storage.cards.save_card(a_card(version, "2.2"))

    kept = await storage.cards.card("acme", "ar_1")
    assert kept == a_card(max(3, version), ts)


async def test_racing_renderings_leave_the_newest_card(storage: Storage) -> None:
    """Whatever order workers finish in, the highest rendered version stays."""
    await asyncio.gather(*(storage.cards.save_card(a_card(version)) for version in (9, 2, 10, 1, 7, 3)))

    assert await storage.cards.card("acme", "ar_1") == a_card(10)


async def test_one_holder_at_a_time(storage: Storage) -> None:
    """Of many that want a lease at once one gets it, and may extend it; the others wait."""
    holders = [f"worker-{number}" for number in range(8)]
    got = await asyncio.gather(*(storage.leases.hold("sweep", holder, LONG) for holder in holders))
    assert got.count(True) == 1
    winner = holders[got.index(True)]

    assert await storage.leases.hold("sweep", winner, LONG)
    assert not await storage.leases.hold("sweep", "somebody", LONG)
    assert await storage.leases.hold("relay", "somebody", LONG)


async def test_whether_a_lease_is_held_can_be_asked(storage: Storage) -> None:
    """A lease is held from hold to let go, or to its end."""
    assert not await storage.leases.is_held("relay")
    await storage.leases.hold("relay", "worker", LONG)
    assert await storage.leases.is_held("relay")
    await storage.leases.let_go("relay", "worker")
    assert not await storage.leases.is_held("relay")


async def test_a_lease_is_given_back_only_by_its_holder(storage: Storage) -> None:
    """Letting go of a lease somebody else holds does nothing; one's own is free at once."""
    assert await storage.leases.hold("sweep", "a", LONG)
    await storage.leases.let_go("sweep", "b")
    assert not await storage.leases.hold("sweep", "b", LONG)

    await storage.leases.let_go("sweep", "a")

    assert await storage.leases.hold("sweep", "b", LONG)
    await storage.leases.let_go("never held", "b")


async def test_a_dead_holder_loses_its_lease(storage: Storage) -> None:
    """A lease nobody extends is over after its time."""
    assert await storage.leases.hold("sweep", "a", SHORT)

    assert await eventually(lambda: storage.leases.hold("sweep", "b", LONG))
    assert not await storage.leases.hold("sweep", "a", LONG)


async def test_something_is_new_once(storage: Storage) -> None:
    """Of any number of equal deliveries, at once or later, one is the first."""
    answers = await asyncio.gather(*(storage.seen.first_time("v0=abc", LONG) for _ in range(16)))

    assert answers.count(True) == 1
    assert not await storage.seen.first_time("v0=abc", LONG)
    assert await storage.seen.first_time("v0=abd", LONG)


async def test_long_keys_are_told_apart(storage: Storage) -> None:
    """A key of any length is remembered whole, not by its beginning."""
    assert await storage.seen.first_time("x" * 100_000 + "1", LONG)
    assert await storage.seen.first_time("x" * 100_000 + "2", LONG)
    assert not await storage.seen.first_time("x" * 100_000 + "1", LONG)


async def test_what_was_seen_is_forgotten_after_its_time(storage: Storage) -> None:
    """After the time given a key counts as new again, so that memory does not fill."""
    assert await storage.seen.first_time("k", SHORT)

    assert await eventually(lambda: storage.seen.first_time("k", LONG))
    assert not await storage.seen.first_time("k", SHORT)
