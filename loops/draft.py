"""A draft: what one commit will contain, gathered by the pure decision functions while the chain is kept right."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Unpack

from loops.actors import Human, people_behind
from loops.approvals import ApprovalRequest
from loops.commit import Commit
from loops.deadlines import Deadline, DeadlineKind
from loops.definition import LoopDefinition
from loops.effects import ACTING, Effect, EffectKind, EffectResult, Grant
from loops.events import EventType
from loops.instance import InstanceChanges, LoopInstance
from loops.ledger import Envelope, LedgerHead, Sealed
from loops.outcomes import Executed, Recorded, Refused
from loops.ports import IdSource
from loops.telling import worth_messaging, worth_telling


class Decided(NamedTuple):
    """
    What a decision function found: the answer for the caller and the commit that makes it true.

    No commit means that there is nothing to write: the answer stands as it is.
    """

    outcome: Executed | Recorded | Refused
    commit: Commit | None


#: Refusals a closed instance's ledger takes; what comes after is answered and not recorded, or anybody who may click
#: could make it grow for ever.
REFUSALS_AFTER_CLOSE = 100


class Draft:
    """
    Gathers one commit.

    The one mutable thing among the decision functions, never seen outside them. `instance` is always the instance as
    it would stand after the commit, but for its version and head, which `commit` sets.
    """

    def __init__(
        self,
        definition: LoopDefinition,
        instance: LoopInstance,
        now: datetime,
        ids: IdSource,
        *,
        correlation_id: str | None = None,
        causation_id: str | None = None,
    ) -> None:
        self.definition = definition
        self.now = now
        self.ids = ids
        self.settled: EffectResult | None = None
        self._envelope = Envelope(
            instance.letterhead,
            occurred_at=now,
            correlation_id=correlation_id or instance.correlation_id,
            causation_id=causation_id,
        )
        self._instance = instance
        self._changes: InstanceChanges = {}
        self._last: LedgerHead | Sealed = instance.head
        self._events: list[Sealed] = []
        self._requests: dict[str, ApprovalRequest] = {}
        self._effects: list[Effect] = []
        self._revived: list[str] = []
        self._abandoned: list[str] = []
        self._cancelled_kinds: tuple[EffectKind, ...] = ()
        self._deadlines: list[Deadline] = []
        self._cleared: list[str] = []

    @property
    def instance(self) -> LoopInstance:
        """The instance with the changes so far, made when somebody looks."""
        if self._changes:
            self._instance, self._changes = self._instance.after(**self._changes), {}
        return self._instance

    def change(self, **changes: Unpack[InstanceChanges]) -> None:
        """Change fields of the instance."""
        self._changes.update(changes)

    def event(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Chain an event on the ledger. Values among *data* are written in their JSON form; None is left out."""
        self._last = self._envelope.seal(self.ids.new("ev_"), kind, data, self._last)
        self._events.append(self._last)

    def effect(
        self, kind: EffectKind, payload: Mapping[str, Any], grant: Grant | None = None, *, effect_id: str | None = None
    ) -> str:
        """Ask the world for something, after the commit; return the effect's id, a new one where none is given."""
        effect = self._effect(kind, payload, grant, effect_id)
        self._effects.append(effect)
        return effect.effect_id

    def revive(self, effect_id: str) -> None:
        """Have an effect that ended badly tried once more, after the commit."""
        self._revived.append(effect_id)

    def abandon(self, effect_id: str) -> None:
        """Have an effect that nobody holds not take place any more."""
        self._abandoned.append(effect_id)

    def cancel_effects(self) -> None:
        """Have what acts for the loop, and nobody has claimed or begun, not take place any more."""
        self._cancelled_kinds = ACTING

    def keep(self, request: ApprovalRequest) -> None:
        """Keep *request* as it stands after this commit."""
        self._requests[request.request_id] = request

    def kept(self) -> ApprovalRequest | None:
        """Return the latest request this commit keeps, if any."""
        return next(reversed(self._requests.values())) if self._requests else None

    def deadline(self, kind: DeadlineKind, request_id: str, due_at: datetime) -> None:
        """Let something of a request fall due, instead of what would have been next."""
        self._deadlines.append(
            Deadline(
                deadline_id=deadline_id(request_id),
                kind=kind,
                tenant=self.instance.tenant,
                instance_id=self.instance.instance_id,
                request_id=request_id,
                due_at=due_at,
            )
        )

    def clear_deadline(self, request_id: str) -> None:
        """Let nothing of a request fall due any more."""
        self._cleared.append(deadline_id(request_id))

    def refusal(self) -> Commit | None:
        """Return the commit of a refusal; None where a closed instance has recorded enough of them."""
        if self.instance.is_over and self.settled is None:
            if self.instance.refusals >= REFUSALS_AFTER_CLOSE:
                return None
            self.change(refusals=self.instance.refusals + 1)
        return self.commit()

    def commit(self, *, pin_definition: bool = False) -> Commit:
        """Return the commit: the instance one version on, its head at the last event; people are told what matters."""
        changes: InstanceChanges = {
            **self._changes,
            "version": self._instance.version + 1,
            "head": LedgerHead(sequence=self._last.sequence, hash=self._last.hash),
            "updated_at": self.now,
        }
        told = worth_telling(self._events)
        return Commit(
            instance=self._instance.after(**changes),
            sealed=tuple(self._events),
            requests=tuple(self._requests.values()),
            effects=(*self._effects, *self._replies(told), *self._messages(told)) if told else tuple(self._effects),
            settled=self.settled,
            revived=tuple(self._revived),
            abandoned=tuple(self._abandoned),
            cancelled_kinds=self._cancelled_kinds,
            deadlines=tuple(self._deadlines),
            cleared_deadlines=tuple(self._cleared),
            definition=self.definition if pin_definition else None,
        )

    def _replies(self, told: Sequence[Sealed]) -> Iterator[Effect]:
        for event in told:
            request_id = event.data.get("requestId") or self.instance.request_id
            if not request_id:
                continue
            payload = {"requestId": request_id, "sequence": event.sequence}
            yield self._effect("card.thread", payload)
            if event.type == "approval.reminded":
                for copy in self._copies(request_id):
                    yield self._effect("card.thread", {**payload, "copy": copy})

    def _copies(self, request_id: str) -> list[int]:
        """Return the copies of a card that stand where it was asked before now: what is asked now is no reminder."""
        request = self._requests.get(request_id)
        taken = request.escalations if request else ()
        return [each.step + 1 for each in taken if each.channel and each.at < self.now]

    def _messages(self, told: Sequence[Sealed]) -> Iterator[Effect]:
        """Yield a direct message to every person behind who asked, of what somebody else did about it."""
        for event in worth_messaging(told):
            request = self._requests.get(event.data.get("requestId") or self.instance.request_id or "")
            if request is None:
                continue
            for person in sorted(people_behind(request.proposal.requester) - _doer(event.data)):
                payload = {"requestId": request.request_id, "personId": person, "sequence": event.sequence}
                yield self._effect("card.direct", payload)

    def _effect(
        self,
        kind: EffectKind,
        payload: Mapping[str, Any],
        grant: Grant | None = None,
        effect_id: str | None = None,
    ) -> Effect:
        return Effect(
            effect_id=effect_id or self.ids.new("ef_"),
            kind=kind,
            tenant=self.instance.tenant,
            instance_id=self.instance.instance_id,
            aggregate_id=self.instance.aggregate_id,
            created_at=self.now,
            entry=self.instance.entry,
            payload=dict(payload),
            grant=grant,
        )


def _doer(data: Mapping[str, Any]) -> frozenset[str]:
    """Return the person who did what an event with *data* tells, as nobody need tell them."""
    doer = data.get("actor") or getattr(data.get("decision"), "by", None)
    return people_behind(doer) if isinstance(doer, Human) else frozenset()


def deadline_id(request_id: str) -> str:
    """Return the id under which the next deadline of a request is kept: setting it again moves it."""
    return f"{request_id}:next"
