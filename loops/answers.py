"""
Answers: one person's decision, judged by the policy of the request and by the guards of the transition it takes.

The policy's rules come before the guards; whatever forbids an answer is on the ledger, and told privately.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Self

from loops.absence import Absence, InStead, Way, ways_to
from loops.actors import Actor, Human, folded, people_behind
from loops.approvals import DECLINE, AnswerOffered, ApprovalRequest, Decision, HumanAnswer, Progress
from loops.asking import close_request, invite, revise
from loops.decide import executed, hard_failures, recorded, requested
from loops.definition import Transition
from loops.draft import Decided, Draft
from loops.editing import Edited, edit
from loops.effects import Effect, EffectResult
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.moving import Move
from loops.outcomes import RefusalCode, Refused
from loops.policy import AnswerKind, SeparatedRole
from loops.ports import IdSource, Loaded
from loops.quorum import Standing, Tally, Vote, may_decide, standings, tally

#: What a closed request is called when somebody answers it late.
CLOSED_WORDS: Mapping[str, str] = {
    "approved": "was approved",
    "rejected": "was rejected",
    "decided": "was decided",
    "expired": "expired",
    "superseded": "was superseded",
    "cancelled": "was cancelled",
    "withdrawn": "was withdrawn",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """A rule of the policy that forbids an answer."""

    rule: str
    code: RefusalCode
    message: str


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


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Everything a person's answer is judged on. `groups` are those of everybody concerned, at this moment.

    `doubts` are the people and groups about whom too little is known to judge; nothing is decided while there are any.
    `absences` are those by which whoever acts may act in somebody's stead, at this moment.
    """

    loaded: Loaded
    request: ApprovalRequest
    groups: Mapping[str, frozenset[str]]
    now: datetime
    doubts: frozenset[str] = frozenset()
    absences: tuple[Absence, ...] = ()

    @property
    def standing(self) -> dict[str, Standing]:
        """What everybody concerned may act as."""
        handed_over = [(each.from_person, each.to_person) for each in self.request.reassignments]
        return standings(self.groups, handed_over)

    @property
    def grounds(self) -> dict[str, list[str]]:
        """The groups this is judged on, for the ledger: of everybody concerned, those the policy names."""
        needs = [need for stage in self.request.policy.gates for need in stage.needs]
        named = {group for need in needs for group in need.groups}
        return {person: sorted(groups & named) for person, groups in sorted(self.groups.items())}

    def tally(self, transition_id: str, extra: Vote | None = None) -> Tally:
        """
        Return where the votes for *transition_id* stand, with one more where *extra* is given.

        Who took somebody's part counts by that person's rights of now, as long as both are known and may decide at all;
        whether the one was away, and left their part to the other, was judged when they decided, for good.
        """
        given = [Vote(each.by.user_id, each.stage, each.part) for each in self.request.votes_for(transition_id)]
        votes, standing = [*given, extra] if extra else given, self.standing
        acting = {vote.person_id: standing.get(vote.part or vote.person_id) for vote in votes}
        known = {person: theirs for person, theirs in acting.items() if theirs and person in self.groups}
        return tally(self.request.policy, votes, known)

    @property
    def stage(self) -> int:
        """The furthest stage any answer has reached: who belongs to it may decide now."""
        return max(self.tally(offered.transition_id).stage for offered in self.request.answers)


def concerned(request: ApprovalRequest, by: Human | None) -> frozenset[str]:
    """Return the people whose groups judging an answer of *by* depends on."""
    people = {person for decision in request.decisions for person in (decision.by.user_id, decision.part)}
    people |= {person for each in request.reassignments for person in (each.from_person, each.to_person)}
    return frozenset(people | ({by.user_id} if by else set()))


def transition_of(loaded: Loaded, transition_id: str) -> Transition | None:
    """Return the transition an answer would take, or None where it takes none."""
    return loaded.definition.exit_named(loaded.instance.state, transition_id)


def as_edited(loaded: Loaded, request: ApprovalRequest, answer: HumanAnswer) -> LoopInstance:
    """Return the instance as the answer's edits would leave it, for guards to judge; as it is where they do not fit."""
    edited = _edited(loaded, request, answer)
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
        edited = _edited(loaded, request, answer)
        if isinstance(edited, Edited) and edited.changes:
            request = revise(draft, request, edited, answer.by)
            asked = replace(asked, loaded=Loaded(draft.instance, loaded.definition, request), request=request)
    if confirmation:
        counted = Word("confirmed", offered.label)
        notify(draft, request, answer.channel, counted, after=told)
    return _accept(draft, asked, answer, answer.by, offered, verdicts)


