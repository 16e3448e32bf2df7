"""Commits built by hand: what an engine would ask the store to write, without one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from loops.actors import human, service
from loops.approvals import AnswerOffered, ApprovalRequest, Proposal
from loops.commit import Commit, IdempotencyRecord
from loops.deadlines import Deadline
from loops.definition import LoopDefinition
from loops.effects import Effect, EffectResult
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import LedgerHead, Sealed, seal
from loops.outcomes import Executed
from loops.policy import ApprovalPolicy, Approvers

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

DEFINITION = LoopDefinition.model_validate(
    {
        "id": "infrastructure.change",
        "version": "1.0.0",
        "initialState": "ANALYZING",
        "states": [
            {"id": "ANALYZING"},
            {"id": "PENDING_HUMAN_APPROVAL", "approval": {"approvers": {"groups": ["sre"]}, "expireAfter": "4h"}},
            {"id": "COMPLETE", "terminal": True},
        ],
        "transitions": [
            {"id": "submit", "from": "ANALYZING", "to": "PENDING_HUMAN_APPROVAL", "actors": ["ai-agent"]},
            {"id": "approve", "from": "PENDING_HUMAN_APPROVAL", "to": "COMPLETE", "actors": ["human"]},
        ],
        "metadata": {"owner": None},
    }
)

DANA = human("dana", "Dana", via="slack")


def an_instance(**fields: Any) -> LoopInstance:
    """Return the first version of an open instance."""
    return LoopInstance.model_validate(
        {
            "tenant": "acme",
            "instance_id": "li_1",
            "aggregate_id": "CHG-1",
            "loop_id": DEFINITION.id,
            "definition_version": DEFINITION.version,
            "definition_digest": DEFINITION.digest,
            "state": "ANALYZING",
            "version": 1,
            "data": {"service": "ingress", "replicas": 3, "note": None, "ratio": 1.0},
            "requester": service("portal"),
            "correlation_id": "c_1",
            "started_at": NOW,
            "updated_at": NOW,
            **fields,
        }
    )


def an_event(instance: LoopInstance, **fields: Any) -> Event:
    """Return the event that follows the instance's head."""
    sequence = instance.head.sequence + 1
    return seal(
        {
            "event_id": f"ev_{instance.instance_id}_{sequence}",
            "type": "loop.started",
            "sequence": sequence,
            "tenant": instance.tenant,
            "loop_id": instance.loop_id,
            "aggregate_id": instance.aggregate_id,
            "instance_id": instance.instance_id,
            "definition_version": instance.definition_version,
            "definition_digest": instance.definition_digest,
            "occurred_at": NOW,
            "correlation_id": instance.correlation_id,
            "data": {"state": instance.state},
            "previous_hash": instance.head.hash,
            **fields,
        }
    )


def a_commit(instance: LoopInstance, *, data: dict[str, Any] | None = None, **fields: Any) -> Commit:
    """Return a commit of *instance* with one event that its head already names."""
    event = an_event(instance, **({} if data is None else {"data": data}))
    sealed = instance.changed(head=LedgerHead(sequence=event.sequence, hash=event.hash))
    return Commit(
        instance=sealed, sealed=(Sealed.of(event),), definition=DEFINITION if instance.version == 1 else None, **fields
    )


def next_of(commit: Commit, **changes: Any) -> LoopInstance:
    """Return the instance one version after *commit*."""
    return commit.instance.changed(**{"version": commit.instance.version + 1, **changes})


def closed(commit: Commit) -> LoopInstance:
    """Return the instance closed, one version after *commit*."""
    return next_of(commit, state="COMPLETE", status="completed", closed_at=NOW)


def a_request(instance: LoopInstance, request_id: str = "ar_1", **fields: Any) -> ApprovalRequest:
    """Return an open approval request of *instance*."""
    proposal = Proposal(
        loop_id=instance.loop_id,
        definition_version=instance.definition_version,
        definition_digest=instance.definition_digest,
        aggregate_id=instance.aggregate_id,
        state=instance.state,
        requester=instance.requester,
        parameters=dict(instance.data),
        evidence={},
        policy=ApprovalPolicy(approvers=Approvers(groups=("sre",)), expire_after=timedelta(hours=4)),
    )
    return ApprovalRequest.model_validate(
        {
            "request_id": request_id,
            "tenant": instance.tenant,
            "instance_id": instance.instance_id,
            "aggregate_id": instance.aggregate_id,
            "loop_name": "Infrastructure change",
            "title": "Roll out",
            "proposal": proposal,
            "digest": proposal.digest,
            "answers": (AnswerOffered(kind="approve", transition_id="approve", label="Approve"),),
            "created_at": NOW,
            **fields,
        }
    )


def an_effect(instance: LoopInstance, effect_id: str = "ef_1", **fields: Any) -> Effect:
    """Return an effect of *instance*."""
    return Effect.model_validate(
        {
            "effect_id": effect_id,
            "kind": "integration.run",
            "tenant": instance.tenant,
            "instance_id": instance.instance_id,
            "aggregate_id": instance.aggregate_id,
            "created_at": NOW,
            "payload": {"integration": "deployer", "action": "rollout", "parameters": {"dryRun": None}},
            **fields,
        }
    )


def a_deadline(instance: LoopInstance, deadline_id: str = "ar_1:expire", **fields: Any) -> Deadline:
    """Return a deadline of *instance*, due at `NOW`."""
    return Deadline.model_validate(
        {
            "deadline_id": deadline_id,
            "kind": "expire",
            "tenant": instance.tenant,
            "instance_id": instance.instance_id,
            "request_id": "ar_1",
            "due_at": NOW,
            **fields,
        }
    )


def a_record(instance: LoopInstance, key: str = "k_1", body: str = "sha256:one") -> IdempotencyRecord:
    """Return the record of a request answered with *instance* as executed."""
    return IdempotencyRecord(key=key, body_digest=body, answer=Executed(instance=instance, transition_id="submit"))


def a_result(fence: int, *, succeeded: bool = True, effect_id: str = "ef_1") -> EffectResult:
    """Return how an effect ended under the claim *fence*."""
    return EffectResult(effect_id=effect_id, fence=fence, succeeded=succeeded, detail={"status": 200, "body": None})
