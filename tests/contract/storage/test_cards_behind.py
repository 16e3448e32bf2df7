"""Which cards are behind: an index that commits write and renderings clear, on every store."""

import time
from collections.abc import Sequence

from contract.storage.builders import a_commit, a_request, an_effect, an_instance
from contract.storage.implementations import GRACE, Storage, eventually

from gateway.jobs.ports import CardBehind
from gateway.storage.spans import BEHIND_LOOKS
from loops.cards import Card
from loops.commit import Commit
from loops.effects import EffectKind

TENANT = "acme:1"


def asking(kind: EffectKind = "card.update", request_id: str = "ar:1") -> Commit:
    """Return a commit that asks for the card of a request."""
    instance = an_instance(tenant=TENANT, instance_id=f"li_{request_id}", aggregate_id=f"of {request_id}")
    effect = an_effect(instance, f"ef_{request_id}", kind=kind, payload={"requestId": request_id})
    return a_commit(instance, requests=(a_request(instance, request_id),), effects=(effect,))


async def next_behind(storage: Storage) -> list[str]:
    """Have one more card fall behind, after all others that will, and return what is behind by then."""
    await storage.store.commit(asking(request_id="ar:last"))
    return [behind.request_id for behind in await eventually(storage.cards.behind)]


def within_grace(began: float) -> bool:
    """Return whether the machine was quick enough, since *began*, for nothing to be behind by the millisecond."""
    return time.monotonic() - began < GRACE.total_seconds() - 0.002


def rendered(version: int) -> Card:
    """Return the card as shown at *version*."""
    return Card(tenant=TENANT, request_id="ar:1", channel_kind="slack", address={}, rendered_version=version)


async def test_a_card_asked_for_and_not_shown_is_behind(storage: Storage) -> None:
    """A while after the commit it is named, whatever its tenant and request are called; at once it is not."""
    began = time.monotonic()
    await storage.store.commit(asking("card.post"))
    at_once = await storage.cards.behind()
    is_at_once = within_grace(began)
    [behind] = at_once or await eventually(storage.cards.behind)

    assert at_once == [] or not is_at_once
    assert behind == CardBehind(TENANT, "ar:1", looks=1, is_last=False)


async def test_a_card_that_shows_what_was_asked_for_is_not_behind(storage: Storage) -> None:
    """Saved at the version asked for, or a later one; an older rendering leaves it behind."""
    commit = asking()
    await storage.store.commit(commit)
    await storage.cards.save_card(rendered(commit.instance.version - 1))
    [behind] = await eventually(storage.cards.behind)
    await storage.cards.save_card(rendered(commit.instance.version))

    assert behind.request_id == "ar:1"
    assert await next_behind(storage) == ["ar:last"]


async def test_other_effects_put_no_card_behind(storage: Storage) -> None:
    """Only a commit that asks for a card to be shown does."""
    await storage.store.commit(asking("card.thread"))

    assert await next_behind(storage) == ["ar:last"]


async def test_a_card_put_aside_is_looked_at_no_more(storage: Storage) -> None:
    """Until a commit asks for it again."""
    await storage.store.commit(asking())
    await storage.cards.put_aside(TENANT, "ar:1")
    await storage.cards.put_aside("other", "ar:1")

    assert await next_behind(storage) == ["ar:last"]


async def test_every_look_waits_longer(storage: Storage) -> None:
    """A card that stays behind comes back, counted, and not at once."""
    await storage.store.commit(asking())
    began, looks = 0.0, []

    async def look() -> Sequence[CardBehind]:
        nonlocal began
        began = time.monotonic()
        return await storage.cards.behind()

    for _ in range(3):
        looks += await eventually(look)
        at_once = await storage.cards.behind()
        assert list(at_once) == [] or not within_grace(began)
        looks += at_once

    assert [(each.looks, each.is_last) for each in looks[:3]] == [(1, False), (2, False), (3, False)]
    assert BEHIND_LOOKS > 3


async def test_as_many_are_returned_as_asked_for(storage: Storage) -> None:
    """A look is bounded, however many cards are behind."""
    await storage.store.commit(asking())
    await storage.store.commit(asking(request_id="ar:2"))
    found = [await eventually(lambda: storage.cards.behind(limit=1)) for _ in range(2)]

    assert [len(each) for each in found] == [1, 1]