def objections(asked: Asked, answer: HumanAnswer) -> Iterator[Objection]:
    """Yield every rule of the policy that forbids *answer*, the most telling first."""
    if stop := no_longer(asked, answer.by, answer.channel):
        yield stop
        return
    yield from _about_shown(asked, answer)
    offered = asked.request.answer(answer.transition_id)
    if answer.by:
        yield from about_person(asked, answer.by)
        yield from _about_vote(asked, answer, answer.by, offered)
    yield from _about_said(asked, answer, offered)


def objections_to_anybody(asked: Asked, answer: HumanAnswer) -> Iterator[Objection]:
    """Yield every rule that forbids *answer* whoever gave it."""
    if stop := too_late(asked):
        yield stop
        return
    yield from _about_shown(asked, answer)
    yield from _about_said(asked, answer, asked.request.answer(answer.transition_id))


def _about_shown(asked: Asked, answer: HumanAnswer) -> Iterator[Objection]:
    request = asked.request
    if (answer.request_version, answer.digest) != (request.version, request.digest):
        yield Objection("shown", "stale_request", "the proposal is not the one that was shown; look at the new card")
    if request.answer(answer.transition_id) is None:
        yield Objection("offered", "answer_not_offered", f"'{answer.transition_id}' is not an answer to this request")


def _about_said(asked: Asked, answer: HumanAnswer, offered: AnswerOffered | None) -> Iterator[Objection]:
    rule = asked.request.proposal.policy.reason.for_kind(offered.kind if offered else "other")
    if rule == "required" and not (answer.reason or "").strip():
        yield Objection("reason", "reason_required", "this answer needs a reason")
    yield from _about_edits(asked, answer, offered)


def no_longer(asked: Asked, by: Human | None, channel: Mapping[str, object]) -> Objection | None:
    """Return what keeps anybody at all from acting on the request as this person: unknown, closed, too late."""
    if by is None:
        user, standing = channel.get("slackUserId") or "this user", channel.get("slackStanding")
        why = f"may not decide: {standing}" if standing else "is not mapped to a person in the configuration"
        return Objection("identity", "unmapped_identity", f"{user} {why}")
    if by.authenticated_by is None:
        return Objection("identity", "unmapped_identity", "no channel has verified who this is")
    return too_late(asked)


def too_late(asked: Asked) -> Objection | None:
    """Return what keeps everybody from acting on the request: it is closed, the loop moved on, its time is over."""
    request, instance = asked.request, asked.loaded.instance
    if not request.is_open:
        return _closed(request)
    if instance.is_closed:
        return Objection("open", "request_closed", f"the loop is {instance.status}")
    if instance.request_id != request.request_id:
        return Objection("open", "request_closed", "the loop has moved on since this was asked")
    if request.expires_at and asked.now >= request.expires_at:
        return Objection("in-time", "request_expired", f"the time to answer ended at {request.expires_at:%H:%M} UTC")
    return None


def about_person(asked: Asked, by: Human) -> Iterator[Objection]:
    """Yield what about this person forbids them to decide now: not named, or not independent."""
    policy = asked.request.policy
    if not is_named(asked, by.user_id) and not _stands_in(asked, by.user_id):
        yield from _about_ways(asked, by)
        yield Objection("approver", "not_an_approver", f"{by.name} may not decide this now; {policy.named()} may")
    for role in policy.separation:
        if folded(by.user_id) in people_of(asked.request, role):
            yield Objection(
                "separation", "self_approval", f"{by.name} is the {role} (or behind it) and may not decide this"
            )


def is_named(asked: Asked, person_id: str) -> bool:
    """Return whether the policy names somebody, or a part handed to them, for the stage that is open."""
    return may_decide(asked.request.policy, asked.stage, asked.standing.get(person_id))


def ways_in(asked: Asked, person_id: str) -> list[Way]:
    """
    Return from whom *person_id* might take over a part in the stage that is open.

    Where the policy lets nobody hand a part over, from nobody. Everybody on the way must be known and able to decide.
    """
    if asked.request.policy.reassign == "no":
        return []
    return [
        way
        for way in ways_to(asked.absences, person_id)
        if is_named(asked, way[0].person) and asked.groups.keys() >= {person_id, *(each.person for each in way)}
    ]


def counts_alone(asked: Asked, person_id: str) -> bool:
    """Return whether an approval of theirs would count on their own account: nobody's stead then matters."""
    approving = [offered for offered in asked.request.answers if offered.kind != "reject"]
    return is_named(asked, person_id) and all(_helps(asked, Part(person_id), offered) for offered in approving)


def _stands_in(asked: Asked, person_id: str) -> list[Way]:
    """Return the ways on which nobody is kept from deciding: whoever asks for something chooses no one who decides."""
    return [way for way in ways_in(asked, person_id) if not any(_roles(asked.request, each.person) for each in way)]


def _roles(request: ApprovalRequest, person_id: str) -> list[SeparatedRole]:
    return [role for role in request.policy.separation if folded(person_id) in people_of(request, role)]


