"""
Answers: one person's decision, judged by the policy of the request and by the guards of the transition it takes.

The policy's rules come before the guards; whatever forbids an answer is on the ledger, and told privately.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from loops.actors import Actor, Human
from loops.approvals import DECLINE, AnswerOffered, ApprovalRequest, Decision, HumanAnswer, Progress
from loops.asked import Asked
from loops.asking import close_request, invite, revise
from loops.decide import executed, hard_failures, recorded, requested
from loops.definition import Transition
from loops.draft import Decided, Draft
from loops.editing import Edited
from loops.effects import Effect, EffectResult
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.moving import Move
from loops.objections import Objection, edited_by, objections
from loops.outcomes import Refused
from loops.parts import Part, part_to_take
from loops.policy import AnswerKind
from loops.ports import IdSource, Loaded
from loops.quorum import Tally, Vote


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody is told privately that is no refusal."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The end of an effect that found out who gave an answer. `told` is the notice that said it was being found out."""

    result: EffectResult
    told: str | None = None

    @classmethod
    def of(cls, effect: Effect, fence: int, *, succeeded: bool) -> Self:
        """Return the end of *effect* under the claim with *fence*."""
        result = EffectResult(effect_id=effect.effect_id, fence=fence, succeeded=succeeded, detail={})
        return cls(result, effect.payload.get("told"))


def transition_of(loaded: Loaded, transition_id: str) -> Transition | None:
    """Return the transition an answer would take, or None where it takes none."""
    return loaded.definition.exit_named(loaded.instance.state, transition_id)


def as_edited(loaded: Loaded, request: ApprovalRequest, answer: HumanAnswer) -> LoopInstance:
    """Return the instance as the answer's edits would leave it, for guards to judge; as it is where they do not fit."""
    edited = edited_by(loaded, request, answer) if answer.edits else None
    return loaded.instance.changed(data=edited.data) if isinstance(edited, Edited) else loaded.instance


def judged_as(request: ApprovalRequest, answer: HumanAnswer, by: Human) -> tuple[Actor, dict[str, object]]:
    """Return the actor and evidence the guards of the answer's transition judge: the parked ones, or the human's."""
    parked = request.proposal.parked
    if parked:
        return parked.actor, dict(parked.evidence)
    offered = request.answer(answer.transition_id)
    said = {"approve": True, "reject": False}.get(offered.kind if offered else "other")
    evidence: dict[str, object] = {} if said is None else {"approved": said}
    return by, evidence | ({"reason": answer.reason} if answer.reason else {})


def draft_of(asked: Asked, ids: IdSource, confirmation: Confirmation | None = None) -> Draft:
    """Return the draft of judging what somebody did; it ends *confirmation*'s effect, if there is one."""
    loaded, result = asked.loaded, confirmation.result if confirmation else None
    draft = Draft(loaded.definition, loaded.instance, asked.now, ids, causation_id=result.effect_id if result else None)
    draft.settled = result
    return draft


def decide_answer(
    asked: Asked,
    answer: HumanAnswer,
    verdicts: Sequence[GuardVerdict],
    ids: IdSource,
    confirmation: Confirmation | None = None,
) -> Decided:
    """
    Judge one person's answer to an approval request.

    Args:
        asked: The instance, the request that was answered (not necessarily its latest), people's groups, the time.
        answer: What was answered, by whom, and what they were shown.
        verdicts: One per guard of the transition the answer takes, judged on the edited proposal; empty where there
            is none.
        ids: Where new ids come from.
        confirmation: What it ends, where the answer had to wait until it was known who gave it.

    Returns:
        `Executed` when the answer moves the loop, `Recorded` when more approvals are needed or nothing moves, or
        `Refused`. A refusal is an event too, and tells the person privately why.
    """
    loaded, request = asked.loaded, asked.request
    draft = draft_of(asked, ids, confirmation)
    told = confirmation.told if confirmation else None
    if objection := next(objections(asked, answer), None):
        return refuse(draft, asked, answer, objection, after=told)
    offered = request.answer(answer.transition_id)
    if offered is None or answer.by is None:
        raise ValueError("an answer without objections is an offered one, by a person")
    if offered.kind != "reject" and (failures := hard_failures(verdicts)):
        message = "; ".join(verdict.message or verdict.guard_id for verdict in failures)
        return refuse(draft, asked, answer, Objection("guards", "guard_failed", message), verdicts, after=told)
    if answer.edits:
        edited = edited_by(loaded, request, answer)
        if isinstance(edited, Edited) and edited.changes:
            request = revise(draft, request, edited, answer.by)
            asked = replace(asked, loaded=Loaded(draft.instance, loaded.definition, request), request=request)
    if confirmation:
        counted = Word("confirmed", offered.label)
        notify(draft, request, answer.channel, counted, after=told)
    return _accept(draft, asked, answer, answer.by, offered, verdicts)


