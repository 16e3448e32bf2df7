"""
The loop builder: a definition written in Python, step by step, and checked like a file.

    loop = (
        LoopBuilder("expense.approval", "1.0.0")
        .state("PENDING_HUMAN_REVIEW", approval=approval(groups=["finance"], expire_after="2d", on_expiry="expire"))
        .end("PAID")
        .end("REFUSED")
        .transition("approve", "PENDING_HUMAN_REVIEW", "PAID", by="human", guards=[guard("human-only")])
        .transition("reject", "PENDING_HUMAN_REVIEW", "REFUSED", by="human")
        .transition("expire", "PENDING_HUMAN_REVIEW", "REFUSED", by="system")
        .build()
    )

Nothing is judged on the way: `LoopBuilder.build` judges everything at once and says everything that is wrong.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from loops.actors import ActorType
from loops.checking import Checked, check
from loops.definition import LoopDefinition
from loops.durations import format_duration
from loops.errors import Rejected
from loops.guards import Guard
from loops.policy import ReasonRule, SeparatedRole
from loops.problems import Problem
from loops.runtime_guards import RUNTIME_GUARDS

#: A part of a definition as a loop file would spell it. Made by the functions below.
Part = Mapping[str, Any]
#: Text such as ``1h30m``, or a span of whole seconds.
Span = str | timedelta


class InvalidLoop(Rejected):
    """The definition cannot be used. `problems` has everything the check found, warnings too."""

    def __init__(self, loop_id: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        told = (f"  {each.severity} {each.code} {each.path}: {each.message}" for each in self.problems)
        super().__init__("\n".join([f"loop '{loop_id}' cannot be built:", *told]))


@dataclass(frozen=True, slots=True)
class LoopBuilder:
    """
    A definition in the making. Every step returns a new builder, so that one beginning can serve several loops.

    The first state is the initial one, unless `starts_in` says otherwise.
    """

    loop_id: str
    version: str
    name: str | None = None
    description: str | None = None
    domain: str | None = None
    tags: tuple[str, ...] = ()
    _initial: str | None = None
    _states: tuple[Part, ...] = ()
    _transitions: tuple[Part, ...] = ()
    _outcome: Part | None = None
    _metadata: Mapping[str, Any] = field(default_factory=dict)

    def state(
        self,
        state_id: str,
        *,
        label: str | None = None,
        description: str | None = None,
        asks: Part | None = None,
        approval: Part | None = None,
        is_error: bool = False,
    ) -> "LoopBuilder":
        """Add a state. *asks* is what a `provider` is asked in it, *approval* how humans are, made by `approval`."""
        return self._with_state(state_id, label, description, provider=asks, approval=approval, isError=is_error)

    def end(
        self, state_id: str, *, label: str | None = None, description: str | None = None, is_error: bool = False
    ) -> "LoopBuilder":
        """Add a terminal state."""
        return self._with_state(state_id, label, description, isTerminal=True, isError=is_error)

    def starts_in(self, state_id: str) -> "LoopBuilder":
        """Let instances start in *state_id* instead of the first state."""
        return replace(self, _initial=state_id)

    def transition(
        self,
        transition_id: str,
        start: str,
        end: str,
        *,
        by: ActorType | Iterable[ActorType],
        signal: str | None = None,
        label: str | None = None,
        description: str | None = None,
        guards: Iterable[Part] = (),
        effects: Iterable[Part] = (),
        approval: Part | None = None,
    ) -> "LoopBuilder":
        """
        Add a transition from *start* to *end* that actors of the types *by* may take.

        *guards* are made by `guard`, *effects* by `effect`. With *approval*, what an ai-agent or an automation asks
        waits until humans approve it.
        """
        made = _present(
            id=transition_id,
            signal=signal,
            actors=[by] if isinstance(by, str) else list(by),
            label=label,
            description=description,
            guards=[dict(each) for each in guards],
            effects=[dict(each) for each in effects],
            approval=approval,
        )
        return replace(self, _transitions=(*self._transitions, {**made, "from": start, "to": end}))

    def outcome(
        self, value_unit: str, *metrics: Part, outcome_id: str | None = None, description: str | None = None
    ) -> "LoopBuilder":
        """Say what a completed loop is worth, and by which *metrics*, made by `metric`, it is judged."""
        made = _present(id=outcome_id, description=description, valueUnit=value_unit)
        return replace(self, _outcome={**made, "businessMetrics": [dict(each) for each in metrics]})

    def metadata(self, **entries: Any) -> "LoopBuilder":
        """Keep *entries* with the loop."""
        return replace(self, _metadata={**self._metadata, **entries})

    def as_data(self) -> dict[str, Any]:
        """Return what a loop file of this definition would hold, in the newer spelling."""
        first = self._states[0]["id"] if self._states else None
        return _present(
            id=self.loop_id,
            version=self.version,
            name=self.name,
            description=self.description,
            domain=self.domain,
            tags=list(self.tags),
            initialState=self._initial or first,
            states=[dict(each) for each in self._states],
            transitions=[dict(each) for each in self._transitions],
            outcome=self._outcome,
            metadata=dict(self._metadata),
        )

    def check(self, *, guards: Mapping[str, Guard] = RUNTIME_GUARDS) -> Checked:
        """Return what the check of a loop file says about this."""
        return check(self.as_data(), guards=guards)

    def build(self, *, guards: Mapping[str, Guard] = RUNTIME_GUARDS) -> LoopDefinition:
        """
        Return the definition.

        Raises:
            InvalidLoop: If anything is wrong with it; the message says all of it.
        """
        checked = self.check(guards=guards)
        if checked.definition is None:
            raise InvalidLoop(self.loop_id, checked.problems)
        return checked.definition

    def _with_state(self, state_id: str, label: str | None, description: str | None, **rest: Any) -> "LoopBuilder":
        made = _present(id=state_id, label=label, description=description, **rest)
        return replace(self, _states=(*self._states, made))


def guard(
    guard_id: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    severity: Literal["hard", "soft"] = "hard",
    evaluated_by: Literal["runtime", "module", "external"] = "runtime",
    description: str | None = None,
    failure_message: str | None = None,
) -> Part:
    """Return a guard of a transition; *parameters* in the guard's own spelling, as in a loop file."""
    return _present(
        id=guard_id,
        severity=severity,
        evaluatedBy=evaluated_by,
        description=description,
        failureMessage=failure_message,
        parameters=dict(parameters or {}),
    )


