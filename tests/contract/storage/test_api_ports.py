"""What API keys, the feed of events and subscriptions promise, in memory and on a real server."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

import pytest
from builders import House, a_house

from gateway.api.keys import ApiKey, digest_of, new_token
from gateway.api.ports import Feed, Keys
from gateway.api.subscription import Progress, Subscription
from gateway.api.subscription_ports import Subscribed, Subscriptions
from gateway.storage.connect import connect
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_api_keys import MemoryApiKeys
from gateway.storage.memory_feed import MemoryFeed
from gateway.storage.memory_subscriptions import MemorySubscriptions
from gateway.storage.redis_api_keys import RedisApiKeys
from gateway.storage.redis_feed import RedisFeed
from gateway.storage.redis_store import RedisStore
from gateway.storage.redis_subscriptions import RedisSubscriptions
from loops.errors import Rejected

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

T = TypeVar("T")


@pytest.fixture(params=["memory", "redis"])
async def ports(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Keys, Feed, House]]:
    """Both ports of each implementation, and an engine that commits into it."""
    if request.param == "memory":
        store = MemoryStore()
        yield MemoryApiKeys(), MemoryFeed(store), a_house(store=store)
        return
    async with connect(request.getfixturevalue("redis_url")) as client:
        kept = RedisStore(client)
        yield RedisApiKeys(client), RedisFeed(client, kept), a_house(store=kept)


@pytest.fixture
def keys(ports: tuple[Keys, Feed, House]) -> Keys:
    return ports[0]


def a_key(token: str, key_id: str = "ak_1", tenant: str = "a:b", **said: object) -> ApiKey:
    fields = {
        "key_id": key_id,
        "tenant": tenant,
        "service": "ci",
        "scopes": ("loops:write",),
        "token_digest": digest_of(token),
        "created_at": NOW,
    }
    return ApiKey.model_validate(fields | said)


async def test_key_is_found_by_its_token_and_by_nothing_else(keys: Keys) -> None:
    """A token leads to its key, another one to none; keys are each tenant's own."""
    token = new_token()
    await keys.save(a_key(token))
    presented = await keys.present(digest_of(token), key_limit=10, tenant_limit=100)

    assert presented is not None
    assert presented.key == a_key(token)
    assert await keys.present(digest_of(new_token()), key_limit=10, tenant_limit=100) is None
    assert await keys.key("a:b", "ak_1") == a_key(token)
    assert await keys.key("a", "ak_1") is None


async def test_rotated_key_forgets_its_oldest_token(keys: Keys) -> None:
    """After two rotations the first token leads nowhere; the latest two do."""
    tokens = [new_token() for _ in range(3)]
    key = a_key(tokens[0])
    await keys.save(key)
    for token in tokens[1:]:
        key = key.rotated(token, NOW)
        await keys.save(key)
    found = [await keys.present(digest_of(token), key_limit=10, tenant_limit=100) is not None for token in tokens]

    assert found == [False, True, True]


async def within_a_minute(ask: Callable[[str], Awaitable[T]]) -> T:
    """Return what *ask* finds of a tenant of its own, all in one minute: what is counted in one fades in the next."""
    for number in count():
        minute = time.time() // 60
        found = await ask(f"tenant {number}")
        if time.time() // 60 == minute:
            return found
    raise AssertionError


async def test_limits_count_for_key_and_tenant(keys: Keys) -> None:
    """Requests count against the key and against all of its tenant; one too many counts against neither."""

    async def left(token: str) -> tuple[int, int]:
        presented = await keys.present(digest_of(token), key_limit=2, tenant_limit=3)
        assert presented is not None
        return presented.of_key.remaining, presented.of_tenant.remaining

    async def all_left(tenant: str) -> list[tuple[int, int]]:
        first, second = new_token(), new_token()
        await keys.save(a_key(first, tenant=tenant))
        await keys.save(a_key(second, "ak_2", tenant=tenant))
        return [await left(token) for token in (first, first, first, second, second)]

    assert await within_a_minute(all_left) == [(1, 2), (0, 1), (-1, 0), (1, 0), (0, -1)]


