"""Chores: one process at a time does each, until it dies or is told to stop, whatever goes wrong on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from patience import PATIENCE_S

from gateway.jobs.chores import Chore, Unending, doing
from gateway.storage.memory import MemoryStore
from loops.errors import StoreUnavailable

#: A pause that no test lives to see the end of, and one that nobody notices.
LONG, SHORT = timedelta(hours=1), timedelta(milliseconds=1)


class Work:
    """A chore's work: counts its rounds, and does in each what *script* says; after that nothing."""

    def __init__(self, *script: Callable[[], bool]) -> None:
        self._script = list(script)
        self.rounds = 0
        self.ended = 0
        self.is_done = asyncio.Event()

    async def once(self) -> bool:
        """Make one round."""
        self.rounds += 1
        if self._script:
            return self._script.pop(0)()
        self.is_done.set()
        return False

    async def leave_off(self) -> None:
        """Count."""
        self.ended += 1

    def chore(self, every: timedelta = SHORT, lease: timedelta = LONG) -> Chore:
        """Return it as a chore."""
        return Chore("sweep", self.once, every, lease, self.leave_off)


class Watched(MemoryStore):
    """A store whose leases tell when they were asked for so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times
        self.were_asked_for = asyncio.Event()

    async def hold(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Count."""
        self._left -= 1
        if not self._left:
            self.were_asked_for.set()
        return await super().hold(name, holder, ttl)


class Away(MemoryStore):
    """A store that is away the first time a lease is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._is_back = False

    async def hold(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Fail, then answer."""
        if not self._is_back:
            self._is_back = True
            raise StoreUnavailable("away")
        return await super().hold(name, holder, ttl)


async def test_one_of_two_does_it_and_the_other_takes_over_when_that_one_stops() -> None:
    """Whoever has the lease does the chore alone; told to stop it lets go, and the next one need not wait."""
    leases, first, second = Watched(20), Work(), Work()
    async with doing([first.chore(LONG)], leases, "one"):
        await _soon(first.is_done.wait())
        async with doing([second.chore()], leases, "two"):
            await _soon(leases.were_asked_for.wait())
            while_held = second.rounds
        assert not await leases.hold("sweep", "three", SHORT)
    async with doing([second.chore(LONG)], leases, "two"):
        await _soon(second.is_done.wait())

    assert (first.rounds, while_held, second.rounds) == (1, 0, 1)
    assert not await leases.is_held("sweep")


async def test_what_every_process_does_needs_no_lease() -> None:
    """A chore that several share is done by each of them, and asks nobody whether it may."""
    leases, first, second = Watched(1), Work(), Work()
    chores = [Chore("deadlines", work.once, LONG, lease=None) for work in (first, second)]
    async with doing(chores[:1], leases, "one"), doing(chores[1:], leases, "two"):
        await _soon(first.is_done.wait())
        await _soon(second.is_done.wait())

    assert (first.rounds, second.rounds) == (1, 1)
    assert not leases.were_asked_for.is_set()


async def test_more_that_is_due_is_not_waited_for() -> None:
    """A round that leaves more to do is followed by the next at once; the pause is for when all is done."""
    work = Work(lambda: True, lambda: True)
    async with doing([work.chore(LONG)], MemoryStore(), "one"):
        await _soon(work.is_done.wait())

    assert work.rounds == 3


async def test_a_chore_that_is_put_off_waits_first() -> None:
    """What need not be done at every start is not."""
    put_off, other = Work(), Work()
    chore = Chore("sealing", put_off.once, LONG, LONG, is_put_off=True)
    async with doing([chore, other.chore(LONG)], MemoryStore(), "one"):
        await _soon(other.is_done.wait())

    assert put_off.rounds == 0


async def test_a_store_that_was_away_is_asked_again() -> None:
    """Nobody knows whose the chore is meanwhile: what was going on is left off, and begun again when it is ours."""
    work = Work()
    async with doing([work.chore()], Away(), "one"):
        await _soon(work.is_done.wait())
        left_off = work.ended

    assert left_off == 1


