"""Whose turn it is to call a vendor: what every keeper of limits promises."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count

import pytest
from patience import PATIENCE_S

from channels.slack.turns import RANKS, Limit, MemoryTurns, SharedTurns, Turns
from gateway.storage.connect import connect
from gateway.storage.redis_turns import RedisTurns

#: A limit in which turns are so far apart that no test sees the second one come by itself.
POSTS = Limit("posts", interval_s=30, burst=1)
CARD, THREAD = 1, 2


@pytest.fixture(params=["memory", "redis", "shared", "away"])
async def turns(request: pytest.FixtureRequest) -> AsyncIterator[Turns]:
    """Each implementation in turn, empty; also while the store is away."""
    if request.param == "memory":
        yield MemoryTurns()
        return
    url = "unix:///nowhere/valkey.sock" if request.param == "away" else request.getfixturevalue("redis_url")
    async with connect(url) as client:
        kept = RedisTurns(client, "slack:T1:A1")
        yield kept if request.param == "redis" else SharedTurns(kept, MemoryTurns())


def about(seconds: float, wait: float) -> bool:
    """Return whether *wait* is *seconds*, less what the test itself took."""
    return seconds - 20 < wait <= seconds


async def test_a_burst_gets_through_and_then_one_at_a_time(turns: Turns) -> None:
    """As many as the limit takes at once wait for nothing; those after them are told times one interval apart."""
    limit = Limit("burst", interval_s=30, burst=3)
    waits = [await turns.take([limit], f"ef_{number}", CARD) for number in range(5)]

    assert waits[:3] == [0, 0, 0]
    assert about(30, waits[3])
    assert about(60, waits[4])


async def test_many_at_once_get_different_turns(turns: Turns) -> None:
    """Whoever asks at the same moment, one gets through and all others have a time of their own."""
    waits = sorted(await asyncio.gather(*(turns.take([POSTS], f"ef_{number}", CARD) for number in range(20))))

    assert waits[0] == 0
    assert all(about(30 * place, wait) for place, wait in enumerate(waits[1:], 1))


async def test_who_comes_back_early_keeps_their_place(turns: Turns) -> None:
    """Asking again neither loses a place nor takes a second one."""
    await turns.take([POSTS], "ef_1", CARD)
    first = await turns.take([POSTS], "ef_2", CARD)
    again = await turns.take([POSTS], "ef_2", CARD)
    third = await turns.take([POSTS], "ef_3", CARD)

    assert first - 20 < again <= first
    assert about(60, third)


async def test_who_comes_back_in_time_gets_through(turns: Turns) -> None:
    """At the time that was given the turn is there, and it is spent only once."""
    for number in count():
        limit, began = Limit(f"quick {number}", interval_s=1.0, burst=1), time.monotonic()
        first, wait = await turns.take([limit], "ef_1", CARD), await turns.take([limit], "ef_2", CARD)
        if time.monotonic() - began < limit.interval_s:  # otherwise the machine stood still, and it was let through
            break
    await asyncio.sleep(wait)
    back = time.monotonic()
    second, third = await turns.take([limit], "ef_2", CARD), await turns.take([limit], "ef_2", CARD)

    assert first == second == 0
    assert wait > 0
    assert third > 0 or time.monotonic() - back >= limit.interval_s


async def test_a_card_waits_for_no_thread(turns: Turns) -> None:
    """However many of a later rank wait, a newcomer of an earlier one goes first, and they after it."""
    await turns.take([POSTS], "ef_1", CARD)
    threads = [await turns.take([POSTS], f"ef_t{number}", THREAD) for number in range(3)]
    card = await turns.take([POSTS], "ef_2", CARD)
    thread = await turns.take([POSTS], "ef_t4", THREAD)

    assert about(90, threads[-1])
    assert about(30, card)
    assert about(120, thread)


async def test_a_held_lane_lets_nobody_through(turns: Turns) -> None:
    """Told to wait, everybody waits as long as that, those who had a time before its end too; nobody waits longer."""
    limit, other = Limit("held", interval_s=30, burst=10), Limit("other", interval_s=30, burst=10)
    await turns.take([limit], "ef_1", CARD)
    await turns.hold([limit], 60)
    await turns.hold([limit], 10)
    waits = [await turns.take([limit], f"ef_{number}", CARD) for number in (1, 2, 3)]

    assert [about(seconds, wait) for seconds, wait in zip((60, 90, 120), waits, strict=True)] == [True] * 3
    assert await turns.take([other], "ef_1", CARD) == 0


async def test_a_hold_moves_those_who_had_a_time(turns: Turns) -> None:
    """A time that falls into the hold is no longer one."""
    await turns.take([POSTS], "ef_1", CARD)
    before = await turns.take([POSTS], "ef_2", CARD)
    await turns.hold([POSTS], 100)

    assert about(30, before)
    assert about(100, await turns.take([POSTS], "ef_2", CARD))


async def test_a_hold_ends(turns: Turns) -> None:
    """After its time the limit is open again."""
    limit, began = Limit("short", interval_s=0.001, burst=1), time.monotonic()
    await turns.hold([limit], 0.5)
    wait = await turns.take([limit], "ef_1", CARD)
    was_held = wait > 0 or time.monotonic() - began >= 0.5
    await asyncio.sleep(wait)

    assert was_held
    assert wait <= 0.51
    assert await turns.take([limit], "ef_1" if wait else "ef_2", CARD) == 0


async def test_a_turn_is_one_in_every_lane_or_none(turns: Turns) -> None:
    """A call that waits for its channel spends nothing of its method."""
    method = Limit("method", interval_s=30, burst=2)
    await turns.take([method, POSTS], "ef_1", CARD)
    waits = await turns.take([method, POSTS], "ef_2", CARD)
    elsewhere = await turns.take([method, Limit("elsewhere", 30, 1)], "ef_3", CARD)

    assert about(30, waits)
    assert elsewhere == 0


async def test_lanes_of_two_workspaces_are_apart(redis_url: str) -> None:
    """What one workspace spends is not another's."""
    async with connect(redis_url) as client:
        await RedisTurns(client, "slack:T1:A1").take([POSTS], "ef_1", CARD)

        assert await RedisTurns(client, "slack:T2:A1").take([POSTS], "ef_1", CARD) == 0
        assert await RedisTurns(client, "slack:T1:A1").take([POSTS], "ef_2", CARD) > 0


class Silent:
    """A keeper that does not answer."""

    async def take(self, limits: Sequence[Limit], place: str, rank: int) -> float:
        """Say nothing."""
        return await asyncio.Event().wait()

    async def hold(self, limits: Sequence[Limit], seconds: float) -> None:
        """Say nothing."""
        await asyncio.Event().wait()


async def test_what_somebody_waits_for_does_not_wait_for_a_silent_keeper() -> None:
    """A private word goes out within the second, by this process's own count; a card goes on asking."""
    turns = SharedTurns(Silent(), MemoryTurns())
    card = asyncio.create_task(turns.take([POSTS], "ef_1", CARD))
    async with asyncio.timeout(PATIENCE_S):
        urgent = await turns.take([POSTS], "word", RANKS[0])
    is_waiting = not card.done()
    card.cancel()

    assert urgent == 0
    assert is_waiting
