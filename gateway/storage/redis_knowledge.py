"""What a channel said about its people, in Redis, for as long as it is believed."""

from collections.abc import Sequence
from datetime import timedelta

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.seam import store_errors
from gateway.storage.spans import milliseconds

#: A turn outlives whatever is kept under it; where it is gone, so is that.
TURN_LIFETIME = timedelta(days=2)


class RedisKnowledge:
    """`channels.slack.ports.Knowledge`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    async def known(self, team: str, names: Sequence[str]) -> Sequence[str | None]:
        """Return what is believed, by one look."""
        if not names:
            return []
        wanted = [key for name in names for key in (_key(keys.KNOWN, team, name), _key(keys.TURN, team, name))]
        with store_errors():
            found = await self._client.mget(wanted)
        return [_believed(kept, turn) for kept, turn in zip(found[::2], found[1::2], strict=True)]

    async def turn(self, team: str, name: str) -> int:
        """Return the turn of *name*."""
        with store_errors():
            return int(await self._client.get(_key(keys.TURN, team, name)) or 0)

    async def keep(self, team: str, name: str, turn: int, text: str, lifetime: timedelta) -> None:
        """Keep *text* with its turn, unless that is over; where it ends just now, what is kept is not believed."""
        if turn != await self.turn(team, name):
            return
        with store_errors():
            await self._client.set(_key(keys.KNOWN, team, name), f"{turn}:{text}", px=milliseconds(lifetime, least=1))

    async def changed(self, team: str, name: str) -> int:
        """Begin a new turn."""
        key = _key(keys.TURN, team, name)
        with store_errors():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.incr(key)
                pipeline.pexpire(key, milliseconds(TURN_LIFETIME))
                turn, _ = await pipeline.execute()
        return int(turn)


def _believed(kept: bytes | str | None, turn: bytes | str | None) -> str | None:
    if kept is None:
        return None
    at, _, text = (kept.decode() if isinstance(kept, bytes) else kept).partition(":")
    return text if int(at) == int(turn or 0) else None


def _key(prefix: str, team: str, name: str) -> str:
    return f"{prefix}{keys.bounded_part(team)}:{keys.bounded_part(name)}"