def effect(
    integration: str,
    action: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    on_success: str | None = None,
    on_failure: str | None = None,
) -> Part:
    """Return what a transition asks an integration to do, and the signals its result comes back as."""
    return _present(
        integration=integration,
        action=action,
        parameters=dict(parameters or {}),
        onSuccess=on_success,
        onFailure=on_failure,
    )


def provider(use: str, instruction: str, *, signals: Iterable[str], on_failure: str | None = None) -> Part:
    """Return what a provider is asked when a state is entered."""
    return _present(use=use, instruction=instruction, signals=list(signals), onFailure=on_failure)


def approval(
    *,
    groups: Iterable[str] = (),
    users: Iterable[str] = (),
    quorum: int | None = None,
    stages: Iterable[Part] = (),
    channel: str | None = None,
    separation: Iterable[SeparatedRole] | None = None,
    title: str | None = None,
    facts: Mapping[str, str] | None = None,
    reason: Mapping[Literal["approve", "reject"], ReasonRule] | None = None,
    answers: Mapping[Literal["approve", "reject"], str] | None = None,
    editable: Mapping[str, Mapping[str, Any]] | None = None,
    remind_after: Span | None = None,
    reminders: int | None = None,
    escalate: Iterable[Part] = (),
    expire_after: Span | None = None,
    on_expiry: str | None = None,
    hours: Mapping[str, Any] | None = None,
    calendar: str | None = None,
    reassign: Literal["no", "approvers", "anyone"] | None = None,
    notify: Literal["none", "approvers"] | Mapping[str, Iterable[str]] | None = None,
    risk: Literal["low", "high"] | None = None,
) -> Part:
    """
    Return an approval policy: *quorum* of the members of *groups* and of *users*, or *stages* made by `stage`.

    *escalate* is made by `escalation`; *hours* are those of `loops.hours.Hours`; *notify* may be
    ``{"groups": [...], "users": [...]}``. What is left out has the default of `loops.policy.ApprovalPolicy`.
    """
    made = _present(
        approvers=_present(groups=list(groups), users=list(users)),
        quorum=quorum,
        stages=[dict(each) for each in stages],
        channel=channel,
        title=title,
        facts=dict(facts or {}),
        reason=dict(reason or {}),
        answers=dict(answers or {}),
        editable={path: dict(rule) for path, rule in (editable or {}).items()},
        remindAfter=_span(remind_after),
        reminders=reminders,
        escalate=[dict(each) for each in escalate],
        expireAfter=_span(expire_after),
        onExpiry=on_expiry,
        hours=dict(hours or {}),
        calendar=calendar,
        reassign=reassign,
        notify={key: list(each) for key, each in notify.items()} if isinstance(notify, Mapping) else notify,
        risk=risk,
    )
    # An empty list says that nobody is kept apart, which is not the default.
    return made if separation is None else {**made, "separation": list(separation)}


def need(quorum: int = 1, *, groups: Iterable[str] = (), users: Iterable[str] = (), name: str | None = None) -> Part:
    """Return one need of a stage: *quorum* people out of these."""
    return _present(name=name, groups=list(groups), users=list(users), quorum=quorum)


def stage(*needs: Part, name: str | None = None) -> Part:
    """Return one stage of an approval: *needs* that are asked for together."""
    return _present(name=name, needs=[dict(each) for each in needs])


def escalation(
    after: Span,
    *,
    channel: str | None = None,
    groups: Iterable[str] = (),
    on_call: str | None = None,
    need: str | None = None,
) -> Part:
    """Return one step of an escalation. *on_call* is a schedule, *need* the name of the one they may fill."""
    return _present(after=_span(after), channel=channel, groups=list(groups), onCall=on_call, need=need)


def metric(
    metric_id: str, *, label: str | None = None, unit: str | None = None, improvable_by_ai: bool | None = None
) -> Part:
    """Return a business metric of an outcome."""
    return _present(id=metric_id, label=label, unit=unit, improvableByAI=improvable_by_ai)


def _span(span: Span | None) -> str | None:
    if isinstance(span, timedelta):
        # A part of a second would be lost in the file's form: the check refuses what is not a duration there.
        return str(span) if span.microseconds else format_duration(span)
    return span


def _present(**keys: Any) -> dict[str, Any]:
    """Return *keys* without what says nothing."""
    return {key: value for key, value in keys.items() if value is not None and value not in ([], {})}
