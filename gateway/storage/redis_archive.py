"""The archive as the store knows it, in Redis: what closed long ago, what is kept of it, and the way out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from gateway.auditing.archived import Archived
from gateway.storage import keys
from gateway.storage.cursors import check_cursor, instance_at, page_size, place_of
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors


class RedisArchive:
    """`gateway.auditing.ports.Archives`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._trim: Script = script(client, "trim")

    async def closed_before(
        self, tenant: str, before: datetime, *, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, str]]:
        """Return place and id of instances closed before *before* behind the place *after*, first closed first."""
        with store_errors():
            found: Any = await self._client.zrange(
                keys.CLOSED + keys.part(tenant),
                f"({after}" if after else "-",
                f"({place_of(before)}",
                bylex=True,
                offset=0,
                num=page_size(limit),
            )
        places = [member.decode() for member in found]
        return [(place, instance_at(place)) for place in places]

    async def trim(self, archived: Archived, requests: Sequence[str]) -> bool:
        """Keep *archived* in the place of all else of its instance; False where it is not over, or moved on."""
        with store_errors():
            return bool(
                await self._trim(
                    keys.part(archived.tenant),
                    keys.part(archived.instance_id),
                    archived.version,
                    archived.head.sequence,
                    archived.model_dump_json(),
                    *map(keys.part, requests),
                )
            )

    async def archived(self, tenant: str, name: str) -> Archived | None:
        """Return what is kept of the instance *name*, or of the latest one on that business object, if archived."""
        with store_errors():
            body = await self._client.get(keys.ARCHIVED + keys.pair(tenant, name))
            if body is None:
                latest: Any = await self._client.lindex(keys.RUNS + keys.pair(tenant, name), -1)
                body = (
                    await self._client.get(f"{keys.ARCHIVED}{keys.part(tenant)}:{latest.decode()}") if latest else None
                )
        return None if body is None else Archived.model_validate_json(body)

    async def archive(
        self, tenant: str, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[Archived], str | None]:
        """Return a page of what is archived, last closed first, and the next cursor. Raises Rejected for a bad one."""
        first, size = (f"({check_cursor(cursor)}" if cursor else "+"), page_size(limit)
        with store_errors():
            found: Any = await self._client.zrange(
                keys.ARCHIVE + keys.part(tenant),
                first,
                "-",
                bylex=True,
                desc=True,
                offset=0,
                num=size + 1,
            )
            places = [member.decode() for member in found]
            names = [keys.ARCHIVED + keys.pair(tenant, instance_at(place)) for place in places[:size]]
            bodies: Any = await self._client.mget(names) if names else []
        listed = [Archived.model_validate_json(body) for body in bodies if body]
        return listed, places[size - 1] if len(places) > size else None