async def test_limits_hold_under_concurrency(keys: Keys) -> None:
    """Of many requests at once no more than the limit are let in."""

    async def let_in(tenant: str) -> int:
        token = new_token()
        await keys.save(a_key(token, tenant=tenant))
        shown = await asyncio.gather(
            *(keys.present(digest_of(token), key_limit=5, tenant_limit=100) for _ in range(20))
        )
        return sum(not each.of_key.is_exceeded for each in shown if each)

    assert await within_a_minute(let_in) == 5


async def test_keys_are_listed_with_their_last_use(keys: Keys) -> None:
    """Every key of a tenant is listed, the oldest first, with when it was last used."""
    tokens = [new_token() for _ in range(2)]
    await keys.save(a_key(tokens[1], "ak_0", created_at=NOW + timedelta(days=1)))
    await keys.save(a_key(tokens[0], "ak_9"))
    await keys.save(a_key(new_token(), "ak_x", tenant="other"))
    await keys.present(digest_of(tokens[0]), key_limit=10, tenant_limit=100)
    listed = await keys.all("a:b")

    assert [each.key.key_id for each in listed] == ["ak_9", "ak_0"]
    assert listed[0].last_used_at is not None
    assert listed[1].last_used_at is None


async def everything(feed: Feed, tenant: str, limit: int) -> list[tuple[str, str, int]]:
    """Follow the feed from its start, *limit* at a time."""
    cursor, found = "0-0.0", []
    while (page := await feed.read(tenant, after=cursor, limit=limit)).events:
        cursor = page.events[-1].cursor
        found += [(each.cursor, each.event.aggregate_id, each.event.sequence) for each in page.events]
    return found


@pytest.mark.parametrize("limit", [1, 2, 1_000])
async def test_feed_has_every_event_once_each_ledger_in_order(ports: tuple[Keys, Feed, House], limit: int) -> None:
    """However many are read at a time, every committed event comes once, and each ledger's in order."""
    _, feed, house = ports
    await asyncio.gather(*(house.propose(f"CHG-{number}") for number in range(4)))
    found = await everything(feed, "default", limit)
    ledgers: dict[str, list[int]] = {}
    for _, aggregate, sequence in found:
        ledgers.setdefault(aggregate, []).append(sequence)

    assert len({cursor for cursor, _, _ in found}) == len(found)
    assert set(ledgers) == {f"CHG-{number}" for number in range(4)}
    for aggregate, sequences in ledgers.items():
        loaded = await house.store.load_aggregate("default", aggregate)
        assert loaded is not None
        assert sequences == list(range(1, loaded.instance.head.sequence + 1))
    assert await feed.read("other", after="0-0.0", limit=10) == await feed.read("none", after="0-0.0", limit=10)


async def test_cursor_in_the_middle_of_a_commit_goes_on_within_it(ports: tuple[Keys, Feed, House]) -> None:
    """A follower that saw half of a commit gets the other half, and nothing again."""
    _, feed, house = ports
    await house.propose()
    every = (await feed.read("default", after="0-0.0", limit=1_000)).events
    for index, seen in enumerate(every):
        rest = (await feed.read("default", after=seen.cursor, limit=1_000)).events
        assert [each.cursor for each in rest] == [each.cursor for each in every[index + 1 :]]
    assert await feed.last("default") == every[-1].cursor


