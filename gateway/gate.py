"""The gate: what Slack's listeners may do with the engine and the store, and no more."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from channels.slack.ports import EffectState, Entitled
from gateway.deciders import Deciders
from loops.absence import Absence
from loops.actors import Human
from loops.approvals import HumanAnswer, HumanAsk
from loops.definition import LoopDefinition
from loops.effects import Effect
from loops.engine import LoopEngine
from loops.events import Event
from loops.explaining import Explanation
from loops.instance import LoopInstance
from loops.leaving import Leaving
from loops.managing import may_manage, may_retry
from loops.outcomes import Executed, Outcome, Refused
from loops.ports import Clock, Definitions, Directory, Loaded, Store

#: Instances looked through for one whose id holds some letters: open ones, closed ones.
LOOKED_THROUGH_OPEN, LOOKED_THROUGH_CLOSED = 200, 100


class Record(Protocol):
    """An effect and how far it got, as the store keeps it."""

    @property
    def effect(self) -> Effect:
        """The effect."""

    @property
    def state(self) -> str:
        """How far it got."""

    @property
    def why(self) -> str | None:
        """What went wrong last."""


class KeptEffects(Protocol):
    """The part of the effects' store that people may see."""

    async def effect(self, effect_id: str) -> Record | None:
        """Return how far one effect got."""

    async def effects_of(self, tenant: str, instance_id: str) -> Sequence[Record]:
        """Return every effect of one instance, oldest first."""


class KeptArchives(Protocol):
    """What the gate asks of the archive."""

    async def archived(self, tenant: str, name: str) -> object | None:
        """Return what is kept of an archived instance; as text it says where it is."""


