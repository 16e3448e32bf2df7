"""Deliveries of events: signed, in order, at least once, to whoever subscribed, whatever becomes of the sender."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from builders import TENANT, House, a_house
from contract.integration.receiver import SECRET, Receiver, receiving
from patience import PATIENCE_S
from standardwebhooks import Webhook

from gateway.api.subscription import Progress, Subscription
from gateway.api.subscription_ports import Subscribed
from gateway.delivering import Deliverer
from gateway.standard_webhooks import new_secret
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_feed import MemoryFeed
from gateway.storage.memory_subscriptions import MemorySubscriptions
from loops.errors import Unavailable
from loops.events import EventType


@pytest.fixture(scope="module")
def served() -> Iterator[Receiver]:
    """A receiver, served for all tests here."""
    with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def receiver(served: Receiver) -> Receiver:
    """The receiver, as new."""
    served.reset()
    return served


@dataclass
class Rig:
    """What commits, what is subscribed, and what delivers."""

    house: House
    feed: MemoryFeed
    subscriptions: MemorySubscriptions
    client: httpx2.AsyncClient
    receiver: Receiver

    def deliverer(self, **said: Any) -> Deliverer:
        return Deliverer(
            self.subscriptions, self.feed, self.house.clock, self.client, **{"timeout_s": PATIENCE_S, **said}
        )

    async def deliver(self, **said: Any) -> None:
        """Deliver what is due, as a deliverer of its own."""
        await delivered(self.deliverer(**said))

    async def subscribed(self, name: str = "sub_1", *events: EventType, **said: Any) -> Subscription:
        fields = {"url": self.receiver.url, "secret": SECRET} | said
        subscription = Subscription.model_validate(
            {"subscription_id": name, "tenant": TENANT, "events": events, "created_at": self.house.clock.now()} | fields
        )
        await self.subscriptions.add(Subscribed(subscription, Progress(cursor=await self.feed.last(TENANT))))
        return subscription

    async def progress(self, name: str = "sub_1") -> Progress:
        found = await self.subscriptions.find(TENANT, name)
        assert found is not None
        return found.progress

    def got(self) -> list[tuple[str, int]]:
        """Return (aggregate, sequence) of what was received, in its order."""
        events = [json.loads(each["body"])["data"] for each in self.receiver.received]
        return [(event["aggregateId"], event["sequence"]) for event in events]

    def ids(self) -> list[str]:
        return [each["headers"]["webhook-id"] for each in self.receiver.received]

    async def ages(self, by: timedelta, name: str = "sub_1") -> None:
        """Have the last failure be so long ago: signatures are stamped with the time it is."""
        far = await self.progress(name)
        since = far.failing_since - by if far.failing_since else None
        not_before = far.not_before - by if far.not_before else None
        await self.subscriptions.note(TENANT, name, far.changed(failing_since=since, not_before=not_before))

    async def committed(self) -> list[tuple[str, int]]:
        page = await self.feed.read(TENANT, after="0-0.0", limit=1_000)
        return [(each.event.aggregate_id, each.event.sequence) for each in page.events]


@pytest.fixture
async def rig(receiver: Receiver) -> AsyncIterator[Rig]:
    store = MemoryStore()
    async with httpx2.AsyncClient() as client:
        house = a_house(store=store)
        house.clock.move(datetime.now(UTC) - house.clock.now())
        yield Rig(house, MemoryFeed(store), MemorySubscriptions(), client, receiver)


async def test_every_event_is_delivered_once_in_the_order_of_the_commits(rig: Rig) -> None:
    """A subscriber is sent each event that was committed since, signed, one by one, under an id of its own."""
    await rig.house.propose("CHG-0")
    await rig.subscribed()
    before = len(await rig.committed())
    await asyncio.gather(*(rig.house.propose(f"CHG-{number}") for number in range(1, 4)))
    deliverer = rig.deliverer()
    for _ in range(3):
        await delivered(deliverer)

    assert rig.got() == (await rig.committed())[before:]
    assert len(set(rig.ids())) == len(rig.ids())
    assert (await rig.progress()).cursor == await rig.feed.last(TENANT)


async def test_only_what_was_asked_for_is_sent(rig: Rig) -> None:
    """Types and a loop narrow what is sent, and what is not sent does not hold up what comes after."""
    await rig.subscribed("sub_1", "approval.requested")
    await rig.subscribed("sub_2", loop_id="another.loop")
    await rig.house.propose("CHG-1")
    await rig.deliver()
    types = [json.loads(each["body"])["type"] for each in rig.receiver.received]

    assert types == ["approval.requested"]
    assert (await rig.progress("sub_2")).cursor == (await rig.progress()).cursor == await rig.feed.last(TENANT)


async def test_refused_delivery_is_tried_again_in_its_place(rig: Rig) -> None:
    """Whoever answers with an error gets the same event again, no sooner than they ask, and nothing overtakes it."""
    await rig.subscribed()
    await rig.house.propose()
    rig.receiver.status, rig.receiver.headers = 503, {"retry-after": "90"}
    deliverer = rig.deliverer()
    await delivered(deliverer)
    await rig.ages(timedelta(seconds=85))
    await delivered(deliverer)
    failing = await rig.progress()
    rig.receiver.status = 200
    await rig.ages(timedelta(seconds=5))
    await delivered(deliverer)

    assert (failing.status, failing.failures, failing.error) == ("failing", 1, "answered 503")
    assert rig.ids()[0] == rig.ids()[1]
    assert rig.got()[1:] == await rig.committed()
    assert (await rig.progress()).status == "active"


async def test_death_in_the_middle_of_a_delivery_loses_nothing(rig: Rig) -> None:
    """What was sent and not answered when its sender died is sent again, under the same id, by another one."""
    await rig.subscribed()
    await rig.house.propose()
    rig.receiver.fault = "slow"
    dying = asyncio.create_task(rig.deliver())
    async with asyncio.timeout(PATIENCE_S):
        while not rig.receiver.received:  # noqa: ASYNC110 - a server in a thread
            await asyncio.sleep(0.005)
    dying.cancel()
    rig.receiver.release.set()
    rig.receiver.fault = None
    await asyncio.gather(dying, return_exceptions=True)
    await rig.deliver()

    assert rig.ids()[0] == rig.ids()[1]
    assert rig.got()[1:] == await rig.committed()


async def test_one_that_does_not_answer_holds_up_nobody_else(rig: Rig) -> None:
    """While nobody listens at one address the others get theirs; the one nobody listens at is tried again later."""
    await rig.subscribed("sub_slow", url="http://127.0.0.1:9/nobody")
    await rig.subscribed("sub_1")
    await rig.house.propose()
    await rig.deliver()

    assert rig.got() == await rig.committed()
    assert (await rig.progress("sub_slow")).status == "failing"


async def test_redirect_is_not_followed(rig: Rig) -> None:
    """Whoever answers does not choose where a tenant's events go."""
    await rig.subscribed()
    await rig.house.propose()
    rig.receiver.fault = "redirect"
    await rig.deliver()

    assert not rig.receiver.redirect_target_hit
    assert (await rig.progress()).error == "answered 307"


