"""
Steps: what one commit left on a ledger, and which decision function made it, by the type of its first event.

An event type that begins no step and is missing in `FOLLOWING` is reported by a replay, not passed over: a new type of
event needs a line here.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from types import MappingProxyType
from typing import Any

from loops import decide, lifecycle, settling
from loops.actors import ACTOR, Human
from loops.answers import Confirmation, decide_answer
from loops.approvals import Decision, HumanAnswer, HumanAsk
from loops.asked import Asked
from loops.confirming import hold, never_known
from loops.consulting import consult, inform, withdraw
from loops.disclosing import disclose
from loops.draft import Decided
from loops.effects import Effect, EffectResult, Grant
from loops.events import EventType
from loops.managing import DEAD, retry
from loops.ports import Person
from loops.recorded import Step, Verdicts, transitions_tried, verdicts
from loops.requests import StartRequest, TransitionRequest
from loops.waiting import Found, fall_due

Make = Callable[[Step], Iterator[Decided]]

#: Signals one result of an effect may send: a provider's own, then the one for its failure.
_MOST_TRIES = 2


def _started(step: Step) -> Iterator[Decided]:
    first = step.first
    own = first.correlation_id if first.correlation_id != first.instance_id else None
    asked = StartRequest(
        tenant=first.tenant,
        aggregate_id=first.aggregate_id,
        actor=step.data["actor"],
        data=step.data["data"],
        redacted=step.data.get("redacted", ()),
        correlation_id=own,
    )
    yield decide.start(step.before.definition, asked, first.occurred_at, step.ids(("li_", first.instance_id)))


def _transition(step: Step) -> Iterator[Decided]:
    is_signal = step.first.type == "loop.signal.received"
    [tried] = transitions_tried(step.ahead[is_signal:], most=1)
    asked = tried.asked.changed(
        name=step.data["signal"] if is_signal else tried.asked.name,
        is_signal=is_signal,
        correlation_id=step.correlation_id or tried.asked.correlation_id,
        causation_id=step.first.causation_id,
    )
    yield decide.decide(step.loaded, asked, tried.verdicts, step.first.occurred_at, step.ids())


def _refused(step: Step) -> Iterator[Decided]:
    data, now = step.data, step.first.occurred_at
    actor, name = ACTOR.validate_python(data["actor"]), data.get("name")
    if data["code"] == "already_active":
        first = step.first
        start = StartRequest(
            tenant=first.tenant,
            aggregate_id=first.aggregate_id,
            actor=actor,
            data={},
            correlation_id=step.correlation_id,
        )
        yield decide.refuse_start(step.loaded, start, now, step.ids())
    elif name is None:
        # Cancel, fail, suspend and resume refuse in the same words; which it was follows from what would succeed.
        yield lifecycle.cancel(step.loaded, actor, None, now, step.ids())
        yield lifecycle.suspend(step.loaded, actor, None, now, step.ids())
        yield lifecycle.resume(step.loaded, actor, [], now, step.ids())
    elif name in step.before.requests and data["code"] in {"unknown_question", "request_closed", "not_the_requester"}:
        request = step.before.requests[name]
        asked = Asked(step.about(name), request, {}, now)
        yield withdraw(asked, actor, None, step.ids())
        unknown = str(data["message"]).removeprefix("no question ").removesuffix(" waits for an answer")
        for question_id in (*(each.question_id for each in request.questions), unknown):
            yield inform(asked, question_id, "", actor, step.ids())
    else:
        yield from _transition(step)


def _expiry_move(step: Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    yield lifecycle.expire(step.loaded, actor, verdicts(step.data), step.first.occurred_at, step.ids())


def _closed(step: Step) -> Iterator[Decided]:
    data, now = step.data, step.first.occurred_at
    loaded, request = step.of_request()
    follows = step.ahead[1] if len(step.ahead) > 1 else None
    match data["status"]:
        case "expired":
            by = follows.data["actor"] if follows and follows.type == "loop.cancelled" else _SWEEP
            yield lifecycle.expire(loaded, ACTOR.validate_python(by), verdicts(data), now, step.ids())
        case "withdrawn":
            actor = ACTOR.validate_python(data["actor"])
            yield withdraw(Asked(loaded, request, {}, now), actor, data.get("reason"), step.ids())
        case _ if follows and follows.type == "loop.cancelled":
            yield from _cancelled(Step(step.before, follows, step.ahead))
        case _ if follows and follows.type == "loop.failed":
            yield from _failed(Step(step.before, follows, step.ahead))
        case _:
            return


def _fell_due(step: Step) -> Iterator[Decided]:
    loaded, _ = step.of_request()
    on_call = {
        event.data["step"]: tuple(event.data.get("onCall", ()))
        for event in step.ahead
        if event.type == "approval.escalated" and event.data["requestId"] == step.data["requestId"]
    }
    found = Found(on_call, step.data.get("waitsFor", ()))
    actor = ACTOR.validate_python(step.data["actor"])
    yield fall_due(loaded, actor, (), found, step.first.occurred_at, step.ids())


#: Who lets deadlines take effect, where the ledger says no more than that one did.
_SWEEP = {"type": "system", "id": "system:sweep", "componentId": "sweep"}


def _cancelled(step: Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    yield lifecycle.cancel(step.loaded, actor, step.data.get("reason"), step.first.occurred_at, step.ids())


def _failed(step: Step) -> Iterator[Decided]:
    actor, error = ACTOR.validate_python(step.data["actor"]), step.data["error"]
    yield lifecycle.fail(step.loaded, actor, error["code"], error["message"], step.first.occurred_at, step.ids())


def _suspended(step: Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    yield lifecycle.suspend(step.loaded, actor, step.data.get("reason"), step.first.occurred_at, step.ids())


def _resumed(step: Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    tried = deque(transitions_tried(step.ahead[1:], most=sum(map(len, step.standing.held_results))))
    held: list[list[Verdicts]] = []
    for signals in step.standing.held_results:
        # Of the signals of one result, those after the one that moved the loop were not judged.
        moved, judged = False, list[Verdicts]()
        for _ in signals:
            found = tried.popleft() if tried and not moved else None
            moved = moved or bool(found and found.moved)
            judged.append(found.verdicts if found else ())
        held.append(judged)
    yield lifecycle.resume(step.loaded, actor, held, step.first.occurred_at, step.ids())


def _decided(step: Step) -> Iterator[Decided]:
    is_edit = step.first.type == "approval.edited"
    recorded = step.ahead[1] if is_edit else step.first
    decision = Decision.model_validate(recorded.data["decision"])
    judged = Step(step.before, recorded, step.ahead)
    request = judged.of_request()[1]
    answer = HumanAnswer(
        request_id=request.request_id,
        request_version=step.data["fromVersion"] if is_edit else decision.request_version,
        digest=request.digest,
        transition_id=decision.transition_id,
        by=decision.by,
        reason=decision.reason,
        edits={change["path"]: change.get("new") for change in step.data["changes"]} if is_edit else {},
        channel=dict(decision.channel),
        key="replayed",
    )
    ids = step.ids(("de_", decision.decision_id))
    yield decide_answer(judged.asked(), answer, verdicts(recorded.data), ids, _confirmation(step))


def _held(step: Step) -> Iterator[Decided]:
    data = step.data
    answer = HumanAnswer(
        request_id=data["requestId"],
        request_version=data["requestVersion"],
        digest=data["digest"],
        transition_id=data["transitionId"],
        by=data.get("claimedBy"),
        reason=data.get("reason"),
        edits=data.get("edits", {}),
        channel=data.get("channel", {}),
        key="replayed",
        is_confirmed=False,
    )
    yield hold(step.asked(), answer, step.ids(("ef_", data["effectId"])))


def _confirmation(step: Step) -> Confirmation | None:
    """Return the end of the effect that found out who gave the answer, where this step is one."""
    effect_id = step.first.causation_id
    return Confirmation(EffectResult(effect_id=effect_id, fence=1, succeeded=True, detail={})) if effect_id else None


def _answer_refused(step: Step) -> Iterator[Decided]:
    data = step.data
    by = Human.model_validate(data["by"]) if "by" in data else None
    said: dict[str, Any] = {
        "request_id": data["requestId"],
        "by": by,
        "reason": data.get("reason"),
        "channel": data.get("channel", {}),
        "key": "replayed",
    }
    if "transitionId" not in data:
        ask = HumanAsk(question=data.get("question"), to_person=data.get("toPerson"), snooze=data.get("snooze"), **said)
        yield consult(step.asked(), ask, _taker(data), step.ids())
        return
    answer = HumanAnswer(
        request_version=data["requestVersion"],
        digest=data["digest"],
        transition_id=data["transitionId"],
        edits=data.get("edits", {}),
        **said,
    )
    confirmation = _confirmation(step)
    yield decide_answer(step.asked(), answer, verdicts(data), step.ids(), confirmation)
    if confirmation:
        yield never_known(step.asked(), answer, confirmation, step.ids())
    else:
        yield hold(step.asked(), answer, step.ids())


def _question_asked(step: Step) -> Iterator[Decided]:
    ask = _ask(step.data, question=step.data["text"])
    yield consult(step.asked(), ask, None, step.ids(("qu_", step.data["questionId"])))


def _reassigned(step: Step) -> Iterator[Decided]:
    ask = _ask(step.data, to_person=step.data["toPerson"])
    yield consult(step.asked(), ask, _taker(step.data), step.ids())


def _snoozed(step: Step) -> Iterator[Decided]:
    span = datetime.fromisoformat(step.data["until"]) - step.first.occurred_at
    ask = _ask(step.data, snooze=span).changed(channel=step.data.get("channel", {}))
    yield consult(step.asked(), ask, None, step.ids())


def _disclosed(step: Step) -> Iterator[Decided]:
    by = Human.model_validate(step.data["actor"])
    yield disclose(step.asked(), by, step.data.get("channel") or {}, step.ids())


def _ask(data: Mapping[str, Any], **what: Any) -> HumanAsk:
    return HumanAsk(
        request_id=data["requestId"],
        by=Human.model_validate(data["actor"]),
        reason=data.get("reason"),
        channel={},
        key="replayed",
        **what,
    )


def _taker(data: Mapping[str, Any]) -> Person | None:
    """Return who was to take over, as far as it was recorded: whom the directory did not know has no groups."""
    name, groups = data.get("toPerson"), data.get("groups", {})
    if name is None or name not in groups:
        return None
    return Person(name, name, (), frozenset(groups[name]), ())


def _question_answered(step: Step) -> Iterator[Decided]:
    loaded, request = step.of_request()
    actor = ACTOR.validate_python(step.data["actor"])
    asked = Asked(loaded, request, {}, step.first.occurred_at)
    yield inform(asked, step.data["questionId"], step.data["answer"], actor, step.ids())


def _settled(step: Step) -> Iterator[Decided]:
    effect, result = _effect(step, step.data["detail"])
    tries = _of_result(step, effect)
    yield settling.settle(step.loaded, effect, result, tries, step.first.occurred_at, step.ids())


def _abandoned(step: Step) -> Iterator[Decided]:
    by, effect = ACTOR.validate_python(step.data["actor"]), _asked_for(step, str(step.data["effectId"]))
    tries, now = _of_result(step, effect), step.first.occurred_at
    yield settling.abandon(step.loaded, effect, by, step.data["reason"], tries, now, step.ids())


def _of_result(step: Step, effect: Effect) -> list[tuple[TransitionRequest, Verdicts]]:
    """Return the signals that a result sent, or that are held until the loop is resumed."""
    # All events of the commit name the effect as their cause; one that was tried again settles more than once.
    own = list(takewhile(lambda event: event.causation_id == effect.effect_id, step.ahead[1:]))
    tries: list[tuple[TransitionRequest, Verdicts]] = [
        (TransitionRequest.model_validate(held), ()) for held in step.data.get("held", ())
    ]
    return tries or [(tried.asked, tried.verdicts) for tried in transitions_tried(own, most=_MOST_TRIES)]


def _retried(step: Step) -> Iterator[Decided]:
    data, is_refused = step.data, step.first.type == "effect.retry.refused"
    by = ACTOR.validate_python(data["by" if is_refused else "actor"]) if not is_refused or "by" in data else None
    effect = _asked_for(step, str(data["effectId"]))
    channel, now = data.get("channel", {}), step.first.occurred_at
    is_entitled = data.get("code") != "unauthorized_actor"
    yield retry(step.loaded, (effect, DEAD), by, channel, now, step.ids(), is_entitled=is_entitled)


def _called_off(step: Step) -> Iterator[Decided]:
    effect, result = _effect(step, {})
    yield settling.call_off(step.loaded, effect, result.changed(is_cancelled=True), step.first.occurred_at, step.ids())


def _posted(step: Step) -> Iterator[Decided]:
    address = {key: value for key, value in step.data.items() if key != "requestId"}
    effect, result = _effect(step, address)
    step.of_request()  # a card of a request that never was makes a KeyError, which is a deviation
    yield settling.card_posted(step.loaded, effect, result, step.first.occurred_at, step.ids())


def _effect(step: Step, detail: Mapping[str, Any]) -> tuple[Effect, EffectResult]:
    effect_id = step.first.causation_id or ""
    succeeded = step.first.type not in {"effect.failed", "effect.cancelled"}
    result = EffectResult(effect_id=effect_id, fence=1, succeeded=succeeded, detail=dict(detail))
    return _asked_for(step, effect_id), result


def _asked_for(step: Step, effect_id: str) -> Effect:
    """Return the effect the first event is about, as far as deciding goes by it."""
    kind = step.data.get("kind", "card.post")
    granting = (
        step.before.requests[step.data["requestId"]] if kind == "integration.run" and "requestId" in step.data else None
    )
    return Effect(
        effect_id=effect_id,
        kind=kind,
        tenant=step.first.tenant,
        instance_id=step.first.instance_id,
        aggregate_id=step.first.aggregate_id,
        created_at=step.first.occurred_at,
        payload={key: step.data[key] for key in ("requestId", "integration", "action") if key in step.data},
        entry=step.data.get("entry", 0),
        grant=granting
        and Grant(request_id=granting.request_id, request_version=granting.version, digest=granting.digest),
    )


#: Which decision function made a step, by the type of its first event. Each yields what could have led to it, judged.
STEPS: Mapping[EventType, Make] = MappingProxyType(
    {
        "loop.started": _started,
        "loop.signal.received": _transition,
        "loop.transition.requested": _transition,
        "loop.transition.refused": _refused,
        "loop.transition.executed": _expiry_move,
        "loop.cancelled": _cancelled,
        "loop.failed": _failed,
        "loop.suspended": _suspended,
        "loop.resumed": _resumed,
        "approval.card.posted": _posted,
        "approval.decision.unconfirmed": _held,
        "approval.decision.recorded": _decided,
        "approval.decision.refused": _answer_refused,
        "approval.edited": _decided,
        "approval.question.asked": _question_asked,
        "approval.question.answered": _question_answered,
        "approval.reassigned": _reassigned,
        "approval.snoozed": _snoozed,
        "approval.details.requested": _disclosed,
        "approval.reminded": _fell_due,
        "approval.escalated": _fell_due,
        "approval.closed": _closed,
        "effect.succeeded": _settled,
        "effect.failed": _settled,
        "effect.retried": _retried,
        "effect.abandoned": _abandoned,
        "effect.cancelled": _called_off,
        "effect.retry.refused": _retried,
    }
)

#: Events that only ever follow another one in the same commit.
FOLLOWING: frozenset[EventType] = frozenset(
    {
        "loop.guard.failed",
        "loop.transition.blocked",
        "loop.completed",
        "loop.learning.recorded",
        "approval.requested",
    }
)
