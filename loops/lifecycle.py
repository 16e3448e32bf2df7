"""
The lifecycle of an instance outside its transitions: cancelled, failed, suspended, resumed, run out of time.

Pure, as `loops.decide` is: a function of what stands, who asks, and when.
"""

from collections.abc import Sequence
from datetime import datetime

from loops.actors import Actor
from loops.approvals import ApprovalRequest, Ending
from loops.asking import await_next, close_request
from loops.decide import execute, hard_failures, judge_transition, recorded, refuse
from loops.definition import Transition
from loops.draft import Decided, Draft
from loops.guards import GuardVerdict
from loops.moving import Move
from loops.outcomes import Executed
from loops.ports import IdSource, Loaded
from loops.timeline import due_after, gone_by


def cancel(loaded: Loaded, actor: Actor, reason: str | None, now: datetime, ids: IdSource) -> Decided:
    """Cancel an active or suspended instance, attributed; refused on a closed one."""
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    if refused := _over(draft, loaded, actor):
        return refused
    _end_request(draft, loaded, Ending(by=actor, reason=reason))
    return cancelled(draft, loaded, actor, reason)


def fail(loaded: Loaded, actor: Actor, code: str, message: str, now: datetime, ids: IdSource) -> Decided:
    """Close an active or suspended instance as failed, attributed, with what went wrong."""
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    if refused := _over(draft, loaded, actor):
        return refused
    _end_request(draft, loaded, Ending(by=actor, reason=message))
    from_state = loaded.instance.state
    draft.event("loop.failed", {"fromState": from_state, "actor": actor, "error": {"code": code, "message": message}})
    draft.change(status="failed", closed_at=now, suspended_at=None)
    draft.cancel_effects()
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
        draft.clear_deadline(loaded.request.request_id)
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
        request = _woken(request, rested_since, now)
        draft.keep(request)
        await_next(draft, request)
        draft.effect("card.update", {"requestId": request.request_id})
    decided = None
    for tries, judged in zip(results, held, strict=True):
        for asked, verdicts in zip(tries, judged, strict=True):
            standing = Loaded(draft.instance, loaded.definition, draft.kept() or request)
            decided = judge_transition(draft, standing, asked, verdicts)
            if isinstance(decided.outcome, Executed):
                break
    return decided or _changed(draft, loaded)


def _woken(request: ApprovalRequest, rested_since: datetime, now: datetime) -> ApprovalRequest:
    """Return *request* with its time running again from *now* on, as far as it had come when its loop went to rest."""
    request = request.changed(resumed_at=now, elapsed=gone_by(request, rested_since))
    expire_after = request.proposal.policy.expire_after
    return request.changed(expires_at=due_after(request, expire_after)) if expire_after else request


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
            draft.clear_deadline(request.request_id)
        return recorded(draft, loaded, "deadline_cleared")
    on_expiry = request.proposal.policy.on_expiry
    transition = loaded.definition.exit_named(loaded.instance.state, on_expiry) if on_expiry else None
    may_take = (
        transition and actor.type in transition.actors and not transition.effects and not _approves(request, transition)
    )
    failures = hard_failures(verdicts) if may_take else ()
    if transition and may_take and not failures:
        return execute(draft, loaded, Move(transition, actor, {}, verdicts, is_expiry=True))
    close_request(draft, request, "expired", objected=failures)
    if request.is_parked:
        return recorded(draft, loaded, "request_closed")
    return cancelled(draft, loaded, actor, f"nobody answered request {request.request_id} in time")


def cancelled(draft: Draft, loaded: Loaded, actor: Actor, reason: str | None) -> Decided:
    """Cancel the instance in a draft that may already hold what led to it."""
    from_state = loaded.instance.state
    draft.event("loop.cancelled", {"fromState": from_state, "actor": actor, "reason": reason})
    draft.change(status="cancelled", closed_at=draft.now, suspended_at=None)
    draft.cancel_effects()
    return _changed(draft, loaded)


def _changed(draft: Draft, loaded: Loaded) -> Decided:
    commit = draft.commit()
    request = draft.kept() or loaded.request
    return Decided(Executed(instance=commit.instance, request=request, from_state=loaded.instance.state), commit)


def _over(draft: Draft, loaded: Loaded, actor: Actor) -> Decided | None:
    return _refuse_status(draft, loaded, actor) if loaded.instance.is_over else None


def _refuse_status(draft: Draft, loaded: Loaded, actor: Actor) -> Decided:
    instance = loaded.instance
    return refuse(draft, loaded, "loop_closed", f"{instance.aggregate_id} is {instance.status}", actor, None)


def _end_request(draft: Draft, loaded: Loaded, ending: Ending) -> None:
    """Close what is still asked; the card of what was approved says that the loop ended under it, too."""
    request = loaded.request
    if request is None:
        return
    if request.is_open:
        close_request(draft, request, "cancelled", ending=ending)
    elif request.status == "approved":
        draft.keep(request.changed(ending=ending))
        draft.effect("card.update", {"requestId": request.request_id})


def _approves(request: ApprovalRequest, transition: Transition) -> bool:
    offered = request.answer(transition.id)
    return offered is not None and offered.kind == "approve"