class EngineGate:
    """Hands a channel's answers to the engine and its questions to the store."""

    def __init__(
        self,
        engine: LoopEngine,
        store: Store,
        *,
        effects: KeptEffects,
        definitions: Definitions,
        directory: Directory,
        clock: Clock,
        archives: KeptArchives | None = None,
    ) -> None:
        self._engine = engine
        self._archives = archives
        self._store = store
        self._effects = effects
        self._definitions = definitions
        self._directory = directory
        self._clock = clock
        self._leaving = Leaving(engine, store, directory, clock)
        self._deciders = Deciders(directory, self._leaving.absences, clock)

    async def answer(self, answer: HumanAnswer, *, tenant: str) -> Outcome:
        """Judge and commit one person's answer."""
        return await self._engine.answer(answer, tenant=tenant)

    async def consult(self, ask: HumanAsk, *, tenant: str) -> Outcome:
        """Commit an approver's question, or the hand-over of their part."""
        return await self._engine.consult(ask, tenant=tenant)

    async def inform(
        self, *, tenant: str, request_id: str, question_id: str, text: str, actor: Human, idempotency_key: str
    ) -> Outcome:
        """Commit the answer to a question."""
        return await self._engine.inform(
            tenant=tenant,
            request_id=request_id,
            question_id=question_id,
            text=text,
            actor=actor,
            idempotency_key=idempotency_key,
        )

    async def withdraw(
        self, *, tenant: str, request_id: str, actor: Human, reason: str | None, idempotency_key: str
    ) -> Outcome:
        """Commit the withdrawal of a request."""
        return await self._engine.withdraw(
            tenant=tenant, request_id=request_id, actor=actor, reason=reason, idempotency_key=idempotency_key
        )

    async def explain(self, request_id: str, by: Human | None, *, tenant: str) -> Explanation | None:
        """Say how a person stands to a request."""
        return await self._engine.explain(request_id, by, tenant=tenant)

    async def disclose(self, subject: Loaded, by: Human, channel: Mapping[str, Any]) -> Outcome:
        """Have *by* sent a complete copy of what the request of *subject* proposes."""
        instance, request = subject.instance, subject.request
        if request is None:
            return Refused(code="unknown_request", message=f"{instance.aggregate_id} has no approval request")
        records = await self._effects.effects_of(instance.tenant, instance.instance_id)
        copies = [record for record in records if record.effect.kind == "details.file"]
        wanted = (by.user_id, request.digest)
        mine = [each for each in copies if (each.effect.payload["personId"], each.effect.payload["digest"]) == wanted]
        # One copy of each version for each person; another one only where the last could not be sent.
        failed = sum(each.state in {"dead", "cancelled"} for each in mine)
        return await self._engine.disclose(
            tenant=instance.tenant,
            request_id=request.request_id,
            by=by,
            channel=channel,
            key=f"details:{request.digest}:{by.user_id}:{failed}",
        )

    async def leave(
        self, *, tenant: str, by: Human, until: datetime, to: str, channel: Mapping[str, Any], key: str
    ) -> Outcome:
        """Let *by* be away, and the person *to* decide in their stead."""
        return await self._leaving.leave(tenant=tenant, by=by, until=until, to=to, channel=channel, key=key)

    async def come_back(self, *, tenant: str, by: Human, channel: Mapping[str, Any]) -> Absence | None:
        """End the absence of *by*; None where they were not away."""
        return await self._leaving.come_back(tenant=tenant, by=by, channel=channel)

    async def absences(self, tenant: str) -> Sequence[Absence]:
        """Return who is away now, and who decides in their stead."""
        return await self._leaving.absences(tenant)

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with that request, or None."""
        return await self._store.load_request(tenant, request_id)

    async def open_instances(
        self, tenant: str, *, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[LoopInstance], str | None]:
        """Return a page of open instances, newest first, and the next page's cursor."""
        return await self._store.instances(tenant, state=state, cursor=cursor, limit=limit)

    async def open_requests(self, tenant: str, *, limit: int) -> tuple[Sequence[Loaded], bool]:
        """Return the newest open approval requests, and whether there are more."""
        found, cursor = await self._store.requests(tenant, limit=limit)
        return found, cursor is not None

    async def requests_of(
        self, tenant: str, person_id: str, part: Literal["asked", "decided"], *, limit: int
    ) -> Sequence[Loaded]:
        """Return the latest requests a person asked for, or decided, each once."""
        of = {"asked_by": person_id} if part == "asked" else {"decided_by": person_id}
        found, _ = await self._store.requests(tenant, limit=2 * limit, **of)
        once = {each.request.request_id: each for each in reversed(found) if each.request}
        return list(reversed(once.values()))[:limit]

    async def waiting_for(self, subjects: Sequence[Loaded], by: Human) -> Sequence[Loaded]:
        """Return those of *subjects* whose request *by* could approve now."""
        return await self._deciders.waiting_for(subjects, by)

    async def entitled(self, subject: Loaded) -> Sequence[Entitled]:
        """Return everybody who belongs to the stage that is open, with what keeps them from deciding."""
        return await self._deciders.entitled(subject)

    async def look_up(self, tenant: str, name: str, *, limit: int) -> Sequence[Loaded]:
        """Return what *name* means: a thing by its id, or those whose ids it is part of."""
        for load in (self._store.load_request, self._store.load_aggregate, self._store.load):
            if exact := await load(tenant, name):
                return [exact]
        wanted = name.casefold()
        found: dict[str, LoopInstance] = {}
        for closed, looked_through in ((False, LOOKED_THROUGH_OPEN), (True, LOOKED_THROUGH_CLOSED)):
            page, _ = await self._store.instances(tenant, closed=closed, limit=looked_through)
            for instance in page:
                if wanted in _names(instance):
                    found.setdefault(instance.aggregate_id, instance)
        ordered = sorted(found.values(), key=lambda each: not each.aggregate_id.casefold().startswith(wanted))
        loaded = [await self._store.load(tenant, each.instance_id) for each in ordered[:limit]]
        return [each for each in loaded if each]

    async def archived(self, tenant: str, name: str) -> str | None:
        """Say where the loop of that id, or the latest on that aggregate, is archived; None where it is not."""
        kept = await self._archives.archived(tenant, name) if self._archives else None
        return str(kept) if kept else None

    async def events(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Return a stretch of a ledger, in order."""
        return await self._store.events(tenant, instance_id, after=after, limit=limit)

    async def effects_of(self, tenant: str, instance_id: str) -> Sequence[EffectState]:
        """Return the effects of an instance, oldest first."""
        subject = await self._store.load(tenant, instance_id)
        records = await self._effects.effects_of(tenant, instance_id)
        return [_state(record, subject) for record in records]

    async def effect(self, tenant: str, effect_id: str) -> EffectState | None:
        """Return how far one effect of *tenant* got."""
        record = await self._effects.effect(effect_id)
        if record is None or record.effect.tenant != tenant:
            return None
        return _state(record, await self._store.load(tenant, record.effect.instance_id))

    def now(self) -> datetime:
        """Return the present."""
        return self._clock.now()

    def definitions(self) -> Mapping[str, LoopDefinition]:
        """Return the definitions loops may be started from, by id."""
        return self._definitions.all()

    async def start(
        self, *, tenant: str, loop_id: str, aggregate_id: str, data: Mapping[str, Any], by: Human, key: str
    ) -> Outcome:
        """Start a loop as the person *by*, once under *key*."""
        return await self._engine.start(
            tenant=tenant, loop_id=loop_id, aggregate_id=aggregate_id, data=data, actor=by, idempotency_key=key
        )

    async def may_manage(self, subject: Loaded, by: Human) -> bool:
        """Return whether *by* may cancel the loop or have an effect tried again: they asked, or decide in this loop."""
        return may_manage(subject, by, await self._directory.person(subject.instance.tenant, by.user_id))

    async def cancel(self, *, tenant: str, instance_id: str, by: Human, reason: str | None, key: str) -> Outcome:
        """Cancel an instance as *by*; refused for anybody who neither asked for it nor decides in it."""
        subject = await self._store.load(tenant, instance_id)
        if subject is None:
            return Refused(code="unknown_instance", message=f"there is no loop instance {instance_id}")
        if not await self.may_manage(subject, by):
            return _not_theirs(subject, by)
        latest = await self._store.load_aggregate(tenant, subject.instance.aggregate_id)
        if latest is None or latest.instance.instance_id != instance_id:
            return Refused(code="loop_closed", message=f"{subject.instance.aggregate_id} is {subject.instance.status}")
        outcome = await self._engine.cancel(
            tenant=tenant, aggregate_id=subject.instance.aggregate_id, actor=by, reason=reason, idempotency_key=key
        )
        return outcome if not isinstance(outcome, Executed) else outcome.changed(request=None)

    async def retry(
        self, *, tenant: str, effect_id: str, by: Human | None, channel: Mapping[str, Any], key: str
    ) -> Outcome:
        """Have an effect that failed or was given up tried once more, on the record."""
        record = await self._effects.effect(effect_id)
        if record is None or record.effect.tenant != tenant:
            return Refused(code="unknown_effect", message=f"there is no effect {effect_id}")
        return await self._engine.retry(record.effect, record.state, by=by, channel=channel, key=key)


def _names(instance: LoopInstance) -> str:
    return "\n".join((instance.aggregate_id, instance.instance_id, instance.request_id or "")).casefold()


def _state(record: Record, subject: Loaded | None) -> EffectState:
    effect, payload = record.effect, record.effect.payload
    name = f"{payload['integration']}: {payload['action']}" if "integration" in payload else effect.kind
    return EffectState(
        effect_id=effect.effect_id,
        name=name,
        instance_id=effect.instance_id,
        state=record.state,
        error=record.why,
        is_retriable=subject is not None and may_retry(subject.instance, effect, record.state),
    )


def _not_theirs(subject: Loaded | None, by: Human) -> Refused:
    what = subject.instance.aggregate_id if subject else "this"
    return Refused(
        code="unauthorized_actor",
        message=f"{by.name} neither asked for {what} nor decides in its loop, so somebody who does must do this",
    )
