"""Cards: posted once, rendered from the ledger, one renderer at a time, never older than what was shown before."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from builders import TENANT, a_change
from unit.jobs.rig import LEASE, JobsHouse, a_jobs_house

from channels.memory import MemoryChannel
from gateway.jobs.cards import CARD_LEASE, CardTurn
from loops.actors import system
from loops.errors import Rejected, Unavailable
from loops.ports import Loaded


class SlowChannel(MemoryChannel):
    """Lets a rendering through when told to; `shown` is what its one card showed, in the order it arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[int] = []
        self.waiting = asyncio.Event()
        self.gates: list[asyncio.Event] = []

    def hold_next(self) -> asyncio.Event:
        """Let the next update wait for the event returned."""
        self.gates.append(asyncio.Event())
        return self.gates[-1]

    async def update(self, subject: Loaded, address: Mapping[str, Any]) -> None:
        """Render, if need be later."""
        if self.gates:
            gate = self.gates.pop(0)
            self.waiting.set()
            await gate.wait()
        self.shown.append(subject.instance.version)
        await super().update(subject, address)


async def test_a_post_whose_answer_was_lost_is_looked_for_not_repeated() -> None:
    """Posted, then the connection broke: the next attempt says `again` and finds the card."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.propose()
    channel.fail_next(Unavailable("the answer was lost"), after=True)
    failed = await jobs.run("card.post")
    jobs.later(timedelta(minutes=1))
    record = await jobs.run("card.post")

    assert (failed.state, record.state) == ("failed", "succeeded")
    assert len(channel.cards) == 1


async def test_a_worker_that_died_between_post_and_save_leaves_one_card() -> None:
    """Posted by a worker that got no further: the next one finds the card by the effect's id and saves it."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    dead = await jobs.claim("card.post")
    loaded = await jobs.store.load_request(TENANT, request.request_id)
    assert loaded is not None
    await channel.post(loaded, dead.effect.effect_id, again=False)
    jobs.later(LEASE)
    await jobs.run("card.post")
    card = await jobs.store.card(TENANT, request.request_id)

    assert len(channel.cards) == 1
    assert card is not None
    assert card.address == {"memory": 1}
    assert (await jobs.events()).count("approval.card.posted") == 1


async def test_a_worker_that_died_between_save_and_commit_posts_nothing_again() -> None:
    """A saved card is only put on the ledger."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.propose()
    dead = await jobs.claim("card.post")
    await jobs.handlers.carry_out(dead)
    before = channel.cards[1].renderings
    jobs.later(LEASE)
    await jobs.run("card.post")

    assert len(channel.cards) == 1
    assert channel.cards[1].renderings == before
    assert (await jobs.events()).count("approval.card.posted") == 1


async def test_an_update_waits_for_the_post() -> None:
    """Decided before the card was posted: the update comes back later, and then finds it."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.approved()
    early = await jobs.run("card.update")
    await jobs.run("card.post")
    jobs.later(timedelta(seconds=2))
    late = await jobs.run("card.update")

    assert (early.state, early.error) == ("pending", "the card is not posted yet")
    assert late.state == "succeeded"
    assert channel.cards[1].subject.request is not None
    assert channel.cards[1].subject.request.status == "approved"


