"""What the jobs need from the store: claims on effects, leases on chores, where cards are, and the outbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from redis.client import Pipeline

from loops.cards import Card
from loops.deadlines import Deadline
from loops.effects import Effect, EffectKind

#: `pending` waits for its turn, `claimed` is being carried out, `failed` will be tried again, `succeeded` is done,
#: `dead` was given up, `cancelled` shall not take place: its loop was cancelled, or an operator abandoned it.
EffectState = Literal["pending", "claimed", "succeeded", "failed", "dead", "cancelled"]

#: States whose effects can be listed, as they are not done with.
LISTED: tuple[EffectState, ...] = ("pending", "claimed", "failed", "dead")


@dataclass(frozen=True, slots=True)
class Claim:
    """
    The right to carry out one effect until the lease ends.

    `fence` grows with every claim; a result under an older one is refused. `attempt` counts from 1, `tries` likewise
    since the effect was put to work: by its commit, or by whoever had a dead one tried again; `age` is how long that is
    ago. `lost` is how many holders in a row never came back; `may_have_acted` whether an earlier attempt went through a
    lane, so that nobody can say it did nothing. Where `is_readable` is False, what is stored cannot be read, and
    `effect` says no more than its owner.
    """

    effect: Effect
    fence: int
    attempt: int
    tries: int = 1
    age: timedelta = timedelta(0)
    lost: int = 0
    may_have_acted: bool = False
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """
    An effect and how far it got.

    `next_at` is when the sweep looks at it again, None once it is finished. Where what is stored of it cannot be read,
    `effect` says no more than its owner.
    """

    effect: Effect
    state: EffectState
    fence: int
    attempts: int
    error: str | None
    detail: Mapping[str, Any] | None
    next_at: datetime | None

    @property
    def why(self) -> str | None:
        """What went wrong last, wherever it stands."""
        return self.error or (str(self.detail["error"]) if self.detail and "error" in self.detail else None)


@dataclass(frozen=True, slots=True)
class Heap:
    """How many effects of one kind are in one state, and how long the oldest of them was asked for."""

    state: EffectState
    kind: EffectKind
    count: int
    oldest: timedelta


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not done with: entries nobody handed to the job queue yet, and effects by state and kind."""

    outbox: int
    heaps: tuple[Heap, ...]

    @property
    def waiting(self) -> int:
        """How many effects wait to be carried out, for the first time or again."""
        return sum(heap.count for heap in self.heaps if heap.state in {"pending", "failed"})


@dataclass(frozen=True, slots=True)
class LaneRules:
    """At most `at_once` effects go through a lane at a time; after `failures` in a row it is let be for `pause`."""

    at_once: int
    failures: int
    pause: timedelta


#: How an effect left its lane: the system of record answered, it failed, or it was not asked.
Passage = Literal["answered", "failed", "untried"]

#: A circuit is `closed` while the system answers, `open` while it is let be, `probing` while one effect finds out.
CircuitState = Literal["closed", "open", "probing"]


