"""Subscriptions to a tenant's events, in Redis."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from gateway.api.subscription import Progress, Subscription
from gateway.api.subscription_ports import Subscribed
from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors


class RedisSubscriptions:
    """`gateway.api.subscription_ports.Subscriptions`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._note: Script = script(client, "subscription")

    async def add(self, subscribed: Subscribed) -> None:
        """Keep a new one."""
        subscription = subscribed.subscription
        owner = keys.pair(subscription.tenant, subscription.subscription_id)
        fields: dict[Any, Any] = {"b": subscription.model_dump_json(), "p": subscribed.progress.model_dump_json()}
        with store_errors():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hset(keys.SUBSCRIPTION + owner, mapping=fields)
                pipeline.zadd(keys.SUBSCRIPTIONS, {owner: 0})
                await pipeline.execute()

    async def change(self, subscription: Subscription) -> None:
        """Keep *subscription* as it is now, where there is one; its progress stays."""
        owner = keys.pair(subscription.tenant, subscription.subscription_id)
        with store_errors():
            await self._note(owner, "b", subscription.model_dump_json())

    async def note(self, tenant: str, subscription_id: str, progress: Progress) -> None:
        """Keep how far it is, where there is such a subscription."""
        with store_errors():
            await self._note(keys.pair(tenant, subscription_id), "p", progress.model_dump_json())

    async def remove(self, tenant: str, subscription_id: str) -> None:
        """Forget one."""
        owner = keys.pair(tenant, subscription_id)
        with store_errors():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.delete(keys.SUBSCRIPTION + owner)
                pipeline.zrem(keys.SUBSCRIPTIONS, owner)
                await pipeline.execute()

    async def find(self, tenant: str, subscription_id: str) -> Subscribed | None:
        """Return one."""
        return next(iter(await self._read([keys.pair(tenant, subscription_id)])), None)

    async def of_tenant(self, tenant: str) -> Sequence[Subscribed]:
        """Return those of *tenant*, the oldest first."""
        # A part never holds a colon, and ";" comes right after it.
        first, last = f"[{keys.part(tenant)}:", f"({keys.part(tenant)};"
        with store_errors():
            members: Any = await self._client.zrangebylex(keys.SUBSCRIPTIONS, first, last)
        found = await self._read([member.decode() for member in members])
        return sorted(found, key=lambda each: each.subscription.created_at)

    async def every(self) -> Sequence[Subscribed]:
        """Return those of all tenants."""
        with store_errors():
            members: Any = await self._client.zrange(keys.SUBSCRIPTIONS, 0, -1)
        return await self._read([member.decode() for member in members])

    async def _read(self, owners: Sequence[str]) -> list[Subscribed]:
        if not owners:
            return []
        with store_errors():
            async with self._client.pipeline(transaction=False) as pipeline:
                for owner in owners:
                    pipeline.hmget(keys.SUBSCRIPTION + owner, ["b", "p"])
                found: Any = await pipeline.execute()
        return [
            Subscribed(Subscription.model_validate_json(body), Progress.model_validate_json(progress))
            for body, progress in found
            if body
        ]
