"""Whose turn it is to call a vendor, in Redis: several processes share one workspace and its limits."""

from collections.abc import Sequence
from datetime import timedelta

from redis.asyncio import Redis

from channels.slack.turns import FORGOTTEN_S, RANKS, Limit
from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import milliseconds


class RedisTurns:
    """
    `channels.slack.turns.Turns`, by the server's clock.

    Args:
        whose: What the limits belong to, such as a workspace and an app: limits of another have the same names.
    """

    def __init__(self, client: "Redis", whose: str) -> None:
        self._whose = keys.part(whose)
        self._take: Script = script(client, "take_turn")
        self._hold: Script = script(client, "hold_limit")

    async def take(self, limits: Sequence[Limit], place: str, rank: int) -> float:
        """Take a turn in all of *limits* and return 0, or none and return the seconds until *place*'s turn comes."""
        wanted = [
            word for limit in limits for word in (self._key(limit), f"{limit.interval_s * 1000:.3f}", str(limit.burst))
        ]
        with store_errors():
            wait_ms = await self._take(keys.bounded_part(place), rank, len(RANKS), int(FORGOTTEN_S * 1000), *wanted)
        return int(wait_ms) / 1000

    async def hold(self, limits: Sequence[Limit], seconds: float) -> None:
        """Let nobody through *limits* for *seconds* from now; a longer hold stays as it is."""
        with store_errors():
            await self._hold(milliseconds(timedelta(seconds=seconds), least=1), *map(self._key, limits))

    def _key(self, limit: Limit) -> str:
        return f"{self._whose}:{keys.bounded_part(limit.name)}"