async def test_three_days_of_failures_disable_and_enabling_goes_on_where_it_stopped(rig: Rig) -> None:
    """An address that fails for days is let be, with its reason shown; enabled again it misses nothing."""
    await rig.subscribed()
    await rig.house.propose()
    rig.receiver.status = 500
    deliverer, attempts = rig.deliverer(), 0
    while (await rig.progress()).disabled_at is None and attempts < 200:
        await delivered(deliverer)
        attempts += 1
        await rig.ages(timedelta(hours=8))
    disabled = await rig.progress()
    await delivered(deliverer)
    rig.receiver.status = 200
    tried = len(rig.receiver.received)
    await rig.subscriptions.note(TENANT, "sub_1", disabled.enabled())
    await delivered(deliverer)

    assert attempts == tried == 10
    assert (disabled.status, disabled.error) == ("disabled", "answered 500")
    assert rig.got()[tried:] == await rig.committed()


async def test_address_that_is_gone_is_disabled_at_once_and_told(rig: Rig) -> None:
    """410 says that nobody will ever listen there again; whoever runs this is told which, once, and why."""
    told: list[tuple[str, str]] = []

    async def warn(what: str, why: str) -> None:
        told.append((what, why))

    await rig.subscribed()
    await rig.house.propose()
    rig.receiver.status = 410
    deliverer = rig.deliverer(warn=warn)
    await delivered(deliverer)
    await delivered(deliverer)

    assert (await rig.progress()).status == "disabled"
    assert told == [("sub_1 to 127.0.0.1", "answered 410")]


async def test_a_warning_that_cannot_be_told_breaks_nothing(rig: Rig) -> None:
    """Slack may be away just then: the subscription is switched off all the same, and shows why."""

    async def warn(what: str, why: str) -> None:
        raise Unavailable(f"nobody hears of {what}: {why}")

    await rig.subscribed()
    await rig.house.propose()
    rig.receiver.status = 410
    await rig.deliver(warn=warn)

    assert ((await rig.progress()).status, (await rig.progress()).error) == ("disabled", "answered 410")


async def test_while_a_secret_is_rotated_either_verifies(rig: Rig) -> None:
    """For a day deliveries carry both signatures; afterwards only the new one's."""
    first = await rig.subscribed()
    fresh = new_secret()
    await rig.subscriptions.change(first.rotated(fresh, rig.house.clock.now(), None))
    await rig.house.propose()
    await rig.deliver()
    sent = rig.receiver.received[0]["headers"]
    rotated = first.rotated(fresh, rig.house.clock.now() - timedelta(hours=25), None)
    await rig.subscriptions.change(rotated)
    await rig.house.propose("CHG-9")
    await rig.deliver()

    assert len(sent["webhook-signature"].split()) == 2
    assert Webhook(fresh).verify(rig.receiver.received[0]["body"], sent)
    assert Webhook(SECRET).verify(rig.receiver.received[0]["body"], sent)
    assert (await rig.progress()).error == "answered 401"


async def test_one_that_leaves_off_sends_nothing_more(rig: Rig) -> None:
    """A process that lost the chore ends what it was at; whoever has it now begins with that very delivery."""
    await rig.subscribed()
    await rig.house.propose()
    rig.receiver.fault = "slow"
    former = rig.deliverer()
    await former.begin()
    async with asyncio.timeout(PATIENCE_S):
        while not rig.receiver.received:  # noqa: ASYNC110 - a server in a thread
            await asyncio.sleep(0.005)
    await former.leave_off()
    rig.receiver.release.set()
    rig.receiver.fault = None
    before = await rig.progress()
    await rig.deliver()

    assert before.cursor == "0-0.0"
    assert rig.ids()[0] == rig.ids()[1]
    assert rig.got()[1:] == await rig.committed()


async def delivered(deliverer: Deliverer) -> None:
    """Have *deliverer* deliver what is due now, to its end."""
    await deliverer.begin()
    await deliverer.finish()
