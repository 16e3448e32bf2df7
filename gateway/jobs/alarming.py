"""Alarming: telling whoever runs this of cards that cannot be shown, and of what was given up."""

from datetime import timedelta

import structlog

from gateway.jobs.ports import Claim, Effects, Leases
from gateway.jobs.records import Records
from loops.cards import LostCard
from loops.effects import GivenUp
from loops.ports import Channel, Store

log = structlog.stdlib.get_logger()

#: How long it is remembered that a word was said about what was given up in some minute: longer than it may wait.
ALERT_LEASE = timedelta(days=1)


class AlarmHandlers:
    """Handlers of `card.alarm` and `effect.alarm`."""

    def __init__(self, store: Store, effects: Effects, leases: Leases, channel: Channel, records: Records) -> None:
        self._store = store
        self._effects = effects
        self._leases = leases
        self._channel = channel
        self._records = records

    async def lost_card(self, claim: Claim) -> None:
        """Tell once that a card cannot be shown."""
        effect = claim.effect
        lost = LostCard.model_validate(effect.payload)
        log.error("card.lost", request_id=lost.request_id, kind=lost.kind, error=lost.error)
        earlier = [record for record in await self._records.about(effect) if record.effect.kind == "card.alarm"]
        if any(record.state == "succeeded" for record in earlier):
            detail = {"skipped": "told before"}
        else:
            loaded = await self._store.load_request(effect.tenant, lost.request_id)
            is_told = await self._channel.alarm(lost, loaded, effect.effect_id, again=claim.attempt > 1)
            detail = {} if is_told else {"skipped": "loopgate.yaml names no slack.fallbackChannel"}
        await self._effects.finish(effect.effect_id, claim.fence, detail)

    async def given_up(self, claim: Claim) -> None:
        """Tell of what was given up, once a minute for each thing."""
        effect = claim.effect
        told_of = GivenUp.model_validate(effect.payload)
        # One word a minute about each thing: when a system is down, what it was to do is given up by the hundred.
        minute = effect.created_at.strftime("%Y-%m-%dT%H:%M")
        name = f"alert:{effect.tenant}:{told_of.what}:{minute}"
        if await self._leases.hold(name, effect.effect_id, ALERT_LEASE):
            loaded = await self._store.load(effect.tenant, effect.instance_id)
            is_told = await self._channel.alert(told_of, loaded, effect.effect_id, again=claim.attempt > 1)
            detail = {} if is_told else {"skipped": "loopgate.yaml names no alerts.channel"}
        else:
            detail = {"skipped": "told of another one of the same minute"}
        await self._effects.finish(effect.effect_id, claim.fence, detail)
