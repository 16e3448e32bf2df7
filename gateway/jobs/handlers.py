"""What each kind of effect does. A handler translates between the engine and one adapter; it decides nothing."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from gateway.integrations.ports import Integration, Run
from gateway.jobs.grants import check_grant
from gateway.jobs.lanes import Gates
from gateway.jobs.ports import Cards, Claim, EffectRecord, Effects, Leases
from loops.answers import concerned
from loops.cards import Card, LostCard, Notice
from loops.effects import Effect, EffectKind, GivenUp
from loops.engine import LoopEngine
from loops.errors import Gone, NotYet, Rejected, Unavailable
from loops.events import Event
from loops.outcomes import Refused
from loops.policy import Approvers
from loops.ports import Channel, Confirmer, Directory, Loaded, Person, Provider, Store
from loops.submission import Ask

log = structlog.stdlib.get_logger()

#: How long one worker may render one card before another may: some longer than a call to the channel takes.
CARD_LEASE = timedelta(seconds=15)

#: Answers to the end of an effect that say there is no ledger to put it on.
_NOBODY_WAITS = frozenset({"unknown_instance", "unknown_request"})

#: People one request asks directly. More than would read it are no longer asked, they are spammed.
INVITED_MAX = 30

#: How long it is remembered that a word was said about what was given up in some minute: longer than it may wait.
ALERT_LEASE = timedelta(days=1)

Handler = Callable[[Claim], Awaitable[None]]


class NotItsTurn(Unavailable):
    """Something else must be done before this effect; it was not tried."""


class Handlers:
    """Carries out claimed effects. Raises `Unavailable` to be tried again and `Rejected` to be given up."""

    def __init__(
        self,
        engine: LoopEngine,
        store: Store,
        effects: Effects,
        cards: Cards,
        leases: Leases,
        channel: Channel,
        confirmer: Confirmer,
        directory: Directory,
        providers: Mapping[str, Provider],
        integrations: Mapping[str, Integration],
        gates: Gates | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """*changed* is called whenever a card was brought up to date."""
        self._engine = engine
        self._store = store
        self._effects = effects
        self._cards = cards
        self._leases = leases
        self._channel = channel
        self._confirmer = confirmer
        self._directory = directory
        self._providers = providers
        self._integrations = integrations
        self._gates = gates
        self._changed = changed
        self._table: Mapping[EffectKind, Handler] = {
            "card.post": self._post_card,
            "card.update": self._update_card,
            "card.thread": self._reply,
            "card.direct": self._message,
            "card.invite": self._invite,
            "card.alarm": self._alarm,
            "effect.alarm": self._alert,
            "notice": self._tell,
            "answer.confirm": self._confirm_answer,
            "provider.ask": self._ask_provider,
            "integration.run": self._run_integration,
        }

    async def carry_out(self, claim: Claim) -> None:
        """Do what the claimed effect asks and record its end."""
        await self._table[claim.effect.kind](claim)
        if claim.effect.kind in {"card.post", "card.update"}:
            self._changed()

    async def give_up(self, claim: Claim, error: str) -> None:
        """End an effect that will not be tried again, on the ledger; who waits for its result is told."""
        effect, fence = claim.effect, claim.fence
        if effect.kind == "answer.confirm":
            outcome = await self._engine.never_known(effect, fence)
        else:
            outcome = await self._engine.settle(effect, fence, succeeded=False, detail={"error": error})
        if isinstance(outcome, Refused) and outcome.code in _NOBODY_WAITS:
            await self._effects.bury(effect.effect_id, fence, error=error)

    async def _post_card(self, claim: Claim) -> None:
        effect, number = claim.effect, claim.effect.payload.get("copy", 0)
        loaded = await self._request_of(effect)
        if number and loaded.request and not loaded.request.is_open:
            await self._effects.finish(effect.effect_id, claim.fence, {"skipped": "it was decided meanwhile"})
            return
        async with self._turn(claim):
            card = await self._card(effect, number)
            if card is None:
                route = effect.payload.get("channel")
                address = await self._channel.post(loaded, effect.effect_id, again=claim.attempt > 1, route=route)
                card = _card(effect, loaded, address, number)
                await self._cards.save_card(card)
            if number:
                # Updates pass over a copy that is not there yet; what they would have shown is shown now.
                await self._rendered(effect, card)
        await self._engine.card_posted(effect, claim.fence, {**card.address, **({"copy": number} if number else {})})

    async def _update_card(self, claim: Claim) -> None:
        effect = claim.effect
        async with self._turn(claim):
            try:
                shown = await self._rendered(effect, await self._posted(effect))
            except Gone:
                await self._show_anew(claim)
                return
            for copy in await self._copies(effect):
                # A copy somebody deleted is not posted anew: the first card asks for as long as it takes.
                with contextlib.suppress(Gone):
                    await self._rendered(effect, copy)
        await self._effects.finish(effect.effect_id, claim.fence, {"renderedVersion": shown})

    async def _show_anew(self, claim: Claim) -> None:
        """Post a card that was deleted once more, while its request waits for somebody; else leave it at that."""
        effect = claim.effect
        loaded = await self._request_of(effect)
        if loaded.request is None or not loaded.request.is_open:
            await self._cards.put_aside(effect.tenant, effect.payload["requestId"])
            await self._effects.finish(effect.effect_id, claim.fence, {"skipped": "the card was deleted"})
            return
        address = await self._channel.post(loaded, effect.effect_id, again=claim.attempt > 1)
        await self._cards.save_card(_card(effect, loaded, address))
        await self._engine.card_posted(effect, claim.fence, address)

    async def _alarm(self, claim: Claim) -> None:
        effect = claim.effect
        lost = LostCard.model_validate(effect.payload)
        log.error("card.lost", request_id=lost.request_id, kind=lost.kind, error=lost.error)
        earlier = [record for record in await self._about(effect) if record.effect.kind == "card.alarm"]
        if any(record.state == "succeeded" for record in earlier):
            detail = {"skipped": "told before"}
        else:
            loaded = await self._store.load_request(effect.tenant, lost.request_id)
            is_told = await self._channel.alarm(lost, loaded, effect.effect_id, again=claim.attempt > 1)
            detail = {} if is_told else {"skipped": "loopgate.yaml names no slack.fallbackChannel"}
        await self._effects.finish(effect.effect_id, claim.fence, detail)

    async def _alert(self, claim: Claim) -> None:
        effect = claim.effect
        given_up = GivenUp.model_validate(effect.payload)
        # One word a minute about each thing: when a system is down, what it was to do is given up by the hundred.
        minute = effect.created_at.strftime("%Y-%m-%dT%H:%M")
        name = f"alert:{effect.tenant}:{given_up.what}:{minute}"
        if await self._leases.hold(name, effect.effect_id, ALERT_LEASE):
            loaded = await self._store.load(effect.tenant, effect.instance_id)
            is_told = await self._channel.alert(given_up, loaded, effect.effect_id, again=claim.attempt > 1)
            detail = {} if is_told else {"skipped": "loopgate.yaml names no alerts.channel"}
        else:
            detail = {"skipped": "told of another one of the same minute"}
        await self._effects.finish(effect.effect_id, claim.fence, detail)

    async def _rendered(self, effect: Effect, card: Card) -> int:
        """
        Have the card show its request as it stands, unless it does; return the version it shows.

        A worker that slept through its turn may have put an older rendering over a newer one; it then renders again.
        """
        loaded = await self._request_of(effect)
        while card.rendered_version < loaded.instance.version:
            await self._channel.update(loaded, card.address)
            mine = _card(effect, loaded, card.address, card.copy_number)
            await self._cards.save_card(mine)
            newest = await self._card(effect, card.copy_number) or mine
            if newest.rendered_version == mine.rendered_version:
                return mine.rendered_version
            card = mine
            loaded = await self._request_of(effect)
        return card.rendered_version

    async def _reply(self, claim: Claim) -> None:
        effect, sequence = claim.effect, claim.effect.payload["sequence"]
        loaded = await self._request_of(effect)
        await self._in_order(effect)
        card = await self._posted(effect)
        event = await self._event(effect, sequence)
        await self._channel.reply(loaded, event, card.address, effect.effect_id, again=claim.attempt > 1)
        await self._effects.finish(effect.effect_id, claim.fence, {})

    async def _message(self, claim: Claim) -> None:
        effect, payload = claim.effect, claim.effect.payload
        person = await self._directory.person(effect.tenant, payload["personId"])
        told = person is not None and await self._messaged(claim, [person], payload["sequence"])
        await self._effects.finish(effect.effect_id, claim.fence, {} if told else {"skipped": "nobody to be reached"})

    async def _invite(self, claim: Claim) -> None:
        effect = claim.effect
        loaded = await self._request_of(effect)
        policy = loaded.request.proposal.policy if loaded.request else None
        invited: list[Person] = []
        for person in await self._directory.everybody(effect.tenant) if policy else ():
            if policy and _is_to_be_invited(policy.notify, person) and len(invited) < INVITED_MAX:
                by = person.as_actor("directory")
                found = await self._engine.explain(effect.payload["requestId"], by, tenant=effect.tenant)
                invited += [person] if found and found.may_approve else []
        told = await self._messaged(claim, invited, None)
        await self._effects.finish(effect.effect_id, claim.fence, {"told": told})

    async def _messaged(self, claim: Claim, people: Sequence[Person], sequence: int | None) -> list[str]:
        """Tell *people* directly of the event *sequence*, or that they are asked; return who could be told."""
        effect = claim.effect
        if not people:
            return []
        loaded, card = await self._request_of(effect), await self._posted(effect)
        event = await self._event(effect, sequence) if sequence is not None else None
        told = list[str]()
        for person in people:
            try:
                is_told = await self._channel.message(
                    person, loaded, event, card.address, effect.effect_id, again=claim.attempt > 1
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
        for record in await self._about(effect):
            if record.effect.effect_id == effect.effect_id:
                return
            if record.effect.kind == "card.thread" and record.state in {"pending", "claimed", "failed"}:
                raise NotItsTurn("an earlier reply is not posted yet", retry_after=0.3)

    async def _posted(self, effect: Effect) -> Card:
        """Return the card of the effect's request; wait for it, and give up where it will never come."""
        card = await self._card(effect)
        if card is not None:
            return card
        for record in await self._about(effect):
            if record.effect.kind == "card.post" and "copy" not in record.effect.payload and record.state == "dead":
                raise Rejected("the card was never posted")
        raise NotItsTurn("the card is not posted yet", retry_after=0.5)

    async def _about(self, effect: Effect) -> list[EffectRecord]:
        """Return every effect of the request that *effect* is about, oldest first."""
        records = await self._effects.effects_of(effect.tenant, effect.instance_id)
        request_id = effect.payload["requestId"]
        return [record for record in records if record.effect.payload.get("requestId") == request_id]

    def _turn(self, claim: Claim) -> "_Turn":
        holder = f"{claim.effect.effect_id}:{claim.fence}"
        return _Turn(self._leases, f"card:{claim.effect.tenant}:{claim.effect.payload['requestId']}", holder)

    async def _tell(self, claim: Claim) -> None:
        notice = Notice.model_validate(claim.effect.payload)
        earlier = await self._effects.effect(notice.after) if notice.after else None
        if earlier and earlier.state in {"pending", "claimed", "failed"}:
            raise NotItsTurn("an earlier word to the same person is not said yet", retry_after=0.2)
        tenant, request_id = claim.effect.tenant, notice.request_id
        loaded = await self._store.load_request(tenant, request_id) if request_id else None
        await self._channel.tell(notice, loaded)
        await self._effects.finish(claim.effect.effect_id, claim.fence, {})

    async def _confirm_answer(self, claim: Claim) -> None:
        effect = claim.effect
        by, standing = await self._confirmer.who(effect.tenant, effect.payload["answer"].get("channel", {}))
        loaded = await self._request_of(effect)
        if by and loaded.request:
            await self._confirmer.learn(effect.tenant, sorted(concerned(loaded.request, by)))
        await self._engine.confirm(effect, claim.fence, by, standing)

    async def _ask_provider(self, claim: Claim) -> None:
        effect, payload = claim.effect, claim.effect.payload
        loaded = await self._store.load(effect.tenant, effect.instance_id)
        if loaded is None or loaded.instance.is_closed or loaded.instance.state != payload["state"]:
            await self._effects.finish(effect.effect_id, claim.fence, {"skipped": "the loop has moved on"})
            return
        provider = self._providers.get(payload["use"])
        if provider is None:
            raise Rejected(f"there is no provider '{payload['use']}'; name it under providers in loopgate.yaml")
        submission = await provider.submit(_ask(loaded, payload))
        await self._engine.submit(effect, claim.fence, submission)

    async def _run_integration(self, claim: Claim) -> None:
        effect, payload = claim.effect, claim.effect.payload
        integration = self._integrations.get(payload["integration"])
        if integration is None:
            raise Rejected(f"there is no integration '{payload['integration']}'; name it in loopgate.yaml")
        loaded = await self._store.load(effect.tenant, effect.instance_id)
        if loaded is None or loaded.instance.status == "cancelled":
            raise Rejected("the loop was cancelled before this ran")
        asked = await self._store.load_request(effect.tenant, effect.grant.request_id) if effect.grant else None
        check_grant(effect, loaded.definition, asked.request if asked else None)
        if lapsed := await self._no_longer_entitled(effect):
            await self._engine.settle(effect, claim.fence, succeeded=False, detail=lapsed)
            return
        run = Run(
            effect_id=effect.effect_id,
            integration=payload["integration"],
            action=payload["action"],
            aggregate_id=effect.aggregate_id,
            loop_id=loaded.instance.loop_id,
            parameters=payload["parameters"],
            grant=effect.grant,
            created_at=effect.created_at,
        )
        # After every check of ours: a circuit must hear of nothing but what the system of record said.
        async with self._gates.through(claim, run.integration) if self._gates else contextlib.nullcontext():
            detail = await integration.run(run)
        await self._engine.settle(effect, claim.fence, succeeded=True, detail=detail)

    async def _no_longer_entitled(self, effect: Effect) -> dict[str, Any] | None:
        """Return what to record where those who approved *effect* may decide no more and the others are too few."""
        if effect.grant is None:
            return None
        request_id = effect.grant.request_id
        found = await self._engine.entitlement(effect.tenant, request_id)
        if found and found.doubts:
            await self._confirmer.learn(effect.tenant, found.people)
            found = await self._engine.entitlement(effect.tenant, request_id)
        if found is None or found.doubts:
            doubts = ", ".join(found.doubts) if found else request_id
            raise Unavailable(f"whether the approval still counts is not known: too little is known about {doubts}")
        if found.is_enough:
            return None
        who = ", ".join(found.lapsed) or "an approver"
        error = f"the approval counts no more: {who} may not decide this now; ask again for an approval"
        return {"error": error, "code": "approval_lapsed", "lapsed": list(found.lapsed)}

    async def _request_of(self, effect: Effect) -> Loaded:
        loaded = await self._store.load_request(effect.tenant, effect.payload["requestId"])
        if loaded is None:
            raise Rejected(f"there is no approval request {effect.payload['requestId']}")
        return loaded

    async def _card(self, effect: Effect, number: int = 0) -> Card | None:
        return await self._cards.card(effect.tenant, effect.payload["requestId"], number)

    async def _copies(self, effect: Effect) -> list[Card]:
        """Return the cards that escalations of the effect's request have posted."""
        request = (await self._request_of(effect)).request
        numbers = [each.step + 1 for each in request.escalations if each.channel] if request else []
        found = [await self._card(effect, number) for number in numbers]
        return [card for card in found if card]


