"""Managing: who may see to a loop beside its approvers' answers, and having what failed in it tried once more. Pure."""

from collections.abc import Mapping
from datetime import datetime

from loops.actors import Actor, folded, people_behind
from loops.approvals import ApprovalRequest, RunResult
from loops.decide import recorded
from loops.definition import LoopDefinition
from loops.draft import Decided, Draft
from loops.effects import ACTING, Effect
from loops.instance import LoopInstance
from loops.outcomes import RefusalCode, Refused
from loops.policy import ApprovalPolicy
from loops.ports import IdSource, Loaded, Person
from loops.quorum import Standing, may_fill

#: The state of an effect on which nobody works, nor will by itself.
DEAD = "dead"


def may_manage(subject: Loaded, by: Actor, person: Person | None) -> bool:
    """
    Return whether *by* may cancel the loop or have an effect of it tried again: they asked, or decide in this loop.

    *person* is who the directory knows them as; None for somebody unknown, who decides nothing.
    """
    instance = subject.instance
    askers = {*people_behind(instance.requester), *instance.contributors}
    if instance.submitter:
        askers |= people_behind(instance.submitter)
    if {folded(each) for each in people_behind(by)} & {folded(asker) for asker in askers}:
        return True
    if person is None:
        return False
    standing = Standing(frozenset({person.person_id}), person.groups)
    needs = [need for policy in _policies(subject.definition) for stage in policy.gates for need in stage.needs]
    return any(may_fill(need, standing) for need in needs)


def is_retriable(instance: LoopInstance, entry: int) -> bool:
    """
    Return whether what failed may still be tried again: the loop stands where it asked for it, at the same *entry*.

    Where the failure moved the loop on, its result would come too late to mean anything: the loop's own way back, if
    it has one, is the way.
    """
    return instance.entry == entry and instance.status in {"active", "completed"}


def may_retry(instance: LoopInstance, effect: Effect, state: str) -> bool:
    """Return whether trying *effect*, which stands at *state*, again could still do something."""
    return state == DEAD and (effect.kind not in ACTING or is_retriable(instance, effect.entry))


def retriable(subject: Loaded, request: ApprovalRequest) -> tuple[RunResult, ...]:
    """Return the failures of *request* that may be tried again."""
    return tuple(result for result in request.failures if is_retriable(subject.instance, result.entry))


def retry(
    subject: Loaded,
    record: tuple[Effect, str],
    by: Actor | None,
    channel: Mapping[str, object],
    now: datetime,
    ids: IdSource,
    *,
    is_entitled: bool,
) -> Decided:
    """
    Have an effect that failed, or was given up, tried once more, on the record.

    The same effect under the same id: what it did outside, if it did, it does not do twice.

    Args:
        subject: The effect's instance with its latest request.
        record: The effect, and how far it got; nothing is written about one that may still get there by itself. One
            that was cancelled because its loop ended is answered like a dead one: that the loop ended is why.
        by: Who asks; None for somebody unknown, as *channel* (the evidence of the click) says.
        is_entitled: What `may_manage` says of them.
    """
    effect, state = record
    draft = Draft(subject.definition, subject.instance, now, ids)
    if state != DEAD and not _ended_with_its_loop(subject.instance, effect, state):
        message = _NOT_FAILED.get(state, "it is being worked on already")
        return Decided(Refused(code="not_failed", message=message, instance=subject.instance), None)
    said = {
        "effectId": effect.effect_id,
        "kind": effect.kind,
        "integration": effect.payload.get("integration"),
        "action": effect.payload.get("action"),
        "requestId": effect.grant.request_id if effect.grant else effect.payload.get("requestId"),
        "entry": effect.entry,
    }
    objection = _objection(subject, effect, by, is_entitled=is_entitled)
    if objection or by is None:
        code, message = objection or ("unmapped_identity", "nobody is known to have asked this")
        draft.event(
            "effect.retry.refused",
            {**said, "code": code, "message": message, "by": by, "channel": dict(channel) or None},
        )
        commit = draft.refusal()
        kept = commit.instance if commit else subject.instance
        return Decided(Refused(code=code, message=message, instance=kept, request=subject.request), commit)
    draft.event("effect.retried", {**said, "actor": by, "channel": dict(channel) or None})
    draft.revive(effect.effect_id)
    request = subject.request
    if request and any(result.effect_id == effect.effect_id for result in request.results):
        others = tuple(result for result in request.results if result.effect_id != effect.effect_id)
        draft.keep(request.changed(results=others))
        draft.effect("card.update", {"requestId": request.request_id})
    return recorded(draft, subject, "effect_retried")


_NOT_FAILED = {
    "succeeded": "it succeeded; there is nothing to try again",
    "failed": "the last attempt failed, and it will be tried again by itself",
    "cancelled": "it was cancelled and will not take place",
}


def _ended_with_its_loop(instance: LoopInstance, effect: Effect, state: str) -> bool:
    return state == "cancelled" and effect.kind in ACTING and instance.status in {"cancelled", "failed"}


def _objection(
    subject: Loaded, effect: Effect, by: Actor | None, *, is_entitled: bool
) -> tuple[RefusalCode, str] | None:
    instance = subject.instance
    if by is None:
        return "unmapped_identity", "whoever asked is not mapped to a person in the configuration"
    if not is_entitled:
        message = f"{by.name} neither asked for {instance.aggregate_id} nor decides in its loop; somebody who does may"
        return "unauthorized_actor", message
    if not may_retry(instance, effect, DEAD):
        left = f"is {instance.status}" if instance.status != "active" else f"moved on to {instance.state}"
        return "stale_result", f"the loop {left} since this was asked for, so it cannot run again by itself"
    return None


def _policies(definition: LoopDefinition) -> list[ApprovalPolicy]:
    of_states = [state.approval for state in definition.states]
    of_transitions = [transition.approval for transition in definition.transitions]
    return [policy for policy in (*of_states, *of_transitions) if policy]
