"""Consulting: what people do about an open request short of deciding it: ask, answer, hand over, take back."""

from datetime import datetime, timedelta

from loops.actors import Actor, Human, folded, people_behind
from loops.answers import notify, refused
from loops.approvals import ApprovalRequest, HumanAsk, Question, Reassignment, Snooze
from loops.asked import Asked
from loops.asking import await_next, close_request
from loops.decide import recorded
from loops.draft import Decided, Draft
from loops.durations import format_duration
from loops.lifecycle import cancelled
from loops.objections import Objection, about_person, no_longer
from loops.outcomes import RefusalCode
from loops.parts import is_named
from loops.ports import IdSource, Person

#: For how long an approver may put a request off at a time.
SNOOZE_MIN, SNOOZE_MAX = timedelta(minutes=1), timedelta(days=7)


def consult(asked: Asked, ask: HumanAsk, to: Person | None, ids: IdSource) -> Decided:
    """
    Put an approver's question on the record, hand their part to *to*, or have them reminded later.

    Only somebody who may decide may do any of it. *to* is the person `ask.to_person` names, None where there is none.
    """
    draft = Draft(asked.loaded.definition, asked.loaded.instance, asked.now, ids)
    objection = no_longer(asked, ask.by, ask.channel)
    if objection is None and ask.by:
        objection = next(about_person(asked, ask.by), None)
    if objection is None and ask.to_person is not None:
        objection = _about_taker(asked, ask, to)
    if objection is None and ask.snooze is not None:
        objection = _about_snooze(asked, ask.snooze)
    if objection or ask.by is None:
        return _refuse(draft, asked, ask, objection)
    if ask.snooze is not None:
        return _snooze(draft, asked, ask, ask.by, asked.now + ask.snooze)
    if ask.question is not None:
        return _question(draft, asked, ask.by, ask.question)
    return _hand_over(draft, asked, ask, ask.by)


def inform(asked: Asked, question_id: str, text: str, by: Actor, ids: IdSource) -> Decided:
    """
    Answer a question that was asked about a request.

    The requester, the submitter, who is behind them, and any human a channel verified may answer.
    """
    draft = Draft(asked.loaded.definition, asked.loaded.instance, asked.now, ids)
    request = asked.request
    question = next((each for each in request.questions if each.question_id == question_id), None)
    if question is None or question.answer is not None:
        return _refuse_actor(draft, request, by, "unknown_question", f"no question {question_id} waits for an answer")
    if not request.is_open or asked.loaded.instance.is_closed:
        return _refuse_actor(draft, request, by, "request_closed", "the request is closed; nobody waits for the answer")
    if not _may_inform(request, by):
        return _refuse_actor(draft, request, by, "not_the_requester", f"{by.name} was not asked")
    answered = question.changed(answer=text, answered_by=by, answered_at=asked.now)
    questions = tuple(answered if each is question else each for each in request.questions)
    draft.keep(request.changed(questions=questions))
    draft.event(
        "approval.question.answered",
        {"requestId": request.request_id, "questionId": question_id, "actor": by, "answer": text},
    )
    draft.effect("card.update", {"requestId": request.request_id})
    return recorded(draft, asked.loaded, "question_answered")


def withdraw(asked: Asked, by: Actor, reason: str | None, ids: IdSource) -> Decided:
    """
    Take a request back, as its requester, its submitter or the human behind them.

    A parked transition is then simply not taken; a loop that waited in a pending state is cancelled.
    """
    draft = Draft(asked.loaded.definition, asked.loaded.instance, asked.now, ids)
    request, loaded = asked.request, asked.loaded
    if not request.is_open or loaded.instance.is_closed or loaded.instance.request_id != request.request_id:
        return _refuse_actor(draft, request, by, "request_closed", "the request is closed already")
    if not _is_asker(request, by):
        return _refuse_actor(draft, request, by, "not_the_requester", f"{by.name} did not ask for this")
    close_request(draft, request, "withdrawn", by=by, reason=reason)
    if request.is_parked:
        return recorded(draft, loaded, "request_closed")
    return cancelled(draft, loaded, by, reason or f"request {request.request_id} was withdrawn")


def _question(draft: Draft, asked: Asked, by: Human, text: str) -> Decided:
    request = asked.request
    question = Question(question_id=draft.ids.new("qu_"), by=by, at=asked.now, text=text)
    draft.keep(request.changed(questions=(*request.questions, question)))
    draft.event(
        "approval.question.asked",
        {
            "requestId": request.request_id,
            "questionId": question.question_id,
            "actor": by,
            "text": text,
            "groups": asked.grounds,
            "absences": asked.absences or None,
        },
    )
    draft.effect("card.update", {"requestId": request.request_id})
    return recorded(draft, asked.loaded, "question_asked")


