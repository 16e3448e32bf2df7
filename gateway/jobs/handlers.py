"""
The handlers: what each kind of effect does, in one table.

A handler translates between the engine and one adapter; it decides nothing.
"""

from collections.abc import Awaitable, Callable, Mapping

from gateway.integrations.ports import Integration
from gateway.jobs.acting import ActingHandlers
from gateway.jobs.alarming import AlarmHandlers
from gateway.jobs.cards import CardHandlers
from gateway.jobs.lanes import Gates
from gateway.jobs.ports import Cards, Claim, Effects, Leases
from gateway.jobs.records import Records
from gateway.jobs.telling import TellingHandlers
from loops.effects import EffectKind
from loops.engine import LoopEngine
from loops.outcomes import Refused
from loops.ports import Channel, Confirmer, Directory, Provider, Store

#: Answers to the end of an effect that say there is no ledger to put it on.
_NOBODY_WAITS = frozenset({"unknown_instance", "unknown_request"})

Handler = Callable[[Claim], Awaitable[None]]


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
        gates: Gates,
    ) -> None:
        self._engine = engine
        self._effects = effects
        records = Records(store, effects, cards)
        of_cards = CardHandlers(engine, effects, cards, leases, channel, records)
        alarming = AlarmHandlers(store, effects, leases, channel, records)
        telling = TellingHandlers(engine, store, effects, channel, directory, records)
        acting = ActingHandlers(engine, store, effects, confirmer, providers, integrations, gates, records)
        self._table: Mapping[EffectKind, Handler] = {
            "card.post": of_cards.post,
            "card.update": of_cards.update,
            "card.thread": telling.reply,
            "card.direct": telling.message,
            "card.invite": telling.invite,
            "details.file": telling.file,
            "notice": telling.tell,
            "card.alarm": alarming.lost_card,
            "effect.alarm": alarming.given_up,
            "answer.confirm": acting.confirm,
            "provider.ask": acting.ask,
            "integration.run": acting.run,
        }

    async def carry_out(self, claim: Claim) -> None:
        """Do what the claimed effect asks and record its end."""
        await self._table[claim.effect.kind](claim)

    async def give_up(self, claim: Claim, error: str) -> None:
        """End an effect that will not be tried again, on the ledger; who waits for its result is told."""
        effect, fence = claim.effect, claim.fence
        if effect.kind == "answer.confirm":
            outcome = await self._engine.never_known(effect, fence)
        else:
            outcome = await self._engine.settle(effect, fence, succeeded=False, detail={"error": error})
        if isinstance(outcome, Refused) and outcome.code in _NOBODY_WAITS:
            await self._effects.bury(effect.effect_id, fence, error=error)
