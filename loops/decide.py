"""
The decision functions: what a request comes to, as a value.

Pure: equal arguments give equal results; nothing is saved, sent, logged or read from a clock. Guards that need the
world were asked before and come in as verdicts.
"""

from collections.abc import Sequence
from datetime import datetime

from loops.actors import Actor
from loops.approvals import ApprovalRequest
from loops.asking import Entered, ask_about_transition
from loops.definition import LoopDefinition, Transition
from loops.draft import Decided, Draft
from loops.evidence import BadEvidence, gathered
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.moving import Move, enter, move
from loops.outcomes import Executed, Recorded, RecordedCode, RefusalCode, Refused
from loops.ports import IdSource, Loaded
from loops.requests import StartRequest, TransitionRequest


def _is_for_humans(transition: Transition, actor: Actor) -> bool:
    """
    Return whether only a human's answer may take *transition* out of a state that asks humans.

    Whatever a definition allows: humans decide by answering, a model never decides at all, and what humans may answer,
    or what runs something, no service or system takes in their place.
    """
    return actor.type in {"human", "ai-agent"} or "human" in transition.actors or bool(transition.effects)


#: Whose requests for a transition with an approval policy wait for a human.
PARKED_ACTORS = frozenset({"ai-agent", "automation"})


def refuse_start(loaded: Loaded, asked: StartRequest, now: datetime, ids: IdSource) -> Decided:
    """Refuse a second start while the aggregate's instance is active, on that instance's ledger."""
    draft = Draft(loaded.definition, loaded.instance, now, ids, correlation_id=asked.correlation_id)
    active = loaded.instance
    message = f"{active.aggregate_id} is in {active.state} of {active.loop_id} already ({active.instance_id})"
    return refuse(draft, loaded, "already_active", message, asked.actor, "start")


def start(definition: LoopDefinition, asked: StartRequest, now: datetime, ids: IdSource) -> Decided:
    """Start an instance of *definition*: version 1 of it, `loop.started`, and what entering the initial state asks."""
    instance_id = ids.new("li_")
    draft = Draft(
        definition,
        LoopInstance(
            tenant=asked.tenant,
            instance_id=instance_id,
            aggregate_id=asked.aggregate_id,
            loop_id=definition.id,
            definition_version=definition.version,
            definition_digest=definition.digest,
            state=definition.initial_state,
            version=0,
            data=asked.data,
            requester=asked.actor,
            correlation_id=asked.correlation_id or instance_id,
            started_at=now,
            updated_at=now,
        ),
        now,
        ids,
    )
    draft.event(
        "loop.started",
        {
            "initialState": definition.initial_state,
            "actor": asked.actor,
            "definition": {"loopId": definition.id, "version": definition.version, "name": definition.name},
            "data": asked.data,
            "redacted": asked.redacted or None,
        },
    )
    enter(draft, definition.state(definition.initial_state), None)
    commit = draft.commit(pin_definition=True)
    return Decided(Executed(instance=commit.instance, request=draft.kept()), commit)


def find(loaded: Loaded, asked: TransitionRequest) -> Transition | Refused:
    """Return the transition *asked* means in the instance's present state, or why it may not even be tried."""
    instance, definition = loaded.instance, loaded.definition
    if instance.is_closed:
        return _refused("loop_closed", f"{instance.aggregate_id} is {instance.status}; only an active loop moves")
    transition = definition.exit_named(instance.state, asked.name)
    if transition is None:
        exits = ", ".join(t.id for t in definition.exits(instance.state)) or "none"
        return _refused(
            "invalid_transition", f"'{asked.name}' does not lead out of {instance.state}; what does: {exits}"
        )
    if asked.actor.type not in transition.actors:
        return _refused(
            "unauthorized_actor",
            f"'{transition.id}' may be taken by {', '.join(transition.actors)}, not by the {asked.actor.type} "
            f"{asked.actor.name}",
        )
    if definition.state(instance.state).asks_humans and _is_for_humans(transition, asked.actor):
        return _refused(
            "approval_required", f"{instance.state} is left by a human's answer to request {instance.request_id}"
        )
    if transition.approval and asked.actor.type in PARKED_ACTORS and loaded.request and loaded.request.is_open:
        return _refused(
            "approval_pending", f"request {loaded.request.request_id} about {instance.aggregate_id} waits for an answer"
        )
    return transition


def decide(
    loaded: Loaded,
    asked: TransitionRequest,
    verdicts: Sequence[GuardVerdict],
    now: datetime,
    ids: IdSource,
) -> Decided:
    """
    Judge one transition request and say what the commit must contain.

    Args:
        loaded: The instance, the definition it was started from, and its latest approval request.
        asked: What is asked, by whom, with what evidence.
        verdicts: One per guard of the transition, in order; empty where `find` refuses.
        now: Aware UTC. Deadlines and cooldowns are judged against it.
        ids: Where new ids come from.

    Returns:
        `Executed`, or `Refused` with a stable code: ``loop_closed``, ``invalid_transition``, ``unauthorized_actor``,
        ``approval_required``, ``guard_failed``. A refusal has a commit too: its events.
    """
    draft = Draft(
        loaded.definition,
        loaded.instance,
        now,
        ids,
        correlation_id=asked.correlation_id,
        causation_id=asked.causation_id,
    )
    if asked.is_signal:
        draft.event(
            "loop.signal.received",
            {"signal": asked.name, "fromState": loaded.instance.state, "actor": asked.actor},
        )
    draft.settled = asked.settles
    return judge_transition(draft, loaded, asked, verdicts)


