"""Acting: asking providers, running integrations under a grant, and finding out who gave an answer."""

from collections.abc import Mapping
from typing import Any

from gateway.integrations.ports import Integration, Run
from gateway.jobs.grants import check_grant
from gateway.jobs.lanes import Gates
from gateway.jobs.ports import Claim, Effects
from gateway.jobs.records import Records
from loops.effects import Effect
from loops.engine import LoopEngine
from loops.errors import Rejected, Unavailable
from loops.ports import Confirmer, Loaded, Provider, Store
from loops.submission import Ask

_NOT_KNOWN = "the loop was {}; whether an earlier attempt took place is not known"


class ActingHandlers:
    """Handlers of `answer.confirm`, `provider.ask` and `integration.run`."""

    def __init__(
        self,
        engine: LoopEngine,
        store: Store,
        effects: Effects,
        confirmer: Confirmer,
        providers: Mapping[str, Provider],
        integrations: Mapping[str, Integration],
        gates: Gates,
        records: Records,
    ) -> None:
        self._engine = engine
        self._store = store
        self._effects = effects
        self._confirmer = confirmer
        self._providers = providers
        self._integrations = integrations
        self._gates = gates
        self._records = records

    async def confirm(self, claim: Claim) -> None:
        """Find out who gave an answer that is kept, and have it judged."""
        effect = claim.effect
        by, standing = await self._confirmer.who(effect.tenant, effect.payload["answer"].get("channel", {}))
        loaded = await self._records.request_of(effect)
        if by and loaded.request:
            about = await self._engine.concerned(effect.tenant, loaded.request.request_id, by)
            await self._confirmer.learn(effect.tenant, sorted(about))
        await self._engine.confirm(effect, claim.fence, by, standing)

    async def ask(self, claim: Claim) -> None:
        """Ask a provider what it recommends, and submit that."""
        effect, payload = claim.effect, claim.effect.payload
        loaded = await self._store.load(effect.tenant, effect.instance_id)
        if loaded and loaded.instance.is_called_off:
            await self._engine.call_off(effect, claim.fence)
            return
        if loaded is None or loaded.instance.is_closed or loaded.instance.state != payload["state"]:
            await self._effects.finish(effect.effect_id, claim.fence, {"skipped": "the loop has moved on"})
            return
        provider = self._providers.get(payload["use"])
        if provider is None:
            raise Rejected(f"there is no provider '{payload['use']}'; name it under providers in loopgate.yaml")
        async with self._gates.through(claim):
            submission = await provider.submit(_ask(loaded, payload))
        await self._engine.submit(effect, claim.fence, submission)

    async def run(self, claim: Claim) -> None:
        """Have a system of record act, if what it rests on still holds."""
        effect, payload = claim.effect, claim.effect.payload
        integration = self._integrations.get(payload["integration"])
        if integration is None:
            raise Rejected(f"there is no integration '{payload['integration']}'; name it in loopgate.yaml")
        loaded = await self._store.load(effect.tenant, effect.instance_id)
        if loaded is None:
            raise Rejected("the loop this is for is gone")
        if loaded.instance.is_called_off:
            if claim.may_have_acted:
                raise Rejected(_NOT_KNOWN.format(loaded.instance.status))
            await self._engine.call_off(effect, claim.fence)
            return
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
        # After every check of ours: a circuit must hear of nothing but what the system behind it said.
        async with self._gates.through(claim):
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
