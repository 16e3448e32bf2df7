"""
The in-memory store: the storage ports of one commit in one object, for tests of loops and of what stands on them.

For one event loop; nothing is kept when the process ends. What is kept is frozen or the JSON that Redis would keep,
so what comes back is what came in and nobody's later change to a dict reaches it. Each port but the store's own is a
part in a module of its own; here is what a commit writes to all of them.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.storage.cursors import (
    KEPT_OF_PERSON,
    check_cursor,
    index_member,
    is_listed_open,
    page_size,
    person_members,
    request_member,
)
from gateway.storage.frozen import frozen
from gateway.storage.ledgers import stored_events
from gateway.storage.memory_cards import MemoryCards
from gateway.storage.memory_checkpoints import MemoryCheckpoints
from gateway.storage.memory_effects import MemoryEffects
from gateway.storage.memory_leases import MemoryLeases
from gateway.storage.spans import BEHIND_AFTER, EFFECT_GRACE, IDEMPOTENCY_TTL
from loops.actors import folded
from loops.approvals import ApprovalRequest
from loops.commit import Commit, IdempotencyRecord
from loops.deadlines import Deadline
from loops.definition import LoopDefinition
from loops.errors import Rejected
from loops.events import Event
from loops.instance import LoopInstance
from loops.ports import Conflict, Loaded, Repeated, StaleClaim, Stored

#: A tenant and an id of that tenant.
_Scoped = tuple[str, str]


class MemoryStore(MemoryEffects, MemoryCards, MemoryLeases, MemoryCheckpoints):
    """
    `loops.ports.Store`, `gateway.jobs.ports.Deadlines`, and the ports of its parts.

    *now* is the clock of leases and times to live: pass one that a test moves on.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        effect_grace: timedelta = EFFECT_GRACE,
        behind_after: timedelta = BEHIND_AFTER,
    ) -> None:
        MemoryEffects.__init__(self, now, effect_grace)
        MemoryCards.__init__(self, now, behind_after)
        MemoryLeases.__init__(self, now)
        MemoryCheckpoints.__init__(self)
        self._instances: dict[_Scoped, LoopInstance] = {}
        self._ledgers: defaultdict[_Scoped, list[bytes]] = defaultdict(list)
        self._requests: dict[_Scoped, tuple[str, ApprovalRequest]] = {}
        self._runs: defaultdict[_Scoped, list[str]] = defaultdict(list)
        self._definitions: dict[str, LoopDefinition] = {}
        self._idempotency: dict[_Scoped, tuple[datetime, str]] = {}
        self._deadlines: dict[_Scoped, tuple[datetime, str]] = {}
        self._committed: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)

    def committed(self, tenant: str) -> Sequence[tuple[str, int, int]]:
        """Return a tenant's commits in order: the instance, the sequence of its last event, how many it had."""
        return self._committed.get(tenant, ())

    def latest_run(self, tenant: str, aggregate_id: str) -> str | None:
        """Return the latest instance on a business object, archived or not."""
        runs = self._runs.get((tenant, aggregate_id))
        return runs[-1] if runs else None

    def closed_places(self, tenant: str) -> Sequence[str]:
        """Return the places of closed instances, first closed first."""
        return sorted(
            index_member(each)
            for (owner, _), each in self._instances.items()
            if owner == tenant and not is_listed_open(each)
        )

    def drop(self, tenant: str, instance_id: str, version: int, sequence: int, requests: Sequence[str]) -> str | None:
        """Forget all of an instance and return its place; None where it is open, moved on, or has work left."""
        owner = (tenant, instance_id)
        instance, effects = self._instances.get(owner), self._of(tenant, instance_id)
        if instance is None or is_listed_open(instance) or instance.version != version:
            return None
        if len(self._ledgers.get(owner, [])) != sequence or instance_id in self._moved.get(tenant, ()):
            return None
        if any(each.state not in {"succeeded", "cancelled"} for each in effects):
            return None
        for request_id in requests:
            self._requests.pop((tenant, request_id), None)
            self.drop_cards(tenant, request_id)
        self.drop_effects(tenant, instance_id)
        del self._instances[owner], self._ledgers[owner]
        return index_member(instance)

    async def load(self, tenant: str, instance_id: str) -> Loaded | None:
        """Return the instance *instance_id*, open or closed."""
        return self._loaded(tenant, instance_id)

    async def load_aggregate(self, tenant: str, aggregate_id: str) -> Loaded | None:
        """Return the latest instance on the business object *aggregate_id*, open or closed."""
        runs = self._runs.get((tenant, aggregate_id))
        return self._loaded(tenant, runs[-1]) if runs else None

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with *that* request."""
        if (tenant, request_id) not in self._requests:
            return None
        return self._loaded(tenant, self._requests[tenant, request_id][0], request_id)

    async def commit(self, commit: Commit) -> Stored | Conflict | Repeated | StaleClaim:
        """Write all of *commit*, or nothing. The idempotency key is looked at first."""
        stale = StaleClaim() if self.has_stale_claims(commit) else None
        refusal = self._repeated(commit) or stale or self._conflict(commit)
        if refusal is None:
            self._write(commit)
        return refusal or Stored()

    async def events(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Return up to *limit* events of one ledger with a sequence greater than *after*, in order."""
        return stored_events(await self.lines(tenant, instance_id, after=after, limit=limit))

    async def lines(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[bytes]:
        """Return the stored lines of the same stretch, as they are."""
        first = max(0, after)
        return self._ledgers.get((tenant, instance_id), [])[first : first + max(0, limit)]

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
        before = check_cursor(cursor) if cursor else None
        found = sorted(
            (
                (index_member(instance), instance)
                for (owner, _), instance in self._instances.items()
                if owner == tenant and is_listed_open(instance) is not closed and state in {None, "", instance.state}
            ),
            key=lambda pair: pair[0],
            reverse=True,
        )
        following = [pair for pair in found if before is None or pair[0] < before]
        page = following[: page_size(limit)]
        return [instance for _, instance in page], page[-1][0] if len(following) > len(page) else None

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
        before = check_cursor(cursor) if cursor else None
        part, person = ("asked" if asked_by else "decided"), folded(asked_by or decided_by or "")
        found: list[tuple[str, str, str]] = []
        for (owner, request_id), (instance_id, request) in self._requests.items():
            if owner != tenant:
                continue
            if person:
                listed = [member for role, who, member in person_members(request) if (role, who) == (part, person)]
                found += [(member, instance_id, request_id) for member in listed]
            elif request.is_open:
                found.append((request_member(request), instance_id, request_id))
        found.sort(reverse=True)
        if person:
            del found[KEPT_OF_PERSON:]
        following = [each for each in found if before is None or each[0] < before]
        page = following[: page_size(limit)]
        loaded = [self._loaded(tenant, instance_id, request_id) for _, instance_id, request_id in page]
        return [each for each in loaded if each], page[-1][0] if len(following) > len(page) else None

    async def due(self, now: datetime, *, limit: int = 100, held_until: datetime | None = None) -> Sequence[Deadline]:
        """Return deadlines due at *now*, earliest first; with *held_until* they are the caller's alone until then."""
        found = [(at, key) for key, (at, _) in self._deadlines.items() if at <= now]
        taken = [key for _, key in sorted(found)[: max(0, limit)]]
        bodies = [self._deadlines[key][1] for key in taken]
        if held_until:
            self._deadlines.update((key, (held_until, body)) for key, body in zip(taken, bodies, strict=True))
        return [Deadline.model_validate_json(body) for body in bodies]

    async def let_rest(self, deadline: Deadline, *, held_until: datetime, until: datetime) -> None:
        """Leave a deadline be until *until* that is the caller's until *held_until*; one that was set anew stays."""
        key = (deadline.tenant, deadline.deadline_id)
        at, body = self._deadlines.get(key, (None, ""))
        if at == held_until:
            self._deadlines[key] = (until, body)

    def _loaded(self, tenant: str, instance_id: str, request_id: str | None = None) -> Loaded | None:
        instance = self._instances.get((tenant, instance_id))
        if instance is None:
            return None
        if instance.definition_digest not in self._definitions:
            raise Rejected(
                f"the definition {instance.definition_digest} is pinned by an instance and missing in the store"
            )
        _, request = self._requests.get((tenant, request_id or instance.request_id or ""), (None, None))
        return Loaded(
            instance=instance,
            definition=self._definitions[instance.definition_digest],
            request=request,
        )

    def _repeated(self, commit: Commit) -> Repeated | None:
        if commit.idempotency is None:
            return None
        until, body = self._idempotency.get((commit.instance.tenant, commit.idempotency.key), (self._now(), ""))
        if until <= self._now():
            return None
        kept = IdempotencyRecord.model_validate_json(body)
        return Repeated(kept.answer if kept.body_digest == commit.idempotency.body_digest else None)

    def _conflict(self, commit: Commit) -> Conflict | None:
        instance = commit.instance
        stored = self._instances.get((instance.tenant, instance.instance_id))
        if instance.version != 1:
            fits = stored is not None and stored.version == instance.version - 1
            return None if fits else Conflict()
        runs = self._runs.get((instance.tenant, instance.aggregate_id))
        current = self._instances.get((instance.tenant, runs[-1])) if runs else None
        is_free = current is None or not is_listed_open(current)
        return None if stored is None and is_free else Conflict()

    def _write(self, commit: Commit) -> None:
        instance = commit.instance
        owner = (instance.tenant, instance.instance_id)
        self._instances[owner] = frozen(instance, self._instances.get(owner))
        if instance.version == 1:
            self._runs[instance.tenant, instance.aggregate_id].append(instance.instance_id)
        for request in commit.requests:
            self._requests[instance.tenant, request.request_id] = (instance.instance_id, frozen(request))
        if commit.definition is not None:
            # Read back once, as a server would give it; it never changes under its digest.
            pinned = LoopDefinition.model_validate_json(_body(commit.definition))
            self._definitions.setdefault(commit.definition.digest, pinned)
        if commit.idempotency is not None:
            record = (self._now() + IDEMPOTENCY_TTL, _body(commit.idempotency))
            self._idempotency[instance.tenant, commit.idempotency.key] = record
        self._ledgers[owner] += [each.line for each in commit.sealed]
        if commit.sealed:
            sequence = len(self._ledgers[owner])
            self.move(instance.tenant, instance.instance_id, sequence)
            self._committed[instance.tenant].append((instance.instance_id, sequence, len(commit.sealed)))
        self.write_effects(commit)
        self.expect_cards(commit)
        for deadline_id in commit.cleared_deadlines:
            self._deadlines.pop((instance.tenant, deadline_id), None)
        for deadline in commit.deadlines:
            self._deadlines[deadline.tenant, deadline.deadline_id] = (deadline.due_at, _body(deadline))


def _body(value: Any) -> str:
    body: str = value.model_dump_json(exclude_none=True)
    return body
