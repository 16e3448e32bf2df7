"""
The decision functions: what a request comes to, as a value.

Pure: equal arguments give equal results; nothing is saved, sent, logged or read from a clock. Guards that need the
world were asked before and come in as verdicts.
"""

from collections.abc import Sequence
from datetime import datetime

from loops.actors import Actor
from loops.approvals import ApprovalRequest, RequestStatus
from loops.asking import Entered, ask_about_transition, close_request
from loops.definition import LoopDefinition, Transition
from loops.draft import Decided, Draft
from loops.effects import Effect, EffectResult
from loops.evidence import BadEvidence, accept
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.moving import Move, enter, move, soft_warnings
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
    return _refuse(draft, loaded, "already_active", message, asked.actor, "start")


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
    enter(draft, None)
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


def settle(
    loaded: Loaded,
    effect: Effect,
    result: EffectResult,
    tries: Sequence[tuple[TransitionRequest, Sequence[GuardVerdict]]],
    now: datetime,
    ids: IdSource,
) -> Decided:
    """
    Put an effect's result on the ledger and let it move the loop in the same commit.

    *tries* are judged in order until one moves the loop: a provider's own signal first, then the system's when the
    submission was refused. A signal that no longer fits (the loop moved on, was cancelled, is in a later round of the
    same state) is refused on the ledger; the result stands.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids, causation_id=effect.effect_id)
    draft.settled = result
    held = bool(tries) and loaded.instance.status == "suspended"
    draft.event(
        "effect.succeeded" if result.succeeded else "effect.failed",
        {
            "effectId": effect.effect_id,
            "kind": effect.kind,
            "integration": effect.payload.get("integration"),
            "action": effect.payload.get("action"),
            "detail": result.detail,
            "entry": effect.entry,
            "held": [asked for asked, _ in tries] if held else None,
        },
    )
    if tries and effect.entry != loaded.instance.entry:
        asked = tries[0][0]
        message = f"{loaded.instance.aggregate_id} has left the state this was asked for in; the result moves nothing"
        return _refuse(draft, loaded, "stale_result", message, asked.actor, asked.name)
    if held:
        draft.change(held_results=(*loaded.instance.held_results, tuple(asked for asked, _ in tries)))
        return recorded(draft, loaded, "effect_settled")
    decided = None
    for asked, verdicts in tries:
        decided = judge_transition(draft, loaded, asked, verdicts)
        if isinstance(decided.outcome, Executed):
            return decided
    if loaded.request and effect.kind == "integration.run":
        draft.effect("card.update", {"requestId": loaded.request.request_id})
        decided = decided and Decided(decided.outcome, draft.commit())
    return decided or recorded(draft, loaded, "effect_settled")


def card_posted(loaded: Loaded, effect: Effect, result: EffectResult, now: datetime, ids: IdSource) -> Decided:
    """Put on the ledger that humans were asked, and where. A request that moved on meanwhile is rendered again."""
    draft = Draft(loaded.definition, loaded.instance, now, ids, causation_id=effect.effect_id)
    draft.settled = result
    draft.event("approval.card.posted", {"requestId": effect.payload["requestId"], **result.detail})
    return recorded(draft, loaded, "effect_settled")


def expire(loaded: Loaded, actor: Actor, verdicts: Sequence[GuardVerdict], now: datetime, ids: IdSource) -> Decided:
    """
    Close the instance's open request because its time is over.

    The policy's `onExpiry` transition is taken by *actor*. Without one, or where its guards object, or where it is the
    one that approves, the request is closed as expired and, unless it was about a parked transition, the loop is
    cancelled: silence never approves, and nothing waits for ever. A request closed meanwhile only loses its deadline.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    request = loaded.request
    if request is None or not request.is_open or loaded.instance.is_closed:
        if request:
            draft.clear_deadline("expire", request.request_id)
        return recorded(draft, loaded, "deadline_cleared")
    on_expiry = request.proposal.policy.on_expiry
    transition = loaded.definition.exit_named(loaded.instance.state, on_expiry) if on_expiry else None
    may_take = (
        transition and actor.type in transition.actors and not transition.effects and not _approves(request, transition)
    )
    failures = hard_failures(verdicts) if may_take else ()
    if transition and may_take and not failures:
        return _execute(draft, loaded, Move(transition, actor, {}, verdicts, is_expiry=True))
    close_request(draft, request, "expired", objected=failures)
    if request.is_parked:
        return recorded(draft, loaded, "request_closed")
    return cancelled(draft, loaded, actor, f"nobody answered request {request.request_id} in time")


def _approves(request: ApprovalRequest, transition: Transition) -> bool:
    offered = request.answer(transition.id)
    return offered is not None and offered.kind == "approve"


def cancel(loaded: Loaded, actor: Actor, reason: str | None, now: datetime, ids: IdSource) -> Decided:
    """Cancel an active or suspended instance, attributed; refused on a closed one."""
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    if refused := _over(draft, loaded, actor):
        return refused
    _close_open_request(draft, loaded, "cancelled")
    return cancelled(draft, loaded, actor, reason)


def fail(loaded: Loaded, actor: Actor, code: str, message: str, now: datetime, ids: IdSource) -> Decided:
    """Close an active or suspended instance as failed, attributed, with what went wrong."""
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    if refused := _over(draft, loaded, actor):
        return refused
    _close_open_request(draft, loaded, "cancelled")
    from_state = loaded.instance.state
    draft.event("loop.failed", {"fromState": from_state, "actor": actor, "error": {"code": code, "message": message}})
    draft.change(status="failed", closed_at=now, suspended_at=None)
    return _changed(draft, loaded)


