"""Views: what stands in the store, as the API shows it. Pure."""

from collections.abc import Mapping, Sequence

from gateway.api.adhoc import ADHOC, asked_facts, asked_parameters
from gateway.api.models import ApprovalView, DecisionView, DefinitionView, EffectView, LoopView
from gateway.jobs.ports import EffectRecord
from loops.approvals import ApprovalRequest, Decision
from loops.canonical import digest
from loops.definition import LoopDefinition
from loops.instance import LoopInstance


def loop_fields(instance: LoopInstance, request: ApprovalRequest | None) -> dict[str, object]:
    """Return the fields every view of an instance has."""
    return {
        "instance_id": instance.instance_id,
        "aggregate_id": instance.aggregate_id,
        "loop_id": instance.loop_id,
        "tenant_id": instance.tenant,
        "current_state": instance.state,
        "status": instance.status,
        "context": dict(instance.data),
        "definition_version": instance.definition_version,
        "correlation_id": instance.correlation_id,
        "created_at": instance.started_at,
        "updated_at": instance.updated_at,
        "closed_at": instance.closed_at,
        "approval_id": request.request_id if request and request.is_open else None,
    }


def loop_view(instance: LoopInstance, request: ApprovalRequest | None = None, **more: object) -> LoopView:
    """Return *instance*, with its latest *request* where that is known."""
    return LoopView.model_validate(loop_fields(instance, request) | more)


def approval_view(request: ApprovalRequest, names: Mapping[str, str]) -> ApprovalView:
    """
    Return *request*; *names* are what people are called, by id, whom its policy names.

    What a model said about it is not in here: it is evidence, on the run.
    """
    question = request.open_question
    proposal = request.proposal
    parameters, facts = proposal.parameters, {fact.label: fact.value for fact in request.facts}
    if proposal.loop_id == ADHOC:
        parameters, facts = asked_parameters(proposal.parameters), asked_facts(proposal.parameters, request.facts)
    return ApprovalView(
        approval_id=request.request_id,
        version=request.version,
        status=request.status,
        title=request.title,
        loop_id=proposal.loop_id,
        aggregate_id=request.aggregate_id,
        instance_id=request.instance_id,
        state=proposal.state,
        digest=request.digest,
        parameters=parameters,
        parameters_digest=digest(parameters),
        facts=facts,
        waiting_for=request.policy.named(names),
        decisions=tuple(decision_view(each) for each in request.decisions),
        decided_by=decision_view(request.closed_by) if request.closed_by else None,
        edited=bool(request.changes),
        question=question.text if question else None,
        created_at=request.created_at,
        expires_at=request.expires_at,
        closed_at=request.closed_at,
    )


def decision_view(decision: Decision) -> DecisionView:
    """Return *decision* without the channel's evidence, which stands on the ledger."""
    return DecisionView(
        kind=decision.kind,
        transition_id=decision.transition_id,
        person_id=decision.by.user_id,
        name=decision.by.name,
        on_behalf_of=decision.on_behalf_of.person if decision.on_behalf_of else None,
        on_behalf_of_name=decision.on_behalf_of.name if decision.on_behalf_of else None,
        at=decision.at,
        reason=decision.reason,
    )


def effect_views(records: Sequence[EffectRecord]) -> tuple[EffectView, ...]:
    """Return what a loop asked the world to do: providers and integrations, not our own cards and notices."""
    return tuple(
        EffectView(
            effect_id=record.effect.effect_id,
            kind=record.effect.kind,
            state=record.state,
            attempts=record.attempts,
            error=record.error,
        )
        for record in records
        if record.effect.kind in {"provider.ask", "integration.run"}
    )


def definition_view(definition: LoopDefinition) -> DefinitionView:
    """Return *definition* as it may be started."""
    return DefinitionView(
        loop_id=definition.id,
        version=definition.version,
        name=definition.name,
        description=definition.description,
        digest=definition.digest,
        states=tuple(state.id for state in definition.states),
        signals=tuple(dict.fromkeys(transition.signal for transition in definition.transitions)),
    )
