"""API keys in Redis, and how much of their limits is used."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from gateway.api.keys import ApiKey
from gateway.api.ports import KeyListed, Presented, Rate
from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors


class RedisApiKeys:
    """`gateway.api.ports.Keys`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._present: Script = script(client, "present")

    async def present(self, token_digest: str, *, key_limit: int, tenant_limit: int) -> Presented | None:
        """Return the key with this token, its use counted and noted, or None."""
        with store_errors():
            found: list[Any] = await self._present(keys.part(token_digest), key_limit, tenant_limit)
        if not found:
            return None
        body, *figures = found
        return Presented(ApiKey.model_validate_json(body), Rate(*figures[:3]), Rate(*figures[3:]))

    async def save(self, key: ApiKey) -> None:
        """Keep *key*, found by its tokens; tokens it no longer has are forgotten."""
        owner = keys.pair(key.tenant, key.key_id)
        before = await self.key(key.tenant, key.key_id)
        with store_errors():
            async with self._client.pipeline(transaction=True) as pipeline:
                for digest in _digests(before) - _digests(key):
                    pipeline.delete(keys.API_TOKEN + keys.part(digest))
                for digest in _digests(key):
                    pipeline.set(keys.API_TOKEN + keys.part(digest), owner)
                pipeline.hset(keys.API_KEY + owner, "b", key.model_dump_json(exclude_none=True))
                pipeline.zadd(keys.API_KEYS + keys.part(key.tenant), {keys.part(key.key_id): 0})
                await pipeline.execute()

    async def key(self, tenant: str, key_id: str) -> ApiKey | None:
        """Return one key."""
        with store_errors():
            body = await self._client.hget(keys.API_KEY + keys.pair(tenant, key_id), "b")
        return None if body is None else ApiKey.model_validate_json(body)

    async def all(self, tenant: str) -> Sequence[KeyListed]:
        """Return every key of *tenant*, the oldest first, revoked ones included."""
        with store_errors():
            members: Any = await self._client.zrange(keys.API_KEYS + keys.part(tenant), 0, -1)
            async with self._client.pipeline(transaction=False) as pipeline:
                for member in members:
                    pipeline.hmget(f"{keys.API_KEY}{keys.part(tenant)}:{member.decode()}", ["b", "u"])
                found: Any = await pipeline.execute()
        return sorted((_listed(*row) for row in found if row[0]), key=lambda listed: listed.key.created_at)


def _digests(key: ApiKey | None) -> set[str]:
    return {digest for digest in (key.token_digest, key.former_digest) if digest} if key else set()


def _listed(body: bytes, used: bytes | None) -> KeyListed:
    at = datetime.fromtimestamp(int(used) / 1_000, UTC) if used else None
    return KeyListed(ApiKey.model_validate_json(body), at)
