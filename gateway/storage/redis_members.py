"""What a channel said about its people, in Redis, for as long as it is believed."""

from datetime import timedelta

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.seam import store_errors
from gateway.storage.spans import milliseconds


class RedisMembers:
    """`channels.slack.ports.KeptMembers`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    async def member(self, team: str, user: str) -> str | None:
        """Return what is kept about *user*, or None."""
        with store_errors():
            found = await self._client.get(_key(team, user))
        return found.decode() if isinstance(found, bytes) else found

    async def keep_member(self, team: str, user: str, text: str, lifetime: timedelta) -> None:
        """Keep *text* about *user* for *lifetime*."""
        with store_errors():
            await self._client.set(_key(team, user), text, px=milliseconds(lifetime, least=1))


def _key(team: str, user: str) -> str:
    return f"{keys.MEMBER}{keys.bounded_part(team)}:{keys.bounded_part(user)}"