class _Turn:
    """One card, one renderer at a time: two updates in flight could land in the wrong order."""

    def __init__(self, leases: Leases, name: str, holder: str) -> None:
        self._leases, self._name, self._holder = leases, name, holder

    async def __aenter__(self) -> None:
        if not await self._leases.hold(self._name, self._holder, CARD_LEASE):
            raise NotItsTurn("another worker is rendering this card", retry_after=0.2)

    async def __aexit__(self, *_: object) -> None:
        await self._leases.let_go(self._name, self._holder)


def _is_to_be_invited(notify: str | Approvers, person: Person) -> bool:
    if isinstance(notify, str):
        return notify == "approvers"
    return person.person_id in notify.users or bool(person.groups & set(notify.groups))


def _card(effect: Effect, loaded: Loaded, address: Mapping[str, Any], number: int = 0) -> Card:
    return Card(
        tenant=effect.tenant,
        request_id=effect.payload["requestId"],
        channel_kind="slack",
        address=dict(address),
        rendered_version=loaded.instance.version,
        copy_number=number,
    )


def _ask(loaded: Loaded, payload: Mapping[str, Any]) -> Ask:
    instance = loaded.instance
    return Ask(
        instruction=payload["instruction"],
        signals=tuple(payload["signals"]),
        loop_name=loaded.definition.name,
        aggregate_id=instance.aggregate_id,
        state=instance.state,
        data=dict(instance.data),
        evidence=dict(instance.evidence),
    )
