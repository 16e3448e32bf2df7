"""Effects in Redis: claims with leases and fences, retries, and what the sweep puts back into the outbox."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from redis.asyncio import Redis

from gateway.jobs.ports import Claim, EffectRecord
from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import EFFECT_GRACE, milliseconds
from loops.effects import Effect


class RedisEffects:
    """`gateway.jobs.ports.Effects`. Every time is the server's own clock, in milliseconds."""

    def __init__(self, client: "Redis") -> None:
        self._claim: Script = script(client, "claim")
        self._renew: Script = script(client, "renew")
        self._close: Script = script(client, "close")
        self._retry: Script = script(client, "retry")
        self._requeue: Script = script(client, "requeue")
        self._read: Script = script(client, "effects")
        self._revive: Script = script(client, "revive")

    async def claim(self, effect_id: str, *, lease: timedelta) -> Claim | None:
        """Take the effect, or return None: it is finished, unknown, waits for its retry, or somebody holds it."""
        with store_errors():
            found = await self._claim(keys.part(effect_id), milliseconds(lease))
        if found is None:
            return None
        body, fence, attempt = found
        return Claim(effect=Effect.model_validate_json(body), fence=fence, attempt=attempt)

    async def renew(self, effect_id: str, fence: int, *, lease: timedelta) -> bool:
        """Extend a lease that is still held under *fence*; False where it is over, or not."""
        with store_errors():
            return bool(await self._renew(keys.part(effect_id), fence, milliseconds(lease)))

    async def finish(self, effect_id: str, fence: int, detail: Mapping[str, Any]) -> bool:
        """Mark an effect succeeded that leaves no ledger entry; False under a stale *fence*."""
        return await self._closed(effect_id, fence, "succeeded", detail=json.dumps(dict(detail)))

    async def retry(self, effect_id: str, fence: int, *, after: timedelta, error: str) -> bool:
        """Give the effect back to be tried again *after*; False under a stale *fence*."""
        with store_errors():
            return bool(await self._retry(keys.part(effect_id), fence, milliseconds(after), _text(error)))

    async def bury(self, effect_id: str, fence: int, *, error: str) -> bool:
        """Mark the effect dead: nobody tries again by itself; False under a stale *fence*."""
        return await self._closed(effect_id, fence, "dead", error=error)

    async def revive(self, effect_id: str, *, grace: timedelta = EFFECT_GRACE) -> bool:
        """Put a dead effect into the outbox once more, due again after *grace*; False where it is not dead."""
        with store_errors():
            return bool(await self._revive(keys.part(effect_id), milliseconds(grace)))

    async def requeue_overdue(self, *, grace: timedelta, limit: int = 100) -> Sequence[str]:
        """
        Put effects whose time has come into the outbox, each due again after *grace*; return their ids.

        One that still stands in the outbox is not put there twice, and is among the ids all the same.
        """
        if limit <= 0:
            return []
        with store_errors():
            overdue = await self._requeue(milliseconds(grace), limit)
        return [keys.unpart(effect.decode()) for effect in overdue]

    async def effect(self, effect_id: str) -> EffectRecord | None:
        """Return how far one effect got."""
        with store_errors():
            found = await self._read("", keys.part(effect_id))
        return _record(found[0]) if found else None

    async def effects_of(self, tenant: str, instance_id: str) -> Sequence[EffectRecord]:
        """Return every effect of one instance, oldest first."""
        with store_errors():
            found = await self._read(keys.part(tenant), keys.part(instance_id))
        return [_record(fields) for fields in found]

    async def _closed(
        self, effect_id: str, fence: int, state: Literal["succeeded", "dead"], *, error: str = "", detail: str = ""
    ) -> bool:
        with store_errors():
            return bool(await self._close(keys.part(effect_id), fence, state, _text(error), detail))


def _text(error: str) -> bytes:
    # An error text may quote anything, lone surrogates included; it must not fail to be written down.
    return error.encode(errors="replace")


def _record(fields: list[Any]) -> EffectRecord:
    body, state, fence, attempts, error, detail, due_ms = fields
    return EffectRecord(
        effect=Effect.model_validate_json(body),
        state=state.decode(),
        fence=int(fence),
        attempts=int(attempts),
        error=None if error is None else error.decode(),
        detail=None if detail is None else json.loads(detail),
        next_at=None if due_ms is None else datetime.fromtimestamp(float(due_ms) / 1000, UTC),
    )
