"""Absent: who is away now, read from the store."""

from datetime import datetime

from loops.absence import AWAY, Absence, aggregate_of, read_absence
from loops.ports import Store

#: Instances read at a time.
_PAGE = 200


class Absent:
    """Knows who is away. Nothing it says is kept: an absence may end at any moment."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self, tenant: str, now: datetime) -> tuple[Absence, ...]:
        """Return every absence at *now*, one for each person who is away. Costs what there is of them."""
        found: list[Absence] = []
        cursor: str | None = None
        while True:
            page, cursor = await self._store.instances(tenant, state=AWAY, cursor=cursor, limit=_PAGE)
            found += [absence for instance in page if (absence := read_absence(instance, now))]
            if cursor is None:
                return tuple({absence.person: absence for absence in found}.values())

    async def one(self, tenant: str, person_id: str, now: datetime) -> Absence | None:
        """Return the absence of one person at *now*; None for somebody who is here."""
        loaded = await self._store.load_aggregate(tenant, aggregate_of(person_id))
        return read_absence(loaded.instance, now) if loaded else None
