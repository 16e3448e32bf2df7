"""Reconciling: cards that went on showing less than they should, although everything to show them was done."""

from datetime import timedelta

import structlog

from gateway.jobs.ports import CardBehind, Cards, EffectRecord, Effects
from gateway.jobs.records import AHEAD
from loops.cards import Card
from loops.engine import LoopEngine
from loops.ports import Loaded, Store

log = structlog.stdlib.get_logger()

#: How long the chore stays with a process that died.
RECONCILE_LEASE = timedelta(seconds=10)


class Reconciler:
    """
    Asks once more for cards that are behind: their effects were given up, done by a worker that slept, or are gone.

    It shows nothing itself: what it asks for is an effect like any other, done at least once and by its id.
    """

    def __init__(self, cards: Cards, effects: Effects, store: Store, engine: LoopEngine) -> None:
        self._cards = cards
        self._effects = effects
        self._store = store
        self._engine = engine

    async def once(self) -> None:
        """Look after the cards whose time has come."""
        for behind in await self._cards.behind():
            await self.look_after(behind)

    async def look_after(self, behind: CardBehind) -> None:
        """Have one card that is behind shown again, unless that is under way, or nobody wants it."""
        facts = {"tenant": behind.tenant, "request_id": behind.request_id, "looks": behind.looks}
        loaded = await self._store.load_request(behind.tenant, behind.request_id)
        if loaded is None:
            await self._cards.put_aside(behind.tenant, behind.request_id)
            return
        asked = await self._asked(behind, loaded)
        posts = [each for each in asked if each.effect.kind == "card.post" and not each.effect.payload.get("copy")]
        card = await self._cards.card(behind.tenant, behind.request_id) or await self._as_recorded(behind, loaded)
        # Without a card an update only waits for one: what matters is whether a post is on its way.
        if any(record.state in AHEAD for record in (asked if card else posts)):
            return
        if behind.is_last:
            log.error("card.abandoned", **facts)
            return
        if card is None and posts and posts[-1].state == "cancelled":
            log.warning("card.not_wanted", **facts)
            await self._cards.put_aside(behind.tenant, behind.request_id)
            return
        log.warning("card.behind", is_posted=card is not None, posts=len(posts), **facts)
        dead = next((each.effect.effect_id for each in posts if each.state == "dead"), None)
        # Whoever else finds it missing names it the same, so that it is posted once.
        new = f"ef_{behind.request_id}_post{len(posts)}" if card is None and dead is None else None
        await self._engine.show_again(behind.tenant, behind.request_id, dead_post=None if card else dead, new_post=new)

    async def _asked(self, behind: CardBehind, loaded: Loaded) -> list[EffectRecord]:
        """Return every effect that was to show the card or one of its copies, oldest first."""
        return [
            record
            for record in await self._effects.effects_of(behind.tenant, loaded.instance.instance_id)
            if record.effect.kind in {"card.post", "card.update"}
            and record.effect.payload.get("requestId") == behind.request_id
        ]

    async def _as_recorded(self, behind: CardBehind, loaded: Loaded) -> Card | None:
        """Return the card the ledger says was posted, kept again from there; None where none ever was."""
        tenant, after, address = behind.tenant, 0, None
        while events := await self._store.events(tenant, loaded.instance.instance_id, after=after):
            for event in events:
                if event.type == "approval.card.posted" and event.data.get("requestId") == behind.request_id:
                    address = address if "copy" in event.data else event.data
            after = events[-1].sequence
        if address is None:
            return None
        card = Card(
            tenant=tenant,
            request_id=behind.request_id,
            channel_kind="slack",
            address={key: value for key, value in address.items() if key != "requestId"},
            rendered_version=0,
        )
        await self._cards.save_card(card)
        return card