def judge_transition(
    draft: Draft, loaded: Loaded, asked: TransitionRequest, verdicts: Sequence[GuardVerdict]
) -> Decided:
    """Judge *asked* in a draft that may already hold what led to it."""
    transition = find(loaded, asked)
    if isinstance(transition, Refused):
        return refuse(draft, loaded, transition.code, transition.message, asked.actor, asked.name)
    draft.event("loop.transition.requested", requested(transition, asked.actor, asked.redacted))
    for verdict in verdicts:
        if not verdict.passed:
            draft.event("loop.guard.failed", _guard_failed(transition, asked.actor, verdict))
    if failures := hard_failures(verdicts):
        return _block(draft, loaded, transition, asked, failures, verdicts)
    if transition.approval and asked.actor.type in PARKED_ACTORS:
        entered = Entered(transition.signal, asked.actor, asked.evidence, verdicts)
        ask_about_transition(draft, transition.approval, transition, entered, asked.correlation_id)
        return recorded(draft, loaded, "pending_approval")
    return execute(draft, loaded, Move(transition, asked.actor, asked.evidence, verdicts))


def _block(
    draft: Draft,
    loaded: Loaded,
    transition: Transition,
    asked: TransitionRequest,
    failures: tuple[GuardVerdict, ...],
    verdicts: Sequence[GuardVerdict],
) -> Decided:
    draft.event(
        "loop.transition.blocked",
        {
            "transitionId": transition.id,
            "fromState": transition.from_,
            "attemptedToState": transition.to,
            "actor": asked.actor,
            "evidence": asked.evidence or None,
            "guardFailures": [{"guardId": v.guard_id, "code": v.code, "message": v.message} for v in failures],
            "guards": list(verdicts),
        },
    )
    commit = draft.commit()
    message = "; ".join(verdict.message or verdict.guard_id for verdict in failures)
    outcome = Refused(
        code="guard_failed", message=message, failures=failures, instance=commit.instance, request=loaded.request
    )
    return Decided(outcome, commit)


def hard_failures(verdicts: Sequence[GuardVerdict]) -> tuple[GuardVerdict, ...]:
    """Return the hard guards that objected."""
    return tuple([verdict for verdict in verdicts if not verdict.passed and verdict.severity == "hard"])


def recorded(draft: Draft, loaded: Loaded, code: RecordedCode) -> Decided:
    """Finish *draft* without a move."""
    commit = draft.commit()
    return Decided(Recorded(code=code, instance=commit.instance, request=draft.kept() or loaded.request), commit)


def execute(draft: Draft, loaded: Loaded, taken: Move) -> Decided:
    """Take the transition in *draft*; a request that is still open is closed by it."""
    open_request = loaded.request if loaded.request and loaded.request.is_open else None
    return executed(draft, loaded, taken, open_request)


def executed(draft: Draft, loaded: Loaded, taken: Move, open_request: ApprovalRequest | None) -> Decided:
    """Take the transition in *draft* and return what came of it; refused where the evidence would outgrow its bound."""
    try:
        evidence = gathered(loaded.instance.evidence, taken.evidence, where="evidence gathered so far")
    except BadEvidence as error:
        return refuse(draft, loaded, "bad_evidence", str(error), taken.actor, taken.transition.id)
    warnings = move(draft, taken, evidence, open_request)
    commit = draft.commit()
    outcome = Executed(
        instance=commit.instance,
        request=draft.kept() or loaded.request,
        transition_id=taken.transition.id,
        from_state=taken.transition.from_,
        warnings=tuple(warnings),
    )
    return Decided(outcome, commit)


def refuse(draft: Draft, loaded: Loaded, code: RefusalCode, message: str, actor: Actor, name: str | None) -> Decided:
    """Put a refusal on the ledger; *name* is the transition or signal that was asked for, if one was."""
    draft.event(
        "loop.transition.refused",
        {"code": code, "message": message, "actor": actor, "name": name, "fromState": loaded.instance.state},
    )
    commit = draft.refusal()
    return Decided(_refused(code, message, commit.instance if commit else loaded.instance, loaded.request), commit)


def _refused(
    code: RefusalCode,
    message: str,
    instance: LoopInstance | None = None,
    request: ApprovalRequest | None = None,
) -> Refused:
    return Refused(code=code, message=message, instance=instance, request=request)


def requested(transition: Transition, actor: Actor, redacted: Sequence[str] = ()) -> dict[str, object]:
    """Return the fields of `loop.transition.requested`; *redacted* says where its evidence lost a secret."""
    return {
        "transitionId": transition.id,
        "fromState": transition.from_,
        "toState": transition.to,
        "signal": transition.signal,
        "actor": actor,
        "redacted": list(redacted) or None,
    }


def _guard_failed(transition: Transition, actor: Actor, verdict: GuardVerdict) -> dict[str, object]:
    return {
        "transitionId": transition.id,
        "fromState": transition.from_,
        "guardId": verdict.guard_id,
        "severity": verdict.severity,
        "code": verdict.code,
        "actor": actor,
        "message": verdict.message,
    }
