"""
Waiting: what happens to an approval request while nobody decides it.

Reminders, escalation and expiry, each as the policy says, by the system. Pure, like the other decision functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from loops.absence import way_from
from loops.actors import Actor
from loops.approvals import ApprovalRequest, Escalation
from loops.asked import Asked
from loops.asking import await_next, invite
from loops.decide import recorded
from loops.draft import Decided, Draft
from loops.explaining import explain
from loops.guards import GuardVerdict
from loops.lifecycle import expire
from loops.policy import Approvers
from loops.ports import IdSource, Loaded, Person
from loops.quorum import Standing, may_fill
from loops.timeline import Moment, due

#: People a reminder names as those it waits for; more are counted.
WAITED_FOR_MAX = 20


@dataclass(frozen=True, slots=True)
class Found:
    """
    What the world said when a deadline fell due: who is on call, by escalation step, and whom the request waits for.

    `waits_for` are people who could approve it then, escalation included: to tell them, never to judge by.
    """

    on_call: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    waits_for: Sequence[str] = ()


def fall_due(
    loaded: Loaded, actor: Actor, verdicts: Sequence[GuardVerdict], found: Found, now: datetime, ids: IdSource
) -> Decided:
    """
    Let everything take effect that is due on the request's time line, and set its next deadline.

    *verdicts* are those on the policy's `onExpiry` transition, where the request expires. A request that was closed
    meanwhile only loses its deadline.
    """
    request = loaded.request
    is_over = request is None or not request.is_open or loaded.instance.is_closed
    moments = [] if is_over or request is None else due(request, now)
    if is_over or request is None or any(moment.kind == "expire" for moment in moments):
        return expire(loaded, actor, verdicts, now, ids)
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    after = request
    for moment in moments:
        after = _take(draft, after, moment, actor, found)
    if after is not request:
        draft.keep(after)
        draft.effect("card.update", {"requestId": request.request_id})
    await_next(draft, after)
    return recorded(draft, loaded, "deadline_met" if moments else "deadline_cleared")


def escalated(request: ApprovalRequest, found: Found, now: datetime) -> ApprovalRequest:
    """Return *request* with every escalation step taken that is due at *now*."""
    for moment in due(request, now):
        if moment.kind == "escalate":
            request = _escalated(request, moment.number, found, now)
    return request


def whom_it_waits_for(asked: Asked, everybody: Sequence[Person]) -> list[str]:
    """
    Return who of *everybody* could approve now, by the rules that would judge them, at most `WAITED_FOR_MAX`.

    Those first who are here: whoever is away is left out where somebody could approve in their stead.
    """
    needs = asked.request.policy.gates[asked.stage].needs if asked.request.answers else ()
    taken_over = {each.to_person for each in asked.request.reassignments}
    taken_over |= {way[-1].to for each in asked.absences if (way := way_from(asked.absences, each.person))}
    able: dict[str, frozenset[str]] = {}
    for person in everybody:
        if person.barred:
            continue
        standing = Standing(frozenset({person.person_id}), person.groups)
        # The rules are asked only about those they could allow: there may be thousands of people.
        if person.person_id not in taken_over and not any(may_fill(need, standing) for need in needs):
            continue
        groups = {**asked.groups, person.person_id: person.groups}
        found = explain(replace(asked, groups=groups), person.as_actor("directory"))
        if found.may_approve:
            able[person.person_id] = frozenset(each.person for each in found.stands_in_for if found.in_stead_of)
        if len(able) == WAITED_FOR_MAX:
            break
    stood_in_for = frozenset[str]().union(*able.values())
    return [person_id for person_id in able if person_id not in stood_in_for]


def _take(draft: Draft, request: ApprovalRequest, moment: Moment, actor: Actor, found: Found) -> ApprovalRequest:
    common = {"requestId": request.request_id, "actor": actor, "dueAt": moment.at.isoformat()}
    match moment.kind:
        case "escalate":
            step = request.proposal.policy.escalate[moment.number]
            draft.event(
                "approval.escalated",
                {
                    **common,
                    "step": moment.number,
                    "channel": step.channel,
                    "groups": list(step.groups) or None,
                    "onCall": list(found.on_call.get(moment.number, ())) or None,
                    "schedule": step.on_call,
                    "need": step.need,
                    "waitsFor": list(found.waits_for),
                },
            )
            if step.channel:
                copy = {"copy": moment.number + 1, "channel": step.channel}
                draft.effect("card.post", {"requestId": request.request_id, **copy})
            if step.entitles:
                invite(draft, request, Approvers(groups=step.groups, users=found.on_call.get(moment.number, ())))
            return _escalated(request, moment.number, found, draft.now)
        case "remind":
            of = request.proposal.policy.reminders
            draft.event(
                "approval.reminded",
                {**common, "number": moment.number, "of": of, "waitsFor": list(found.waits_for)},
            )
            return request.changed(reminded=moment.number)
        case _ if moment.snooze:
            snooze = moment.snooze
            draft.event("approval.reminded", {**common, "person": snooze.person})
            notice = {"code": "snooze_over", "message": "you asked to be reminded", "address": snooze.channel}
            draft.effect("notice", {"requestId": request.request_id, **notice})
            return request.changed(snoozes=tuple(each for each in request.snoozes if each is not snooze))
        case _:
            raise ValueError(f"a {moment.kind} is not taken here")


def _escalated(request: ApprovalRequest, step: int, found: Found, now: datetime) -> ApprovalRequest:
    taken = Escalation(
        step=step,
        at=now,
        channel=request.proposal.policy.escalate[step].channel,
        on_call=found.on_call.get(step, ()),
    )
    return request.changed(escalations=(*request.escalations, taken))
