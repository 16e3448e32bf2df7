"""
Replay: a recorded history judged again.

The state of an instance is made from its events alone; every request, answer and result on the ledger is put to the
decision functions anew, with the verdicts, groups, ids and instants that were recorded, under the pinned definition.
What they say must be what was recorded, event by event, type and data. Where it is not, either somebody wrote a
history that this engine would not have made, or the engine has changed.

A *step* is what one commit left: its first event says which decision function made it (`STEPS`). An event type that
begins no step and is missing there is reported, not passed over; so a new type of event needs a line in `STEPS`, or
one in `FOLLOWING`.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from types import MappingProxyType
from typing import Any

from loops import decide, lifecycle, settling
from loops.absence import Absence
from loops.actors import ACTOR, Human
from loops.answers import Confirmation, decide_answer
from loops.approvals import ApprovalRequest, Decision, HumanAnswer, HumanAsk
from loops.asked import Asked
from loops.comparing import Difference, differences
from loops.confirming import hold, never_known
from loops.consulting import consult, inform, withdraw
from loops.definition import LoopDefinition
from loops.disclosing import disclose
from loops.draft import Decided
from loops.effects import Effect, EffectResult, Grant
from loops.events import Event, EventType
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.managing import DEAD, retry
from loops.ports import IdSource, Loaded, Person
from loops.requests import StartRequest, TransitionRequest
from loops.values import Value
from loops.waiting import Found, fall_due


class Deviation(Value):
    """
    Where the engine says something else than the ledger: at event `sequence`, in a step that began at `step`.

    `reason` says what was tried; `differences` are recorded | judged again, for the first event that differs.
    """

    sequence: int
    step: int
    reason: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    What became of a replay: the steps judged again, and the first deviation, if any.

    `instance` and `requests` are as they stand after the last step that agreed.
    """

    steps: int
    events: int
    instance: LoopInstance | None
    requests: Mapping[str, ApprovalRequest]
    deviation: Deviation | None


#: Fields of an instance that events do not say: they count commits, those without an event too.
NOT_IN_EVENTS = frozenset({"version", "updated_at", "head"})


def replay(events: Sequence[Event], definition: LoopDefinition) -> Replayed:
    """
    Judge a whole history again, up to the first deviation.

    *events* must verify (`loops.ledger`), or nothing is proven; nothing is raised for what they say.
    """
    run = _Run(events, definition)
    steps = 0
    while run.place < len(events):
        try:
            deviation = run.step()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
            reason = f"a {events[run.place].type} like this cannot be judged again: {type(error).__name__}: {error}"
            deviation = Deviation(sequence=run.place + 1, step=run.place + 1, reason=reason[:500])
        if deviation:
            return Replayed(steps, run.place, run.instance, run.requests, deviation)
        steps += 1
    return Replayed(steps, run.place, run.instance, run.requests, None)


def standing(replayed: Replayed, instance: LoopInstance) -> tuple[Difference, ...]:
    """Return what a stored *instance* says otherwise than its ledger, replayed to the end."""
    if replayed.instance is None:
        return (Difference(path="instance", left=instance.instance_id, right=None),)
    told, stored = ({name: getattr(each, name) for name in _TOLD} for each in (replayed.instance, instance))
    views = [LoopInstance.model_construct(**each).as_json() for each in (stored, told)]
    return tuple(differences(views[0], views[1]))


_TOLD = tuple(name for name in LoopInstance.model_fields if name not in NOT_IN_EVENTS)


class _Ids:
    """Gives out the ids that were recorded, and made-up ones where none was: those stand in no event."""

    def __init__(self, recorded: Sequence[tuple[str, str]]) -> None:
        self._left: defaultdict[str, deque[str]] = defaultdict(deque)
        for prefix, name in recorded:
            self._left[prefix].append(name)
        self._made = 0

    def new(self, prefix: str) -> str:
        """Return the next recorded id that begins with *prefix*."""
        if self._left[prefix]:
            return self._left[prefix].popleft()
        self._made += 1
        return f"{prefix}replayed_{self._made}"


