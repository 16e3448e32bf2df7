"""Copies: an escalated request has a card in each channel it was asked in, and all of them tell the truth."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from builders import a_change
from unit.jobs.rig import JobsHouse, a_jobs_house
from unit.jobs.test_reconciling import a_reconciler
from unit.jobs.test_sweep import a_sweep

from channels.memory import MemoryChannel
from gateway.storage.spans import BEHIND_AFTER
from loops.errors import Rejected, Unavailable
from loops.ports import Loaded

ESCALATING = {"escalate": [{"after": "1h", "channel": "leads", "groups": ["finance"]}]}


async def escalated(channel: MemoryChannel | None = None) -> tuple[JobsHouse, MemoryChannel]:
    """Return a house whose request nobody decided for an hour; its first card is posted, the copy is not."""
    channel = channel or MemoryChannel()
    jobs = a_jobs_house(a_change(**ESCALATING), channel=channel)
    await jobs.propose()
    await jobs.run("card.post")
    jobs.later(timedelta(hours=1))
    await a_sweep(jobs).fall_due()
    return jobs, channel


async def test_an_escalation_posts_the_card_in_the_other_channel_too() -> None:
    """Both stand, each in its place; the ledger says where."""
    jobs, channel = await escalated()
    await jobs.run("card.post")
    posted = [
        event.data for event in await jobs.house.store.events("default", jobs.instance_id) if "card" in event.type
    ]

    assert [card.route for card in channel.cards.values()] == [None, "leads"]
    assert [data.get("copy") for data in posted] == [None, 1]


async def test_a_decision_changes_every_card() -> None:
    """Whoever looks at either sees what was decided."""
    jobs, channel = await escalated()
    await jobs.run("card.post")
    await jobs.answer(await jobs.request(), "approve", "kim")
    await jobs.run("card.update")

    assert [card.subject.request.status for card in channel.cards.values() if card.subject.request] == ["approved"] * 2


async def test_a_copy_posted_while_the_loop_moves_shows_how_it_stands_in_the_end() -> None:
    """A decision while the copy is on its way to the channel stands on it before anybody renders it again."""
    channel = Moving()
    jobs, _ = await escalated(channel)
    channel.meanwhile = jobs
    await jobs.run("card.post")
    after_posting = channel.cards[2].subject.request
    await jobs.run("card.update")

    assert after_posting is not None
    assert after_posting.status == "approved"
    assert [card.subject.request.status for card in channel.cards.values() if card.subject.request] == ["approved"] * 2


async def test_a_request_decided_before_it_was_asked_again_is_not_asked_again() -> None:
    """No card appears in the leads' channel for what is decided."""
    jobs, channel = await escalated()
    await jobs.answer(await jobs.request(), "approve", "dana")
    record = await jobs.run("card.post")

    assert len(channel.cards) == 1
    assert record.state == "succeeded"


async def test_a_copy_that_cannot_be_posted_keeps_nobody_from_seeing_the_first_card() -> None:
    """The other channel is away: the first card is brought up to date all the same."""
    jobs, channel = await escalated()
    channel.fail_next(Unavailable("away"))
    await jobs.run("card.post")
    await jobs.answer(await jobs.request(), "approve", "dana")
    record = await jobs.run("card.update")

    assert record.state == "succeeded"
    assert [card.subject.request.status for card in channel.cards.values() if card.subject.request] == ["approved"]


class Moving(MemoryChannel):
    """A channel during whose next post, once `meanwhile` is set, kim approves."""

    meanwhile: JobsHouse | None = None

    async def post(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Post, and let the world move on before the answer is back."""
        address = await super().post(*args, **kwargs)
        if jobs := self.meanwhile:
            self.meanwhile = None
            await jobs.answer(await jobs.request(), "approve", "kim")
        return address


async def test_a_reminder_reaches_every_channel_that_is_asked_now() -> None:
    """Before the escalation in the first thread, after it in both; whoever is asked only then is not reminded."""
    channel = MemoryChannel()
    jobs = a_jobs_house(a_change(**ESCALATING, remindAfter="30m", reminders=3), channel=channel)
    await jobs.propose()
    await jobs.run("card.post")
    reminded = list[list[int]]()
    for _ in range(3):
        jobs.later(timedelta(minutes=30))
        await a_sweep(jobs).fall_due()
        for effect in await jobs.house.effects(jobs.instance_id, "card.post"):
            await jobs.runner.run(effect.effect_id)
        for effect in await jobs.house.effects(jobs.instance_id, "card.thread"):
            await jobs.runner.run(effect.effect_id)
        told = [number for number, event in channel.replies.values() if event.type == "approval.reminded"]
        reminded.append(told)

    assert reminded == [[1], [1, 1], [1, 1, 1, 2]]


async def test_a_copy_whose_update_was_given_up_becomes_right() -> None:
    """The other channel refused for good, as it then seemed: a while later all cards are asked for again, and right."""
    channel = Refusing()
    jobs, _ = await escalated(channel)
    await jobs.run("card.post")
    await jobs.run("card.update")
    await jobs.answer(await jobs.request(), "approve", "kim")
    channel.refuses = 2
    given_up = await jobs.run("card.update")
    before = [card.subject.request.status for card in channel.cards.values() if card.subject.request]
    channel.refuses = None
    jobs.later(2 * BEHIND_AFTER)
    await a_reconciler(jobs).once()
    again = await jobs.run("card.update")

    assert (given_up.state, before) == ("dead", ["approved", "open"])
    assert again.state == "succeeded"
    assert [card.subject.request.status for card in channel.cards.values() if card.subject.request] == ["approved"] * 2


class Refusing(MemoryChannel):
    """A channel that refuses to change the card `refuses`."""

    refuses: int | None = None

    async def update(self, subject: Loaded, address: Mapping[str, Any]) -> None:
        """Change the card, unless it is that one."""
        if address["memory"] == self.refuses:
            raise Rejected("is_archived")
        await super().update(subject, address)