async def test_an_update_of_a_card_that_never_came_is_given_up() -> None:
    """Once the post is dead, waiting for it is over: the update ends dead too, and is not tried for ever."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.approved()
    channel.fail_next(Rejected("not in channel"))
    post = await jobs.run("card.post")
    update = await jobs.run("card.update")

    assert (post.state, update.state) == ("dead", "dead")
    assert update.why == "the card was never posted"


async def test_a_card_shows_the_latest_in_one_rendering_however_many_updates_wait() -> None:
    """Two approvals in a row leave two updates; the first shows both, the second finds nothing left to show."""
    channel = MemoryChannel()
    jobs = a_jobs_house(a_change(quorum=2), channel=channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    await jobs.answer(request, "approve", "dana")
    await jobs.answer(request, "approve", "sam")
    updates = await jobs.house.effects(jobs.instance_id, "card.update")
    for update in updates:
        await jobs.runner.run(update.effect_id)
    records = [await jobs.store.effect(update.effect_id) for update in updates]

    assert len(updates) == 2
    assert [record and record.state for record in records] == ["succeeded", "succeeded"]
    assert channel.cards[1].renderings == 2  # the post, and one update


async def test_two_renderers_of_one_card_take_turns() -> None:
    """While one renders, another is sent away to come back, instead of racing it."""
    channel = SlowChannel()
    jobs, first, second = await _with_two_updates(channel)
    gate = channel.hold_next()
    rendering = asyncio.create_task(jobs.runner.run(first))
    await channel.waiting.wait()
    await jobs.runner.run(second)
    sent_away = await jobs.store.effect(second)
    gate.set()
    await rendering
    jobs.later(timedelta(seconds=2))
    await jobs.runner.run(second)
    later = await jobs.store.effect(second)

    assert sent_away is not None
    assert (sent_away.state, sent_away.error) == ("pending", "another worker is rendering this card")
    assert later is not None
    assert later.state == "succeeded"


async def test_the_turn_of_a_worker_that_died_passes_on() -> None:
    """A renderer that is gone keeps others from the card for seconds, not for ever."""
    jobs, first, second = await _with_two_updates(MemoryChannel())
    claim = await jobs.store.claim(first, lease=LEASE)
    assert claim is not None
    await CardTurn(jobs.store, claim).__aenter__()
    await jobs.runner.run(second)
    jobs.later(CARD_LEASE)
    await jobs.runner.run(second)
    record = await jobs.store.effect(second)

    assert record is not None
    assert record.state == "succeeded"


async def test_a_rendering_that_arrives_late_does_not_stay() -> None:
    """A worker slept through its turn with an old rendering in hand; when it lands, it is rendered over at once."""
    channel = SlowChannel()
    jobs, first, second = await _with_two_updates(channel)
    gate = channel.hold_next()
    asleep = asyncio.create_task(jobs.runner.run(first))
    await channel.waiting.wait()
    request = await jobs.request()
    await jobs.answer(request, "approve", "sam")
    jobs.later(CARD_LEASE)
    await jobs.runner.run(second)
    gate.set()
    await asleep
    loaded = await jobs.store.load(TENANT, jobs.instance_id)

    assert loaded is not None
    newest = loaded.instance.version
    assert channel.shown[0] == newest
    assert channel.shown[1] < newest
    assert channel.shown[-1] == newest


async def test_a_card_is_told_apart_by_tenant() -> None:
    """Turns of two tenants with a request of the same name do not wait for each other."""
    jobs = a_jobs_house()
    await jobs.propose()
    claim = await jobs.claim("card.post")
    other = claim.effect.changed(tenant="other")
    async with CardTurn(jobs.store, claim):
        taken = await jobs.store.hold(f"card:other:{other.payload['requestId']}", "x", CARD_LEASE)

    assert taken


@pytest.mark.parametrize("by", ["kim", "robin"])
async def test_a_refused_clicker_is_told_privately(by: str) -> None:
    """The refusal of a click becomes one private notice with the reason."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    request = await jobs.propose()
    if by == "robin":
        await jobs.answer(request, "approve", "robin")
    await jobs.answer(request, "approve", by)
    record = await jobs.run("notice")
    [(notice, subject)] = channel.notices

    assert record.state == "succeeded"
    assert notice.code == {"kim": "not_an_approver", "robin": "already_decided"}[by]
    assert notice.address["slackUserId"] == f"U{by.upper()}"
    assert subject is not None
    assert subject.request is not None


async def test_a_provider_is_not_asked_for_a_state_the_loop_has_left() -> None:
    """The system moved the loop on while the ask waited: no model is paid for an answer nobody wants."""
    jobs = a_jobs_house()
    await jobs.start()
    await jobs.house.engine.transition(
        tenant=TENANT, aggregate_id="CHG-7", transition="no_analysis", actor=system("test"), evidence={}
    )
    record = await jobs.run("provider.ask")

    assert (record.state, record.detail) == ("succeeded", {"skipped": "the loop has moved on"})


async def _with_two_updates(channel: MemoryChannel) -> tuple[JobsHouse, str, str]:
    """Return a house with a posted card and two updates waiting, of a loop that wants three approvals."""
    jobs = a_jobs_house(a_change(quorum=3), channel=channel)
    request = await jobs.propose()
    await jobs.run("card.post")
    await jobs.answer(request, "approve", "dana")
    await jobs.answer(request, "approve", "robin")
    first, second = await jobs.house.effects(jobs.instance_id, "card.update")
    return jobs, first.effect_id, second.effect_id
