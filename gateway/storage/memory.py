"""
The in-memory store: every storage port in one object, for tests of loops and of what stands on them.

For one event loop; nothing is kept when the process ends. What is kept is frozen or the JSON that Redis would keep,
so what comes back is what came in and nobody's later change to a dict reaches it.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from gateway.jobs.ports import LISTED, Backlog, CardBehind, Claim, EffectRecord, EffectState, Heap, OutboxEntry
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
from gateway.storage.frozen import frozen
from gateway.storage.ledgers import stored_events
from gateway.storage.spans import (
    BEHIND_AFTER,
    BEHIND_LONGEST,
    BEHIND_LOOKS,
    EFFECT_GRACE,
    IDEMPOTENCY_TTL,
    microseconds,
    milliseconds,
)
from loops.actors import folded
from loops.approvals import ApprovalRequest
from loops.cards import Card
from loops.checkpoint import Checkpoint, checkpoint_line
from loops.commit import Commit, IdempotencyRecord
from loops.deadlines import Deadline
from loops.definition import LoopDefinition
from loops.effects import Effect, EffectKind
from loops.errors import Rejected
from loops.events import Event
from loops.instance import LoopInstance
from loops.ports import Conflict, Loaded, Repeated, StaleClaim, Stored

#: A tenant and an id of that tenant.
_Scoped = tuple[str, str]

#: States of effects that nobody holds and that are not done.
_WAITING = frozenset({"pending", "failed", "dead"})

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Kept:
    """
    One effect and how far it got.

    `not_before` ends its lease or its wait, `next_at` is None once it is finished. `asked_at` is when it was asked for,
    `since` and `before` when it was last put to work and its attempts until then, `lost` its claims in a row whose
    holder never came back. Where it `has_begun`, an attempt went as far as to act.
    """

    body: str
    kind: EffectKind
    state: EffectState
    asked_at: datetime
    next_at: datetime | None
    not_before: datetime = _LONG_AGO
    since: datetime | None = None
    before: int = 0
    lost: int = 0
    fence: int = 0
    attempts: int = 0
    has_begun: bool = False
    error: str | None = None
    detail: str | None = None

    def held_under(self, fence: int) -> bool:
        return self.state == "claimed" and self.fence == fence

    def end(self, state: EffectState, *, error: str | None = None, detail: str | None = None) -> None:
        self.state, self.error, self.detail, self.next_at, self.lost = state, error, detail, None, 0

    def cancel(self) -> None:
        self.state, self.next_at = "cancelled", None

    def give_back(self, state: EffectState, why: str, until: datetime) -> None:
        self.state, self.error, self.lost = state, why, 0
        self.not_before = self.next_at = until

    @property
    def member(self) -> str:
        effect = Effect.model_validate_json(self.body)
        return f"{microseconds(self.asked_at) // 1000:018d}:{keys.part(effect.effect_id)}"

    def record(self) -> EffectRecord:
        return EffectRecord(
            effect=Effect.model_validate_json(self.body),
            state=self.state,
            fence=self.fence,
            attempts=self.attempts,
            error=self.error,
            detail=None if self.detail is None else json.loads(self.detail),
            next_at=self.next_at,
        )


@dataclass(slots=True)
class _Behind:
    """What a card is to show, when it is looked at next, and how often it was."""

    wanted: int
    look_at: datetime
    looks: int = 0


class MemoryStore:
    """
    `loops.ports.Store` and `gateway.jobs.ports` (Effects, Cards, Deadlines, Leases, SeenOnce) in memory.

    *now* is the clock of leases and times to live: pass one that a test moves on.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        effect_grace: timedelta = EFFECT_GRACE,
        behind_after: timedelta = BEHIND_AFTER,
    ) -> None:
        self._clock = now
        self._grace = effect_grace
        self._instances: dict[_Scoped, LoopInstance] = {}
        self._ledgers: defaultdict[_Scoped, list[bytes]] = defaultdict(list)
        self._requests: dict[_Scoped, tuple[str, ApprovalRequest]] = {}
        self._runs: defaultdict[_Scoped, list[str]] = defaultdict(list)
        self._definitions: dict[str, LoopDefinition] = {}
        self._idempotency: dict[_Scoped, tuple[datetime, str]] = {}
        self._effects: dict[str, _Kept] = {}
        self._outbox: list[OutboxEntry] = []
        self._deadlines: dict[_Scoped, str] = {}
        self._cards: dict[tuple[str, str, int], str] = {}
        self._behind: dict[_Scoped, _Behind] = {}
        self._behind_after = behind_after
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._seen: dict[str, datetime] = {}
        self._moved: dict[str, set[str]] = {}
        self._committed: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
        self._checkpoints: defaultdict[str, list[bytes]] = defaultdict(list)

    @property
    def outbox(self) -> tuple[OutboxEntry, ...]:
        """What waits to be handed over, oldest first."""
        return tuple(self._outbox)

    def take_outbox(self) -> tuple[OutboxEntry, ...]:
        """Return what waits and empty the outbox, as a relay does."""
        taken = self.outbox
        self._outbox.clear()
        return taken

    def committed(self, tenant: str) -> Sequence[tuple[str, int, int]]:
        """Return a tenant's commits in order: the instance, the sequence of its last event, how many it had."""
        return self._committed.get(tenant, ())

    # -- for gateway.storage.memory_archive

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
            self._behind.pop((tenant, request_id), None)
            for card in [each for each in self._cards if each[:2] == (tenant, request_id)]:
                del self._cards[card]
        for each in effects:
            del self._effects[each.effect.effect_id]
        del self._instances[owner], self._ledgers[owner]
        return index_member(instance)

    # -- loops.ports.Store

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
        refusal = self._repeated(commit) or self._stale(commit) or self._conflict(commit)
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

    # -- gateway.jobs.ports.Effects

    async def claim(self, effect_id: str, *, lease: timedelta) -> Claim | None:
        """Take the effect, or return None: it is finished, unknown, waits for its retry, or somebody holds it."""
        kept, now = self._effects.get(effect_id), self._now()
        if kept is None or kept.state not in {"pending", "failed", "claimed"} or kept.not_before > now:
            return None
        lost = kept.lost + 1 if kept.state == "claimed" else 0
        kept.state, kept.lost = "claimed", lost
        kept.not_before = kept.next_at = now + _whole(lease)
        kept.fence += 1
        kept.attempts += 1
        return Claim(
            effect=Effect.model_validate_json(kept.body),
            fence=kept.fence,
            attempt=kept.attempts,
            tries=kept.attempts - kept.before,
            age=now - (kept.since or kept.asked_at),
            lost=lost,
            may_have_acted=kept.has_begun,
        )

    async def renew(self, effect_id: str, fence: int, *, lease: timedelta) -> bool:
        """Extend a lease that is still held under *fence*; False where it is over, or not."""
        kept, now = self._held(effect_id, fence), self._now()
        if kept is None or kept.not_before <= now:
            return False
        kept.not_before = kept.next_at = now + _whole(lease)
        return True

    async def finish(self, effect_id: str, fence: int, detail: Mapping[str, Any]) -> bool:
        """Mark an effect succeeded that leaves no ledger entry; False under a stale *fence*."""
        kept = self._held(effect_id, fence)
        if kept is not None:
            kept.end("succeeded", detail=json.dumps(dict(detail)))
        return kept is not None

    async def retry(self, effect_id: str, fence: int, *, after: timedelta, error: str) -> bool:
        """Give the effect back to be tried again *after*; False under a stale *fence*."""
        kept = self._held(effect_id, fence)
        if kept is not None:
            kept.give_back("failed", _text(error), self._now() + _whole(after))
        return kept is not None

    async def put_off(self, effect_id: str, fence: int, *, after: timedelta, why: str) -> bool:
        """Give the effect back for *after* without having tried it; False under a stale *fence*."""
        kept = self._held(effect_id, fence)
        if kept is not None:
            kept.give_back("pending", _text(why), self._now() + _whole(after))
            kept.attempts -= 1
        return kept is not None

    async def bury(self, effect_id: str, fence: int, *, error: str) -> bool:
        """Mark the effect dead: nobody tries again by itself; False under a stale *fence*."""
        kept = self._held(effect_id, fence)
        if kept is not None:
            kept.end("dead", error=_text(error))
        return kept is not None

    def begin(self, effect_id: str) -> None:
        """Note that an attempt at a claimed effect goes as far as to act."""
        self._effects[effect_id].has_begun = True

    def call(self, effect_id: str) -> bool:
        """Put an effect that waits into the outbox before its time; False where it does not wait."""
        kept = self._effects.get(effect_id)
        if kept is None or kept.state != "pending":
            return False
        kept.not_before, kept.next_at = _LONG_AGO, self._now() + self._grace
        entry = OutboxEntry(effect_id, kept.kind)
        if entry not in self._outbox:
            self._outbox.append(entry)
        return True

    async def requeue_overdue(self, *, grace: timedelta, limit: int = 100) -> Sequence[str]:
        """Put effects whose time has come into the outbox, each due again after *grace*; return their ids."""
        now = self._now()
        overdue = sorted(
            (kept.next_at, effect_id)
            for effect_id, kept in self._effects.items()
            if kept.next_at and kept.next_at <= now
        )
        ids = [effect_id for _, effect_id in overdue[: max(0, limit)]]
        for effect_id in ids:
            kept = self._effects[effect_id]
            kept.next_at = now + _whole(grace)
            entry = OutboxEntry(effect_id, kept.kind)
            if entry not in self._outbox:
                self._outbox.append(entry)
        return ids

    async def effect(self, effect_id: str) -> EffectRecord | None:
        """Return how far one effect got."""
        kept = self._effects.get(effect_id)
        return None if kept is None else kept.record()

    async def effects_of(self, tenant: str, instance_id: str) -> Sequence[EffectRecord]:
        """Return every effect of one instance, oldest first."""
        return self._of(tenant, instance_id)

    async def listed(
        self, states: Sequence[EffectState] = LISTED, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[EffectRecord], str | None]:
        """
        Return a page of the effects in *states*, oldest first, and the next cursor.

        Raises:
            Rejected: If *cursor* is not one that this listing gave.
        """
        after = check_cursor(cursor) if cursor else ""
        found = sorted(
            ((kept.member, kept) for kept in self._effects.values() if kept.state in states), key=lambda pair: pair[0]
        )
        following = [pair for pair in found if pair[0] > after]
        page = following[: page_size(limit)]
        return [kept.record() for _, kept in page], page[-1][0] if len(following) > len(page) else None

    async def backlog(self) -> Backlog:
        """Return how much there is to do."""
        now = self._now()
        heaps = []
        for state in LISTED:
            for kind in get_args(EffectKind):
                ages = [
                    now - kept.asked_at for kept in self._effects.values() if (kept.state, kept.kind) == (state, kind)
                ]
                heaps.append(Heap(state, kind, len(ages), max(ages, default=timedelta(0))))
        return Backlog(outbox=len(self._outbox), heaps=tuple(heaps))

    # -- gateway.jobs.ports: Cards, Deadlines, Leases, SeenOnce

    async def card(self, tenant: str, request_id: str, copy_number: int = 0) -> Card | None:
        """Return the posted card of a request, or one of its copies; None where it is not posted."""
        body = self._cards.get((tenant, request_id, copy_number))
        return None if body is None else Card.model_validate_json(body)

    async def save_card(self, card: Card) -> None:
        """Keep *card*; one with a lower `rendered_version` than the kept one changes nothing."""
        kept = await self.card(card.tenant, card.request_id, card.copy_number)
        if kept is None or kept.rendered_version <= card.rendered_version:
            self._cards[card.tenant, card.request_id, card.copy_number] = _body(card)
            behind = None if card.copy_number else self._behind.get((card.tenant, card.request_id))
            if behind and behind.wanted <= card.rendered_version:
                await self.put_aside(card.tenant, card.request_id)

    async def behind(self, *, limit: int = 20) -> Sequence[CardBehind]:
        """Return cards that show less than commits asked them to, each again after a pause that doubles."""
        now = self._now()
        due = sorted((behind.look_at, owner) for owner, behind in self._behind.items() if behind.look_at <= now)
        found = []
        for _, (tenant, request_id) in due[: max(0, limit)]:
            behind = self._behind[tenant, request_id]
            behind.looks += 1
            is_last = behind.looks >= BEHIND_LOOKS
            behind.look_at = now + min(self._behind_after * 2.0 ** (behind.looks - 1), BEHIND_LONGEST)
            if is_last:
                await self.put_aside(tenant, request_id)
            found.append(CardBehind(tenant, request_id, behind.looks, is_last))
        return found

    async def put_aside(self, tenant: str, request_id: str) -> None:
        """Look no more after the card of a request, until a commit asks for it again."""
        self._behind.pop((tenant, request_id), None)

    async def due(self, now: datetime, *, limit: int = 100) -> Sequence[Deadline]:
        """Return deadlines due at *now*, earliest first. They stay until a commit clears them."""
        deadlines = [Deadline.model_validate_json(body) for body in self._deadlines.values()]
        due = [deadline for deadline in deadlines if deadline.due_at <= now]
        return sorted(due, key=lambda deadline: (deadline.due_at, deadline.tenant, deadline.deadline_id))[
            : max(0, limit)
        ]

    async def hold(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Take or extend the lease *name*; False where another holder has it."""
        has_it, until = self._leases.get(name, (holder, self._now()))
        if has_it != holder and until > self._now():
            return False
        self._leases[name] = (holder, self._now() + _whole(ttl, least=1))
        return True

    async def is_held(self, name: str) -> bool:
        """Return whether anybody has the lease *name* now."""
        return name in self._leases and self._leases[name][1] > self._now()

    async def let_go(self, name: str, holder: str) -> None:
        """Give the lease back, if *holder* has it."""
        if self._leases.get(name, (None,))[0] == holder:
            del self._leases[name]

    async def first_time(self, key: str, ttl: timedelta) -> bool:
        """Return True the first time *key* is seen within *ttl*, False ever after."""
        if key in self._seen and self._seen[key] > self._now():
            return False
        self._seen[key] = self._now() + _whole(ttl, least=1)
        return True

    # -- gateway.auditing.ports.Checkpoints

    async def moved(self, tenant: str, *, limit: int = 1000) -> Sequence[str]:
        """Return up to *limit* instances with events that no checkpoint has sealed."""
        return sorted(self._moved.get(tenant, ()))[: max(0, limit)]

    async def checkpoint_lines(self, tenant: str, *, after: int = 0, limit: int = 100) -> Sequence[bytes]:
        """Return up to *limit* checkpoints with a sequence greater than *after*, in order, as they are stored."""
        first = max(0, after)
        return self._checkpoints.get(tenant, [])[first : first + max(0, limit)]

    async def latest_checkpoint(self, tenant: str) -> bytes | None:
        """Return the last checkpoint as it is stored, or None before the first."""
        return next(reversed(self._checkpoints.get(tenant, [])), None)

    async def save_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Keep *checkpoint*; False where another one has its sequence already, or there is none before it."""
        tenant = checkpoint.tenant
        if len(self._checkpoints.get(tenant, [])) != checkpoint.sequence - 1:
            return False
        self._checkpoints[tenant].append(checkpoint_line(checkpoint))
        for head in checkpoint.heads:
            if len(self._ledgers.get((tenant, head.instance_id), [])) == head.sequence:
                self._moved.get(tenant, set()).discard(head.instance_id)
        return True

    def _now(self) -> datetime:
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

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

    def _stale(self, commit: Commit) -> StaleClaim | None:
        settled = commit.settled
        if settled is not None and not self._held(settled.effect_id, settled.fence):
            return StaleClaim()
        if not commit.revived and not commit.abandoned:
            return None
        found = [self._effects.get(effect_id) for effect_id in commit.revived]
        if not all(kept and kept.state == "dead" for kept in found):
            return StaleClaim()
        left = [self._effects.get(effect_id) for effect_id in commit.abandoned]
        return None if all(kept and kept.state in _WAITING for kept in left) else StaleClaim()

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
        instance, now = commit.instance, self._now()
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
            record = (now + IDEMPOTENCY_TTL, _body(commit.idempotency))
            self._idempotency[instance.tenant, commit.idempotency.key] = record
        if commit.settled is not None:
            self._effects[commit.settled.effect_id].end(commit.settled.state, detail=json.dumps(commit.settled.detail))
        self._ledgers[owner] += [each.line for each in commit.sealed]
        if commit.sealed:
            self._moved.setdefault(instance.tenant, set()).add(instance.instance_id)
            entry_at = (instance.instance_id, len(self._ledgers[owner]), len(commit.sealed))
            self._committed[instance.tenant].append(entry_at)
        for kept in map(self._effects.__getitem__, commit.abandoned):
            kept.cancel()
        for held in self._of(*owner) if commit.cancelled_kinds else ():
            kept = self._effects[held.effect.effect_id]
            may_have_acted = kept.has_begun and kept.state != "dead"
            if kept.state in _WAITING and kept.kind in commit.cancelled_kinds and not may_have_acted:
                kept.cancel()
        for effect in commit.effects:
            if effect.effect_id not in self._effects:
                self._effects[effect.effect_id] = _Kept(_body(effect), effect.kind, "pending", now, now + self._grace)
                self._outbox.append(OutboxEntry(effect.effect_id, effect.kind))
        for request_id in cards_asked_for(commit):
            self._behind[instance.tenant, request_id] = _Behind(instance.version, now + self._behind_after)
        for effect_id in commit.revived:
            kept = self._effects[effect_id]
            kept.state, kept.not_before, kept.next_at = "pending", now, now + self._grace
            kept.since, kept.before = now, kept.attempts
            entry = OutboxEntry(effect_id, kept.kind)
            if entry not in self._outbox:
                self._outbox.append(entry)
        for deadline_id in commit.cleared_deadlines:
            self._deadlines.pop((instance.tenant, deadline_id), None)
        for deadline in commit.deadlines:
            self._deadlines[deadline.tenant, deadline.deadline_id] = _body(deadline)

    def _of(self, tenant: str, instance_id: str) -> list[EffectRecord]:
        records = [kept.record() for kept in self._effects.values()]
        return [r for r in records if (r.effect.tenant, r.effect.instance_id) == (tenant, instance_id)]

    def _held(self, effect_id: str, fence: int) -> _Kept | None:
        kept = self._effects.get(effect_id)
        return kept if kept is not None and kept.held_under(fence) else None


def _whole(span: timedelta, *, least: int = 0) -> timedelta:
    return timedelta(milliseconds=milliseconds(span, least=least))


def _text(error: str) -> str:
    return error.encode(errors="replace").decode()


def _body(value: Any) -> str:
    body: str = value.model_dump_json(exclude_none=True)
    return body
