"""What is on record about the request an effect is about, as its handler needs it."""

from gateway.jobs.ports import Cards, EffectRecord, Effects
from loops.cards import Card
from loops.effects import Effect
from loops.errors import NotYet, Rejected
from loops.ports import Loaded, Store

#: States of effects that are still to come.
AHEAD = frozenset({"pending", "claimed", "failed"})


class Records:
    """Looks up the request of an effect, its cards, and the other effects of the same request."""

    def __init__(self, store: Store, effects: Effects, cards: Cards) -> None:
        self._store = store
        self._effects = effects
        self._cards = cards

    async def request_of(self, effect: Effect) -> Loaded:
        """Return the instance with the request that *effect* is about. Raises Rejected where there is none."""
        loaded = await self._store.load_request(effect.tenant, effect.payload["requestId"])
        if loaded is None:
            raise Rejected(f"there is no approval request {effect.payload['requestId']}")
        return loaded

    async def about(self, effect: Effect) -> list[EffectRecord]:
        """Return every effect of the request that *effect* is about, oldest first."""
        records = await self._effects.effects_of(effect.tenant, effect.instance_id)
        request_id = effect.payload["requestId"]
        return [record for record in records if record.effect.payload.get("requestId") == request_id]

    async def card(self, effect: Effect, number: int = 0) -> Card | None:
        """Return the posted card of the effect's request, or one of its copies."""
        return await self._cards.card(effect.tenant, effect.payload["requestId"], number)

    async def copies(self, effect: Effect) -> list[Card]:
        """Return the cards that escalations of the effect's request have posted."""
        request = (await self.request_of(effect)).request
        numbers = [each.step + 1 for each in request.escalations if each.channel] if request else []
        found = [await self.card(effect, number) for number in numbers]
        return [card for card in found if card]

    async def posted(self, effect: Effect, number: int = 0) -> Card:
        """
        Return the first card of the effect's request, or the copy *number*.

        Raises:
            NotYet: If it is not posted yet.
            Rejected: If it never will be.
        """
        card = await self.card(effect, number)
        if card is not None:
            return card
        for record in await self.about(effect):
            is_its_post = record.effect.kind == "card.post" and record.effect.payload.get("copy", 0) == number
            # A copy is not posted where the request was decided meanwhile.
            if is_its_post and (record.state in {"dead", "cancelled"} or (number and record.state not in AHEAD)):
                raise Rejected("the card was never posted")
        raise NotYet("the card is not posted yet")
