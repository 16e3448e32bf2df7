"""What a channel said is kept across processes, per workspace, no longer than it is believed, and not past a change."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from channels.memory import MemoryKnowledge
from channels.slack.ports import Knowledge
from gateway.storage.connect import connect
from gateway.storage.redis_knowledge import RedisKnowledge

HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "redis"])
async def knowledge(request: pytest.FixtureRequest) -> AsyncIterator[Knowledge]:
    """Each implementation, empty."""
    if request.param == "memory":
        yield MemoryKnowledge()
        return
    async with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisKnowledge(client)


async def test_the_latest_word_is_kept(knowledge: Knowledge) -> None:
    """Per workspace and name: the last word counts, nothing is nothing, and one look finds several."""
    await knowledge.keep("T1", "member:U1", 0, "old", HOUR)
    await knowledge.keep("T1", "member:U1", 0, "new: with a colon", HOUR)
    await knowledge.keep("T2", "member:U1", 0, "of another workspace", HOUR)

    assert list(await knowledge.known("T1", ["member:U1", "member:U2"])) == ["new: with a colon", None]
    assert list(await knowledge.known("T2", ["member:U1"])) == ["of another workspace"]
    assert list(await knowledge.known("T1", [])) == []


async def test_what_was_asked_before_a_change_is_not_believed(knowledge: Knowledge) -> None:
    """An answer on its way while Slack said that something changed does not bring the old state back."""
    before = await knowledge.turn("T1", "member:U1")
    await knowledge.keep("T1", "member:U1", before, "active", HOUR)
    after = await knowledge.changed("T1", "member:U1")
    between = await knowledge.known("T1", ["member:U1"])
    await knowledge.keep("T1", "member:U1", after, "deactivated", HOUR)
    await knowledge.keep("T1", "member:U1", before, "active", HOUR)

    assert list(between) == [None]
    assert list(await knowledge.known("T1", ["member:U1"])) == ["deactivated"]
    assert await knowledge.turn("T1", "member:U1") == after


async def test_names_do_not_run_into_each_other(knowledge: Knowledge) -> None:
    """Whatever is in a name, it is one name."""
    await knowledge.keep("T1:member", "U1", 0, "one", HOUR)
    await knowledge.keep("T1", "member:U1", 0, "other", HOUR)
    await knowledge.keep("T1", "x" * 500, 0, "long", HOUR)

    assert list(await knowledge.known("T1:member", ["U1"])) == ["one"]
    assert list(await knowledge.known("T1", ["member:U1", "x" * 500])) == ["other", "long"]


async def test_what_is_too_old_is_not_believed(redis_url: str) -> None:
    """Redis is told how long to keep it; what has a turn only keeps that longer than anything else."""
    async with connect(redis_url) as client:
        knowledge = RedisKnowledge(client)
        turn = await knowledge.changed("T1", "member:U1")
        await knowledge.keep("T1", "member:U1", turn, "for an hour", HOUR)
        [known], [turns] = await client.keys("lg:known:*"), await client.keys("lg:turn:*")
        lifetimes = [await client.pttl(known), await client.pttl(turns)]

    assert 0 < lifetimes[0] <= HOUR.total_seconds() * 1000 < 24 * HOUR.total_seconds() * 1000 < lifetimes[1]
