"""Who looks at their Home tab is remembered across processes, the latest first, for a while."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from patience import PATIENCE_S

from channels.memory import MemoryOpeners
from channels.slack.ports import Openers
from gateway.storage.connect import connect
from gateway.storage.redis_openers import RedisOpeners

HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "redis"])
async def openers(request: pytest.FixtureRequest) -> AsyncIterator[Openers]:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        yield MemoryOpeners()
        return
    async with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisOpeners(client)


async def test_the_latest_come_first_each_once_and_of_one_team(openers: Openers) -> None:
    """Looking again moves somebody to the front; leaving takes them out; no more than asked for are given."""
    for number, user in enumerate(["U1", "U2", "U3", "U1", "U4"]):
        await openers.opened("T1", user, HOUR + timedelta(seconds=number))
    await openers.opened("T2", "U9", HOUR)
    await openers.left("T1", "U2")

    assert list(await openers.recent("T1", limit=10)) == ["U4", "U1", "U3"]
    assert list(await openers.recent("T1", limit=1)) == ["U4"]
    assert list(await openers.recent("T3", limit=1)) == []


async def test_who_looked_long_ago_is_forgotten(redis_url: str) -> None:
    """After the lifetime nobody's tab is drawn any more."""
    async with connect(redis_url) as client:
        openers = RedisOpeners(client)
        await openers.opened("T1", "U1", timedelta(milliseconds=20))
        async with asyncio.timeout(PATIENCE_S):
            # The clock ends it; there is nothing to be awaited.
            while await openers.recent("T1", limit=1):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        assert await client.keys("lg:openers:*") == []
