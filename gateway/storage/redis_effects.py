"""Effects in Redis: claims with leases and fences, retries, and what the sweep puts back into the outbox."""

import heapq
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal, get_args

from pydantic import ValidationError
from redis.asyncio import Redis

from gateway.jobs.ports import LISTED, Backlog, Claim, EffectRecord, EffectState, Heap
from gateway.storage import keys
from gateway.storage.cursors import check_cursor, page_size
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import milliseconds
from loops.effects import Effect, EffectKind

_KINDS: tuple[EffectKind, ...] = get_args(EffectKind)


class RedisEffects:
    """`gateway.jobs.ports.Effects`. Every time is the server's own clock, in milliseconds."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._claim: Script = script(client, "claim")
        self._renew: Script = script(client, "renew")
        self._close: Script = script(client, "close")
        self._retry: Script = script(client, "retry")
        self._requeue: Script = script(client, "requeue")
        self._read: Script = script(client, "effects")
        self._backlog: Script = script(client, "backlog")

    async def claim(self, effect_id: str, *, lease: timedelta) -> Claim | None:
        """Take the effect, or return None: it is finished, unknown, waits for its retry, or somebody holds it."""
        with store_errors():
            found = await self._claim(keys.part(effect_id), milliseconds(lease))
        if found is None:
            return None
        body, fence, attempt, before, age_ms, lost, owner, kind, asked_ms, begun = found
        effect, is_readable = _effect(body, effect_id, kind, owner, asked_ms)
        return Claim(
            effect=effect,
            fence=fence,
            attempt=attempt,
            tries=attempt - before,
            age=timedelta(milliseconds=age_ms),
            lost=lost,
            may_have_acted=bool(begun),
            is_readable=is_readable,
        )

    async def renew(self, effect_id: str, fence: int, *, lease: timedelta) -> bool:
        """Extend a lease that is still held under *fence*; False where it is over, or not."""
        with store_errors():
            return bool(await self._renew(keys.part(effect_id), fence, milliseconds(lease)))

    async def finish(self, effect_id: str, fence: int, detail: Mapping[str, Any]) -> bool:
        """Mark an effect succeeded that leaves no ledger entry; False under a stale *fence*."""
        return await self._closed(effect_id, fence, "succeeded", detail=json.dumps(dict(detail)))

    async def retry(self, effect_id: str, fence: int, *, after: timedelta, error: str) -> bool:
        """Give the effect back to be tried again *after*; False under a stale *fence*."""
        return await self._given_back(effect_id, fence, after, error, "failed")

    async def put_off(self, effect_id: str, fence: int, *, after: timedelta, why: str) -> bool:
        """Give the effect back for *after* without having tried it; False under a stale *fence*."""
        return await self._given_back(effect_id, fence, after, why, "pending")

    async def bury(self, effect_id: str, fence: int, *, error: str) -> bool:
        """Mark the effect dead: nobody tries again by itself; False under a stale *fence*."""
        return await self._closed(effect_id, fence, "dead", error=error)

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

    async def listed(
        self, states: Sequence[EffectState] = LISTED, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[EffectRecord], str | None]:
        """
        Return a page of the effects in *states*, oldest first, and the next cursor.

        Raises:
            Rejected: If *cursor* is not one that this listing gave.
        """
        after, size = f"({check_cursor(cursor)}" if cursor else "-", page_size(limit)
        with store_errors():
            async with self._client.pipeline(transaction=False) as pipeline:
                for state in states:
                    for kind in _KINDS:
                        listing = f"{keys.EFFECTS_IN}{state}:{kind}"
                        pipeline.zrange(listing, after, "+", bylex=True, offset=0, num=size + 1)
                found: list[list[bytes]] = await pipeline.execute()
            members = list(islice(heapq.merge(*found), size + 1))
            ids = [member.partition(b":")[2] for member in members[:size]]
            records = [_record(fields) for fields in await self._read("", *ids)] if ids else []
        return records, members[size - 1].decode() if len(members) > size else None

    async def backlog(self) -> Backlog:
        """Return how much there is to do; costs the same however much it is."""
        listings: list[tuple[EffectState, EffectKind]] = [(state, kind) for state in LISTED for kind in _KINDS]
        with store_errors():
            outbox, *found = await self._backlog(*(f"{state}:{kind}" for state, kind in listings))
        return Backlog(
            outbox=outbox,
            heaps=tuple(
                Heap(state, kind, count, timedelta(milliseconds=age))
                for (state, kind), (count, age) in zip(listings, found, strict=True)
            ),
        )

    async def _given_back(
        self, effect_id: str, fence: int, after: timedelta, why: str, state: Literal["failed", "pending"]
    ) -> bool:
        with store_errors():
            return bool(await self._retry(keys.part(effect_id), fence, milliseconds(after), _text(why), state))

    async def _closed(
        self, effect_id: str, fence: int, state: Literal["succeeded", "dead"], *, error: str = "", detail: str = ""
    ) -> bool:
        with store_errors():
            return bool(await self._close(keys.part(effect_id), fence, state, _text(error), detail))


def _text(error: str) -> bytes:
    # An error text may quote anything, lone surrogates included; it must not fail to be written down.
    return error.encode(errors="replace")


def _record(fields: list[Any]) -> EffectRecord:
    body, state, fence, attempts, error, detail, due_ms, name, kind, member, owner = fields
    effect, _ = _effect(body, keys.unpart(name.decode()), kind, owner, member.partition(b":")[0])
    return EffectRecord(
        effect=effect,
        state=state.decode(),
        fence=int(fence),
        attempts=int(attempts),
        error=None if error is None else error.decode(),
        detail=None if detail is None else json.loads(detail),
        next_at=None if due_ms is None else _instant(due_ms),
    )


def _effect(body: bytes, effect_id: str, kind: bytes, owner: bytes, asked_ms: bytes) -> tuple[Effect, bool]:
    """Return the stored effect and True or, where it cannot be read, what is known beside its body and False."""
    try:
        return Effect.model_validate_json(body), True
    except ValidationError:
        tenant, _, instance = owner.decode().partition(":")
        return Effect(
            effect_id=effect_id,
            kind=kind.decode(),
            tenant=keys.unpart(tenant),
            instance_id=keys.unpart(instance),
            aggregate_id="",
            created_at=_instant(asked_ms),
            payload={},
        ), False


def _instant(ms: bytes) -> datetime:
    return datetime.fromtimestamp(float(ms) / 1000, UTC)
