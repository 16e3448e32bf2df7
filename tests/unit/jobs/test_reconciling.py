"""Cards out of step become right by themselves, and one that cannot be shown is told of."""

import asyncio
from datetime import timedelta

import pytest
from builders import TENANT, FrozenClock, a_change, ci
from unit.jobs.rig import JobsHouse, a_jobs_house

from channels.memory import MemoryChannel
from gateway.jobs.reconcile import Reconciler
from gateway.storage.memory import MemoryStore
from gateway.storage.spans import BEHIND_AFTER, BEHIND_LONGEST, BEHIND_LOOKS
from loops.errors import NotYet, Rejected
from loops.replay import Replayed, replay

#: Long after the reconciler looks at a card.
LATER = 2 * BEHIND_AFTER


def a_reconciler(jobs: JobsHouse) -> Reconciler:
    """Return a reconciler over the house's store."""
    store = jobs.store
    return Reconciler(store, store, store, jobs.house.engine)


def shown(channel: MemoryChannel) -> list[str]:
    """Return the status each card shows."""
    requests = [card.subject.request for card in channel.cards.values()]
    return [request.status for request in requests if request]


async def replayed(jobs: JobsHouse) -> Replayed:
    """Judge the loop's history again."""
    loaded = await jobs.store.load(TENANT, jobs.instance_id)
    assert loaded is not None
    return replay(await jobs.store.events(TENANT, jobs.instance_id), loaded.definition)


async def test_a_card_whose_update_was_given_up_becomes_right() -> None:
    """Slack refused the update for good, as it then seemed: a while later the card is asked for again, and is right."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    await jobs.answer(request, "approve")
    channel.fail_next(Rejected("is_archived"))
    given_up = await jobs.run("card.update")
    before = shown(channel)
    jobs.later(LATER)
    await a_reconciler(jobs).once()
    again = await jobs.run("card.update")

    assert (given_up.state, before) == ("dead", ["open"])
    assert again.effect.effect_id != given_up.effect.effect_id
    assert (again.state, shown(channel)) == ("succeeded", ["approved"])
    assert (await replayed(jobs)).deviation is None


async def test_a_card_that_could_not_be_posted_is_posted_once_it_can_be() -> None:
    """The app was invited to the channel after all: the same post is tried again, so it cannot be doubled."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.propose()
    channel.fail_next(Rejected("not_in_channel"))
    given_up = await jobs.run("card.post")
    jobs.later(LATER)
    await a_reconciler(jobs).once()
    again = await jobs.run("card.post")

    assert (given_up.state, again.state) == ("dead", "succeeded")
    assert again.effect.effect_id == given_up.effect.effect_id
    assert shown(channel) == ["open"]


class Forgetful(MemoryStore):
    """A store that was damaged: an effect, or where a card is, is gone from it."""

    def forget(self, effect_id: str) -> None:
        """Lose one effect, and its place in the outbox."""
        del self._effects[effect_id]
        self._outbox = [entry for entry in self._outbox if entry.effect_id != effect_id]

    def forget_card(self, request_id: str) -> None:
        """Lose where the card of a request is."""
        del self._cards[TENANT, request_id, 0]


def a_forgetful_house(channel: MemoryChannel) -> tuple[JobsHouse, Forgetful]:
    """Return a jobs' house whose store can be damaged."""
    clock = FrozenClock()
    store = Forgetful(now=clock.now, effect_grace=timedelta(seconds=5))
    return a_jobs_house(channel=channel, store=store, clock=clock), store


@pytest.mark.parametrize("is_decided", [False, True])
async def test_a_card_whose_post_is_gone_is_posted_once(is_decided: bool) -> None:
    """No effect, no card, nothing on the ledger: it is posted, whoever finds it missing, as the request stands."""
    channel = MemoryChannel()
    jobs, store = a_forgetful_house(channel)
    request = await jobs.propose()
    store.forget((await jobs.effect("card.post")).effect_id)
    if is_decided:
        await jobs.answer(request, "approve")
        await jobs.run("card.update")
    jobs.later(LATER)
    for behind in await store.behind():
        await asyncio.gather(*(a_reconciler(jobs).look_after(behind) for _ in range(3)))
    again = await jobs.run("card.post")
    for effect in await jobs.house.effects(jobs.instance_id, "card.update"):
        await jobs.runner.run(effect.effect_id)
    jobs.later(LATER)
    await a_reconciler(jobs).once()

    assert again.state == "succeeded"
    assert shown(channel) == ["approved" if is_decided else "open"]
    assert [record.effect.effect_id for record in await store.effects_of(TENANT, jobs.instance_id)].count(
        again.effect.effect_id
    ) == 1
    assert (await jobs.events()).count("approval.card.posted") == 1
    assert (await replayed(jobs)).deviation is None


