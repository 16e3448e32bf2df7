"""Loops over HTTP: started, moved, cancelled, looked at."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from gateway.api.acting import actor_of
from gateway.api.endpoint import Answer, Call
from gateway.api.models import (
    Cancel,
    DefinitionPage,
    LoopDetail,
    LoopPage,
    LoopsAsked,
    LoopView,
    Moved,
    Parked,
    Standing,
    StartLoop,
    Transition,
)
from gateway.api.problems import Problem, refusal
from gateway.api.views import approval_view, definition_view, effect_views, loop_fields, loop_view
from gateway.auditing.ports import Archives
from gateway.jobs.ports import Effects
from loops.approvals import ApprovalRequest
from loops.engine import LoopEngine
from loops.instance import LoopInstance
from loops.naming import names_of
from loops.outcomes import Executed, Outcome, Recorded, Refused
from loops.ports import Definitions, Directory, IdSource, Loaded, Store

#: Instances one listing looks at for what its filters ask; the cursor goes on from there.
_LOOKED_AT = 1_000

#: Approval requests a listing reads at the same time.
_READ_AT_A_TIME = 20


@dataclass(frozen=True, slots=True)
class Loops:
    """The handlers of ``/loops`` and ``/definitions``."""

    engine: LoopEngine
    store: Store
    effects: Effects
    definitions: Definitions
    ids: IdSource
    directory: Directory
    archives: Archives | None = None

    async def start_loop(self, call: Call) -> Answer:
        """Start a loop: 201, or 200 where the same request was made before."""
        asked: StartLoop = call.body
        key = call.key or (f"api:{call.caller.key_id}:{asked.idempotency_key}" if asked.idempotency_key else None)
        actor = actor_of(call.caller, None, on_behalf_of=asked.on_behalf_of)
        outcome = await self.engine.start(
            tenant=call.tenant,
            loop_id=asked.loop_id,
            # Made of the key where there is one, so that a repeated request asks for the same.
            aggregate_id=asked.aggregate_id or (f"ag_{key}" if key else self.ids.new("ag_")),
            data=asked.payload,
            actor=actor.changed(metadata=dict(asked.metadata)) if asked.metadata else actor,
            correlation_id=asked.correlation_id,
            idempotency_key=key,
        )
        executed = _executed(outcome)
        if executed.repeated:
            return Answer(loop_view(executed.instance, executed.request, idempotent=True))
        return Answer(loop_view(executed.instance, executed.request), 201)

    async def begin_loop(self, call: Call) -> Answer:
        """Say how a loop stands that was just made; 409 where it has gone on since: creating one starts it here."""
        instance = (await self._found(call)).instance
        if instance.version > 1 or instance.is_over:
            told = f"{instance.aggregate_id} was started already and is in {instance.state}"
            raise Problem(409, "already_started", told)
        return Answer(_standing(instance))

    async def transition_loop(self, call: Call) -> Answer:
        """Move a loop: 200 moved, 202 where humans must approve first."""
        asked: Transition = call.body
        outcome = await self.engine.transition(
            tenant=call.tenant,
            aggregate_id=call.path["aggregate_id"],
            transition=asked.signal_id,
            actor=actor_of(call.caller, asked.actor),
            evidence=asked.evidence,
            idempotency_key=call.key,
            correlation_id=asked.correlation_id,
        )
        match outcome:
            case Executed():
                return Answer(_moved(outcome))
            case Recorded(instance=instance, request=request):
                parked = request.request_id if request else instance.request_id or ""
                return Answer(
                    Parked(
                        aggregate_id=instance.aggregate_id,
                        current_state=instance.state,
                        status=instance.status,
                        approval_id=parked,
                    ),
                    202,
                )
            case Refused():
                raise refusal(outcome)
            case _:
                assert_never(outcome)

    async def cancel_loop(self, call: Call) -> Answer:
        """Cancel a loop."""
        asked: Cancel = call.body
        outcome = await self.engine.cancel(
            tenant=call.tenant,
            aggregate_id=call.path["aggregate_id"],
            actor=actor_of(call.caller, None),
            reason=asked.reason,
            idempotency_key=call.key,
        )
        return Answer(_standing(_executed(outcome).instance))

    async def list_loops(self, call: Call) -> Answer:
        """List loop instances, newest first."""
        asked: LoopsAsked = call.query
        closed = asked.status in {"completed", "failed", "cancelled"}
        found: list[LoopView] = []
        cursor, looked_at = asked.cursor, 0
        while True:
            page, cursor = await self.store.instances(
                call.tenant, state=asked.state, cursor=cursor, limit=asked.limit - len(found), closed=closed
            )
            found += await self._views(call.tenant, page, asked)
            looked_at += len(page)
            if cursor is None or len(found) >= asked.limit or looked_at >= _LOOKED_AT:
                return Answer(LoopPage(loops=tuple(found), next_cursor=cursor))

    async def get_loop(self, call: Call) -> Answer:
        """Show one instance, by its id or its aggregate's, with what waits in it."""
        loaded = await self._found(call)
        request, instance = loaded.request, loaded.instance
        records = await self.effects.effects_of(call.tenant, instance.instance_id)
        waiting = [request] if request and request.is_open else []
        names = await names_of(self.directory, call.tenant, *waiting)
        fields = loop_fields(instance, request) | {
            "evidence": dict(instance.evidence),
            "pending_approvals": [approval_view(each, names) for each in waiting],
            "effects": effect_views(records),
        }
        return Answer(LoopDetail.model_validate(fields))

    async def list_definitions(self, call: Call) -> Answer:  # noqa: ARG002 - the same for every caller
        """List the loops that may be started."""
        every = sorted(self.definitions.all().values(), key=lambda definition: definition.id)
        return Answer(DefinitionPage(definitions=tuple(map(definition_view, every))))

    async def get_definition(self, call: Call) -> Answer:
        """Show one loop that may be started."""
        definition = self.definitions.get(call.path["loop_id"])
        if definition is None:
            raise Problem(404, "unknown_loop", f"there is no loop '{call.path['loop_id']}'")
        return Answer(definition_view(definition))

    async def _found(self, call: Call) -> Loaded:
        name = call.path["aggregate_id"]
        found = await self.store.load(call.tenant, name) or await self.store.load_aggregate(call.tenant, name)
        if found is None:
            if self.archives and (kept := await self.archives.archived(call.tenant, name)):
                raise Problem(410, "archived", str(kept))
            raise Problem(404, "unknown_instance", f"there is no loop on {name}")
        return found

    async def _views(self, tenant: str, page: Sequence[LoopInstance], asked: LoopsAsked) -> list[LoopView]:
        """Return those of *page* that are asked for, with their open approval requests, some read at a time."""
        wanted = [each for each in page if _is_asked_for(each, asked)]
        waiting: list[ApprovalRequest | None] = []
        for start in range(0, len(wanted), _READ_AT_A_TIME):
            some = wanted[start : start + _READ_AT_A_TIME]
            waiting += await asyncio.gather(*(self._waiting(tenant, each) for each in some))
        return [
            loop_view(instance, request)
            for instance, request in zip(wanted, waiting, strict=True)
            if asked.waiting_for is None or (request and asked.waiting_for in _named(request))
        ]

    async def _waiting(self, tenant: str, instance: LoopInstance) -> ApprovalRequest | None:
        """Return the approval request that *instance* waits for, if it is open."""
        if instance.request_id is None or instance.is_over:
            return None
        loaded = await self.store.load_request(tenant, instance.request_id)
        return loaded.request if loaded and loaded.request and loaded.request.is_open else None


