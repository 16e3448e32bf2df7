"""What subscriptions need of storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.api.subscription import Progress, Subscription


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription, and how far its deliveries are."""

    subscription: Subscription
    progress: Progress


class Subscriptions(Protocol):
    """Keeps subscriptions. Every method may raise `loops.errors.StoreUnavailable`."""

    async def add(self, subscribed: Subscribed) -> None:
        """Keep a new one."""

    async def change(self, subscription: Subscription) -> None:
        """Keep *subscription* as it is now, where there is one; its progress stays."""

    async def note(self, tenant: str, subscription_id: str, progress: Progress) -> None:
        """Keep how far it is, where there is such a subscription."""

    async def remove(self, tenant: str, subscription_id: str) -> None:
        """Forget one."""

    async def find(self, tenant: str, subscription_id: str) -> Subscribed | None:
        """Return one."""

    async def of_tenant(self, tenant: str) -> Sequence[Subscribed]:
        """Return those of *tenant*, the oldest first."""

    async def every(self) -> Sequence[Subscribed]:
        """Return those of all tenants."""
