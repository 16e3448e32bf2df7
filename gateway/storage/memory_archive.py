"""The archive as the store knows it, in memory, over a `MemoryStore`."""

from collections.abc import Sequence
from datetime import datetime

from gateway.auditing.archived import Archived
from gateway.storage.cursors import check_cursor, instance_at, page_size, place_of
from gateway.storage.memory import MemoryStore


class MemoryArchive:
    """`gateway.auditing.ports.Archives`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._kept: dict[tuple[str, str], tuple[str, Archived]] = {}

    async def closed_before(
        self, tenant: str, before: datetime, *, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, str]]:
        """Return place and id of instances closed before *before* behind the place *after*, first closed first."""
        places = self._store.closed_places(tenant)
        found = [place for place in places if after < place < place_of(before)][: page_size(limit)]
        return [(place, instance_at(place)) for place in found]

    async def trim(self, archived: Archived, requests: Sequence[str]) -> bool:
        """Keep *archived* in the place of all else of its instance; False where it is not over, or moved on."""
        place = self._store.drop(
            archived.tenant, archived.instance_id, archived.version, archived.head.sequence, requests
        )
        if place is None:
            return False
        self._kept[archived.tenant, archived.instance_id] = (place, archived)
        return True

    async def archived(self, tenant: str, name: str) -> Archived | None:
        """Return what is kept of the instance *name*, or of the latest one on that business object, if archived."""
        latest = self._store.latest_run(tenant, name) or ""
        _, found = self._kept.get((tenant, name), self._kept.get((tenant, latest), ("", None)))
        return found

    async def archive(
        self, tenant: str, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[Archived], str | None]:
        """Return a page of what is archived, last closed first, and the next cursor. Raises Rejected for a bad one."""
        before, size = check_cursor(cursor) if cursor else None, page_size(limit)
        found = sorted(
            (kept for (owner, _), kept in self._kept.items() if owner == tenant),
            key=lambda kept: kept[0],
            reverse=True,
        )
        following = [kept for kept in found if before is None or kept[0] < before]
        page = following[:size]
        return [each for _, each in page], page[-1][0] if len(following) > size else None