def _is_asked_for(instance: LoopInstance, asked: LoopsAsked) -> bool:
    return asked.loop_id in {None, instance.loop_id} and asked.status in {None, instance.status}


def _named(request: ApprovalRequest) -> set[str]:
    needs = [need for stage in request.policy.gates for need in stage.needs]
    taken = [each.to_person for each in request.reassignments]
    return {name for need in needs for name in (*need.groups, *need.users)} | set(taken)


def _executed(outcome: Outcome) -> Executed | Recorded:
    if isinstance(outcome, Refused):
        raise refusal(outcome)
    return outcome


def _moved(executed: Executed) -> Moved:
    instance, request = executed.instance, executed.request
    return Moved(
        aggregate_id=instance.aggregate_id,
        previous_state=executed.from_state or instance.state,
        current_state=instance.state,
        status=instance.status,
        transitioned_at_iso=instance.updated_at,
        warnings=tuple(_warning(each.guard_id, each.message) for each in executed.warnings),
        approval_id=request.request_id if request and request.is_open else None,
    )


def _warning(guard_id: str, message: str | None) -> Mapping[str, str]:
    return {"guardId": guard_id, "message": message or ""}


def _standing(instance: LoopInstance) -> Standing:
    return Standing(aggregate_id=instance.aggregate_id, current_state=instance.state, status=instance.status)
