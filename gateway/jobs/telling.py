"""Telling people: replies in a card's thread, direct messages, invitations, files, and private words about a click."""

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType

from gateway.jobs.ports import Claim, Effects
from gateway.jobs.records import AHEAD, Records
from loops.absence import way_from
from loops.cards import Notice
from loops.effects import Effect
from loops.engine import LoopEngine
from loops.errors import NotYet, Rejected, Unavailable
from loops.events import Event
from loops.policy import ApprovalPolicy, Approvers
from loops.ports import Channel, Directory, Person, Store

#: People one request asks directly. More than would read it are no longer asked, they are spammed.
INVITED_MAX = 30


class TellingHandlers:
    """Handlers of `card.thread`, `card.direct`, `card.invite`, `details.file` and `notice`."""

    def __init__(
        self,
        engine: LoopEngine,
        store: Store,
        effects: Effects,
        channel: Channel,
        directory: Directory,
        records: Records,
    ) -> None:
        self._engine = engine
        self._store = store
        self._effects = effects
        self._channel = channel
        self._directory = directory
        self._records = records

    async def reply(self, claim: Claim) -> None:
        """Tell of an event in the card's thread, after everything before it."""
        effect, sequence = claim.effect, claim.effect.payload["sequence"]
        loaded = await self._records.request_of(effect)
        await self._in_order(effect)
        card = await self._records.posted(effect, effect.payload.get("copy", 0))
        event = await self._event(effect, sequence)
        await self._channel.reply(loaded, event, card.address, effect.effect_id, again=claim.attempt > 1)
        await self._effects.finish(effect.effect_id, claim.fence, {})

    async def message(self, claim: Claim) -> None:
        """Tell one person directly of an event."""
        effect, payload = claim.effect, claim.effect.payload
        person = await self._directory.person(effect.tenant, payload["personId"])
        told = person is not None and await self._messaged(claim, [person], payload["sequence"])
        await self._effects.finish(effect.effect_id, claim.fence, {} if told else {"skipped": "nobody to be reached"})

    async def invite(self, claim: Claim) -> None:
        """
        Tell those directly who may decide, and whom the policy wants told, that they are asked.

        Where the effect names some, only these: those whom an escalation added, or whoever was handed a part.
        """
        effect = claim.effect
        loaded = await self._records.request_of(effect)
        invited: dict[str, Person] = {}
        in_stead_of: dict[str, list[str]] = {}
        if loaded.request:
            async for person, absent in self._askable(effect, loaded.request.proposal.policy):
                if len(invited) >= INVITED_MAX:
                    break
                invited[person.person_id] = person
                if absent:
                    in_stead_of.setdefault(person.person_id, []).append(absent.name)
        told = await self._messaged(claim, list(invited.values()), None, in_stead_of)
        await self._effects.finish(effect.effect_id, claim.fence, {"told": told})

    async def file(self, claim: Claim) -> None:
        """Send one person a complete copy of what is proposed, if they may still see it."""
        effect = claim.effect
        person = await self._directory.person(effect.tenant, effect.payload["personId"])
        loaded = await self._records.request_of(effect)
        detail = {"skipped": "nobody to be reached"}
        if person and not person.barred:
            sent = await self._channel.disclose(person, loaded, effect.effect_id, again=claim.attempt > 1)
            detail = {} if sent else detail
        await self._effects.finish(effect.effect_id, claim.fence, detail)

    async def tell(self, claim: Claim) -> None:
        """Tell one person privately what became of their click."""
        notice = Notice.model_validate(claim.effect.payload)
        earlier = await self._effects.effect(notice.after) if notice.after else None
        if earlier and earlier.state in AHEAD:
            raise NotYet("an earlier word to the same person is not said yet")
        tenant, request_id = claim.effect.tenant, notice.request_id
        loaded = await self._store.load_request(tenant, request_id) if request_id else None
        await self._channel.tell(notice, loaded)
        await self._effects.finish(claim.effect.effect_id, claim.fence, {})

    async def _askable(self, effect: Effect, policy: ApprovalPolicy) -> AsyncIterator[tuple[Person, Person | None]]:
        """Yield whom *policy* wants told and who may approve; with each who stands in, in whose stead."""
        everybody = {person.person_id: person for person in await self._directory.everybody(effect.tenant)}
        absences = await self._engine.absences(effect.tenant) if policy.reassign != "no" else ()
        for person in everybody.values():
            if not _is_to_be_invited(policy.notify, effect, person):
                continue
            # Whoever is away is asked through who stands in, where there is somebody who may.
            way = way_from(absences, person.person_id)
            stand_in = everybody.get(way[-1].to) if way else None
            if stand_in and await self._may_approve(effect, stand_in, person):
                yield stand_in, person
            elif await self._may_approve(effect, person):
                yield person, None

    async def _may_approve(self, effect: Effect, person: Person, absent: Person | None = None) -> bool:
        """Return whether an approval of theirs would count now, in the stead of *absent* if given."""
        by, request_id = person.as_actor("directory"), effect.payload["requestId"]
        found = await self._engine.explain(request_id, by, tenant=effect.tenant)
        if found is None or not found.may_approve:
            return False
        return absent is None or absent.person_id in {each.person for each in found.stands_in_for}

    async def _messaged(
        self,
        claim: Claim,
        people: Sequence[Person],
        sequence: int | None,
        in_stead_of: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> list[str]:
        """
        Tell *people* directly of the event *sequence*, or that they are asked; return who could be told.

        *in_stead_of* are the names of those who are away, by the id of who stands in for them.
        """
        effect = claim.effect
        if not people:
            return []
        loaded, card = await self._records.request_of(effect), await self._records.posted(effect)
        event = await self._event(effect, sequence) if sequence is not None else None
        told = list[str]()
        for person in people:
            try:
                is_told = await self._channel.message(
                    person,
                    loaded,
                    event,
                    card.address,
                    effect.effect_id,
                    again=claim.attempt > 1,
                    in_stead_of=in_stead_of.get(person.person_id, ()),
                )
            except NotYet as error:
                if not told:
                    raise
                # Somebody was told already: this was an attempt, and the next one must look.
                raise Unavailable(str(error), retry_after=error.retry_after) from error
            told += [person.person_id] if is_told else []
        return told

    async def _event(self, effect: Effect, sequence: int) -> Event:
        events = await self._store.events(effect.tenant, effect.instance_id, after=sequence - 1, limit=1)
        if not events:
            raise Rejected(f"the ledger has no event {sequence} to tell of")
        return events[0]

    async def _in_order(self, effect: Effect) -> None:
        """Wait until everything before *effect* in the thread is told."""
        for record in await self._records.about(effect):
            if record.effect.effect_id == effect.effect_id:
                return
            is_same_thread = record.effect.payload.get("copy") == effect.payload.get("copy")
            if record.effect.kind == "card.thread" and is_same_thread and record.state in AHEAD:
                raise NotYet("an earlier reply is not posted yet")


def _is_to_be_invited(notify: str | Approvers, effect: Effect, person: Person) -> bool:
    if handed_to := effect.payload.get("handedTo"):
        return bool(person.person_id == handed_to)
    if (added := effect.payload.get("added")) and not _is_among(Approvers.model_validate(added), person):
        return False
    return notify == "approvers" if isinstance(notify, str) else _is_among(notify, person)


def _is_among(named: Approvers, person: Person) -> bool:
    return person.person_id in named.users or bool(person.groups & set(named.groups))
