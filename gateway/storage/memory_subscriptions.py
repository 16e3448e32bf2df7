"""Subscriptions to a tenant's events, in memory: for tests, and the API tried out."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.api.subscription import Progress, Subscription
from gateway.api.subscription_ports import Subscribed


class MemorySubscriptions:
    """`gateway.api.subscription_ports.Subscriptions`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Subscribed] = {}

    async def add(self, subscribed: Subscribed) -> None:
        """Keep a new one."""
        self._kept[subscribed.subscription.tenant, subscribed.subscription.subscription_id] = subscribed

    async def change(self, subscription: Subscription) -> None:
        """Keep *subscription* as it is now, where there is one; its progress stays."""
        owner = (subscription.tenant, subscription.subscription_id)
        if owner in self._kept:
            self._kept[owner] = replace(self._kept[owner], subscription=subscription)

    async def note(self, tenant: str, subscription_id: str, progress: Progress) -> None:
        """Keep how far it is, where there is such a subscription."""
        owner = (tenant, subscription_id)
        if owner in self._kept:
            self._kept[owner] = replace(self._kept[owner], progress=progress)

    async def remove(self, tenant: str, subscription_id: str) -> None:
        """Forget one."""
        self._kept.pop((tenant, subscription_id), None)

    async def find(self, tenant: str, subscription_id: str) -> Subscribed | None:
        """Return one."""
        return self._kept.get((tenant, subscription_id))

    async def of_tenant(self, tenant: str) -> Sequence[Subscribed]:
        """Return those of *tenant*, the oldest first."""
        found = [each for (owner, _), each in self._kept.items() if owner == tenant]
        return sorted(found, key=lambda each: each.subscription.created_at)

    async def every(self) -> Sequence[Subscribed]:
        """Return those of all tenants."""
        return list(self._kept.values())
