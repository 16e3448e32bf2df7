"""What the API asks of storage, and of the runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.api.keys import ApiKey
from loops.events import Event


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


@dataclass(frozen=True, slots=True)
class Followed:
    """An event as somebody who follows sees it. `cursor` is what they go on after."""

    cursor: str
    event: Event


@dataclass(frozen=True, slots=True)
class FeedPage:
    """
    Events in the order of their commits; within one ledger, in its order.

    `is_gap` says that the cursor is older than what is kept: some events after it are not here, and must be read from
    their ledgers.
    """

    events: tuple[Followed, ...]
    is_gap: bool


class Feed(Protocol):
    """What was committed in a tenant, in order, for those who follow. May raise `loops.errors.StoreUnavailable`."""

    async def read(self, tenant: str, *, after: str, limit: int) -> FeedPage:
        """
        Return about *limit* events after the cursor *after*: a commit is not cut.

        Raises:
            Rejected: If *after* is not a cursor.
        """

    async def last(self, tenant: str) -> str:
        """Return the cursor of the latest event, or the one before the first."""

    async def news(self, tenants: Sequence[str], after: dict[str, str]) -> dict[str, str]:
        """
        Return those of *tenants* that have something after the positions *after*, with their latest position.

        Waits up to a second for the first one.
        """