async def test_where_a_card_is_comes_back_from_the_ledger() -> None:
    """The card was posted and its place forgotten: the ledger says where, so it is updated and not posted anew."""
    channel = MemoryChannel()
    jobs, store = a_forgetful_house(channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    store.forget_card(request.request_id)
    await jobs.answer(request, "approve")
    await jobs.run("card.update")
    store.forget((await jobs.effect("card.update")).effect_id)
    jobs.later(LATER)
    await a_reconciler(jobs).once()
    await jobs.run("card.update")

    assert shown(channel) == ["approved"]
    assert (await jobs.events()).count("approval.card.posted") == 1


async def test_a_post_that_an_operator_abandoned_is_not_posted_after_all() -> None:
    """Somebody said that it shall not take place; what was to show more on it ends, and does not wait for ever."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    post = await jobs.record("card.post")
    await jobs.house.engine.abandon(post.effect, post.state, by=ci(), reason="the channel is being archived")
    await jobs.answer(request, "approve")
    jobs.later(LATER)
    await a_reconciler(jobs).once()
    update = await jobs.run("card.update")

    assert [each.effect_id for each in await jobs.house.effects(jobs.instance_id, "card.post")] == [
        post.effect.effect_id
    ]
    assert (update.state, channel.cards) == ("dead", {})
    assert await jobs.store.behind() == []


async def test_a_card_that_is_right_is_left_alone() -> None:
    """What shows what was asked for is not looked at again; nothing is asked for twice."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    await jobs.answer(request, "approve")
    await jobs.run("card.update")
    jobs.later(LATER)
    behind = await jobs.store.behind()

    assert behind == []


async def test_a_card_that_is_being_worked_on_is_left_to_that() -> None:
    """While an effect is on its way to the card, however slowly, none is added."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    await jobs.answer(request, "approve")
    channel.fail_next(NotYet("too early", retry_after=600))
    await jobs.run("card.update")
    for _ in range(3):
        jobs.later(LATER)
        await a_reconciler(jobs).once()

    assert len(await jobs.house.effects(jobs.instance_id, "card.update")) == 1


async def test_a_hopeless_card_is_looked_after_for_hours_and_then_no_more() -> None:
    """Pauses double and end, so a channel that is gone for good costs little and not for ever."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.propose()
    for _ in range(BEHIND_LOOKS + 3):
        channel.fail_next(Rejected("channel_not_found"))
        await jobs.run("card.post")
        jobs.later(BEHIND_LONGEST)
        await a_reconciler(jobs).once()
    record = await jobs.record("card.post")

    assert record.state == "dead"
    assert record.attempts == BEHIND_LOOKS
    assert channel.cards == {}


async def test_a_deleted_card_of_an_open_request_is_posted_anew() -> None:
    """Somebody deleted it in the channel: the next update posts it again, where the request still waits."""
    channel = MemoryChannel()
    jobs = a_jobs_house(a_change(quorum=2), channel=channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    channel.cards.clear()
    await jobs.answer(request, "approve")
    record = await jobs.run("card.update")
    card = await jobs.store.card(TENANT, request.request_id)

    assert record.state == "succeeded"
    assert shown(channel) == ["open"]
    assert card is not None
    assert card.address == {"memory": 2}
    assert (await jobs.events()).count("approval.card.posted") == 2
    assert (await replayed(jobs)).deviation is None


async def test_a_deleted_card_of_a_closed_request_stays_deleted() -> None:
    """Nobody is asked any more, so nothing is shown; it is not looked for again either."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    channel.cards.clear()
    await jobs.answer(request, "approve")
    record = await jobs.run("card.update")
    jobs.later(LATER)

    assert (record.state, record.detail) == ("succeeded", {"skipped": "the card was deleted"})
    assert channel.cards == {}
    assert await jobs.store.behind() == []


@pytest.mark.parametrize("kind", ["card.post", "card.update"])
async def test_a_card_that_is_lost_is_on_the_ledger_and_told_of_once(kind: str) -> None:
    """Given up for good: an event says so, whoever runs this is told which and why, once however often it happens."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    if kind == "card.update":
        await jobs.run("card.post")
        await jobs.answer(request, "approve")
    for _ in range(2):
        channel.fail_next(Rejected("is_archived"))
        await jobs.run(kind)  # type: ignore[arg-type]
        await jobs.run("card.alarm")
        jobs.later(LATER)
        await a_reconciler(jobs).once()
    [lost] = channel.alarms.values()
    alarms = await jobs.house.effects(jobs.instance_id, "card.alarm")

    assert (lost.kind, lost.request_id, lost.error) == (kind, request.request_id, "is_archived")
    assert (await jobs.events()).count("effect.failed") == 2
    assert (await replayed(jobs)).deviation is None
    assert len(alarms) == 2