async def test_a_chore_that_breaks_is_done_again_and_hurts_no_other() -> None:
    """An error nobody foresaw is logged; the chore has its next round, and what it began goes on."""

    def breaks() -> bool:
        raise ZeroDivisionError

    work, other = Work(breaks), Work()
    async with doing([work.chore(), Chore("cards", other.once, LONG, LONG)], MemoryStore(), "one"):
        await _soon(work.is_done.wait())
        await _soon(other.is_done.wait())
        left_off = work.ended

    assert (work.rounds >= 2, left_off) == (True, 0)


async def test_a_round_that_takes_long_keeps_its_lease() -> None:
    """While one process is at it no other begins, however short the lease is."""
    leases, may_end = Watched(4), asyncio.Event()

    async def once() -> bool:
        await may_end.wait()
        return False

    async with doing([Chore("archiving", once, LONG, timedelta(seconds=0.03))], leases, "one"):
        await _soon(leases.were_asked_for.wait())
        may_end.set()

    assert not await leases.is_held("archiving")


async def test_what_was_begun_ends_with_the_process() -> None:
    """A chore is told to leave off before its lease is anybody's."""
    leases, work = MemoryStore(), Work()
    held: list[bool] = []

    async def leave_off() -> None:
        held.append(await leases.is_held("sweep"))

    async with doing([Chore("sweep", work.once, LONG, LONG, leave_off)], leases, "one"):
        await _soon(work.is_done.wait())

    assert held == [True]


class Endless:
    """Work without an end: says when it began and when it was ended; the first time it breaks, where it shall."""

    def __init__(self, *, breaks: bool = False) -> None:
        self._breaks = breaks
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        self.times = 0

    async def work(self) -> None:
        """Go on."""
        self.times += 1
        if self._breaks and self.times == 1:
            raise ZeroDivisionError
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    def chore(self, lease: timedelta = LONG) -> Chore:
        """Return it as a chore."""
        return Unending("people", self.work, every=SHORT, lease=lease).chore


async def test_work_without_an_end_is_one_process_s_until_that_one_stops() -> None:
    """It is begun once, goes on over many looks, ends with its process, and is begun by the next at once."""
    leases, first, second = Watched(40), Endless(), Endless()
    async with doing([first.chore()], leases, "one"):
        await _soon(first.begun.wait())
        async with doing([second.chore()], leases, "two"):
            await _soon(leases.were_asked_for.wait())
            while_held = (first.times, second.times, first.ended.is_set())
    ended = first.ended.is_set()
    async with doing([second.chore()], leases, "two"):
        await _soon(second.begun.wait())

    assert (while_held, ended) == ((1, 0, False), True)
    assert (first.times, second.times) == (1, 1)


async def test_who_died_is_followed_when_their_lease_is_over() -> None:
    """A process that was killed lets nothing go: the next one waits for the end of its lease, and no longer."""
    leases, next_one = MemoryStore(), Endless()
    await leases.hold("people", "killed", timedelta(seconds=0.05))
    async with doing([next_one.chore()], leases, "two"):
        before = next_one.times
        await _soon(next_one.begun.wait())

    assert (before, next_one.times) == (0, 1)


async def test_who_lost_the_lease_ends_what_goes_on() -> None:
    """A process that was away for too long must not go on beside its successor."""
    leases, late = MemoryStore(), Endless()
    async with doing([late.chore()], leases, "late"):
        await _soon(late.begun.wait())
        await leases.let_go("people", "late")
        assert await leases.hold("people", "successor", LONG)
        await _soon(late.ended.wait())
        times = late.times

    assert times == 1


async def test_work_that_broke_is_begun_again() -> None:
    """What nobody foresaw ends one going, not the chore."""
    work = Endless(breaks=True)
    async with doing([work.chore()], MemoryStore(), "one"):
        await _soon(work.begun.wait())

    assert work.times == 2


async def _soon(what: Awaitable[object]) -> None:
    await asyncio.wait_for(what, PATIENCE_S)
