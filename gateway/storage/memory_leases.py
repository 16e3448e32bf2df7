"""Leases, and what was seen before, in memory."""

from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.storage.memory_time import Timed, whole


class MemoryLeases(Timed):
    """`gateway.jobs.ports`: Leases and SeenOnce."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        Timed.__init__(self, now)
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._seen: dict[str, datetime] = {}

    async def hold(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Take or extend the lease *name*; False where another holder has it."""
        has_it, until = self._leases.get(name, (holder, self._now()))
        if has_it != holder and until > self._now():
            return False
        self._leases[name] = (holder, self._now() + whole(ttl, least=1))
        return True

    async def is_held(self, name: str) -> bool:
        """Return whether anybody has the lease *name* now."""
        return name in self._leases and self._leases[name][1] > self._now()

    async def let_go(self, name: str, holder: str) -> None:
        """Give the lease back, if *holder* has it."""
        if self._leases.get(name, (None,))[0] == holder:
            del self._leases[name]

    async def first_time(self, key: str, ttl: timedelta) -> bool:
        """Return True the first time *key* is seen within *ttl*, False ever after."""
        if key in self._seen and self._seen[key] > self._now():
            return False
        self._seen[key] = self._now() + whole(ttl, least=1)
        return True
