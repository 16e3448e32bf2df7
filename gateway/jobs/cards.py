"""Cards: posted where a request asks, rendered anew as it moves on, and posted once more where they were deleted."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gateway.jobs.ports import Cards, Claim, Effects, Leases
from gateway.jobs.records import Records
from loops.cards import Card
from loops.effects import Effect
from loops.engine import LoopEngine
from loops.errors import Gone, LoopgateError, NotYet
from loops.ports import Channel, Loaded

#: How long one worker may render one card before another may: some longer than a call to the channel takes.
CARD_LEASE = timedelta(seconds=15)


class CardHandlers:
    """Handlers of `card.post` and `card.update`."""

    def __init__(
        self,
        engine: LoopEngine,
        effects: Effects,
        cards: Cards,
        leases: Leases,
        channel: Channel,
        records: Records,
    ) -> None:
        self._engine = engine
        self._effects = effects
        self._cards = cards
        self._leases = leases
        self._channel = channel
        self._records = records

    async def post(self, claim: Claim) -> None:
        """Post the card, or the copy that an escalation asked for, once."""
        effect, number = claim.effect, claim.effect.payload.get("copy", 0)
        loaded = await self._records.request_of(effect)
        if number and loaded.request and not loaded.request.is_open:
            await self._effects.finish(effect.effect_id, claim.fence, {"skipped": "it was decided meanwhile"})
            return
        async with CardTurn(self._leases, claim):
            card = await self._records.card(effect, number)
            if card is None:
                route = effect.payload.get("channel")
                address = await self._channel.post(loaded, effect.effect_id, again=claim.attempt > 1, route=route)
                card = _card(effect, loaded, address, number)
                await self._cards.save_card(card)
            if number:
                # Updates pass over a copy that is not there yet; what they would have shown is shown now.
                await self._rendered(effect, card)
        await self._engine.card_posted(effect, claim.fence, {**card.address, **({"copy": number} if number else {})})

    async def update(self, claim: Claim) -> None:
        """Have the card and its copies show the request as it stands."""
        effect = claim.effect
        async with CardTurn(self._leases, claim):
            try:
                shown = await self._rendered(effect, await self._records.posted(effect))
            except Gone:
                await self._copies_rendered(effect)
                await self._show_anew(claim)
                return
            await self._copies_rendered(effect)
        await self._effects.finish(effect.effect_id, claim.fence, {"renderedVersion": shown})

    async def _show_anew(self, claim: Claim) -> None:
        """Post a card that was deleted once more, while its request waits for somebody; else leave it at that."""
        effect = claim.effect
        loaded = await self._records.request_of(effect)
        if loaded.request is None or not loaded.request.is_open:
            await self._cards.put_aside(effect.tenant, effect.payload["requestId"])
            await self._effects.finish(effect.effect_id, claim.fence, {"skipped": "the card was deleted"})
            return
        address = await self._channel.post(loaded, effect.effect_id, again=claim.attempt > 1)
        await self._cards.save_card(_card(effect, loaded, address))
        await self._engine.card_posted(effect, claim.fence, address)

    async def _copies_rendered(self, effect: Effect) -> None:
        """Have every copy show its request as it stands; raise what kept one from it after the others were tried."""
        errors: list[LoopgateError] = []
        for copy in await self._records.copies(effect):
            try:
                await self._rendered(effect, copy)
            except Gone:
                # A copy somebody deleted is not posted anew: the first card asks for as long as it takes.
                continue
            except LoopgateError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    async def _rendered(self, effect: Effect, card: Card) -> int:
        """
        Have the card show its request as it stands, unless it does; return the version it shows.

        A worker that slept through its turn may have put an older rendering over a newer one; it then renders again.
        """
        loaded = await self._records.request_of(effect)
        while card.rendered_version < loaded.instance.version:
            await self._channel.update(loaded, card.address)
            if not card.copy_number:
                # Kept as shown only after its copies: until then the reconciler looks after all of them.
                await self._copies_rendered(effect)
            mine = _card(effect, loaded, card.address, card.copy_number)
            await self._cards.save_card(mine)
            newest = await self._records.card(effect, card.copy_number) or mine
            if newest.rendered_version == mine.rendered_version:
                return mine.rendered_version
            card = mine
            loaded = await self._records.request_of(effect)
        return card.rendered_version


class CardTurn:
    """One card, one renderer at a time: two updates in flight could land in the wrong order."""

    def __init__(self, leases: Leases, claim: Claim) -> None:
        self._leases = leases
        self._name = f"card:{claim.effect.tenant}:{claim.effect.payload['requestId']}"
        self._holder = f"{claim.effect.effect_id}:{claim.fence}"

    async def __aenter__(self) -> None:
        if not await self._leases.hold(self._name, self._holder, CARD_LEASE):
            raise NotYet("another worker is rendering this card")

    async def __aexit__(self, *_: object) -> None:
        await self._leases.let_go(self._name, self._holder)


def _card(effect: Effect, loaded: Loaded, address: Mapping[str, Any], number: int = 0) -> Card:
    return Card(
        tenant=effect.tenant,
        request_id=effect.payload["requestId"],
        channel_kind="slack",
        address=dict(address),
        rendered_version=loaded.instance.version,
        copy_number=number,
    )