async def test_news_wakes_whoever_waits(ports: tuple[Keys, Feed, House]) -> None:
    """Waiting for news ends with the commit that makes some, and says whose."""
    _, feed, house = ports
    await house.propose("CHG-1")
    position = (await feed.last("default")).partition(".")[0]
    after = {"default": position, "quiet": "0-0"}

    async def first_news() -> dict[str, str]:
        while not (found := await feed.news(["default", "quiet"], after)):
            pass  # one wait ends after a second, which the machine may stand still for
        return found

    waiting = asyncio.create_task(first_news())
    await asyncio.sleep(0)
    await house.propose("CHG-2")
    news = await waiting
    latest = (await feed.last("default")).partition(".")[0]

    assert news.keys() == {"default"}
    assert position != news["default"]
    assert await feed.news(["quiet"], after) == {}
    assert (await feed.news(["default"], after))["default"] == latest


@pytest.mark.parametrize("cursor", ["", "1", "a-b.c", "1-1"])
async def test_what_is_no_cursor_is_refused(ports: tuple[Keys, Feed, House], cursor: str) -> None:
    """A feed is read after one of its own cursors."""
    with pytest.raises(Rejected, match="cursor"):
        await ports[1].read("default", after=cursor, limit=1)


async def test_follower_that_is_too_far_behind_is_told(request: pytest.FixtureRequest) -> None:
    """Where the feed no longer reaches back to a cursor, it says that there is a gap."""
    async with connect(request.getfixturevalue("redis_url")) as client:
        store = RedisStore(client)
        house, feed = a_house(store=store), RedisFeed(client, store)
        await house.propose("CHG-1")
        first = (await feed.read("default", after="0-0.0", limit=1)).events[0]
        await house.propose("CHG-2")
        await client.xtrim("lg:feed:default", maxlen=1, approximate=False)
        late, start = [await feed.read("default", after=at, limit=10) for at in (first.cursor, "0-0.0")]

    assert late.is_gap
    assert late.events
    assert not start.is_gap


@pytest.fixture(params=["memory", "redis"])
async def subscriptions(request: pytest.FixtureRequest) -> AsyncIterator[Subscriptions]:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        yield MemorySubscriptions()
        return
    async with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisSubscriptions(client)


def a_subscription(name: str, tenant: str = "a:b", **said: object) -> Subscribed:
    fields = {"subscription_id": name, "tenant": tenant, "url": "https://x.example/", "secret": "s", "created_at": NOW}
    return Subscribed(Subscription.model_validate(fields | said), Progress(cursor="0-0.0"))


async def test_subscriptions_are_each_tenants_own(subscriptions: Subscriptions) -> None:
    """What is added is found by its tenant and id, listed oldest first, and gone when it is removed."""
    older, newer = a_subscription("sub_2"), a_subscription("sub_1", created_at=NOW + timedelta(seconds=1))
    for each in (newer, older, a_subscription("sub_1", "a"), a_subscription("sub_9", "a:b:c")):
        await subscriptions.add(each)

    assert await subscriptions.find("a:b", "sub_1") == newer
    assert list(await subscriptions.of_tenant("a:b")) == [older, newer]
    assert len(await subscriptions.every()) == 4

    await subscriptions.remove("a:b", "sub_1")

    assert await subscriptions.find("a:b", "sub_1") is None
    assert list(await subscriptions.of_tenant("a:b")) == [older]


async def test_progress_and_changes_do_not_undo_each_other_nor_a_removal(subscriptions: Subscriptions) -> None:
    """A rotation keeps the progress, a delivery keeps the rotation, and neither brings back what was removed."""
    added = a_subscription("sub_1")
    await subscriptions.add(added)
    rotated = added.subscription.rotated("t", NOW, None)
    far = Progress(cursor="5-0.1", failures=2, error="answered 500", failing_since=NOW, not_before=NOW)
    await subscriptions.change(rotated)
    await subscriptions.note("a:b", "sub_1", far)
    found = await subscriptions.find("a:b", "sub_1")
    await subscriptions.remove("a:b", "sub_1")
    await subscriptions.change(rotated)
    await subscriptions.note("a:b", "sub_1", far)

    assert found == Subscribed(rotated, far)
    assert await subscriptions.find("a:b", "sub_1") is None
    assert list(await subscriptions.every()) == []
