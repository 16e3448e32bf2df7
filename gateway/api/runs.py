"""Runs over HTTP: what a loop instance did, read from its ledger, for audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from gateway.api.endpoint import Answer, Call
from gateway.api.models import ReplaySummary, RunEvidence, RunHistory, RunTimeline, RunView
from gateway.api.problems import Problem
from gateway.audit import AuditedLedger, DoesNotHold, audit
from gateway.auditing.bundles import check_exportable
from gateway.auditing.checkpoints import inclusion
from gateway.auditing.ports import Checkpoints
from loops.bundle import bundle_lines, make_manifest
from loops.events import Event
from loops.ledger import Broken
from loops.ports import Clock, Store
from loops.replay import replay

#: What a timeline says of each event, where it is there.
_TOLD = ("transitionId", "fromState", "toState", "signal", "requestId", "code", "reason", "status", "effectId")

_SURFACES = ("history", "evidence", "timeline", "replay-summary")


@dataclass(frozen=True, slots=True)
class Runs:
    """The handlers of ``/runs`` and ``/audit``."""

    store: Store
    checkpoints: Checkpoints
    clock: Clock

    async def get_run(self, call: Call) -> Answer:
        """Show one run in short."""
        audited = await self._audited(call)
        instance, events = audited.instance, audited.events
        base = f"/api/v1/runs/{quote(instance.instance_id, safe='')}"
        return Answer(
            RunView(
                loop_run_id=instance.instance_id,
                loop_id=instance.loop_id,
                aggregate_id=instance.aggregate_id,
                started_at=instance.started_at,
                completed_at=instance.closed_at,
                terminal_state=instance.state if instance.is_over else None,
                step_count=_count(events, "loop.transition.executed"),
                blocked_count=_count(events, "loop.transition.blocked"),
                read_surfaces={name: f"{base}/{name}" for name in _SURFACES},
            )
        )

    async def get_run_history(self, call: Call) -> Answer:
        """Show the ledger of a run, event by event."""
        audited = await self._audited(call)
        events = tuple(event.as_json() for event in audited.events)
        return Answer(RunHistory(loop_run_id=audited.instance.instance_id, events=events))

    async def get_run_evidence(self, call: Call) -> Answer:
        """Show the evidence that each executed transition brought, with who brought it."""
        audited = await self._audited(call)
        found = tuple(
            {
                "sequence": event.sequence,
                "transitionId": event.data["transitionId"],
                "actor": event.data["actor"],
                "evidence": event.data.get("evidence", {}),
            }
            for event in audited.events
            if event.type == "loop.transition.executed"
        )
        return Answer(RunEvidence(loop_run_id=audited.instance.instance_id, evidence=found))

    async def get_run_timeline(self, call: Call) -> Answer:
        """Show what happened when, in short."""
        audited = await self._audited(call)
        steps = tuple(map(_step, audited.events))
        return Answer(RunTimeline(loop_run_id=audited.instance.instance_id, steps=steps))

    async def get_run_replay_summary(self, call: Call) -> Answer:
        """Say whether the ledger of a run holds, and whether judging it again gives the same."""
        audited = await self._audited(call)
        broken = audited.verdict if isinstance(audited.verdict, Broken) else None
        replayed = None if broken else replay(audited.events, audited.loaded.definition)
        return Answer(
            ReplaySummary(
                loop_run_id=audited.instance.instance_id,
                sequence_valid=broken is None,
                first_bad_sequence=broken.sequence if broken else None,
                reason=broken.reason if broken else replayed and replayed.deviation and replayed.deviation.reason,
                event_count=len(audited.events),
                head_hash=audited.instance.head.hash,
                replayed_steps=replayed.steps if replayed else 0,
                first_deviation=replayed.deviation.sequence if replayed and replayed.deviation else None,
            )
        )

    async def export_audit(self, call: Call) -> Answer:
        """Export the ledger of a run with its definition, to be verified offline by ``loopgate audit verify``."""
        audited = await self._audited(call)
        try:
            check_exportable(audited)
        except DoesNotHold as error:
            raise Problem(409, "ledger_broken", str(error)) from error
        proof = await inclusion(self.checkpoints, call.tenant, audited.instance.instance_id)
        manifest = make_manifest(
            audited.instance,
            audited.loaded.definition,
            audited.lines,
            exported_at=self.clock.now(),
            exported_by=f"loopgate {version('loopgate')}",
            checkpoint=proof,
        )
        body = b"".join(bundle_lines(manifest, audited.lines))
        name = quote(f"{audited.instance.instance_id}.jsonl", safe="")
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
        return Answer(Response(body, media_type="application/x-ndjson", headers=headers))

    async def _audited(self, call: Call) -> AuditedLedger:
        name = call.path["run_id"]
        try:
            audited = await audit(self.store, call.tenant, name)
        except DoesNotHold as error:
            raise Problem(409, "ledger_broken", str(error)) from error
        if audited is None:
            raise Problem(404, "unknown_instance", f"there is no run {name}")
        return audited


def _count(events: Sequence[Event], kind: str) -> int:
    return sum(event.type == kind for event in events)


def _step(event: Event) -> Mapping[str, Any]:
    actor = event.data.get("actor")
    told = {key: event.data[key] for key in _TOLD if key in event.data}
    who = {"actor": _in_short(actor)} if actor else {}
    at = event.occurred_at.isoformat().replace("+00:00", "Z")
    return {"sequence": event.sequence, "type": event.type, "at": at, **who, **told}


def _in_short(actor: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": actor["id"], "type": actor["type"], "name": actor.get("displayName") or actor["id"]}