def suspend(loaded: Loaded, actor: Actor, reason: str | None, now: datetime, ids: IdSource) -> Decided:
    """
    Let an active instance rest: nothing moves it and no time runs until it is resumed.

    Results of effects that were already granted are kept and take effect on resumption.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    if loaded.instance.status != "active":
        return _refuse_status(draft, loaded, actor)
    draft.event("loop.suspended", {"fromState": loaded.instance.state, "actor": actor, "reason": reason})
    draft.change(status="suspended", suspended_at=now)
    if loaded.request and loaded.request.is_open:
        draft.clear_deadline("expire", loaded.request.request_id)
        draft.effect("card.update", {"requestId": loaded.request.request_id})
    return _changed(draft, loaded)


def resume(
    loaded: Loaded,
    actor: Actor,
    held: Sequence[Sequence[Sequence[GuardVerdict]]],
    now: datetime,
    ids: IdSource,
) -> Decided:
    """
    Wake a suspended instance: deadlines move on by the time it rested, and results kept meanwhile take effect.

    *held* are the verdicts for each signal of each of the instance's held results, in order.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    rested_since = loaded.instance.suspended_at
    if loaded.instance.status != "suspended" or rested_since is None:
        return _refuse_status(draft, loaded, actor)
    results = loaded.instance.held_results
    draft.event("loop.resumed", {"fromState": loaded.instance.state, "actor": actor})
    draft.change(status="active", suspended_at=None, held_results=())
    request = loaded.request
    if request and request.is_open:
        if request.expires_at:
            request = request.changed(expires_at=request.expires_at + (now - rested_since))
            draft.keep(request)
            draft.deadline("expire", request.request_id, request.expires_at or now)
        draft.effect("card.update", {"requestId": request.request_id})
    decided = None
    for tries, judged in zip(results, held, strict=True):
        for asked, verdicts in zip(tries, judged, strict=True):
            standing = Loaded(draft.instance, loaded.definition, draft.kept() or request)
            decided = judge_transition(draft, standing, asked, verdicts)
            if isinstance(decided.outcome, Executed):
                break
    return decided or _changed(draft, loaded)


def _close_open_request(draft: Draft, loaded: Loaded, status: RequestStatus) -> None:
    if loaded.request and loaded.request.is_open:
        close_request(draft, loaded.request, status)


def _over(draft: Draft, loaded: Loaded, actor: Actor) -> Decided | None:
    return _refuse_status(draft, loaded, actor) if loaded.instance.is_over else None


def _refuse_status(draft: Draft, loaded: Loaded, actor: Actor) -> Decided:
    instance = loaded.instance
    return _refuse(draft, loaded, "loop_closed", f"{instance.aggregate_id} is {instance.status}", actor, None)


def cancelled(draft: Draft, loaded: Loaded, actor: Actor, reason: str | None) -> Decided:
    """Cancel the instance in a draft that may already hold what led to it."""
    from_state = loaded.instance.state
    draft.event("loop.cancelled", {"fromState": from_state, "actor": actor, "reason": reason})
    draft.change(status="cancelled", closed_at=draft.now, suspended_at=None)
    return _changed(draft, loaded)


def _changed(draft: Draft, loaded: Loaded) -> Decided:
    commit = draft.commit()
    request = draft.kept() or loaded.request
    return Decided(Executed(instance=commit.instance, request=request, from_state=loaded.instance.state), commit)


def judge_transition(
    draft: Draft, loaded: Loaded, asked: TransitionRequest, verdicts: Sequence[GuardVerdict]
) -> Decided:
    """Judge *asked* in a draft that may already hold what led to it."""
    transition = find(loaded, asked)
    if isinstance(transition, Refused):
        return _refuse(draft, loaded, transition.code, transition.message, asked.actor, asked.name)
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
    return _execute(draft, loaded, Move(transition, asked.actor, asked.evidence, verdicts))


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
    return tuple(verdict for verdict in verdicts if not verdict.passed and verdict.severity == "hard")


def recorded(draft: Draft, loaded: Loaded, code: RecordedCode) -> Decided:
    """Finish *draft* without a move."""
    commit = draft.commit()
    return Decided(Recorded(code=code, instance=commit.instance, request=draft.kept() or loaded.request), commit)


def _execute(draft: Draft, loaded: Loaded, taken: Move) -> Decided:
    open_request = loaded.request if loaded.request and loaded.request.is_open else None
    return executed(draft, loaded, taken, open_request)


def executed(draft: Draft, loaded: Loaded, taken: Move, open_request: ApprovalRequest | None) -> Decided:
    """Take the transition in *draft* and return what came of it; refused where the evidence would outgrow its bound."""
    try:
        if loaded.instance.evidence and taken.evidence:
            accept({**loaded.instance.evidence, **taken.evidence}, where="evidence gathered so far")
    except BadEvidence as error:
        return _refuse(draft, loaded, "bad_evidence", str(error), taken.actor, taken.transition.id)
    move(draft, taken, open_request)
    commit = draft.commit()
    outcome = Executed(
        instance=commit.instance,
        request=draft.kept() or loaded.request,
        transition_id=taken.transition.id,
        from_state=taken.transition.from_,
        warnings=tuple(soft_warnings(taken.verdicts)),
    )
    return Decided(outcome, commit)


def _refuse(draft: Draft, loaded: Loaded, code: RefusalCode, message: str, actor: Actor, name: str | None) -> Decided:
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
