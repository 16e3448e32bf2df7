"""API keys in memory: for tests, and the API tried out."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gateway.api.keys import ApiKey
from gateway.api.ports import KeyListed, Presented, Rate


class MemoryApiKeys:
    """`gateway.api.ports.Keys`, with the same sliding window as the Redis one: two counters a minute apart."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._keys: dict[tuple[str, str], ApiKey] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self._used: dict[tuple[str, str], datetime] = {}
        self._counts: defaultdict[tuple[str, int], int] = defaultdict(int)

    async def present(self, token_digest: str, *, key_limit: int, tenant_limit: int) -> Presented | None:
        """Return the key with this token, its use counted and noted, or None."""
        owner = self._tokens.get(token_digest)
        if owner is None:
            return None
        key, now = self._keys[owner], self._now()
        names = (f"key:{owner}", f"tenant:{key.tenant}")
        limits = (key.limit or key_limit, tenant_limit)
        rates = [self._rate(name, limit, now) for name, limit in zip(names, limits, strict=True)]
        if not any(rate.is_exceeded for rate in rates):
            for name in names:
                self._counts[name, _window(now)] += 1
        last = self._used.get(owner)
        if last is None or (now - last).total_seconds() > 60:
            self._used[owner] = now
        return Presented(key, *rates)

    async def save(self, key: ApiKey) -> None:
        """Keep *key*, found by its tokens; tokens it no longer has are forgotten."""
        owner = (key.tenant, key.key_id)
        self._tokens = {digest: held for digest, held in self._tokens.items() if held != owner}
        self._tokens |= {digest: owner for digest in (key.token_digest, key.former_digest) if digest}
        self._keys[owner] = key

    async def key(self, tenant: str, key_id: str) -> ApiKey | None:
        """Return one key."""
        return self._keys.get((tenant, key_id))

    async def all(self, tenant: str) -> Sequence[KeyListed]:
        """Return every key of *tenant*, the oldest first, revoked ones included."""
        found = [KeyListed(key, self._used.get(owner)) for owner, key in self._keys.items() if owner[0] == tenant]
        return sorted(found, key=lambda listed: listed.key.created_at)

    def _rate(self, name: str, limit: int, now: datetime) -> Rate:
        past = now.timestamp() % 60 / 60
        used = int(self._counts[name, _window(now) - 1] * (1 - past)) + self._counts[name, _window(now)]
        return Rate(limit, limit - used - 1, -int(-(1 - past) * 60 // 1))


def _window(now: datetime) -> int:
    return int(now.timestamp() // 60)