@dataclass
class _Run:
    """One replay under way. `place` counts the events that agreed."""

    events: Sequence[Event]
    definition: LoopDefinition
    place: int = 0
    instance: LoopInstance | None = None
    requests: dict[str, ApprovalRequest] = field(default_factory=dict)

    def step(self) -> Deviation | None:
        """Judge the next step again; None where it agrees."""
        first = self.events[self.place]
        make = STEPS.get(first.type)
        if make is None:
            reason = f"nothing begins with {first.type}" if first.type in FOLLOWING else f"{first.type} is not known"
            return Deviation(sequence=self.place + 1, step=self.place + 1, reason=reason)
        if (self.instance is None) != (first.type == "loop.started"):
            return Deviation(
                sequence=self.place + 1, step=self.place + 1, reason="a history begins with loop.started, once"
            )
        closest: Deviation | None = None
        for judged in make(_Step(self, first, self.events[self.place :])):
            deviation = self._compare(judged)
            if deviation is None:
                self._take(judged)
                return None
            if closest is None or deviation.sequence > closest.sequence:
                closest = deviation
        return closest or Deviation(
            sequence=self.place + 1, step=self.place + 1, reason=f"nothing on the ledger led to this {first.type}"
        )

    def _compare(self, judged: Decided) -> Deviation | None:
        made = judged.commit.events if judged.commit else ()
        for index, event in enumerate(made):
            at = self.place + index
            recorded = self.events[at] if at < len(self.events) else None
            if recorded is None:
                found: tuple[Difference, ...] = (Difference(path="type", left=None, right=event.type),)
            else:
                found = tuple(differences(_view(recorded), _view(event)))
            if found:
                return Deviation(
                    sequence=at + 1, step=self.place + 1, reason=f"judged again: {_words(judged)}", differences=found
                )
        if not made:
            return Deviation(sequence=self.place + 1, step=self.place + 1, reason="judged again, nothing is recorded")
        return None

    def _take(self, judged: Decided) -> None:
        if judged.commit is None:
            return
        self.place += len(judged.commit.events)
        self.instance = judged.commit.instance
        for request in judged.commit.requests:
            self.requests[request.request_id] = request


def _view(event: Event) -> dict[str, Any]:
    return {"type": event.type, "data": event.data}


def _words(judged: Decided) -> str:
    outcome = judged.outcome
    return f"{outcome.outcome}, {outcome.code}" if hasattr(outcome, "code") else outcome.outcome


@dataclass(frozen=True)
class _Step:
    """The first event of a step and the events from there on, with what stands before them."""

    run: _Run
    first: Event
    ahead: Sequence[Event]

    @property
    def data(self) -> dict[str, Any]:
        return self.first.data

    @property
    def standing(self) -> LoopInstance:
        if self.run.instance is None:
            raise ValueError("there is no instance yet")
        return self.run.instance

    @property
    def loaded(self) -> Loaded:
        """The instance with its latest request."""
        return self.about(self.standing.request_id)

    def of_request(self) -> tuple[Loaded, ApprovalRequest]:
        """The instance with the request the first event names."""
        request = self.run.requests[self.data["requestId"]]
        return self.about(request.request_id), request

    def asked(self) -> Asked:
        """What a person's act on the named request is judged on, with the groups that were recorded."""
        loaded, request = self.of_request()
        groups = {person: frozenset(names) for person, names in self.data.get("groups", {}).items()}
        absences = tuple(Absence.model_validate(each) for each in self.data.get("absences", ()))
        return Asked(loaded, request, groups, self.first.occurred_at, absences=absences)

    def ids(self, *recorded: tuple[str, str]) -> IdSource:
        """The recorded ids of this step: those given, and the next approval request's where one is opened."""
        opened = next((each for each in self.ahead if each.type == "approval.requested"), None)
        return _Ids([*recorded, *([("ar_", str(opened.data["requestId"]))] if opened else [])])

    @property
    def correlation_id(self) -> str | None:
        own = self.run.instance.correlation_id if self.run.instance else None
        return None if self.first.correlation_id == own else self.first.correlation_id

    def about(self, request_id: str | None) -> Loaded:
        """The instance with the request *request_id*."""
        return Loaded(self.standing, self.run.definition, self.run.requests.get(request_id or ""))


_Make = Callable[[_Step], Iterator[Decided]]
_Verdicts = tuple[GuardVerdict, ...]

#: Signals one result of an effect may send: a provider's own, then the one for its failure.
_MOST_TRIES = 2


def _started(step: _Step) -> Iterator[Decided]:
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
    yield decide.start(step.run.definition, asked, first.occurred_at, step.ids(("li_", first.instance_id)))


def _transition(step: _Step) -> Iterator[Decided]:
    is_signal = step.first.type == "loop.signal.received"
    [tried] = _tries(step.ahead[is_signal:], most=1)
    asked = tried.asked.changed(
        name=step.data["signal"] if is_signal else tried.asked.name,
        is_signal=is_signal,
        correlation_id=step.correlation_id or tried.asked.correlation_id,
        causation_id=step.first.causation_id,
    )
    yield decide.decide(step.loaded, asked, tried.verdicts, step.first.occurred_at, step.ids())