def _about_ways(asked: Asked, by: Human) -> Iterator[Objection]:
    for way in ways_in(asked, by.user_id):
        for each in way:
            for role in _roles(asked.request, each.person):
                message = (
                    f"{by.name} stands in through {each.name}, who is the {role} (or behind it) and may not decide this"
                )
                yield Objection("separation", "self_approval", message)


@dataclass(frozen=True, slots=True)
class Part:
    """One part in a decision: who takes it, and in whose stead, where it is not their own."""

    by: str
    in_stead_of: InStead | None = None

    @property
    def person(self) -> str:
        """Whose it is."""
        return self.in_stead_of.person if self.in_stead_of else self.by


def parts(asked: Asked, person_id: str) -> list[Part]:
    """Return the parts somebody may take in the stage that is open, taken or not: their own comes first."""
    own = [Part(person_id)] if is_named(asked, person_id) else []
    absent = [way[0] for way in _stands_in(asked, person_id)]
    return [*own, *(Part(person_id, InStead(person=each.person, name=each.name)) for each in absent)]


def part_to_take(asked: Asked, person_id: str, offered: AnswerOffered) -> Part | None:
    """
    Return the part an answer of theirs fills: the first that is free and, where approvals are counted, of use.

    A part is free until it was filled, by its person or in their stead; who it belongs to may still reject.
    """
    filled = {decision.part for decision in asked.request.decisions}
    for part in parts(asked, person_id):
        if offered.kind == "reject" and part.in_stead_of is None:
            return part
        if part.person not in filled and (offered.kind == "reject" or _helps(asked, part, offered)):
            return part
    return None


def _helps(asked: Asked, part: Part, offered: AnswerOffered) -> bool:
    before = asked.tally(offered.transition_id)
    vote = Vote(part.by, before.stage, part.person)
    return asked.tally(offered.transition_id, vote).score > before.score


def people_of(request: ApprovalRequest, role: Literal["requester", "submitter"]) -> frozenset[str]:
    """Return the folded ids of the people who have *role* in the proposal, or are behind who has it."""
    proposal = request.proposal
    actor = proposal.requester if role == "requester" else proposal.submitter
    people = people_behind(actor) if actor else frozenset[str]()
    if role == "submitter":
        people |= frozenset(proposal.contributors)
    return frozenset(folded(person_id) for person_id in people)


def _about_vote(asked: Asked, answer: HumanAnswer, by: Human, offered: AnswerOffered | None) -> Iterator[Objection]:
    edited = _edited(asked.loaded, asked.request, answer) if answer.edits else None
    if isinstance(edited, Edited) and edited.changes:
        return  # a changed proposal voids every vote, the editor's own too
    if any(decision.by.user_id == by.user_id for decision in asked.request.decisions):
        yield Objection("once", "already_answered", f"{by.name} has answered already; each person counts once")
    elif offered and part_to_take(asked, by.user_id, offered) is None:
        yield from _about_parts(asked, by)
        waiting = asked.request.policy.named()
        yield Objection("needed", "not_needed", f"{by.name}'s part is approved already; this waits for {waiting}")


def _about_parts(asked: Asked, by: Human) -> Iterator[Objection]:
    """Yield who has filled a part that *by* could take: each counts once, whoever fills it."""
    theirs = {part.person for part in parts(asked, by.user_id)}
    for decision in asked.request.decisions:
        if decision.part in theirs:
            yield Objection("once", "part_taken", f"{decision.name} has answered already; each part counts once")


def _about_edits(asked: Asked, answer: HumanAnswer, offered: AnswerOffered | None) -> Iterator[Objection]:
    if not answer.edits:
        return
    if offered is None or offered.kind != "approve":
        yield Objection("edit", "bad_edit", "only an approval may carry edits")
        return
    edited = _edited(asked.loaded, asked.request, answer)
    if not isinstance(edited, Edited):
        yield Objection("edit", "bad_edit", "; ".join(edited))


def _edited(loaded: Loaded, request: ApprovalRequest, answer: HumanAnswer) -> Edited | list[str]:
    return edit(loaded.instance.data, answer.edits, request.proposal.policy.editable)


def _closed(request: ApprovalRequest) -> Objection:
    by = f" by {request.closed_by.name}" if request.closed_by else ""
    at = f" at {request.closed_at:%Y-%m-%d %H:%M:%S} UTC" if request.closed_at else ""
    code: RefusalCode = "already_decided" if request.closed_by else "request_closed"
    if request.status == "expired":
        code = "request_expired"
    return Objection("open", code, f"this request {CLOSED_WORDS[request.status]}{by}{at}")


def _accept(
    draft: Draft,
    asked: Asked,
    answer: HumanAnswer,
    by: Human,
    offered: AnswerOffered,
    verdicts: Sequence[GuardVerdict],
) -> Decided:
    request, loaded = asked.request, asked.loaded
    stage = asked.tally(offered.transition_id).stage
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
