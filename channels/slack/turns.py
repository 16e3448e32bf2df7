"""
Turns: who may call Slack when, so that Slack need not refuse anybody.

A limit is one of Slack's: a method's, or that of posts to one channel. It lets `burst` calls through at once and then
one every `interval_s`; while it is held nobody gets through. Who must wait is given a time to come back at, and keeps
it under the name of their *place*: a call that is tried again, or the next change of the same card, is not another.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loops.errors import StoreUnavailable

#: Ranks, most urgent first: private answers and modals, cards, what is said in threads.
RANKS = (0, 1, 2)

#: After how many seconds a place is given up whose time came and who did not.
FORGOTTEN_S = 30.0

#: Seconds for which a keeper that did not answer is not asked again: finding out that it is away takes one.
AWAY_S = 2.0

#: Seconds a call of the first rank waits for the keeper's answer, which takes a millisecond. Somebody waits for what it
#: says, and gets it within the second or not at all: that a click was not taken, when the keeper is away like the rest.
URGENT_S = 0.3


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: so many calls at once, then one every `interval_s`."""

    name: str
    interval_s: float
    burst: int


class Turns(Protocol):
    """
    Who may call when, for every process that shares a workspace. May raise `loops.errors.StoreUnavailable`.

    Time is the keeper's own, so processes need not agree on theirs.
    """

    async def take(self, limits: Sequence[Limit], place: str, rank: int) -> float:
        """
        Take a turn in all of *limits* and return 0, or take none and return the seconds until *place*'s turn comes.

        Those of a lower *rank* number go first. Whoever comes back before their time keeps it.
        """

    async def hold(self, limits: Sequence[Limit], seconds: float) -> None:
        """Let nobody through *limits* for *seconds* from now; a longer hold stays as it is."""


@dataclass(slots=True)
class _State:
    free_at: float = 0.0
    held_until: float = 0.0
    line: dict[tuple[int, str], float] = field(default_factory=dict)


class MemoryTurns:
    """Turns of one process alone: for tests, and for commands that call Slack a few times. Fits `Turns`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._states: dict[str, _State] = {}

    async def take(self, limits: Sequence[Limit], place: str, rank: int) -> float:
        """Take a turn in all of *limits*, or none; see `Turns.take`."""
        now = self._now()
        longest = max(self._slot(limit, place, rank, now) for limit in limits) - now
        if longest > 0:
            return longest
        for limit in limits:
            state = self._states[limit.name]
            state.free_at = max(state.free_at, now) + limit.interval_s
            state.line.pop((rank, place), None)
        return 0.0

    async def hold(self, limits: Sequence[Limit], seconds: float) -> None:
        """Let nobody through *limits* for *seconds*."""
        for limit in limits:
            state = self._states.setdefault(limit.name, _State())
            state.held_until = max(state.held_until, self._now() + seconds)

    def _slot(self, limit: Limit, place: str, rank: int, now: float) -> float:
        """Return when *place*'s turn comes in *limit*, kept in its line; not after *now* where it is now."""
        state = self._states.setdefault(limit.name, _State())
        state.line = {who: slot for who, slot in state.line.items() if slot >= now - FORGOTTEN_S}
        earliest = max(state.held_until, state.free_at - (limit.burst - 1) * limit.interval_s)
        mine = state.line.get((rank, place), -math.inf)
        if mine > now and mine >= earliest:
            return mine
        if mine > -math.inf and earliest <= now:
            return now
        ahead = [slot + limit.interval_s for who, slot in state.line.items() if who[0] <= rank and who[1] != place]
        slot = max(now, earliest, *ahead)
        if slot > now:
            state.line[rank, place] = slot
        return slot


class SharedTurns:
    """
    Turns that all processes share while their keeper answers, and this process's own while it does not.

    When the store is away there is most to be said: that a click was not taken must not wait for its return, nor long
    for word that it is away. Slack itself then says when we are too many. Fits `Turns`, and raises nothing.
    """

    def __init__(self, shared: Turns, own: Turns, now: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._own = own
        self._now = now
        self._away_until = 0.0

    async def take(self, limits: Sequence[Limit], place: str, rank: int) -> float:
        """Take a turn in all of *limits*, or none; see `Turns.take`."""
        if self._now() >= self._away_until:
            try:
                async with asyncio.timeout(URGENT_S if rank == RANKS[0] else None):
                    return await self._shared.take(limits, place, rank)
            except StoreUnavailable:
                self._away_until = self._now() + AWAY_S
            except TimeoutError:
                pass  # slow, perhaps: what can wait goes on asking
        return await self._own.take(limits, place, rank)

    async def hold(self, limits: Sequence[Limit], seconds: float) -> None:
        """Let nobody through *limits* for *seconds*."""
        if self._now() >= self._away_until:
            try:
                await self._shared.hold(limits, seconds)
            except StoreUnavailable:
                self._away_until = self._now() + AWAY_S
        await self._own.hold(limits, seconds)
