"""What a channel said about its people is kept across processes, per workspace, and no longer than it is believed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from channels.memory import MemoryMembers
from channels.slack.ports import KeptMembers
from gateway.storage.connect import connect
from gateway.storage.redis_members import RedisMembers

HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "redis"])
async def members(request: pytest.FixtureRequest) -> AsyncIterator[KeptMembers]:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        yield MemoryMembers()
        return
    async with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisMembers(client)


async def test_the_latest_word_about_somebody_is_kept(members: KeptMembers) -> None:
    """What is kept is given back, the newer for the older; nobody else's, and no other workspace's."""
    await members.keep_member("T1", "U1", "old", HOUR)
    await members.keep_member("T1", "U1", "né w", HOUR)

    assert await members.member("T1", "U1") == "né w"
    assert await members.member("T1", "U2") is None
    assert await members.member("T2", "U1") is None
    assert await members.member("T1:U1", "") is None


async def test_what_is_no_longer_believed_is_gone(redis_url: str) -> None:
    """After its lifetime nothing is known any more, in whatever process."""
    async with connect(redis_url) as client:
        members = RedisMembers(client)
        await members.keep_member("T1", "U1", "word", timedelta(milliseconds=30))
        async with asyncio.timeout(5):
            # The server's clock ends it; there is nothing to be awaited.
            while await members.member("T1", "U1"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        assert await members.member("T1", "U1") is None