@dataclass(frozen=True, slots=True)
class LaneStanding:
    """How a lane stands: effects in it and waiting for it, failures in a row, and until when it is let be."""

    name: str
    circuit: CircuitState
    inside: int
    waiting: int
    failures: int
    open_until: datetime | None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One effect that a commit left behind and nobody has handed to the job queue yet."""

    effect_id: str
    kind: EffectKind


class Outbox(Protocol):
    """
    Entries in the order of their commits, as the relay sees them. Sync, as the worker's main thread is.

    Both methods may raise `loops.errors.StoreUnavailable`.
    """

    def peek(self, limit: int, wait_s: float = 0.0) -> Sequence[OutboxEntry]:
        """Return up to *limit* entries from the front and leave them there; wait up to *wait_s* for the first one."""

    def remove(self, pipeline: Pipeline, entries: Sequence[OutboxEntry]) -> None:
        """Add the removal of *entries* to *pipeline*, to be executed as one MULTI with what takes them over."""


class Effects(Protocol):
    """
    The effects that commits left behind. Lease times are the store's clock, so workers need not agree on theirs.

    An effect is open from its commit until it succeeded or is dead. Every open effect stands in one index under the
    time at which it is due again: at first a grace after the commit, then the end of its lease, then its retry.
    """

    async def claim(self, effect_id: str, *, lease: timedelta) -> Claim | None:
        """Take the effect, or return None: it is finished, unknown, waits for its retry, or somebody holds it."""

    async def renew(self, effect_id: str, fence: int, *, lease: timedelta) -> bool:
        """Extend a lease that is still held under *fence*; False where it is not."""

    async def finish(self, effect_id: str, fence: int, detail: Mapping[str, Any]) -> bool:
        """Mark an effect succeeded that leaves no ledger entry; False under a stale *fence*."""

    async def retry(self, effect_id: str, fence: int, *, after: timedelta, error: str) -> bool:
        """Give the effect back to be tried again *after*; False under a stale *fence*."""

    async def put_off(self, effect_id: str, fence: int, *, after: timedelta, why: str) -> bool:
        """Give the effect back for *after* without having tried it; False under a stale *fence*."""

    async def bury(self, effect_id: str, fence: int, *, error: str) -> bool:
        """Mark the effect dead: nobody tries again by itself; False under a stale *fence*."""

    async def requeue_overdue(self, *, grace: timedelta, limit: int = 100) -> Sequence[str]:
        """Put effects whose time has come into the outbox again, each due again after *grace*; return their ids."""

    async def effect(self, effect_id: str) -> EffectRecord | None:
        """Return how far one effect got."""

    async def effects_of(self, tenant: str, instance_id: str) -> Sequence[EffectRecord]:
        """Return every effect of one instance, oldest first."""

    async def listed(
        self, states: Sequence[EffectState] = LISTED, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[EffectRecord], str | None]:
        """Return a page of the effects in *states* (of `LISTED`), of all tenants, oldest first, and the next cursor."""

    async def backlog(self) -> Backlog:
        """Return how much there is to do; costs the same however much it is."""


class Lanes(Protocol):
    """The ways to systems of record, shared by every worker. Lease times are the store's clock."""

    async def enter(self, name: str, claim: Claim, rules: LaneRules, *, lease: timedelta) -> bool:
        """
        Let a claimed effect in; False where it must wait.

        It is then put off as by `Effects.put_off`, and put into the outbox when there is room. Once it was let in, each
        later claim on it says that it may have acted.
        """

    async def stay(self, name: str, effect_id: str, *, lease: timedelta) -> None:
        """Extend the lease on a place in the lane."""

    async def leave(self, name: str, effect_id: str, rules: LaneRules, passage: Passage) -> None:
        """Leave the lane, say how it went, and call who waits where there is room."""

    async def standing(self, names: Sequence[str]) -> Sequence[LaneStanding]:
        """Return how these lanes stand."""


@dataclass(frozen=True, slots=True)
class CardBehind:
    """A card that shows less than it should. `looks` counts from 1; after the last one nobody looks again."""

    tenant: str
    request_id: str
    looks: int
    is_last: bool


class Cards(Protocol):
    """Where the cards are, and which of them are behind."""

    async def card(self, tenant: str, request_id: str, copy_number: int = 0) -> Card | None:
        """Return the posted card of a request, or one of its copies; None where it is not posted."""

    async def save_card(self, card: Card) -> None:
        """Keep *card*; one with a lower `rendered_version` than the kept one changes nothing."""

    async def behind(self, *, limit: int = 20) -> Sequence[CardBehind]:
        """
        Return cards that show less than commits asked them to, a while after they did.

        Each is returned again after a pause that doubles, until it is saved as it should be, put aside, or was looked
        at so often that nobody may hope; the last look says so.
        """

    async def put_aside(self, tenant: str, request_id: str) -> None:
        """Look no more after the card of a request, until a commit asks for it again."""


class Deadlines(Protocol):
    """The index of what falls due. A deadline stays there until a commit clears it, or sets it anew."""

    async def due(self, now: datetime, *, limit: int = 100, held_until: datetime | None = None) -> Sequence[Deadline]:
        """Return deadlines due at *now*, earliest first; with *held_until* they are the caller's alone until then."""

    async def let_rest(self, deadline: Deadline, *, held_until: datetime, until: datetime) -> None:
        """Leave a deadline be until *until* that is the caller's until *held_until*; one that was set anew stays."""


class Leases(Protocol):
    """Chores that one process at a time does. A holder that dies loses the lease when its time is over."""

    async def hold(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Take or extend the lease *name*; False where another holder has it."""

    async def is_held(self, name: str) -> bool:
        """Return whether anybody has the lease *name* now."""

    async def let_go(self, name: str, holder: str) -> None:
        """Give the lease back, if *holder* has it."""


class SeenOnce(Protocol):
    """Remembers signatures and delivery ids for a while, across processes."""

    async def first_time(self, key: str, ttl: timedelta) -> bool:
        """Return True the first time *key* is seen within *ttl*, False ever after."""