def _accept(
    draft: Draft,
    asked: Asked,
    answer: HumanAnswer,
    by: Human,
    offered: AnswerOffered,
    verdicts: Sequence[GuardVerdict],
) -> Decided:
    request, loaded = asked.request, asked.loaded
    stage = asked.open_stage(offered.transition_id)
    part = part_to_take(asked, by.user_id, offered) or Part(by.user_id)
    decision = Decision(
        decision_id=draft.ids.new("de_"),
        request_version=request.version,
        stage=stage,
        kind=offered.kind,
        transition_id=offered.transition_id,
        by=by,
        on_behalf_of=part.in_stead_of,
        at=draft.now,
        reason=(answer.reason or "").strip() or None,
        channel=answer.channel,
    )
    after = asked.tally(offered.transition_id, Vote(by.user_id, stage, part.person))
    draft.event("approval.decision.recorded", _decision_fields(asked, decision, after, verdicts))
    if offered.kind != "reject" and not after.is_complete:
        progress = _progress(after) if offered.kind == "approve" else request.progress
        draft.keep(request.changed(decisions=(*request.decisions, decision), progress=progress))
        draft.effect("card.update", {"requestId": request.request_id})
        if answer.edits or after.stage > stage:
            # It is other people's turn, or everybody's again.
            invite(draft, request)
        return recorded(draft, loaded, "decision_recorded")
    if offered.transition_id == DECLINE:
        close_request(draft, request, "rejected", decision)
        return recorded(draft, loaded, "decision_recorded")
    if any(each.by.user_id == by.user_id for each in request.decisions):
        # Said once more where what was given is enough already: each person stands among the approvals once.
        others = tuple(each for each in request.decisions if each.by.user_id != by.user_id)
        asked = replace(asked, request=request.changed(decisions=others))
    return _take(draft, asked, decision, verdicts)


def _progress(after: Tally) -> Progress:
    return Progress(stage=after.stage, filled=after.filled, lapsed=tuple(sorted(after.lapsed)))


def _take(draft: Draft, asked: Asked, decision: Decision, verdicts: Sequence[GuardVerdict]) -> Decided:
    request, loaded = asked.request, asked.loaded
    transition = transition_of(loaded, decision.transition_id)
    if transition is None:
        raise ValueError(f"{decision.transition_id} was offered and does not lead out of {loaded.instance.state}")
    parked = request.proposal.parked
    actor: Actor = parked.actor if parked else decision.by
    evidence = {**(parked.evidence if parked else {}), **_evidence(request, decision)}
    draft.event("loop.transition.requested", requested(transition, actor))
    return executed(draft, loaded, Move(transition, actor, evidence, verdicts, decision), request)


def _decision_fields(
    asked: Asked, decision: Decision, after: Tally, verdicts: Sequence[GuardVerdict]
) -> dict[str, object]:
    request = asked.request
    fields: dict[str, object] = {
        "requestId": request.request_id,
        "requestVersion": request.version,
        "digest": request.digest,
        "decision": decision,
        "groups": asked.grounds,
        "absences": asked.absences or None,
        "lapsed": sorted(after.lapsed) or None,
        "guards": list(verdicts) or None,
    }
    if decision.kind != "reject":
        progress = {"stage": after.stage, "filled": list(after.filled), "needed": list(after.needed)}
        fields |= {"complete": after.is_complete} if after.is_complete else progress
    return fields


def _evidence(request: ApprovalRequest, decision: Decision) -> dict[str, object]:
    kinds: dict[AnswerKind, bool] = {"approve": True, "reject": False}
    evidence: dict[str, object] = {
        "requestId": request.request_id,
        "digest": request.digest,
        "decisionId": decision.decision_id,
        "channel": {**decision.channel, "decisionSignalId": decision.transition_id},
    }
    if decision.kind in kinds:
        evidence["approved"] = kinds[decision.kind]
    if decision.on_behalf_of:
        evidence["onBehalfOf"] = decision.on_behalf_of.person
    if decision.reason:
        evidence["reason"] = decision.reason
    return evidence


def refuse(
    draft: Draft,
    asked: Asked,
    answer: HumanAnswer,
    objection: Objection,
    verdicts: Sequence[GuardVerdict] = (),
    *,
    after: str | None = None,
) -> Decided:
    """
    Refuse *answer* in *draft*: an event with all it was judged on, and a private word to who gave it.

    The word comes *after* an earlier one, by its effect.
    """
    request = asked.request
    draft.event(
        "approval.decision.refused",
        {
            "requestId": request.request_id,
            "requestVersion": answer.request_version,
            "digest": answer.digest,
            "rule": objection.rule,
            "code": objection.code,
            "message": objection.message,
            "transitionId": answer.transition_id,
            "by": answer.by,
            "reason": answer.reason,
            "edits": answer.edits or None,
            "groups": asked.grounds,
            "absences": asked.absences or None,
            "channel": answer.channel or None,
            "guards": list(verdicts) or None,
        },
    )
    if after or not answer.is_told_there:
        notify(draft, request, answer.channel, objection, after=after)
    return refused(draft, request, objection, hard_failures(verdicts))


def refused(
    draft: Draft, request: ApprovalRequest, objection: Objection, failures: tuple[GuardVerdict, ...] = ()
) -> Decided:
    """Finish *draft* with a refusal."""
    before, commit = draft.instance, draft.refusal()
    outcome = Refused(
        code=objection.code,
        message=objection.message,
        failures=failures,
        instance=commit.instance if commit else before,
        request=request,
    )
    return Decided(outcome, commit)


def notify(
    draft: Draft,
    request: ApprovalRequest,
    channel: Mapping[str, object],
    objection: Objection | Word,
    *,
    after: str | None = None,
) -> str:
    """Tell whoever acted through *channel* why nothing came of it; return the effect's id."""
    payload = {
        "requestId": request.request_id,
        "code": objection.code,
        "message": objection.message,
        "address": dict(channel),
    }
    return draft.effect("notice", payload | ({"after": after} if after else {}))
