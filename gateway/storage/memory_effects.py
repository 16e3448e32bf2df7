"""Effects, their claims and the outbox, in memory."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from gateway.jobs.ports import LISTED, Backlog, Claim, EffectRecord, EffectState, Heap, OutboxEntry
from gateway.storage import keys
from gateway.storage.cursors import check_cursor, page_size
from gateway.storage.memory_time import Timed, whole
from gateway.storage.spans import microseconds
from loops.commit import Commit
from loops.effects import Effect, EffectKind

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


class MemoryEffects(Timed):
    """`gateway.jobs.ports.Effects`. What nobody takes is overdue after *grace*."""

    def __init__(self, now: Callable[[], datetime], grace: timedelta) -> None:
        Timed.__init__(self, now)
        self._grace = grace
        self._effects: dict[str, _Kept] = {}
        self._outbox: list[OutboxEntry] = []

    @property
    def outbox(self) -> tuple[OutboxEntry, ...]:
        """What waits to be handed over, oldest first."""
        return tuple(self._outbox)

    def take_outbox(self) -> tuple[OutboxEntry, ...]:
        """Return what waits and empty the outbox, as a relay does."""
        taken = self.outbox
        self._outbox.clear()
        return taken

    async def claim(self, effect_id: str, *, lease: timedelta) -> Claim | None:
        """Take the effect, or return None: it is finished, unknown, waits for its retry, or somebody holds it."""
        kept, now = self._effects.get(effect_id), self._now()
        if kept is None or kept.state not in {"pending", "failed", "claimed"} or kept.not_before > now:
            return None
        lost = kept.lost + 1 if kept.state == "claimed" else 0
        kept.state, kept.lost = "claimed", lost
        kept.not_before = kept.next_at = now + whole(lease)
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
        kept.not_before = kept.next_at = now + whole(lease)
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
            kept.give_back("failed", _text(error), self._now() + whole(after))
        return kept is not None

    async def put_off(self, effect_id: str, fence: int, *, after: timedelta, why: str) -> bool:
        """Give the effect back for *after* without having tried it; False under a stale *fence*."""
        kept = self._held(effect_id, fence)
        if kept is not None:
            kept.give_back("pending", _text(why), self._now() + whole(after))
            kept.attempts -= 1
        return kept is not None

    async def bury(self, effect_id: str, fence: int, *, error: str) -> bool:
        """Mark the effect dead: nobody tries again by itself; False under a stale *fence*."""
        kept = self._held(effect_id, fence)
        if kept is not None:
            kept.end("dead", error=_text(error))
        return kept is not None

    def holds(self, effect_id: str, fence: int) -> bool:
        """Return whether the claim *fence* is the latest on an effect, and not given back, its lease over or not."""
        return self._held(effect_id, fence) is not None

    def begin(self, effect_id: str) -> None:
        """Note that an attempt at a claimed effect goes as far as to act."""
        self._effects[effect_id].has_begun = True

    def call(self, effect_id: str) -> bool:
        """Put an effect that waits into the outbox before its time; False where it does not wait."""
        kept = self._effects.get(effect_id)
        if kept is None or kept.state != "pending":
            return False
        kept.not_before, kept.next_at = _LONG_AGO, self._now() + self._grace
        self._queue(effect_id)
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
            kept.next_at = now + whole(grace)
            self._queue(effect_id)
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

    def has_stale_claims(self, commit: Commit) -> bool:
        """Return whether *commit* settles, revives or abandons what is no longer so that it may."""
        settled = commit.settled
        if settled is not None and not self._held(settled.effect_id, settled.fence):
            return True
        revived = [self._effects.get(effect_id) for effect_id in commit.revived]
        abandoned = [self._effects.get(effect_id) for effect_id in commit.abandoned]
        may_be = all(kept and kept.state == "dead" for kept in revived)
        return not (may_be and all(kept and kept.state in _WAITING for kept in abandoned))

    def write_effects(self, commit: Commit) -> None:
        """Do what *commit* says of effects."""
        owner = (commit.instance.tenant, commit.instance.instance_id)
        if commit.settled is not None:
            self._effects[commit.settled.effect_id].end(commit.settled.state, detail=json.dumps(commit.settled.detail))
        for kept in map(self._effects.__getitem__, commit.abandoned):
            kept.cancel()
        for held in self._of(*owner) if commit.cancelled_kinds else ():
            kept = self._effects[held.effect.effect_id]
            may_have_acted = kept.has_begun and kept.state != "dead"
            if kept.state in _WAITING and kept.kind in commit.cancelled_kinds and not may_have_acted:
                kept.cancel()
        if commit.effects or commit.revived:
            self._put_to_work(commit.effects, commit.revived, self._now())

    def drop_effects(self, tenant: str, instance_id: str) -> None:
        """Forget every effect of an instance."""
        for record in self._of(tenant, instance_id):
            del self._effects[record.effect.effect_id]

    def _put_to_work(self, asked: Sequence[Effect], revived: Sequence[str], now: datetime) -> None:
        for effect in asked:
            if effect.effect_id not in self._effects:
                self._effects[effect.effect_id] = _Kept(
                    effect.model_dump_json(exclude_none=True), effect.kind, "pending", now, now + self._grace
                )
                self._outbox.append(OutboxEntry(effect.effect_id, effect.kind))
        for effect_id in revived:
            kept = self._effects[effect_id]
            kept.state, kept.not_before, kept.next_at = "pending", now, now + self._grace
            kept.since, kept.before = now, kept.attempts
            self._queue(effect_id)

    def _queue(self, effect_id: str) -> None:
        entry = OutboxEntry(effect_id, self._effects[effect_id].kind)
        if entry not in self._outbox:
            self._outbox.append(entry)

    def _of(self, tenant: str, instance_id: str) -> list[EffectRecord]:
        records = [kept.record() for kept in self._effects.values()]
        return [r for r in records if (r.effect.tenant, r.effect.instance_id) == (tenant, instance_id)]

    def _held(self, effect_id: str, fence: int) -> _Kept | None:
        kept = self._effects.get(effect_id)
        return kept if kept is not None and kept.held_under(fence) else None


def _text(error: str) -> str:
    return error.encode(errors="replace").decode()
