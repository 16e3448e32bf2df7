"""The Redis store of instances, ledgers and requests: `loops.ports.Store`, one round trip per call."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.asked import cards_asked_for
from gateway.storage.cursors import (
    KEPT_OF_PERSON,
    check_cursor,
    index_member,
    is_listed_open,
    page_size,
    person_members,
    request_member,
)
from gateway.storage.durability import LOCAL, Durability, DurableScript
from gateway.storage.feeds import FEED_KEPT
from gateway.storage.ledgers import stored_events
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import BEHIND_AFTER, EFFECT_GRACE, IDEMPOTENCY_TTL, microseconds, milliseconds
from loops.actors import folded
from loops.approvals import ApprovalRequest
from loops.commit import Commit, IdempotencyRecord
from loops.definition import LoopDefinition
from loops.errors import Rejected
from loops.events import Event
from loops.instance import LoopInstance
from loops.ports import Conflict, Loaded, Repeated, StaleClaim, Stored

#: Parsed definitions kept in the process; one is some ten kilobytes.
_DEFINITIONS_KEPT = 256


class RedisStore:
    """`loops.ports.Store` on Redis >= 7.0 or Valkey. *client* is one made by `gateway.storage.connect.connect`."""

    def __init__(
        self,
        client: "Redis",
        *,
        effect_grace: timedelta = EFFECT_GRACE,
        behind_after: timedelta = BEHIND_AFTER,
        durability: Durability = LOCAL,
    ) -> None:
        self._client = client
        self._grace_ms = milliseconds(effect_grace)
        self._behind_ms = milliseconds(behind_after)
        self._load: Script = script(client, "load")
        self._commit = DurableScript(client, "commit", durability)
        self._page: Script = script(client, "page")
        self._requests: Script = script(client, "requests")
        self._definitions: OrderedDict[str, LoopDefinition] = OrderedDict()

    async def load(self, tenant: str, instance_id: str) -> Loaded | None:
        """Return the instance *instance_id*, open or closed."""
        return await self._loaded("instance", tenant, instance_id)

    async def load_aggregate(self, tenant: str, aggregate_id: str) -> Loaded | None:
        """Return the latest instance on the business object *aggregate_id*, open or closed."""
        return await self._loaded("aggregate", tenant, aggregate_id)

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with *that* request."""
        return await self._loaded("request", tenant, request_id)

    async def commit(self, commit: Commit) -> Stored | Conflict | Repeated | StaleClaim:
        """
        Write all of *commit* in one script call, or nothing.

        A commit with an idempotency record is sent once more when the connection breaks under it: the record tells
        whether the first one arrived. Any other error leaves the result unknown, as `StoreUnavailable` says. An answer
        given before is given again only once that one is as durable as a new one.
        """
        args = _arguments(commit, self._grace_ms, self._behind_ms)
        sent_before = False
        with store_errors():
            try:
                reply = await self._commit(*args)
            except redis_errors.ConnectionError:
                if commit.idempotency is None:
                    raise
                sent_before = True
                reply = await self._commit(*args)
            if reply[0] == b"repeated":
                await self._commit.confirm()
        return _answer(reply, commit, sent_before=sent_before)

    async def events(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Return up to *limit* events of one ledger with a sequence greater than *after*, in order."""
        return stored_events(await self.lines(tenant, instance_id, after=after, limit=limit))

    async def lines(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[bytes]:
        """Return the stored lines of the same stretch, as they are."""
        first = max(0, after)
        if limit <= 0:
            return []
        with store_errors():
            found: Any = await self._client.lrange(
                keys.LEDGER + keys.pair(tenant, instance_id), first, first + limit - 1
            )
        return list(found)

    async def instances(
        self,
        tenant: str,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        closed: bool = False,
    ) -> tuple[Sequence[LoopInstance], str | None]:
        """
        Return a page of open or *closed* instances, newest first, all or those in *state*, and the next cursor.

        Raises:
            Rejected: If *cursor* is not one that this listing gave.
        """
        after = check_cursor(cursor) if cursor else ""
        where = keys.part(state) if state else ""
        with store_errors():
            following, *bodies = await self._page(keys.part(tenant), where, after, page_size(limit), int(closed))
        found = [LoopInstance.model_validate_json(body) for body in bodies if body]
        return found, following.decode() or None

    async def requests(
        self,
        tenant: str,
        *,
        asked_by: str | None = None,
        decided_by: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[Sequence[Loaded], str | None]:
        """
        Return a page of open requests, or of those a person asked for or decided, newest first, and the next cursor.

        Raises:
            Rejected: If *cursor* is not one that this listing gave.
        """
        after = check_cursor(cursor) if cursor else ""
        what = "asked" if asked_by else "decided" if decided_by else "open"
        person = keys.part(folded(asked_by or decided_by or ""))
        with store_errors():
            following, *found = await self._requests(keys.part(tenant), what, person, after, page_size(limit))
        return [await self._read(each) for each in found], following.decode() or None

    async def _loaded(self, what: str, tenant: str, thing: str) -> Loaded | None:
        with store_errors():
            found = await self._load(what, keys.part(tenant), keys.part(thing))
        return None if found is None else await self._read(found)

    async def _read(self, found: Sequence[Any]) -> Loaded:
        instance, digest, request = found
        return Loaded(
            instance=LoopInstance.model_validate_json(instance),
            definition=await self._definition(digest.decode()),
            request=ApprovalRequest.model_validate_json(request) if request else None,
        )

    async def _definition(self, digest: str) -> LoopDefinition:
        """Return a pinned definition; it never changes under its digest, so it is read once per process."""
        known = self._definitions.get(digest)
        if known is None:
            with store_errors():
                body = await self._client.get(keys.DEFINITION + keys.part(digest))
            if body is None:
                raise Rejected(f"the definition {digest} is pinned by an instance and missing in the store")
            known = self._definitions[digest] = LoopDefinition.model_validate_json(body)
            if len(self._definitions) > _DEFINITIONS_KEPT:
                self._definitions.popitem(last=False)
        else:
            self._definitions.move_to_end(digest)
        return known


def _answer(reply: list[bytes], commit: Commit, *, sent_before: bool) -> Stored | Conflict | Repeated | StaleClaim:
    match reply:
        case [b"stored"]:
            return Stored()
        case [b"conflict"]:
            return Conflict()
        case [b"stale"]:
            return StaleClaim()
        case [b"repeated", record]:
            kept = IdempotencyRecord.model_validate_json(record)
            ours = commit.idempotency
            if sent_before and ours is not None and record == _body(ours):
                return Stored()  # the first sending arrived; no other commit has this answer to the microsecond
            return Repeated(kept.answer if ours is not None and kept.body_digest == ours.body_digest else None)
        case _:
            raise Rejected(f"the commit script answered {reply!r}; is another version of Loopgate using this store?")


def _arguments(commit: Commit, grace_ms: int, behind_ms: int) -> list[str | bytes]:
    """Return the script's arguments: one header, then bodies, in the order `commit.lua` takes them."""
    instance = commit.instance
    header: dict[str, Any] = {
        "t": keys.part(instance.tenant),
        "i": keys.part(instance.instance_id),
        "a": keys.part(instance.aggregate_id),
        "v": instance.version,
        "s": keys.part(instance.state),
        "o": is_listed_open(instance),
        "k": index_member(instance),
        "d": instance.definition_digest,
        "r": keys.part(instance.request_id) if instance.request_id else "",
        "requests": [_listed(request) for request in commit.requests],
        "kept": KEPT_OF_PERSON,
        "events": len(commit.sealed),
        "feed": FEED_KEPT,
        "effects": [[keys.part(effect.effect_id), effect.kind] for effect in commit.effects],
        "revived": [keys.part(effect_id) for effect_id in commit.revived],
        "abandoned": [keys.part(effect_id) for effect_id in commit.abandoned],
        "cancels": commit.cancelled_kinds,
        "grace": grace_ms,
        "cards": [keys.part(request_id) for request_id in cards_asked_for(commit)],
        "behind": behind_ms,
        "deadlines": [
            [keys.pair(deadline.tenant, deadline.deadline_id), str(microseconds(deadline.due_at))]
            for deadline in commit.deadlines
        ],
        "cleared": [keys.pair(instance.tenant, deadline_id) for deadline_id in commit.cleared_deadlines],
    }
    bodies = [_body(instance), *map(_body, commit.requests)]
    if commit.definition is not None:
        header["pin"] = keys.part(commit.definition.digest)
        bodies.append(_body(commit.definition))
    if commit.idempotency is not None:
        header["idempotency"] = keys.bounded_part(commit.idempotency.key)
        header["ttl"] = milliseconds(IDEMPOTENCY_TTL)
        bodies.append(_body(commit.idempotency))
    if commit.settled is not None:
        header["settled"] = {
            "e": keys.part(commit.settled.effect_id),
            "f": commit.settled.fence,
            "s": commit.settled.state,
        }
        bodies.append(json.dumps(commit.settled.detail).encode())
    bodies += [each.line for each in commit.sealed]
    bodies += map(_body, (*commit.effects, *commit.deadlines))
    return [json.dumps(header, separators=(",", ":")), *bodies]


def _listed(request: ApprovalRequest) -> dict[str, Any]:
    """Return a request's part of the header: where it stands in which list."""
    return {
        "r": keys.part(request.request_id),
        "o": request.is_open,
        "k": request_member(request),
        "w": [[part, keys.part(person), member] for part, person, member in person_members(request)],
    }


def _body(value: Any) -> bytes:
    body: str = value.model_dump_json(exclude_none=True)
    return body.encode()
