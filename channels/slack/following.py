"""Following: the tabs of people who opened theirs lately are drawn anew when anything changes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from channels.slack.home import Home
from channels.slack.ports import Gate

#: Between two looks, and how long looking stays with a process that died.
FOLLOW_EVERY, FOLLOW_LEASE = timedelta(seconds=1), timedelta(seconds=10)
#: How long a round's drawing of one tab counts against the next round, in seconds: tabs that people open themselves
#: keep half of what there is. `views.publish` is Tier 4, 100 a minute for the whole workspace.
#: Source: docs.slack.dev, reference/methods/views.publish.
TAB_S = 1.2


def standing_of(gate: Gate, tenant: str, latest: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[object]]:
    """
    Return what says how things stand: who is away, and *latest*, the place of what was committed last.

    An absence ends by itself when its time is over: nothing is committed then.
    """

    async def standing() -> object:
        away = frozenset(each.instance_id for each in await gate.absences(tenant))
        return await latest(), away

    return standing


class Following:
    """
    Draws tabs anew, many changes in one round. What a crash loses, opening the tab brings back.

    *standing* returns something that is another as soon as anything was committed, or anybody left or came back.
    """

    def __init__(self, home: Home, standing: Callable[[], Awaitable[object]], *, tab_s: float = TAB_S) -> None:
        self._home = home
        self._standing = standing
        self._tab_s = tab_s
        self._shown: object = None
        self._rests_until = 0.0

    async def once(self) -> None:
        """
        Draw them if anything changed since the last round, and again if anything did meanwhile.

        What somebody does on their tab is shown there at once, and what was read before that may be put over it. That
        must not stay there for as long as the round rests. May raise StoreUnavailable.
        """
        now = asyncio.get_running_loop().time
        if now() < self._rests_until:
            return
        drawn = 0
        for _ in range(2):
            standing = await self._standing()
            if standing == self._shown:
                break
            drawn += await self._home.draw_again()
            self._shown = standing
        self._rests_until = now() + drawn * self._tab_s
