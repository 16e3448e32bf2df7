"""A small engine in memory that fits `gateway.intake.ports.Engine` in full: one loop, moved by one signal."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from loops.actors import Actor
from loops.canonical import digest
from loops.errors import LoopgateError
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.outcomes import Executed, Recorded, Refused

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

#: The loop it knows, the signal that moves it, and the signal a guard blocks.
LOOP, SIGNAL, BLOCKED = "infrastructure.change", "rollout_done", "skip_review"

Outcome = Executed | Recorded | Refused


class InMemoryEngine:
    """`written` counts what took place. `fault` is raised instead of answering."""

    def __init__(self) -> None:
        self.instances: dict[tuple[str, str], LoopInstance] = {}
        self.answers: dict[str, tuple[str, Outcome]] = {}
        self.written = 0
        self.reasons: list[str | None] = []
        self.fault: LoopgateError | None = None

    async def start(
        self,
        *,
        tenant: str,
        loop_id: str,
        aggregate_id: str,
        data: Mapping[str, Any],
        actor: Actor,
        correlation_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        def act() -> Outcome:
            running = self.instances.get((tenant, aggregate_id))
            if running and not running.is_closed:
                return Refused(code="already_active", message=f"{aggregate_id} has an active loop", instance=running)
            instance = LoopInstance(
                tenant=tenant,
                instance_id=f"li_{len(self.instances) + 1}",
                aggregate_id=aggregate_id,
                loop_id=loop_id,
                definition_version="1.0.0",
                definition_digest="sha256:ab",
                state="ANALYZING",
                version=1,
                data=data,
                requester=actor,
                correlation_id=correlation_id or aggregate_id,
                started_at=NOW,
                updated_at=NOW,
            )
            return self._write(Executed(instance=instance))

        if loop_id != LOOP:
            return Refused(code="unknown_loop", message=f"there is no loop '{loop_id}'")
        return self._once(idempotency_key, digest([aggregate_id, data, actor.as_json()]), act)

    async def signal(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        signal: str,
        actor: Actor,
        evidence: Mapping[str, Any],
        idempotency_key: str | None = None,
    ) -> Outcome:
        def act() -> Outcome:
            instance = self.instances.get((tenant, aggregate_id))
            if instance is None:
                return Refused(code="unknown_instance", message=f"nothing runs on {aggregate_id}")
            if instance.is_closed:
                return Refused(code="loop_closed", message="it is closed", instance=instance)
            if signal == BLOCKED:
                verdict = GuardVerdict(guard_id="human-only", severity="hard", passed=False, code="c", message="no")
                return Refused(code="guard_failed", message="blocked", failures=(verdict,), instance=instance)
            if signal != SIGNAL:
                return self._write(Recorded(code="effect_settled", instance=instance))
            moved = instance.changed(state="COMPLETE", status="completed", version=2, evidence=evidence)
            return self._write(Executed(instance=moved, from_state=instance.state, transition_id=signal))

        return self._once(idempotency_key, digest([aggregate_id, signal, evidence, actor.as_json()]), act)

    async def cancel(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        actor: Actor,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        def act() -> Outcome:
            instance = self.instances.get((tenant, aggregate_id))
            if instance is None:
                return Refused(code="unknown_instance", message=f"nothing runs on {aggregate_id}")
            if instance.is_closed:
                return Refused(code="loop_closed", message="it is closed", instance=instance)
            self.reasons.append(reason)
            return self._write(Executed(instance=instance.changed(status="cancelled", version=2)))

        return self._once(idempotency_key, digest([aggregate_id, reason, actor.as_json()]), act)

    def _once(self, key: str | None, body: str, act: Any) -> Outcome:
        if self.fault:
            raise self.fault
        if key in self.answers:
            first_body, answer = self.answers[key]
            if first_body != body:
                return Refused(code="idempotency_key_reused", message="the key stands for another request")
            return answer.changed(repeated=True)
        answer = act()
        if key:
            self.answers[key] = (body, answer)
        return answer

    def _write(self, outcome: Executed | Recorded) -> Outcome:
        self.written += 1
        self.instances[outcome.instance.tenant, outcome.instance.aggregate_id] = outcome.instance
        return outcome
