"""What the API asks of storage, and of the runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.api.keys import ApiKey


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of a limit is used: `remaining` requests of `limit` a minute; `reset_s` until there are more."""

    limit: int
    remaining: int
    reset_s: int

    @property
    def is_exceeded(self) -> bool:
        """Whether this request was one too many."""
        return self.remaining < 0


@dataclass(frozen=True, slots=True)
class Presented:
    """What stands behind a token, and how the limits of its key and its tenant stand with this request counted."""

    key: ApiKey
    of_key: Rate
    of_tenant: Rate


@dataclass(frozen=True, slots=True)
class KeyListed:
    """A key as it is listed. `last_used_at` is right to a minute."""

    key: ApiKey
    last_used_at: datetime | None


class Keys(Protocol):
    """Keeps API keys. Every method may raise `loops.errors.StoreUnavailable`."""

    async def present(self, token_digest: str, *, key_limit: int, tenant_limit: int) -> Presented | None:
        """
        Return the key with this token, its use counted and noted, or None; in one round trip.

        Limits are requests a minute over a sliding window; a key's own limit comes before *key_limit*. A request over
        either limit is counted against neither.
        """

    async def save(self, key: ApiKey) -> None:
        """Keep *key*, found by its tokens; tokens it no longer has are forgotten."""

    async def key(self, tenant: str, key_id: str) -> ApiKey | None:
        """Return one key."""

    async def all(self, tenant: str) -> Sequence[KeyListed]:
        """Return every key of *tenant*, the oldest first, revoked ones included."""
