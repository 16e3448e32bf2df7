"""Following: the tabs of people who opened theirs lately are drawn anew when requests change."""

import asyncio

import structlog

from channels.slack.home import Home
from loops.errors import LoopgateError

#: Between two rounds, however much changes: `views.publish` is Tier 4, 100 a minute for the whole workspace.
#: Source: docs.slack.dev, reference/methods/views.publish.
PAUSE_S = 3.0

log = structlog.get_logger("channels.slack")


class Following:
    """Waits for changes; many at once are one round. What a crash loses, opening the tab brings back."""

    def __init__(self, home: Home, *, pause_s: float = PAUSE_S) -> None:
        self._home = home
        self._pause_s = pause_s
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Have the tabs drawn anew soon."""
        self._changed.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._home.draw_again()
            except LoopgateError as error:
                log.warning("slack.home.not_followed", error=type(error).__name__)
            except Exception:
                log.exception("slack.home.broke")
            await asyncio.sleep(self._pause_s)