def _refused(step: _Step) -> Iterator[Decided]:
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
    elif name in step.run.requests and data["code"] in {"unknown_question", "request_closed", "not_the_requester"}:
        request = step.run.requests[name]
        asked = Asked(step.about(name), request, {}, now)
        yield withdraw(asked, actor, None, step.ids())
        unknown = str(data["message"]).removeprefix("no question ").removesuffix(" waits for an answer")
        for question_id in (*(each.question_id for each in request.questions), unknown):
            yield inform(asked, question_id, "", actor, step.ids())
    else:
        yield from _transition(step)


def _expiry_move(step: _Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    yield lifecycle.expire(step.loaded, actor, _verdicts(step.data), step.first.occurred_at, step.ids())


def _closed(step: _Step) -> Iterator[Decided]:
    data, now = step.data, step.first.occurred_at
    loaded, request = step.of_request()
    follows = step.ahead[1] if len(step.ahead) > 1 else None
    match data["status"]:
        case "expired":
            by = follows.data["actor"] if follows and follows.type == "loop.cancelled" else _SWEEP
            yield lifecycle.expire(loaded, ACTOR.validate_python(by), _verdicts(data), now, step.ids())
        case "withdrawn":
            actor = ACTOR.validate_python(data["actor"])
            yield withdraw(Asked(loaded, request, {}, now), actor, data.get("reason"), step.ids())
        case _ if follows and follows.type == "loop.cancelled":
            yield from _cancelled(_Step(step.run, follows, step.ahead))
        case _ if follows and follows.type == "loop.failed":
            yield from _failed(_Step(step.run, follows, step.ahead))
        case _:
            return


def _fell_due(step: _Step) -> Iterator[Decided]:
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


def _cancelled(step: _Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    yield lifecycle.cancel(step.loaded, actor, step.data.get("reason"), step.first.occurred_at, step.ids())


def _failed(step: _Step) -> Iterator[Decided]:
    actor, error = ACTOR.validate_python(step.data["actor"]), step.data["error"]
    yield lifecycle.fail(step.loaded, actor, error["code"], error["message"], step.first.occurred_at, step.ids())


def _suspended(step: _Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    yield lifecycle.suspend(step.loaded, actor, step.data.get("reason"), step.first.occurred_at, step.ids())


def _resumed(step: _Step) -> Iterator[Decided]:
    actor = ACTOR.validate_python(step.data["actor"])
    tried = deque(_tries(step.ahead[1:], most=sum(map(len, step.standing.held_results))))
    held: list[list[_Verdicts]] = []
    for signals in step.standing.held_results:
        # Of the signals of one result, those after the one that moved the loop were not judged.
        moved, judged = False, list[_Verdicts]()
        for _ in signals:
            found = tried.popleft() if tried and not moved else None
            moved = moved or bool(found and found.moved)
            judged.append(found.verdicts if found else ())
        held.append(judged)
    yield lifecycle.resume(step.loaded, actor, held, step.first.occurred_at, step.ids())


def _decided(step: _Step) -> Iterator[Decided]:
    is_edit = step.first.type == "approval.edited"
    recorded = step.ahead[1] if is_edit else step.first
    decision = Decision.model_validate(recorded.data["decision"])
    judged = _Step(step.run, recorded, step.ahead)
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
    yield decide_answer(judged.asked(), answer, _verdicts(recorded.data), ids, _confirmation(step))


def _held(step: _Step) -> Iterator[Decided]:
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


def _confirmation(step: _Step) -> Confirmation | None:
    """Return the end of the effect that found out who gave the answer, where this step is one."""
    effect_id = step.first.causation_id
    return Confirmation(EffectResult(effect_id=effect_id, fence=1, succeeded=True, detail={})) if effect_id else None


def _answer_refused(step: _Step) -> Iterator[Decided]:
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
    yield decide_answer(step.asked(), answer, _verdicts(data), step.ids(), confirmation)
    if confirmation:
        yield never_known(step.asked(), answer, confirmation, step.ids())
    else:
        yield hold(step.asked(), answer, step.ids())


def _question_asked(step: _Step) -> Iterator[Decided]:
    ask = _ask(step.data, question=step.data["text"])
    yield consult(step.asked(), ask, None, step.ids(("qu_", step.data["questionId"])))


def _reassigned(step: _Step) -> Iterator[Decided]:
    ask = _ask(step.data, to_person=step.data["toPerson"])
    yield consult(step.asked(), ask, _taker(step.data), step.ids())


def _snoozed(step: _Step) -> Iterator[Decided]:
    span = datetime.fromisoformat(step.data["until"]) - step.first.occurred_at
    ask = _ask(step.data, snooze=span).changed(channel=step.data.get("channel", {}))
    yield consult(step.asked(), ask, None, step.ids())


def _disclosed(step: _Step) -> Iterator[Decided]:
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


def _question_answered(step: _Step) -> Iterator[Decided]:
    loaded, request = step.of_request()
    actor = ACTOR.validate_python(step.data["actor"])
    asked = Asked(loaded, request, {}, step.first.occurred_at)
    yield inform(asked, step.data["questionId"], step.data["answer"], actor, step.ids())


def _settled(step: _Step) -> Iterator[Decided]:
    effect, result = _effect(step, step.data["detail"])
    tries = _of_result(step, effect)
    yield settling.settle(step.loaded, effect, result, tries, step.first.occurred_at, step.ids())


def _abandoned(step: _Step) -> Iterator[Decided]:
    by, effect = ACTOR.validate_python(step.data["actor"]), _asked_for(step, str(step.data["effectId"]))
    tries, now = _of_result(step, effect), step.first.occurred_at
    yield settling.abandon(step.loaded, effect, by, step.data["reason"], tries, now, step.ids())


def _of_result(step: _Step, effect: Effect) -> list[tuple[TransitionRequest, _Verdicts]]:
    """Return the signals that a result sent, or that are held until the loop is resumed."""
    # All events of the commit name the effect as their cause; one that was tried again settles more than once.
    own = list(takewhile(lambda event: event.causation_id == effect.effect_id, step.ahead[1:]))
    tries: list[tuple[TransitionRequest, _Verdicts]] = [
        (TransitionRequest.model_validate(held), ()) for held in step.data.get("held", ())
    ]
    return tries or [(tried.asked, tried.verdicts) for tried in _tries(own, most=_MOST_TRIES)]


def _retried(step: _Step) -> Iterator[Decided]:
    data, is_refused = step.data, step.first.type == "effect.retry.refused"
    by = ACTOR.validate_python(data["by" if is_refused else "actor"]) if not is_refused or "by" in data else None
    effect = _asked_for(step, str(data["effectId"]))
    channel, now = data.get("channel", {}), step.first.occurred_at
    is_entitled = data.get("code") != "unauthorized_actor"
    yield retry(step.loaded, (effect, DEAD), by, channel, now, step.ids(), is_entitled=is_entitled)


def _posted(step: _Step) -> Iterator[Decided]:
    address = {key: value for key, value in step.data.items() if key != "requestId"}
    effect, result = _effect(step, address)
    step.of_request()  # a card of a request that never was makes a KeyError, which is a deviation
    yield settling.card_posted(step.loaded, effect, result, step.first.occurred_at, step.ids())


def _effect(step: _Step, detail: Mapping[str, Any]) -> tuple[Effect, EffectResult]:
    effect_id = step.first.causation_id or ""
    succeeded = step.first.type != "effect.failed"
    result = EffectResult(effect_id=effect_id, fence=1, succeeded=succeeded, detail=dict(detail))
    return _asked_for(step, effect_id), result


def _asked_for(step: _Step, effect_id: str) -> Effect:
    """Return the effect the first event is about, as far as deciding goes by it."""
    kind = step.data.get("kind", "card.post")
    granting = (
        step.run.requests[step.data["requestId"]] if kind == "integration.run" and "requestId" in step.data else None
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


@dataclass(frozen=True, slots=True)
class _Tried:
    """One transition that was asked for, the verdicts on it, and whether it moved the loop."""

    asked: TransitionRequest
    verdicts: _Verdicts
    moved: bool


def _tries(events: Sequence[Event], *, most: int) -> list[_Tried]:
    """Return the first *most* transitions that were asked for in *events*."""
    tries: list[_Tried] = []
    for place, event in enumerate(events):
        if len(tries) == most:
            break
        if event.type == "loop.transition.refused":
            asked = TransitionRequest(name=event.data["name"], actor=event.data["actor"], evidence={})
            tries.append(_Tried(asked, (), moved=False))
        elif event.type == "loop.transition.requested":
            tries.append(_tried(event, next(each for each in events[place:] if each.type in _ENDS)))
    return tries


#: How a transition that was asked for ends: moved, blocked by guards, or parked until a human approves.
_ENDS = frozenset({"loop.transition.executed", "loop.transition.blocked", "approval.requested"})


def _tried(requested: Event, end: Event) -> _Tried:
    brought = end.data["parked"] if end.type == "approval.requested" else end.data
    asked = TransitionRequest(
        name=requested.data["transitionId"],
        actor=requested.data["actor"],
        evidence=brought.get("evidence", {}),
        redacted=requested.data.get("redacted", ()),
        correlation_id=brought.get("correlationId"),
    )
    return _Tried(asked, _verdicts(end.data), moved=end.type == "loop.transition.executed")


def _verdicts(data: Mapping[str, Any]) -> _Verdicts:
    return tuple(GuardVerdict.model_validate(verdict) for verdict in data.get("guards", ()))


#: Which decision function made a step, by the type of its first event. Each yields what could have led to it, judged.
STEPS: Mapping[EventType, _Make] = MappingProxyType(
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
