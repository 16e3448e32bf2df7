"""Reconciling: cards that went on showing less than they should, although everything to show them was done."""

from datetime import timedelta

import structlog

from gateway.jobs.ports import CardBehind, Cards, EffectRecord, Effects
from loops.engine import LoopEngine
from loops.ports import Store

log = structlog.stdlib.get_logger()

#: How long the chore stays with a process that died.
RECONCILE_LEASE = timedelta(seconds=10)

_OPEN = frozenset({"pending", "claimed", "failed"})


class Reconciler:
    """
    Asks once more for cards that are behind: their effects were given up, or done by a worker that slept.

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
            await self._look_after(behind)

    async def _look_after(self, behind: CardBehind) -> None:
        facts = {"tenant": behind.tenant, "request_id": behind.request_id, "looks": behind.looks}
        loaded = await self._store.load_request(behind.tenant, behind.request_id)
        if loaded is None:
            await self._cards.put_aside(behind.tenant, behind.request_id)
            return
        asked = [
            record
            for record in await self._effects.effects_of(behind.tenant, loaded.instance.instance_id)
            if record.effect.kind in {"card.post", "card.update"}
            and record.effect.payload.get("requestId") == behind.request_id
        ]
        if any(record.state in _OPEN for record in asked):
            return
        if behind.is_last:
            log.error("card.abandoned", **facts)
            return
        is_posted = await self._cards.card(behind.tenant, behind.request_id) is not None
        log.warning("card.behind", is_posted=is_posted, **facts)
        await self._engine.show_again(behind.tenant, behind.request_id, None if is_posted else _dead_post(asked))


def _dead_post(asked: list[EffectRecord]) -> str | None:
    posts = (
        record.effect.effect_id for record in asked if record.effect.kind == "card.post" and record.state == "dead"
    )
    return next(posts, None)