def _hand_over(draft: Draft, asked: Asked, ask: HumanAsk, by: Human) -> Decided:
    request = asked.request
    handed = Reassignment(from_person=by.user_id, to_person=ask.to_person or "", by=by, at=asked.now, reason=ask.reason)
    draft.keep(request.changed(reassignments=(*request.reassignments, handed)))
    draft.event(
        "approval.reassigned",
        {
            "requestId": request.request_id,
            "actor": by,
            "fromPerson": handed.from_person,
            "toPerson": handed.to_person,
            "reason": handed.reason,
            "groups": asked.grounds,
            "absences": asked.absences or None,
        },
    )
    draft.effect("card.update", {"requestId": request.request_id})
    # Whatever the policy says of messages: a colleague named them, and nobody else would tell them.
    draft.effect("card.invite", {"requestId": request.request_id, "handedTo": handed.to_person})
    return recorded(draft, asked.loaded, "reassigned")


def _snooze(draft: Draft, asked: Asked, ask: HumanAsk, by: Human, until: datetime) -> Decided:
    request = asked.request
    others = tuple(each for each in request.snoozes if each.person != by.user_id)
    snoozed = request.changed(snoozes=(*others, Snooze(person=by.user_id, until=until, channel=ask.channel)))
    draft.keep(snoozed)
    draft.event(
        "approval.snoozed",
        {
            "requestId": request.request_id,
            "actor": by,
            "until": until.isoformat(),
            "groups": asked.grounds,
            "absences": asked.absences or None,
            "channel": ask.channel or None,
        },
    )
    await_next(draft, snoozed)
    return recorded(draft, asked.loaded, "snoozed")


def _about_snooze(asked: Asked, span: timedelta) -> Objection | None:
    if not SNOOZE_MIN <= span <= SNOOZE_MAX:
        bounds = f"{format_duration(SNOOZE_MIN)} to {format_duration(SNOOZE_MAX)}"
        return Objection("snooze", "cannot_snooze", f"it can be put off for {bounds}, not for {format_duration(span)}")
    expires_at = asked.request.expires_at
    if expires_at and asked.now + span >= expires_at:
        return Objection("snooze", "cannot_snooze", f"its time ends before that, at {expires_at:%Y-%m-%d %H:%M} UTC")
    return None


def _about_taker(asked: Asked, ask: HumanAsk, to: Person | None) -> Objection | None:
    policy = asked.request.proposal.policy
    name = ask.to_person or ""
    if to is None:
        return Objection("taker", "cannot_reassign", f"nobody called {name} is known here")
    if ask.by and to.person_id == ask.by.user_id:
        return Objection("taker", "cannot_reassign", "that is yourself")
    if policy.reassign == "no":
        return Objection("taker", "cannot_reassign", "the policy lets nobody hand this over")
    if ask.by and not is_named(asked, ask.by.user_id):
        return Objection("taker", "cannot_reassign", "the part is not yours, you only stand in for whose it is")
    both = {to.person_id, ask.by and ask.by.user_id}
    if any(both & {decision.by.user_id, decision.part} for decision in asked.request.decisions):
        return Objection("taker", "cannot_reassign", "one of you has answered already")
    taker = to.as_actor(ask.by.authenticated_by if ask.by and ask.by.authenticated_by else "directory")
    for objection in about_person(asked, taker):
        if objection.code == "not_an_approver" and policy.reassign == "anyone":
            continue
        return Objection("taker", "cannot_reassign", objection.message)
    return None


def _may_inform(request: ApprovalRequest, by: Actor) -> bool:
    return _is_asker(request, by) or (isinstance(by, Human) and by.authenticated_by is not None)


def _is_asker(request: ApprovalRequest, by: Actor) -> bool:
    if isinstance(by, Human) and by.authenticated_by is None:
        return False
    askers = [actor for actor in (request.proposal.requester, request.proposal.submitter) if actor]
    # The same service acting for somebody else is somebody else.
    if any((actor.type, actor.id, people_behind(actor)) == (by.type, by.id, people_behind(by)) for actor in askers):
        return True
    behind = {folded(person_id) for actor in askers for person_id in people_behind(actor)}
    return isinstance(by, Human) and folded(by.user_id) in behind


def _refuse(draft: Draft, asked: Asked, ask: HumanAsk, objection: Objection | None) -> Decided:
    request = asked.request
    found = objection or Objection("identity", "unmapped_identity", "nobody is known to have asked this")
    draft.event(
        "approval.decision.refused",
        {
            "requestId": request.request_id,
            "rule": found.rule,
            "code": found.code,
            "message": found.message,
            "by": ask.by,
            "question": ask.question,
            "toPerson": ask.to_person,
            "snooze": format_duration(ask.snooze) if ask.snooze else None,
            "reason": ask.reason,
            "groups": asked.grounds,
            "absences": asked.absences or None,
            "channel": ask.channel or None,
        },
    )
    if not ask.is_told_there:
        notify(draft, request, ask.channel, found)
    return refused(draft, request, found)


def _refuse_actor(draft: Draft, request: ApprovalRequest, by: Actor, code: RefusalCode, message: str) -> Decided:
    draft.event(
        "loop.transition.refused",
        {
            "code": code,
            "message": message,
            "actor": by,
            "name": request.request_id,
            "fromState": draft.instance.state,
        },
    )
    return refused(draft, request, Objection("actor", code, message))
